//===- KernelGroups.cpp - Groups of operations ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each group has a root, its last operation, and what is fused into it: a
// reduction or a contraction under the elementwise operation that alone reads
// it, either under the padding that alone reads it, chains of insertions, and
// reductions of rows with all that is computed from them (RowGroups.cpp). A
// loop, such as that of a recurrent net over time, is a kernel as it is, and so
// is each insertion of an element that a loop of one step has left. What
// costs nothing (slices, fills, scalars) is cloned into every kernel that reads
// it.
//
//===----------------------------------------------------------------------===//

#include "KernelGroups.h"

#include "RowGroups.h"
#include "dialects/Cascade/Cascade.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::lutra;

/// LLVM's time for a call grows with the square of its arguments, and that for
/// a block with the square of what it stores: a kernel does so many insertions
/// of a concatenation, and the next goes on with its result.
static constexpr size_t kMaxInsertions = 64;

bool lutra::isCompute(Operation *op) {
  if (isa<linalg::FillOp>(op))
    return false;
  return isa<linalg::LinalgOp, tensor::PadOp, tensor::InsertSliceOp,
             tensor::InsertOp, tensor::FromElementsOp, tensor::GenerateOp,
             LoopLikeOpInterface, cascade::CascadeOp,
             mpgemm::ProductOpInterface>(op);
}

static bool isReduction(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return isa<mpgemm::MatmulOp>(op) ||
         (generic && generic.getNumReductionLoops() > 0);
}

/// Whether what `op` writes, one tensor, lies along its loops.
static bool writesAlongLoops(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return isa<mpgemm::MatmulOp>(op) ||
         (generic && generic.getNumDpsInits() == 1 &&
          generic.getIndexingMapsArray().back().isProjectedPermutation());
}

/// True where `producer`'s only reader `consumer` may compute on a tile of it
/// as soon as the tile is done.
static bool isFusable(Operation *producer, Operation *consumer) {
  if (!producer->hasOneUse())
    return false;
  if (auto chain = dyn_cast<tensor::InsertSliceOp>(consumer))
    return isa<tensor::InsertSliceOp>(producer) &&
           chain.getDest().getDefiningOp() == producer;
  if (isa<tensor::PadOp>(consumer))
    return isa<linalg::GenericOp>(producer) && writesAlongLoops(producer);
  auto second = dyn_cast<linalg::GenericOp>(consumer);
  if (!second || !isReduction(producer) || !writesAlongLoops(producer) ||
      second.getNumReductionLoops() != 0 || second.getNumDpsInits() != 1)
    return false;
  OpOperand &operand = *producer->getResult(0).getUses().begin();
  // Tiles are chosen for the reduction, and a map that divides loops may not
  // hold for slices that these begin.
  if (!llvm::all_of(second.getIndexingMapsArray(), [](AffineMap map) {
        return map.isProjectedPermutation(/*allowZeroInResults=*/true);
      }))
    return false;
  return second.isDpsInput(&operand) &&
         second.getMatchingIndexingMap(&operand).isIdentity() &&
         second.getIndexingMapsArray().back().isIdentity();
}

StringRef KernelGroup::kind() const {
  if (!rows.empty())
    return "rows";
  Operation *first = members.front();
  if (auto op = dyn_cast<linalg::LinalgOp>(first)) {
    if (matchContraction(op))
      return "contract";
    if (op.getNumReductionLoops() > 0)
      return "reduce";
    bool moves = op.getBlock()->getOperations().size() == 1 &&
                 llvm::all_of(op.getIndexingMapsArray(),
                              [](AffineMap map) { return map.isIdentity(); });
    return !moves ? "map" : op.getNumDpsInputs() == 0 ? "fill" : "copy";
  }
  return isa<cascade::CascadeOp>(first)           ? "cascade"
         : isa<mpgemm::ProductOpInterface>(first) ? "contract"
         : isa<LoopLikeOpInterface>(first)        ? "loop"
         : isa<tensor::PadOp>(first)              ? "pad"
         : isa<tensor::InsertSliceOp>(first)      ? "concat"
                                                  : "make";
}

std::string KernelGroup::nodes() const {
  llvm::SetVector<StringAttr> names;
  for (Operation *op : members)
    op->getLoc()->walk([&](Location loc) {
      if (auto name = dyn_cast<NameLoc>(loc))
        names.insert(name.getName());
      return WalkResult::advance();
    });
  std::string text;
  for (StringAttr name : names)
    text += (text.empty() ? "" : ", ") + name.getValue().str();
  return text;
}

namespace {
/// Groups the operations of a host, from its end.
class Grouping {
public:
  /// The groups in the order of their roots.
  SmallVector<KernelGroup> run(func::FuncOp func);

private:
  Operation *rootFor(Operation *op);
  bool addRows(linalg::GenericOp root);

  /// Members from the last to the first.
  llvm::MapVector<Operation *, KernelGroup> byRoot;
  llvm::DenseMap<Operation *, Operation *> rootOf;
};
} // namespace

/// The root of the group that `op` belongs to, of those that there are, or
/// `op`.
Operation *Grouping::rootFor(Operation *op) {
  if (!op->hasOneUse())
    return op;
  Operation *user = *op->user_begin();
  auto it = rootOf.find(user);
  // One reduction a kernel, rows aside: a schedule is made for one.
  if (it == rootOf.end() || !isFusable(op, user) ||
      (isa<tensor::InsertSliceOp>(op) &&
       byRoot[it->second].members.size() >= kMaxInsertions) ||
      (isReduction(op) &&
       llvm::any_of(byRoot[it->second].members, isReduction)))
    return op;
  return it->second;
}

/// Makes `root` and what leads to it one kernel, where that goes row by row.
bool Grouping::addRows(linalg::GenericOp root) {
  auto isTaken = [&](Operation *op) {
    // What follows a contraction is done while its tile is in registers.
    return rootOf.count(op) ||
           llvm::any_of(op->getOperands(), [&](Value value) {
             auto producer = value.getDefiningOp<linalg::GenericOp>();
             return producer && matchContraction(producer) &&
                    isFusable(producer, op);
           });
  };
  std::optional<RowGroup> rows = findRowGroup(root, isTaken);
  if (!rows)
    return false;
  for (Operation *op : rows->members)
    rootOf[op] = root;
  byRoot[root] = {llvm::to_vector(llvm::reverse(rows->members)), rows->rows};
  return true;
}

SmallVector<KernelGroup> Grouping::run(func::FuncOp func) {
  for (Operation &op : llvm::reverse(func.getBody().front())) {
    if (!isCompute(&op) || rootOf.count(&op))
      continue;
    Operation *root = rootFor(&op);
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (root == &op && generic && addRows(generic))
      continue;
    rootOf[&op] = root;
    byRoot[root].members.push_back(&op);
  }
  SmallVector<KernelGroup> groups;
  for (auto &entry : llvm::reverse(byRoot)) {
    std::reverse(entry.second.members.begin(), entry.second.members.end());
    groups.push_back(std::move(entry.second));
  }
  return groups;
}

SmallVector<KernelGroup> lutra::groupOperations(func::FuncOp host) {
  return Grouping().run(host);
}
