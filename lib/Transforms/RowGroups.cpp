//===- RowGroups.cpp - Reductions of the same rows ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Softmax, the normalizations and their like reduce each row, and compute with
// the row and what came of it. As kernels of their own the steps read and write
// the whole tensor each; row by row they find it in the cache. Nothing here
// knows one of them by name: the operations that lead to the root are collected
// as long as their loops can be told to be the root's rows or what lies in a
// row.
//
//===----------------------------------------------------------------------===//

#include "RowGroups.h"

#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <set>

using namespace mlir;
using namespace mlir::lutra;

/// More operations than any known normalization has.
static constexpr unsigned kMaxMembers = 32;
/// Few rows do not keep threads busy; where they are long, that costs more than
/// the cache brings.
static constexpr int64_t kFewRows = 16, kLongRow = 1 << 15;

namespace {
class RowGroupFinder {
public:
  RowGroupFinder(linalg::GenericOp root,
                 function_ref<bool(Operation *)> isTaken)
      : root(root), isTaken(isTaken) {}

  std::optional<RowGroup> find();

private:
  /// The root's loop that each loop of a member is, or -1 where nothing has
  /// told, as for what a reduction sums that no other member has.
  using Labels = SmallVector<int64_t>;

  bool mayBelong(linalg::GenericOp op);
  bool add(linalg::GenericOp op);
  bool label(OpOperand &use, linalg::GenericOp op, Labels &labels);
  bool hasSameRows(linalg::GenericOp op, const Labels &labels);
  bool isWhole(linalg::GenericOp op);
  bool sharesOnePlace();
  bool paysOff();

  linalg::GenericOp root;
  function_ref<bool(Operation *)> isTaken;
  llvm::MapVector<Operation *, Labels> members;
  std::optional<std::set<int64_t>> rows;
};
} // namespace

static bool isReduction(linalg::GenericOp op) {
  return op.getNumReductionLoops() != 0;
}

/// Whether `op` has one result, made from nothing, and can be cut along it.
bool RowGroupFinder::mayBelong(linalg::GenericOp op) {
  if (!op || isTaken(op) || op->getBlock() != root->getBlock() ||
      op.getNumDpsInits() != 1 || matchContraction(op))
    return false;
  Operation *init = op.getDpsInits()[0].getDefiningOp();
  AffineMap written = op.getIndexingMapsArray().back();
  return isa_and_nonnull<tensor::EmptyOp, linalg::FillOp>(init) &&
         (isReduction(op) || isa<tensor::EmptyOp>(init)) &&
         written.isProjectedPermutation() &&
         (isReduction(op) || written.isPermutation());
}

/// Finds the labels of the loops of `op` that the dimensions read by `use` are.
bool RowGroupFinder::label(OpOperand &use, linalg::GenericOp op,
                           Labels &labels) {
  auto reader = cast<linalg::GenericOp>(use.getOwner());
  if (!reader.isDpsInput(&use))
    return false;
  AffineMap read = reader.getMatchingIndexingMap(&use);
  AffineMap written = op.getIndexingMapsArray().back();
  if (!read.isProjectedPermutation())
    return false;
  Labels &known = members[reader];
  for (unsigned dim = 0; dim < read.getNumResults(); ++dim) {
    int64_t &here = labels[written.getDimPosition(dim)];
    int64_t &there = known[read.getDimPosition(dim)];
    if (here >= 0 && there >= 0 && here != there)
      return false;
    // Whichever side knows tells the other.
    here = there = std::max(here, there);
  }
  return true;
}

/// All reductions leave the same rows.
bool RowGroupFinder::hasSameRows(linalg::GenericOp op, const Labels &labels) {
  std::set<int64_t> own;
  for (AffineExpr loop : op.getIndexingMapsArray().back().getResults())
    own.insert(labels[cast<AffineDimExpr>(loop).getPosition()]);
  if (own.count(-1) || own.size() == root.getNumLoops())
    return false;
  if (!rows)
    rows = own;
  return *rows == own;
}

bool RowGroupFinder::add(linalg::GenericOp op) {
  if (!mayBelong(op))
    return false;
  for (Operation *user : op->getUsers())
    if (!members.count(user))
      return false;
  Labels labels(op.getNumLoops(), -1);
  // Twice, since one reader may know what another asks.
  for (int round = 0; round < 2; ++round)
    for (OpOperand &use : op->getUses())
      if (!label(use, op, labels))
        return false;
  if (isReduction(op) ? !hasSameRows(op, labels)
                      : llvm::is_contained(labels, -1))
    return false;
  members[op] = labels;
  return true;
}

/// Whether the result of `op` has all of the root's loops, in their order.
bool RowGroupFinder::isWhole(linalg::GenericOp op) {
  if (isReduction(op))
    return false;
  Labels written;
  for (AffineExpr loop : op.getIndexingMapsArray().back().getResults())
    written.push_back(members[op][cast<AffineDimExpr>(loop).getPosition()]);
  return written == llvm::to_vector(llvm::seq<int64_t>(0, root.getNumLoops()));
}

/// Whether the whole tensors in the group can all be where the root's output
/// is: each is read element by element by the next, and by nothing behind that.
bool RowGroupFinder::sharesOnePlace() {
  linalg::GenericOp next = root;
  for (auto &[member, labels] : members) {
    auto op = cast<linalg::GenericOp>(member);
    if (op == root)
      continue;
    if (!isWhole(op)) {
      // What is no reduction either has rows only.
      if (!isReduction(op) && !llvm::all_of(labels, [&](int64_t loop) {
            return rows->count(loop);
          }))
        return false;
      continue;
    }
    if (op.getResult(0).getType() != root.getResult(0).getType())
      return false;
    bool isReadByNext = false;
    for (OpOperand &use : op->getUses()) {
      Operation *reader = use.getOwner();
      if (reader == next)
        isReadByNext = true;
      else if (next->isBeforeInBlock(reader))
        return false;
      if (isWhole(cast<linalg::GenericOp>(reader)) &&
          !cast<linalg::GenericOp>(reader)
               .getMatchingIndexingMap(&use)
               .isIdentity())
        return false;
    }
    if (!isReadByNext || !op.getIndexingMapsArray().back().isIdentity())
      return false;
    next = op;
  }
  return true;
}

/// Unknown sizes are taken for many rows, and for short ones.
bool RowGroupFinder::paysOff() {
  int64_t numRows = 1, length = 1;
  bool hasManyRows = false;
  for (auto [loop, range] : llvm::enumerate(root.getStaticLoopRanges())) {
    if (range == 0)
      return false;
    bool isRow = rows->count(loop);
    if (ShapedType::isDynamic(range))
      hasManyRows |= isRow;
    else
      (isRow ? numRows : length) *= range;
  }
  return hasManyRows || numRows >= kFewRows || length < kLongRow;
}

std::optional<RowGroup> RowGroupFinder::find() {
  if (!mayBelong(root) || isReduction(root) ||
      !root.getIndexingMapsArray().back().isIdentity())
    return std::nullopt;
  members[root] = llvm::to_vector(llvm::seq<int64_t>(0, root.getNumLoops()));
  // From the root backwards, so that all readers are known before.
  auto isLater = [](Operation *a, Operation *b) {
    return b->isBeforeInBlock(a);
  };
  std::set<Operation *, decltype(isLater)> open(isLater);
  auto push = [&](linalg::GenericOp op) {
    for (Value input : op.getDpsInputs())
      if (auto producer = input.getDefiningOp<linalg::GenericOp>())
        if (producer->getBlock() == root->getBlock())
          open.insert(producer);
  };
  for (push(root); !open.empty() && members.size() < kMaxMembers;) {
    auto op = cast<linalg::GenericOp>(*open.begin());
    open.erase(open.begin());
    if (add(op))
      push(op);
  }
  if (!rows || rows->empty() || !sharesOnePlace() || !paysOff())
    return std::nullopt;
  RowGroup group;
  for (auto &entry : llvm::reverse(members))
    group.members.push_back(entry.first);
  group.rows.assign(rows->begin(), rows->end());
  return group;
}

std::optional<RowGroup>
lutra::findRowGroup(linalg::GenericOp root,
                    function_ref<bool(Operation *)> isTaken) {
  return RowGroupFinder(root, isTaken).find();
}
