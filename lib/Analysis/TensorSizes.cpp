//===- TensorSizes.cpp - Sizes of host tensors as values ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Upstream's reification answers the same question through `tensor.dim` and
// patterns, which is quadratic on long chains. On the host every tensor comes
// from an operation that already names its sizes.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/TensorSizes.h"

#include "dialects/Cascade/Cascade.h"
#include "dialects/Lutra/DimEntry.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra;

using Sizes = FailureOr<SmallVector<OpFoldResult>>;

/// The size of a symbolic dimension, an entry of the function's lutra.dims. Its
/// lutra.dim is gone where nothing has asked for it so far.
static Value dimSize(func::FuncOp func, const DimEntry &dim) {
  for (auto op : func.getOps<DimOp>())
    if (op.getNameAttr() == dim.name)
      return op.getSize();
  OpBuilder b = OpBuilder::atBlockBegin(&func.getBody().front());
  return DimOp::create(b, func.getLoc(), b.getIndexType(), dim.name, dim.min,
                       dim.max, dim.multiple);
}

/// An argument's sizes are the expressions of its `lutra.shape` over the
/// function's `lutra.dim`s.
static Sizes argumentSizes(OpBuilder &b, BlockArgument argument) {
  auto func = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!func)
    return failure();
  auto map = func.getArgAttrOfType<AffineMapAttr>(argument.getArgNumber(),
                                                  attr::kShape);
  auto dims = func->getAttrOfType<ArrayAttr>(attr::kDims);
  if (!map || !dims || map.getValue().getNumSymbols() > dims.size())
    return failure();
  AffineMap shape = resolveDims(dims, map.getValue());
  SmallVector<OpFoldResult> symbols;
  for (unsigned i = 0; i < shape.getNumSymbols(); ++i) {
    std::optional<DimEntry> dim = readDim(dims[i]);
    if (!dim)
      return failure();
    symbols.push_back(shape.isFunctionOfSymbol(i)
                          ? OpFoldResult(dimSize(func, *dim))
                          : b.getIndexAttr(0));
  }
  SmallVector<OpFoldResult> sizes;
  for (AffineExpr size : shape.getResults()) {
    AffineMap one = AffineMap::get(0, symbols.size(), size);
    sizes.push_back(affine::makeComposedFoldedAffineApply(b, argument.getLoc(),
                                                          one, symbols));
  }
  return sizes;
}

static Sizes collapsedSizes(OpBuilder &b, tensor::CollapseShapeOp op) {
  Sizes source = tensorSizes(b, op.getSrc());
  if (failed(source))
    return failure();
  SmallVector<OpFoldResult> sizes;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    AffineExpr product = b.getAffineConstantExpr(1);
    SmallVector<OpFoldResult> factors;
    for (auto [i, dim] : llvm::enumerate(group)) {
      product = product * b.getAffineSymbolExpr(i);
      factors.push_back((*source)[dim]);
    }
    sizes.push_back(affine::makeComposedFoldedAffineApply(
        b, op.getLoc(), AffineMap::get(0, group.size(), product), factors));
  }
  return sizes;
}

static Sizes paddedSizes(OpBuilder &b, tensor::PadOp op) {
  Sizes source = tensorSizes(b, op.getSource());
  if (failed(source))
    return failure();
  AffineExpr a, l, h;
  bindSymbols(b.getContext(), a, l, h);
  SmallVector<OpFoldResult> sizes;
  for (auto [size, low, high] :
       llvm::zip_equal(*source, op.getMixedLowPad(), op.getMixedHighPad()))
    sizes.push_back(affine::makeComposedFoldedAffineApply(
        b, op.getLoc(), AffineMap::get(0, 3, a + l + h), {size, low, high}));
  return sizes;
}

static Sizes sliceSizes(tensor::ExtractSliceOp op) {
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<OpFoldResult> sizes;
  for (auto [i, size] : llvm::enumerate(op.getMixedSizes()))
    if (!dropped.test(i))
      sizes.push_back(size);
  return sizes;
}

static Sizes cascadeSizes(OpResult result) {
  auto op = cast<cascade::CascadeOp>(result.getOwner());
  auto ranks = cascade::ranksOf(
      op.getBlock()->getTerminator()->getOperand(result.getResultNumber()));
  if (!ranks)
    return failure();
  SmallVector<OpFoldResult> extents = op.getMixedExtents(), sizes;
  for (StringRef rank : *ranks)
    sizes.push_back(extents[*op.findRank(rank)]);
  return sizes;
}

static Sizes stateSizes(StateOp op) {
  auto type = cast<RankedTensorType>(op.getResult().getType());
  return getMixedValues(type.getShape(), op.getSizes(), op.getContext());
}

Sizes lutra::tensorSizes(OpBuilder &b, Value tensor) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type)
    return failure();
  if (type.hasStaticShape())
    return getAsIndexOpFoldResult(b.getContext(), type.getShape());
  if (auto argument = dyn_cast<BlockArgument>(tensor))
    return argumentSizes(b, argument);
  auto result = cast<OpResult>(tensor);
  return llvm::TypeSwitch<Operation *, Sizes>(result.getOwner())
      .Case([&](tensor::EmptyOp op) { return Sizes(op.getMixedSizes()); })
      .Case([&](tensor::ExpandShapeOp op) {
        return Sizes(op.getMixedOutputShape());
      })
      .Case([&](tensor::CollapseShapeOp op) { return collapsedSizes(b, op); })
      .Case([&](tensor::ExtractSliceOp op) { return sliceSizes(op); })
      .Case([&](tensor::PadOp op) { return paddedSizes(b, op); })
      .Case([&](StateOp op) { return stateSizes(op); })
      .Case([&](cascade::CascadeOp) { return cascadeSizes(result); })
      .Case([&](tensor::CastOp op) { return tensorSizes(b, op.getSource()); })
      .Case([&](tensor::InsertSliceOp op) {
        return tensorSizes(b, op.getDest());
      })
      .Case([&](DestinationStyleOpInterface op) {
        return tensorSizes(b, op.getTiedOpOperand(result)->get());
      })
      .Case([&](LoopLikeOpInterface op) {
        return tensorSizes(b, op.getTiedLoopInit(result)->get());
      })
      .Default([](Operation *) { return failure(); });
}
