//===- MPGemmTiling.cpp - Tiles of a product with codes -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops are the rows and the columns of the result; those of a product with
// several matrices are blocks of rows and columns, and its tile is the product
// of one block. With a layout, tiles of columns begin at multiples of its rows,
// so that they are slices of the packed codes.
//
//===----------------------------------------------------------------------===//

#include "dialects/MPGemm/MPGemm.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
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

/// Columns `[offset, offset + size)` as `codes` has them along its first
/// dimension, behind `before` of such.
static std::pair<OpFoldResult, OpFoldResult>
placeOfColumns(OpBuilder &b, Location loc, ProductOpInterface op,
               OpFoldResult offset, OpFoldResult size, OpFoldResult before) {
  AffineExpr begin = b.getAffineSymbolExpr(0), count = begin;
  if (LayoutAttr layout = op.getLayoutAttr()) {
    begin = begin.floorDiv(layout.getRows());
    count = count.ceilDiv(layout.getRows());
  }
  auto apply = [&](AffineExpr expr, ArrayRef<OpFoldResult> values) {
    return affine::makeComposedFoldedAffineApply(
        b, loc, AffineMap::get(0, values.size(), expr), values);
  };
  return {apply(begin + b.getAffineSymbolExpr(1), {offset, before}),
          apply(count, size)};
}

namespace {
/// A tile of a product: rows of what x is, and columns of what codes are.
struct ProductTile {
  OpBuilder &b;
  Location loc;
  ProductOpInterface op;
  OpFoldResult row, rows, column, columns;

  Value ofRows(Value tensor) { return sliceAt(b, loc, tensor, row, rows); }
  Value ofColumns(Value tensor) {
    return sliceAt(b, loc, tensor, column, columns);
  }
  TilingResult matmul(Value init) {
    auto matmul = dyn_cast<MatmulOp>(*op);
    auto tile = MatmulOp::create(
        b, loc, init.getType(), ofRows(op.getX()), ofColumns(op.getCodes()),
        ofColumns(op.getScales()), ofColumns(op.getSuperScales()),
        ofColumns(op.getZeros()), matmul ? matmul.getCodebook() : Value(),
        ofRows(op.getXScales()), ofRows(op.getXSums()), init,
        op.getFormatAttr(), op.getLayoutAttr());
    SmallVector<Operation *> slices;
    for (Value operand : tile->getOperands())
      if (operand != tile.getCodebook())
        slices.push_back(operand.getDefiningOp());
    return {{tile}, tile->getResults(), slices};
  }
};
} // namespace

FailureOr<TilingResult>
MatmulOp::getTiledImplementation(OpBuilder &b, ArrayRef<OpFoldResult> offsets,
                                 ArrayRef<OpFoldResult> sizes) {
  Location loc = getLoc();
  auto [column, columns] = placeOfColumns(b, loc, *this, offsets[1], sizes[1],
                                          /*before=*/b.getIndexAttr(0));
  ProductTile tile{b, loc, *this, offsets[0], sizes[0], column, columns};
  return tile.matmul(sliceAt(b, loc, getInit(), offsets, sizes));
}

FailureOr<TilingResult>
MatmulOp::generateResultTileValue(OpBuilder &b, unsigned,
                                  ArrayRef<OpFoldResult> offsets,
                                  ArrayRef<OpFoldResult> sizes) {
  return getTiledImplementation(b, offsets, sizes);
}

//===----------------------------------------------------------------------===//
// Blocks of rows
//===----------------------------------------------------------------------===//

SmallVector<utils::IteratorType> GatherMatmulOp::getLoopIteratorTypes() {
  return {utils::IteratorType::parallel, utils::IteratorType::parallel};
}

SmallVector<Range> GatherMatmulOp::getIterationDomain(OpBuilder &b) {
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  return {{zero, tensor::getMixedSize(b, getLoc(), getExperts(), 0), one},
          {zero, tensor::getMixedSize(b, getLoc(), getInit(), 1), one}};
}

/// Element `index` + `by` of a tensor of i64.
static Value elementAt(OpBuilder &b, Location loc, Value tensor,
                       OpFoldResult index, int64_t by = 0) {
  OpFoldResult place = affine::makeComposedFoldedAffineApply(
      b, loc, AffineMap::get(0, 1, b.getAffineSymbolExpr(0) + by), {index});
  Value element = tensor::ExtractOp::create(
      b, loc, tensor, getValueOrCreateConstantIndexOp(b, loc, place));
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), element);
}

LogicalResult GatherMatmulOp::getResultTilePosition(
    OpBuilder &b, unsigned, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  if (getConstantIntValue(sizes[0]) != 1)
    return emitOpError("expects tiles of one block");
  Value begin = elementAt(b, getLoc(), getOffsets(), offsets[0]),
        end = elementAt(b, getLoc(), getOffsets(), offsets[0], 1);
  Value rows = arith::SubIOp::create(b, getLoc(), end, begin);
  resultOffsets = {begin, offsets[1]};
  resultSizes = {rows, sizes[1]};
  return success();
}

/// The tile of a product of floats, added up in `init`.
static TilingResult contraction(ProductTile &tile, Value init) {
  OpBuilder &b = tile.b;
  Location loc = tile.loc;
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
  Value x = tile.ofRows(tile.op.getX()),
        codes = tile.ofColumns(tile.op.getCodes()),
        sums = linalg::FillOp::create(b, loc, zero, init).getResult(0);
  AffineExpr m, n, g, k;
  bindDims(b.getContext(), m, n, g, k);
  SmallVector<AffineExpr> ofCodes = {n, g, k};
  if (LayoutAttr layout = tile.op.getLayoutAttr())
    ofCodes = {n.floorDiv(layout.getRows()), g, k, n % layout.getRows()};
  auto maps = AffineMap::inferFromExprList({{m, g, k}, ofCodes, {m, n}},
                                           b.getContext());
  constexpr auto kParallel = utils::IteratorType::parallel,
                 kReduction = utils::IteratorType::reduction;
  auto sum = linalg::GenericOp::create(
      b, loc, init.getType(), ValueRange{x, codes}, sums, maps,
      ArrayRef{kParallel, kParallel, kReduction, kReduction},
      [](OpBuilder &b, Location loc, ValueRange in) {
        Value factor = in[1];
        if (!factor.getType().isF32())
          factor = arith::ExtFOp::create(b, loc, b.getF32Type(), factor);
        Value product = arith::MulFOp::create(b, loc, in[0], factor);
        linalg::YieldOp::create(
            b, loc, arith::AddFOp::create(b, loc, in[2], product).getResult());
      });
  return {{sum},
          sum->getResults(),
          {x.getDefiningOp(), codes.getDefiningOp(), init.getDefiningOp()}};
}

FailureOr<TilingResult>
GatherMatmulOp::getTiledImplementation(OpBuilder &b,
                                       ArrayRef<OpFoldResult> offsets,
                                       ArrayRef<OpFoldResult> sizes) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> place, extent;
  if (failed(getResultTilePosition(b, 0, offsets, sizes, place, extent)))
    return failure();
  OpFoldResult before = affine::makeComposedFoldedAffineApply(
      b, loc, AffineMap::get(0, 1, b.getAffineSymbolExpr(0) * getMatrixSize()),
      {OpFoldResult(elementAt(b, loc, getExperts(), offsets[0]))});
  auto [column, columns] =
      placeOfColumns(b, loc, *this, offsets[1], sizes[1], before);
  ProductTile tile{b, loc, *this, place[0], extent[0], column, columns};
  Value init = sliceAt(b, loc, getInit(), place, extent);
  return getFormatAttr() ? tile.matmul(init) : contraction(tile, init);
}
