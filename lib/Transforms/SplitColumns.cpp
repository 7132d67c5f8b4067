//===- SplitColumns.cpp - Columns beside a rank ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A row may have a point more than its rank, such as a learned logit that no
// key stands for. Graphs concatenate it to the others, go over all of them, and
// cut it off again; what is joined is then of a rank of its own, one longer
// than that of the keys. Maps and reductions of what is joined are those of its
// parts, and where all that is done ends in reductions or in a part, the whole
// is never needed: a map is done to the rank and to each column, and a
// reduction over the rank takes the columns last.
//
//===----------------------------------------------------------------------===//

#include "CascadeGroup.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_SPLITCOLUMNS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// More columns than anybody learns.
static constexpr unsigned kMaxColumns = 4;
/// More operations than lead from what is joined to what is left of it.
static constexpr unsigned kMaxOperations = 32;

namespace {
/// A tensor whose dimension `dim` is a rank and columns beside it.
struct Joined {
  unsigned dim;
  /// Along the rank alone, and a tensor per column.
  Value rank;
  SmallVector<Value> columns;
  /// Whether columns have the dimension, of size 1.
  bool hasUnits = false;
};

/// Splits what one concatenation leads to.
class Splitter {
public:
  explicit Splitter(tensor::InsertSliceOp last) : last(last) {}
  /// Finds out whether all of it can be split.
  bool match();
  void rewrite();

private:
  bool matchParts();
  std::optional<unsigned> loopOf(linalg::GenericOp op);
  bool matchUser(Operation *user);
  bool isRank(tensor::ExtractSliceOp op);
  linalg::GenericOp buildRank(OpBuilder &b, linalg::GenericOp op,
                              unsigned loop);
  Value buildColumn(OpBuilder &b, linalg::GenericOp op, unsigned loop,
                    unsigned number, Value sum);
  void split(linalg::GenericOp op);

  tensor::InsertSliceOp last;
  OpFoldResult offset, size;
  llvm::MapVector<Value, Joined> joined;
  /// What reads joined tensors, in the order of the block.
  SmallVector<Operation *> users;
};
} // namespace

/// Whether an insertion is of all of a tensor but for one dimension, which it
/// gives.
static std::optional<unsigned> insertedDim(tensor::InsertSliceOp op) {
  std::optional<unsigned> inserted;
  RankedTensorType part = op.getSourceType(), whole = op.getDestType();
  if (!op.hasUnitStride() || part.getRank() != whole.getRank())
    return std::nullopt;
  SmallVector<OpFoldResult> offsets = op.getMixedOffsets();
  for (unsigned dim = 0; dim < offsets.size(); ++dim) {
    if (isZeroInteger(offsets[dim]))
      continue;
    if (inserted)
      return std::nullopt;
    inserted = dim;
  }
  return inserted;
}

/// Finds a long part and columns of size 1, which begin where it ends or end
/// where it begins.
bool Splitter::matchParts() {
  SmallVector<tensor::InsertSliceOp> insertions = {last};
  while (
      auto before =
          insertions.back().getDest().getDefiningOp<tensor::InsertSliceOp>()) {
    if (!before->hasOneUse() || insertions.size() > kMaxColumns)
      return false;
    insertions.push_back(before);
  }
  auto empty = insertions.back().getDest().getDefiningOp<tensor::EmptyOp>();
  std::optional<unsigned> dim = insertedDim(last);
  if (!empty || insertions.size() < 2 || !dim)
    return false;
  Joined parts;
  parts.dim = *dim;
  parts.hasUnits = true;
  for (tensor::InsertSliceOp op : llvm::reverse(insertions)) {
    std::optional<unsigned> own = insertedDim(op);
    if (!op.hasUnitStride() || (own && *own != *dim) ||
        (!own && op != insertions.back()))
      return false;
    if (op.getSourceType().getDimSize(*dim) == 1) {
      parts.columns.push_back(op.getSource());
      continue;
    }
    if (parts.rank)
      return false;
    parts.rank = op.getSource();
    offset = op.getMixedOffsets()[*dim];
    size = op.getMixedSizes()[*dim];
  }
  if (!parts.rank)
    return false;
  joined[last.getResult()] = parts;
  return true;
}

/// The loop of `op` that goes along the rank and the columns of all that it
/// reads of joined tensors, and along nothing else.
std::optional<unsigned> Splitter::loopOf(linalg::GenericOp op) {
  std::optional<unsigned> loop;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    auto it = joined.find(operand->get());
    if (it == joined.end())
      continue;
    auto dim = dyn_cast<AffineDimExpr>(
        op.getMatchingIndexingMap(operand).getResult(it->second.dim));
    if (!dim || (loop && *loop != dim.getPosition()))
      return std::nullopt;
    loop = dim.getPosition();
  }
  if (!loop)
    return std::nullopt;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap read = op.getMatchingIndexingMap(operand);
    auto it = joined.find(operand->get());
    for (auto [i, expr] : llvm::enumerate(read.getResults()))
      if (expr.isFunctionOfDim(*loop) &&
          (it == joined.end() || i != it->second.dim))
        return std::nullopt;
  }
  return loop;
}

/// Whether a slice is of the rank alone.
bool Splitter::isRank(tensor::ExtractSliceOp op) {
  const Joined &parts = joined.find(op.getSource())->second;
  if (!op.hasUnitStride() ||
      op.getType().getRank() != op.getSourceType().getRank())
    return false;
  for (unsigned dim = 0; dim < unsigned(op.getType().getRank()); ++dim) {
    OpFoldResult from = op.getMixedOffsets()[dim],
                 extent = op.getMixedSizes()[dim];
    if (dim == parts.dim) {
      if (!isEqualConstantIntOrValue(from, offset) ||
          !isEqualConstantIntOrValue(extent, size))
        return false;
    } else if (!isZeroInteger(from) || op.getType().getDimSize(dim) !=
                                           op.getSourceType().getDimSize(dim)) {
      return false;
    }
  }
  return true;
}

bool Splitter::matchUser(Operation *user) {
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(user))
    return isRank(slice);
  auto op = dyn_cast<linalg::GenericOp>(user);
  if (!op || !isCascadeMember(op) || joined.count(op.getDpsInits()[0]))
    return false;
  std::optional<unsigned> loop = loopOf(op);
  if (!loop || llvm::any_of(op.getBlock()->getOps<linalg::IndexOp>(),
                            [&](linalg::IndexOp index) {
                              return index.getDim() == *loop;
                            }))
    return false;
  if (op.getNumReductionLoops() != 0)
    return op.getNumReductionLoops() == 1 &&
           op.getIteratorTypesArray()[*loop] == utils::IteratorType::reduction;
  AffineMap written = op.getIndexingMapsArray().back();
  Joined parts;
  parts.dim =
      *written.getResultPosition(getAffineDimExpr(*loop, op.getContext()));
  joined[op.getResult(0)] = parts;
  return op.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>() != nullptr;
}

bool Splitter::match() {
  if (!matchParts())
    return false;
  llvm::SmallPtrSet<Operation *, 16> seen;
  // Users come behind what they use, so that one sweep reaches all.
  for (Operation *op = last->getNextNode(); op; op = op->getNextNode()) {
    if (llvm::none_of(op->getOperands(),
                      [&](Value value) { return joined.count(value); }))
      continue;
    if (users.size() == kMaxOperations || !matchUser(op))
      return false;
    users.push_back(op);
    seen.insert(op);
  }
  return !users.empty() && llvm::all_of(joined, [&](auto &entry) {
    return llvm::all_of(entry.first.getUsers(),
                        [&](Operation *user) { return seen.contains(user); });
  });
}

/// `op` along the rank alone.
linalg::GenericOp Splitter::buildRank(OpBuilder &b, linalg::GenericOp op,
                                      unsigned loop) {
  IRMapping map;
  for (Value input : op.getDpsInputs())
    if (auto it = joined.find(input); it != joined.end())
      map.map(input, it->second.rank);
  Type type = op.getResult(0).getType();
  if (auto it = joined.find(op.getResult(0)); it != joined.end()) {
    auto empty = op.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>();
    SmallVector<OpFoldResult> sizes = empty.getMixedSizes();
    sizes[it->second.dim] = size;
    Value init = tensor::EmptyOp::create(b, op.getLoc(), sizes,
                                         empty.getType().getElementType());
    map.map(op.getDpsInits()[0], init);
    type = init.getType();
  }
  auto clone = cast<linalg::GenericOp>(b.clone(*op, map));
  clone.getResult(0).setType(cast<RankedTensorType>(type));
  return clone;
}

/// `op` at a column: of a map, without the loop; of a reduction, what `sum`
/// becomes with it.
Value Splitter::buildColumn(OpBuilder &b, linalg::GenericOp op, unsigned loop,
                            unsigned number, Value sum) {
  Location loc = op.getLoc();
  unsigned numLoops = op.getNumLoops() - 1;
  // The loops behind it move up.
  SmallVector<AffineExpr> loops;
  for (unsigned i = 0; i < op.getNumLoops(); ++i)
    loops.push_back(i == loop ? b.getAffineConstantExpr(0)
                              : b.getAffineDimExpr(i - (i > loop)));
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap read = op.getMatchingIndexingMap(operand);
    auto it = joined.find(operand->get());
    inputs.push_back(it == joined.end() ? operand->get()
                                        : it->second.columns[number]);
    if (it != joined.end() && !it->second.hasUnits)
      read = read.dropResult(it->second.dim);
    maps.push_back(read.replaceDimsAndSymbols(loops, {}, numLoops, 0));
  }
  AffineMap written = op.getIndexingMapsArray().back();
  SmallVector<OpFoldResult> sizes;
  if (sum) {
    inputs.push_back(sum);
    sizes = op.getDpsInits()[0]
                .getDefiningOp<linalg::FillOp>()
                .getOutputs()[0]
                .getDefiningOp<tensor::EmptyOp>()
                .getMixedSizes();
    maps.push_back(written.replaceDimsAndSymbols(loops, {}, numLoops, 0));
  } else {
    sizes =
        op.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>().getMixedSizes();
    unsigned dim = joined.find(op.getResult(0))->second.dim;
    sizes.erase(sizes.begin() + dim);
    written = written.dropResult(dim);
  }
  maps.push_back(written.replaceDimsAndSymbols(loops, {}, numLoops, 0));
  Value empty = tensor::EmptyOp::create(
      b, loc, sizes, getElementTypeOrSelf(op.getResult(0).getType()));
  SmallVector<utils::IteratorType> kinds(numLoops,
                                         utils::IteratorType::parallel);
  auto column = linalg::GenericOp::create(
      b, loc, empty.getType(), inputs, empty, maps, kinds,
      [&](OpBuilder &b, Location loc, ValueRange elements) {
        IRMapping inner;
        // What a reduction adds to is the last input now.
        for (auto [argument, element] :
             llvm::zip(op.getBlock()->getArguments(), elements))
          inner.map(argument, element);
        for (Operation &each : op.getBlock()->without_terminator()) {
          Operation *clone = b.clone(each, inner);
          if (auto index = dyn_cast<linalg::IndexOp>(clone))
            index.setDim(index.getDim() - (index.getDim() > loop));
        }
        linalg::YieldOp::create(
            b, loc,
            inner.lookupOrDefault(
                op.getBlock()->getTerminator()->getOperand(0)));
      });
  return column.getResult(0);
}

void Splitter::split(linalg::GenericOp op) {
  unsigned loop = *loopOf(op), columns = joined.front().second.columns.size();
  OpBuilder b(op);
  Value rank = buildRank(b, op, loop).getResult(0);
  auto it = joined.find(op.getResult(0));
  if (it == joined.end()) {
    for (unsigned i = 0; i < columns; ++i)
      rank = buildColumn(b, op, loop, i, rank);
    op.getResult(0).replaceAllUsesWith(rank);
    return;
  }
  SmallVector<Value> made;
  for (unsigned i = 0; i < columns; ++i)
    made.push_back(buildColumn(b, op, loop, i, Value()));
  it->second.rank = rank;
  it->second.columns = made;
}

void Splitter::rewrite() {
  for (Operation *user : users) {
    if (auto op = dyn_cast<linalg::GenericOp>(user))
      split(op);
    else
      user->getResult(0).replaceAllUsesWith(
          joined.find(user->getOperand(0))->second.rank);
  }
  for (Operation *user : llvm::reverse(users))
    user->erase();
}

namespace {
struct SplitColumns : lutra::impl::SplitColumnsBase<SplitColumns> {
  using SplitColumnsBase::SplitColumnsBase;

  void runOnOperation() override {
    SmallVector<tensor::InsertSliceOp> joins;
    for (auto op : getOperation().getOps<tensor::InsertSliceOp>())
      if (llvm::none_of(op->getUsers(), llvm::IsaPred<tensor::InsertSliceOp>))
        joins.push_back(op);
    for (tensor::InsertSliceOp op : joins)
      if (Splitter splitter(op); splitter.match())
        splitter.rewrite();
  }
};
} // namespace
