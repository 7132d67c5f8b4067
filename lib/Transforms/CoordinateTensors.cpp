//===- CoordinateTensors.cpp - Tensors that coordinates tell --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exports make a mask of ranges, comparisons and selections: operations over
// coordinates alone, with reshapes between them that only add unit dimensions.
// Where it is used it costs less to compute an element than to read it, and
// its condition can be seen, also where data has a part in it.
//
//===----------------------------------------------------------------------===//

#include "CoordinateTensors.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra;

/// More operations than masks are made of.
static constexpr unsigned kMaxOperations = 128;

/// For each dimension of a reshape's source the dimension of its result that it
/// is, where all others have size 1; kUnit for one of size 1 itself.
static constexpr int64_t kUnit = -1;
static std::optional<SmallVector<int64_t>>
sourceDims(tensor::ExpandShapeOp op) {
  SmallVector<int64_t> dims;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    int64_t dim = kUnit;
    for (int64_t i : group) {
      if (op.getResultType().getDimSize(i) == 1)
        continue;
      if (dim != kUnit)
        return std::nullopt;
      dim = i;
    }
    dims.push_back(dim);
  }
  return dims;
}

static bool isElementwise(linalg::GenericOp op) {
  return op.hasPureTensorSemantics() && op.getNumResults() == 1 &&
         op.getNumReductionLoops() == 0 &&
         op.getIndexingMapsArray().back().isPermutation() &&
         op.getRegionOutputArgs()[0].use_empty() &&
         llvm::all_of(op.getBlock()->without_terminator(), [](Operation &in) {
           return in.getNumRegions() == 0 && isMemoryEffectFree(&in) &&
                  llvm::none_of(in.getOperandTypes(),
                                llvm::IsaPred<RankedTensorType>);
         });
}

/// Whether a tensor has one element, which is a size or a number computed of
/// sizes: a kernel is given these.
static bool isOneSize(tensor::FromElementsOp op) {
  return op.getElements().size() == 1 &&
         (op.getElements()[0].getType().isIndex() ||
          op.getElements()[0].getDefiningOp<arith::IndexCastOp>());
}

namespace {
/// Follows a tensor back to what its elements are computed of.
class Teller {
public:
  explicit Teller(function_ref<bool(const Leaf &)> isLeaf) : isLeaf(isLeaf) {}

  /// Whether the element of `tensor` that `read` says is told.
  bool follow(Value tensor, AffineMap read);

  SmallVector<Leaf> leaves;
  bool isCheap = true;

private:
  bool follow(linalg::GenericOp op, AffineMap read);

  function_ref<bool(const Leaf &)> isLeaf;
  unsigned budget = kMaxOperations;
};
} // namespace

static bool isCheapOp(Operation &op) {
  return !isa<math::MathDialect>(op.getDialect()) &&
         !isa<arith::DivFOp, arith::RemFOp>(op);
}

bool Teller::follow(linalg::GenericOp op, AffineMap read) {
  unsigned size = op.getBlock()->getOperations().size();
  if (size > budget)
    return false;
  budget -= size;
  isCheap &= llvm::all_of(*op.getBlock(), isCheapOp);
  AffineMap loops = inversePermutation(op.getIndexingMapsArray().back());
  for (OpOperand *operand : op.getDpsInputOperands())
    if (!follow(operand->get(), op.getMatchingIndexingMap(operand).compose(
                                    loops.compose(read))))
      return false;
  return true;
}

bool Teller::follow(Value tensor, AffineMap read) {
  if (!isa<RankedTensorType>(tensor.getType()))
    return true;
  if (budget == 0)
    return false;
  --budget;
  Operation *op = tensor.getDefiningOp();
  if (auto expand = dyn_cast_or_null<tensor::ExpandShapeOp>(op))
    if (auto dims = sourceDims(expand)) {
      SmallVector<AffineExpr> exprs;
      for (int64_t dim : *dims)
        exprs.push_back(dim == kUnit
                            ? getAffineConstantExpr(0, read.getContext())
                            : read.getResult(dim));
      return follow(expand.getSrc(), AffineMap::get(read.getNumDims(), 0, exprs,
                                                    read.getContext()));
    }
  if (isa_and_nonnull<linalg::FillOp>(op))
    return true;
  if (auto elements = dyn_cast_or_null<tensor::FromElementsOp>(op))
    if (isOneSize(elements))
      return true;
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  if (generic && isElementwise(generic))
    return follow(generic, read);
  leaves.push_back({tensor, read});
  return isLeaf(leaves.back());
}

std::optional<SmallVector<Leaf>>
lutra::toldElements(Value tensor, AffineMap read,
                    function_ref<bool(const Leaf &)> isLeaf) {
  Teller teller(isLeaf);
  if (!isa<RankedTensorType>(tensor.getType()) || !teller.follow(tensor, read))
    return std::nullopt;
  if (!teller.leaves.empty() && !teller.isCheap)
    return std::nullopt;
  return teller.leaves;
}

bool lutra::isToldByCoordinates(Value tensor) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  return type && toldElements(tensor,
                              AffineMap::getMultiDimIdentityMap(
                                  type.getRank(), tensor.getContext()),
                              [](const Leaf &) { return false; });
}

namespace {
/// Builds an element; the leaves come in the order in which they were found.
class ElementBuilder {
public:
  ElementBuilder(OpBuilder &b, Location loc, ArrayRef<Value> leaves)
      : b(b), loc(loc), leaves(leaves) {}

  Value build(Value tensor, ValueRange coordinates);

private:
  Value build(linalg::GenericOp op, ValueRange coordinates);

  OpBuilder &b;
  Location loc;
  ArrayRef<Value> leaves;
};
} // namespace

Value ElementBuilder::build(linalg::GenericOp op, ValueRange coordinates) {
  AffineMap written = op.getIndexingMapsArray().back();
  SmallVector<Value> loops(op.getNumLoops());
  for (auto [dim, coordinate] : llvm::enumerate(coordinates))
    loops[written.getDimPosition(dim)] = coordinate;
  IRMapping map;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    SmallVector<Value> at;
    for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults()) {
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        at.push_back(loops[dim.getPosition()]);
      else
        at.push_back(affine::AffineApplyOp::create(
            b, loc, AffineMap::get(loops.size(), 0, expr), loops));
    }
    map.map(op.getMatchingBlockArgument(operand), build(operand->get(), at));
  }
  for (Operation &inner : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner))
      map.map(index.getResult(), loops[index.getDim()]);
    else
      b.clone(inner, map);
  }
  return map.lookupOrDefault(op.getBlock()->getTerminator()->getOperand(0));
}

Value ElementBuilder::build(Value tensor, ValueRange coordinates) {
  if (!isa<RankedTensorType>(tensor.getType()))
    return tensor;
  Operation *op = tensor.getDefiningOp();
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(op))
    return fill.value();
  if (auto elements = dyn_cast_or_null<tensor::FromElementsOp>(op))
    if (isOneSize(elements))
      return elements.getElements()[0];
  if (auto expand = dyn_cast_or_null<tensor::ExpandShapeOp>(op))
    if (auto dims = sourceDims(expand)) {
      SmallVector<Value> at;
      for (int64_t dim : *dims)
        at.push_back(dim == kUnit
                         ? arith::ConstantIndexOp::create(b, loc, 0).getResult()
                         : coordinates[dim]);
      return build(expand.getSrc(), at);
    }
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  if (generic && isElementwise(generic))
    return build(generic, coordinates);
  Value leaf = leaves.front();
  leaves = leaves.drop_front();
  return leaf;
}

Value lutra::elementAt(OpBuilder &b, Location loc, Value tensor,
                       ValueRange coordinates, ArrayRef<Value> leaves) {
  return ElementBuilder(b, loc, leaves).build(tensor, coordinates);
}
