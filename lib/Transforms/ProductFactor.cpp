//===- ProductFactor.cpp - What codes are multiplied with -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// x is reshaped, and transposed where its dimensions are not in the order of
// the product. Of a convolution, rows of x are what windows see
// (ReadWindows.cpp); where groups are of channels, or all have one scale, these
// are rounded to integers before they are seen many times.
//
//===----------------------------------------------------------------------===//

#include "ProductFactor.h"

#include "ReadWindows.h"
#include "dialects/Lutra/WeightSteps.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

std::optional<ActivationScale> lutra::activationOf(const QuantizedLayer &layer,
                                                   const QuantizedPart &part) {
  return part.integers ? layer.activation : std::nullopt;
}

FactorBuilder::FactorBuilder(WeightProduct &product,
                             const QuantizedLayer &layer,
                             const QuantizedPart &part,
                             ArrayRef<OpFoldResult> sizes, OpFoldResult count)
    : TensorBuilder(product.op), product(product), layer(layer), part(part),
      sizes(sizes), count(count), columns(product.weights(product.k)),
      size(part.group), groups(llvm::divideCeil(columns, size)),
      activation(activationOf(layer, part)) {}

Value FactorBuilder::constant(DenseElementsAttr elements) {
  return createInlineWeight(b, b.getLoc(), product.weight().getName(), elements)
      .getResult();
}

/// x along the loops m and k.
Value FactorBuilder::alongLoops() {
  SmallVector<unsigned> from = loopsOf(product.mapOf(product.x)),
                        order = product.m;
  llvm::append_range(order, product.k);
  auto shape = llvm::map_to_vector(
      from, [&](unsigned loop) { return product.sizeOf(b, loop, sizes); });
  Value x = product.x->get();
  x = withType(x, typeOf(shape, getElementTypeOrSelf(x)));
  return moved(x, shape, from, order);
}

/// x, along the loops m and k, as [M, K].
Value FactorBuilder::matrixOf(Value x) {
  int64_t m = product.m.size(), k = product.k.size();
  if (m == 0 && k > 1)
    x = tensor::CollapseShapeOp::create(b, x, ArrayRef{range(0, k)});
  if (m == 0)
    x = expanded(x, {range(0, 2)}, {count, b.getIndexAttr(columns)});
  else if (m > 1 || k > 1)
    x = tensor::CollapseShapeOp::create(b, x,
                                        ArrayRef{range(0, m), range(m, k)});
  return x;
}

/// x [M, K] divided by what columns of the weight are multiplied with, and with
/// zeros where these stay.
Value FactorBuilder::scaled(Value x) {
  if (!layer.factors)
    return x;
  // Codes of what stays stand for 0 where each is a number; otherwise, and for
  // sums of bytes, x is to be 0 too.
  auto given = layer.factors.getValues<float>();
  if (!part.integers && part.format->coding == WeightCoding::Numbers &&
      llvm::all_of(given, [](float f) { return f == 0 || f == 1; }))
    return x;
  SmallVector<float> inverses = llvm::map_to_vector(
      given, [](float factor) { return factor <= 0 ? 0 : 1 / factor; });
  Value factors = constant(
      DenseElementsAttr::get(layer.factors.getType(), ArrayRef(inverses)));
  AffineExpr m = b.getAffineDimExpr(0), k = b.getAffineDimExpr(1);
  return generic({x, factors}, {{m, k}, {k}, {m, k}},
                 empty({count, b.getIndexAttr(columns)}),
                 [](OpBuilder &b, Location loc, ValueRange in) {
                   Value product = arith::MulFOp::create(b, loc, in[0], in[1]);
                   linalg::YieldOp::create(b, loc, product);
                 });
}

/// x [M, K] or some of its columns as [M, groups, size].
Value FactorBuilder::inGroups(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t groups = llvm::divideCeil(type.getDimSize(1), size);
  if (int64_t missing = groups * size - type.getDimSize(1)) {
    Type element = type.getElementType();
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
    OpFoldResult none = b.getIndexAttr(0);
    x = tensor::PadOp::create(
        b, RankedTensorType::get({type.getDimSize(0), groups * size}, element),
        x, ArrayRef{none, none},
        ArrayRef<OpFoldResult>{none, b.getIndexAttr(missing)}, zero);
  }
  return expanded(x, {range(0, 1), range(1, 2)},
                  {count, b.getIndexAttr(groups), b.getIndexAttr(size)});
}

/// x [.., groups, size] as integers.
ProductFactor FactorBuilder::rounded(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  ArrayRef<int64_t> perGroup = type.getShape().drop_back();
  auto quantized = mpgemm::QuantizeActOp::create(
      b, type.clone(b.getI8Type()),
      RankedTensorType::get(perGroup, b.getF32Type()),
      RankedTensorType::get(perGroup, b.getI32Type()), x);
  return {quantized.getCodes(), quantized.getScales(), quantized.getSums()};
}

/// The channels with such a factor.
SmallVector<int64_t>
FactorBuilder::channels(function_ref<bool(float)> isChosen) {
  SmallVector<int64_t> found;
  if (layer.factors)
    for (auto [channel, factor] :
         llvm::enumerate(layer.factors.getValues<float>()))
      if (isChosen(factor))
        found.push_back(channel);
  return found;
}

/// Columns of x [M, K].
Value FactorBuilder::gathered(ArrayRef<int64_t> channels) {
  Value places = constant(b.getI64TensorAttr(channels));
  AffineExpr m = b.getAffineDimExpr(0), k = b.getAffineDimExpr(1);
  return generic(
      places, {{k}, {m, k}}, empty({count, b.getIndexAttr(channels.size())}),
      [&](OpBuilder &b, Location loc, ValueRange in) {
        Value row = linalg::IndexOp::create(b, loc, 0);
        Value at = arith::IndexCastOp::create(b, loc, b.getIndexType(), in[0]);
        Value element =
            tensor::ExtractOp::create(b, loc, matrix, ValueRange{row, at});
        linalg::YieldOp::create(b, loc, element);
      });
}

/// x [M, groups, size] and behind it, in groups of their own, channels that are
/// rounded twice: as they are, and what rounding leaves of them.
Value FactorBuilder::withResiduals(Value x) {
  SmallVector<int64_t> repeated =
      channels([](float factor) { return factor < 0; });
  if (repeated.empty())
    return x;
  Value whole = inGroups(gathered(repeated));
  ProductFactor integers = rounded(whole);
  int64_t more = cast<RankedTensorType>(whole.getType()).getDimSize(1);
  AffineExpr m = b.getAffineDimExpr(0), g = b.getAffineDimExpr(1),
             k = b.getAffineDimExpr(2);
  auto sizesOf = [&](int64_t groups) -> SmallVector<OpFoldResult> {
    return {count, b.getIndexAttr(groups), b.getIndexAttr(size)};
  };
  Value rest =
      generic({whole, integers.numbers, integers.scales},
              {{m, g, k}, {m, g, k}, {m, g}, {m, g, k}}, empty(sizesOf(more)),
              [](OpBuilder &b, Location loc, ValueRange in) {
                Value near =
                    arith::SIToFPOp::create(b, loc, b.getF32Type(), in[1]);
                near = arith::MulFOp::create(b, loc, near, in[2]);
                linalg::YieldOp::create(
                    b, loc, Value(arith::SubFOp::create(b, loc, in[0], near)));
              });
  Value wide = empty(sizesOf(groups + 2 * more));
  int64_t at = 0;
  for (auto [part, width] :
       {std::pair(x, groups), {whole, more}, {rest, more}}) {
    SmallVector<OpFoldResult> place(3, b.getIndexAttr(0)),
        steps(3, b.getIndexAttr(1));
    place[1] = b.getIndexAttr(at);
    wide = tensor::InsertSliceOp::create(b, part, wide, place, sizesOf(width),
                                         steps);
    at += width;
  }
  return wide;
}

/// What windows see of x, channels last and in groups, as integers.
ProductFactor FactorBuilder::roundedWindows(WindowReader &windows, Value x) {
  ArrayRef<OpFoldResult> places = windows.getSizes().drop_back();
  int64_t outer = places.size(), m = product.m.size(), k = product.k.size(),
          ofChannels = *getConstantIntValue(windows.getSizes().back()) / size;
  AffineExpr all = b.getAffineConstantExpr(1);
  for (int64_t i = 0; i < outer; ++i)
    all = all * b.getAffineSymbolExpr(i);
  OpFoldResult count = affine::makeComposedFoldedAffineApply(
      b, b.getLoc(), AffineMap::get(0, outer, all), places);
  x = tensor::CollapseShapeOp::create(
      b, x, ArrayRef{range(0, outer), range(outer, 1)});
  x = expanded(x, {range(0, 1), range(1, 2)},
               {count, b.getIndexAttr(ofChannels), b.getIndexAttr(size)});
  auto seen = [&](Value perRow) -> Value {
    if (cast<RankedTensorType>(perRow.getType()).getRank() > 2)
      perRow = tensor::CollapseShapeOp::create(
          b, perRow, ArrayRef{range(0, 1), range(1, 2)});
    SmallVector<OpFoldResult> shape(places);
    shape.push_back(b.getIndexAttr(
        cast<RankedTensorType>(perRow.getType()).getShape().back()));
    Value read = windows.read(
        expanded(perRow, {range(0, outer), range(outer, 1)}, shape));
    return tensor::CollapseShapeOp::create(b, read,
                                           ArrayRef{range(0, m), range(m, k)});
  };
  ProductFactor integers = rounded(x);
  Value numbers = seen(integers.numbers);
  auto rows = cast<RankedTensorType>(numbers.getType()).getDimSize(0);
  auto type = RankedTensorType::get({rows, groups, size}, b.getI8Type());
  return {tensor::ExpandShapeOp::create(b, type, numbers,
                                        ArrayRef{range(0, 1), range(1, 2)}),
          seen(integers.scales), seen(integers.sums)};
}

/// The sums of rows of integers [M, groups, size].
Value FactorBuilder::sumsOf(Value numbers) {
  AffineExpr m = b.getAffineDimExpr(0), g = b.getAffineDimExpr(1),
             k = b.getAffineDimExpr(2);
  Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  Value empty = tensor::EmptyOp::create(
      b, ArrayRef<OpFoldResult>{count, b.getIndexAttr(groups)}, b.getI32Type());
  return generic(numbers, {{m, g, k}, {m, g}},
                 linalg::FillOp::create(b, zero, empty).getResult(0),
                 [](OpBuilder &b, Location loc, ValueRange in) {
                   Value wide =
                       arith::ExtSIOp::create(b, loc, b.getI32Type(), in[0]);
                   Value sum = arith::AddIOp::create(b, loc, in[1], wide);
                   linalg::YieldOp::create(b, loc, sum);
                 });
}

FailureOr<ProductFactor> FactorBuilder::build() {
  Value x;
  if (product.isConvolution()) {
    WindowReader windows(b, product, sizes);
    FailureOr<Value> last = windows.channelsLast();
    if (failed(last))
      return failure();
    std::optional<int64_t> channels =
        getConstantIntValue(windows.getSizes().back());
    if (part.integers && !activation && channels && *channels % size == 0)
      return roundedWindows(windows, *last);
    if (activation)
      *last = lutra::rounded(b, *last, windows.getSizes(), *activation);
    x = windows.read(*last);
  } else {
    x = alongLoops();
  }
  matrix = matrixOf(x);
  x = scaled(matrix);
  if (activation && !product.isConvolution())
    x = lutra::rounded(b, x, {count, b.getIndexAttr(columns)}, *activation);
  x = inGroups(x);
  if (activation)
    return ProductFactor{x, Value(), sumsOf(x)};
  x = withResiduals(x);
  return part.integers ? rounded(x) : ProductFactor{x, Value(), Value()};
}

Value FactorBuilder::keptColumns() {
  return gathered(channels([](float factor) { return factor == 0; }));
}
