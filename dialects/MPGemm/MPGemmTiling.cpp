//===- MPGemmTiling.cpp - Tiles of a product with codes -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops are the rows and the columns of the result. With a layout, tiles of
// columns begin at multiples of its rows, so that they are slices of the packed
// codes.
//
//===----------------------------------------------------------------------===//

#include "dialects/MPGemm/MPGemm.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::lutra::mpgemm;

SmallVector<utils::IteratorType> MatmulOp::getLoopIteratorTypes() {
  return {utils::IteratorType::parallel, utils::IteratorType::parallel};
}

SmallVector<Range> MatmulOp::getIterationDomain(OpBuilder &b) {
  SmallVector<Range> domain;
  for (OpFoldResult size : tensor::getMixedSizes(b, getLoc(), getInit()))
    domain.push_back({b.getIndexAttr(0), size, b.getIndexAttr(1)});
  return domain;
}

LogicalResult MatmulOp::getResultTilePosition(
    OpBuilder &, unsigned, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  resultOffsets.assign(offsets.begin(), offsets.end());
  resultSizes.assign(sizes.begin(), sizes.end());
  return success();
}

/// `tensor` from `offset` on, `size` long, along its first dimensions.
static Value sliceAt(OpBuilder &b, Location loc, Value tensor,
                     ArrayRef<OpFoldResult> offset,
                     ArrayRef<OpFoldResult> size) {
  if (!tensor)
    return tensor;
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, tensor);
  SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0)),
      strides(sizes.size(), b.getIndexAttr(1));
  llvm::copy(offset, offsets.begin());
  llvm::copy(size, sizes.begin());
  return tensor::ExtractSliceOp::create(b, loc, tensor, offsets, sizes,
                                        strides);
}

FailureOr<TilingResult>
MatmulOp::getTiledImplementation(OpBuilder &b, ArrayRef<OpFoldResult> offsets,
                                 ArrayRef<OpFoldResult> sizes) {
  Location loc = getLoc();
  OpFoldResult columns = offsets[1], count = sizes[1];
  if (LayoutAttr layout = getLayoutAttr()) {
    AffineExpr size = b.getAffineSymbolExpr(0);
    auto apply = [&](AffineExpr expr, OpFoldResult value) {
      return affine::makeComposedFoldedAffineApply(
          b, loc, AffineMap::get(0, 1, expr), {value});
    };
    columns = apply(size.floorDiv(layout.getRows()), columns);
    count = apply(size.ceilDiv(layout.getRows()), count);
  }
  auto rowsOf = [&](Value tensor) {
    return sliceAt(b, loc, tensor, offsets[0], sizes[0]);
  };
  auto columnsOf = [&](Value tensor) {
    return sliceAt(b, loc, tensor, columns, count);
  };
  Value init = sliceAt(b, loc, getInit(), offsets, sizes);
  auto tile = MatmulOp::create(
      b, loc, init.getType(), rowsOf(getX()), columnsOf(getCodes()),
      columnsOf(getScales()), columnsOf(getZeros()), rowsOf(getXScales()),
      rowsOf(getXSums()), init, getFormat(), getLayoutAttr());
  SmallVector<Operation *> slices;
  for (Value operand : tile->getOperands())
    slices.push_back(operand.getDefiningOp());
  return TilingResult{{tile}, tile->getResults(), slices};
}

FailureOr<TilingResult>
MatmulOp::generateResultTileValue(OpBuilder &b, unsigned,
                                  ArrayRef<OpFoldResult> offsets,
                                  ArrayRef<OpFoldResult> sizes) {
  return getTiledImplementation(b, offsets, sizes);
}
