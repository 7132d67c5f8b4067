//===- CoordinateTensors.cpp - Tensors that coordinates tell --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exports make a mask of ranges, comparisons and selections: operations over
// coordinates alone, with reshapes between them that only add unit dimensions.
// Where it is used it costs less to compute an element than to read it, and
// its condition can be seen.
//
//===----------------------------------------------------------------------===//

#include "CoordinateTensors.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
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

/// Whether `tensor` is told by at most `budget` operations, which are taken off
/// it.
static bool isTold(Value tensor, unsigned &budget) {
  if (!isa<RankedTensorType>(tensor.getType()))
    return true;
  Operation *op = tensor.getDefiningOp();
  if (!op || budget == 0)
    return false;
  --budget;
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return sourceDims(expand) && isTold(expand.getSrc(), budget);
  if (isa<linalg::FillOp>(op))
    return true;
  if (auto elements = dyn_cast<tensor::FromElementsOp>(op))
    return isOneSize(elements);
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || !isElementwise(generic))
    return false;
  unsigned size = generic.getBlock()->getOperations().size();
  if (size > budget)
    return false;
  budget -= size;
  return llvm::all_of(generic.getDpsInputs(),
                      [&](Value input) { return isTold(input, budget); });
}

bool lutra::isToldByCoordinates(Value tensor) {
  unsigned budget = kMaxOperations;
  return isa<RankedTensorType>(tensor.getType()) && isTold(tensor, budget);
}

static Value elementOf(OpBuilder &b, Location loc, linalg::GenericOp op,
                       ValueRange coordinates) {
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
    map.map(op.getMatchingBlockArgument(operand),
            elementAt(b, loc, operand->get(), at));
  }
  for (Operation &inner : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner))
      map.map(index.getResult(), loops[index.getDim()]);
    else
      b.clone(inner, map);
  }
  return map.lookupOrDefault(op.getBlock()->getTerminator()->getOperand(0));
}

Value lutra::elementAt(OpBuilder &b, Location loc, Value tensor,
                       ValueRange coordinates) {
  if (!isa<RankedTensorType>(tensor.getType()))
    return tensor;
  if (auto fill = tensor.getDefiningOp<linalg::FillOp>())
    return fill.value();
  if (auto elements = tensor.getDefiningOp<tensor::FromElementsOp>())
    return elements.getElements()[0];
  if (auto expand = tensor.getDefiningOp<tensor::ExpandShapeOp>()) {
    SmallVector<Value> at;
    for (int64_t dim : *sourceDims(expand))
      at.push_back(dim == kUnit
                       ? arith::ConstantIndexOp::create(b, loc, 0).getResult()
                       : coordinates[dim]);
    return elementAt(b, loc, expand.getSrc(), at);
  }
  return elementOf(b, loc, tensor.getDefiningOp<linalg::GenericOp>(),
                   coordinates);
}
