//===- QuantizeProduct.cpp - A product of codes --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the weight as [N, K] and x as [M, K]. The weight's steps make it that
// matrix and quantize it, which moves no byte here; x and y are reshaped, and
// transposed where their dimensions are not in this order. Of a convolution,
// rows of x are what windows see (ReadWindows.cpp); where groups are of
// channels, or all have one scale, these are rounded to integers before they
// are seen many times. Where some rows of the weight have another format, each
// part is a product of its own, of the same x, and y takes columns of both.
//
//===----------------------------------------------------------------------===//

#include "ActivationScale.h"
#include "QuantizedParts.h"
#include "ReadWindows.h"
#include "TensorBuilder.h"
#include "WeightProduct.h"
#include "dialects/Lutra/WeightSteps.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
class ProductQuantizer : TensorBuilder {
public:
  ProductQuantizer(WeightProduct &product, const QuantizedLayer &layer,
                   ArrayRef<OpFoldResult> sizes)
      : TensorBuilder(product.op), product(product), layer(layer), sizes(sizes),
        columns(product.weights(product.k)) {}

  LogicalResult run();

private:
  /// x [M, groups, size], of integers with scales and sums [M, groups].
  struct Factor {
    Value numbers, scales, sums;
  };

  mpgemm::FormatInterface format();
  QuantizeAttr step(StringRef name) {
    return layer.step(b.getContext(), *part, name);
  }
  FailureOr<Value> weightOf(StringRef name);
  FailureOr<Factor> factor(OpFoldResult count);
  Factor rounded(Value x);
  Value sumsOf(Value numbers, OpFoldResult count);
  Factor roundedWindows(WindowReader &windows, Value x);
  Value alongLoops();
  Value matrixOf(Value x, OpFoldResult count);
  Value scaled(Value x, OpFoldResult count);
  Value inGroups(Value x, OpFoldResult count);
  SmallVector<int64_t> channels(function_ref<bool(float)> isChosen);
  Value gathered(ArrayRef<int64_t> channels, OpFoldResult count);
  Value withResiduals(Value x, OpFoldResult count);
  FailureOr<Value> multiply(const Factor &x, OpFoldResult count);
  FailureOr<Value> addRest(Value y, OpFoldResult count);
  FailureOr<Value> productOf(const QuantizedPart &of, OpFoldResult count);
  Value shapedY(Value y);

  Value constant(DenseElementsAttr elements);

  WeightProduct &product;
  const QuantizedLayer &layer;
  /// Of the result.
  ArrayRef<OpFoldResult> sizes;
  int64_t columns;
  /// What is being made a product, how many rows it has, and their groups.
  const QuantizedPart *part = nullptr;
  int64_t rows = 0, size = 0, groups = 0;
  /// What x is rounded with, if it is.
  std::optional<ActivationScale> activation;
  /// x [M, K]; null where windows are rounded.
  Value matrix;
};
} // namespace

mpgemm::FormatInterface ProductQuantizer::format() {
  const WeightFormat &format = *part->format;
  if (format.coding == WeightCoding::Binary)
    return mpgemm::BinaryAttr::get(b.getContext(), format.bits);
  if (format.coding == WeightCoding::Trellis)
    return mpgemm::TrellisAttr::get(b.getContext(), format.bits);
  if (format.hasVectors())
    return mpgemm::VectorsAttr::get(b.getContext(), format.bits,
                                    format.vectorSize, format.books);
  if (!format.values.empty())
    return mpgemm::CodebookAttr::get(b.getContext(), format.bits,
                                     b.getDenseF32ArrayAttr(format.values));
  bool isFull = format.levels == 1u << format.bits;
  return mpgemm::AffineAttr::get(b.getContext(), format.bits,
                                 format.zero.value_or(0),
                                 isFull ? 0 : format.levels);
}

/// The codes, scales or zero points of the part's weight.
FailureOr<Value> ProductQuantizer::weightOf(StringRef name) {
  OpBuilder::InsertionGuard guard(b);
  WeightOp weight = product.weight();
  b.setInsertionPoint(weight);
  SmallVector<Attribute> steps = product.matrixSteps();
  steps.push_back(step(name));
  FailureOr<WeightOp> result = addSteps(b, weight, steps);
  if (failed(result))
    return failure();
  return Value(result->getResult());
}

//===----------------------------------------------------------------------===//
// Shapes of x and y
//===----------------------------------------------------------------------===//

Value ProductQuantizer::constant(DenseElementsAttr elements) {
  return createInlineWeight(b, b.getLoc(), product.weight().getName(), elements)
      .getResult();
}

/// x along the loops m and k.
Value ProductQuantizer::alongLoops() {
  SmallVector<unsigned> from = loopsOf(product.mapOf(product.x)),
                        order = product.m;
  llvm::append_range(order, product.k);
  auto shape = llvm::map_to_vector(
      from, [&](unsigned loop) { return product.sizeOf(b, loop, sizes); });
  Value x = product.x->get();
  x = withType(x, typeOf(shape, getElementTypeOrSelf(x)));
  return moved(x, shape, from, order);
}

/// x, along the loops m and k, as [M, K], of `count` rows.
Value ProductQuantizer::matrixOf(Value x, OpFoldResult count) {
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
Value ProductQuantizer::scaled(Value x, OpFoldResult count) {
  if (!layer.factors)
    return x;
  // Codes of what stays stand for 0 where each is a number; otherwise, and for
  // sums of bytes, x is to be 0 too.
  auto given = layer.factors.getValues<float>();
  if (!part->integers && part->format->coding == WeightCoding::Numbers &&
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

/// x [M, K] or some of its columns as [M, groups, size], of `count` rows.
Value ProductQuantizer::inGroups(Value x, OpFoldResult count) {
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
ProductQuantizer::Factor ProductQuantizer::rounded(Value x) {
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
ProductQuantizer::channels(function_ref<bool(float)> isChosen) {
  SmallVector<int64_t> found;
  if (layer.factors)
    for (auto [channel, factor] :
         llvm::enumerate(layer.factors.getValues<float>()))
      if (isChosen(factor))
        found.push_back(channel);
  return found;
}

/// Columns of x [M, K], which has `count` rows.
Value ProductQuantizer::gathered(ArrayRef<int64_t> channels,
                                 OpFoldResult count) {
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
Value ProductQuantizer::withResiduals(Value x, OpFoldResult count) {
  SmallVector<int64_t> repeated =
      channels([](float factor) { return factor < 0; });
  if (repeated.empty())
    return x;
  Value whole = inGroups(gathered(repeated, count), count);
  Factor integers = rounded(whole);
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
ProductQuantizer::Factor ProductQuantizer::roundedWindows(WindowReader &windows,
                                                          Value x) {
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
  Factor integers = rounded(x);
  Value numbers = seen(integers.numbers);
  auto rows = cast<RankedTensorType>(numbers.getType()).getDimSize(0);
  auto type = RankedTensorType::get({rows, groups, size}, b.getI8Type());
  return {tensor::ExpandShapeOp::create(b, type, numbers,
                                        ArrayRef{range(0, 1), range(1, 2)}),
          seen(integers.scales), seen(integers.sums)};
}

/// The sums of `count` rows of integers [M, groups, size].
Value ProductQuantizer::sumsOf(Value numbers, OpFoldResult count) {
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

/// The factor of `count` rows.
FailureOr<ProductQuantizer::Factor>
ProductQuantizer::factor(OpFoldResult count) {
  Value x;
  if (product.isConvolution()) {
    WindowReader windows(b, product, sizes);
    FailureOr<Value> last = windows.channelsLast();
    if (failed(last))
      return failure();
    std::optional<int64_t> channels =
        getConstantIntValue(windows.getSizes().back());
    if (part->integers && !activation && channels && *channels % size == 0)
      return roundedWindows(windows, *last);
    if (activation)
      *last = lutra::rounded(b, *last, windows.getSizes(), *activation);
    x = windows.read(*last);
  } else {
    x = alongLoops();
  }
  matrix = matrixOf(x, count);
  x = scaled(matrix, count);
  if (activation && !product.isConvolution())
    x = lutra::rounded(b, x, {count, b.getIndexAttr(columns)}, *activation);
  x = inGroups(x, count);
  if (activation)
    return Factor{x, Value(), sumsOf(x, count)};
  x = withResiduals(x, count);
  return part->integers ? rounded(x) : Factor{x, Value(), Value()};
}

/// y [M, N] as the result.
Value ProductQuantizer::shapedY(Value y) {
  int64_t m = product.m.size(), n = product.n.size();
  SmallVector<unsigned> order = product.m,
                        to = loopsOf(product.mapOf(product.init()));
  llvm::append_range(order, product.n);
  SmallVector<OpFoldResult> shape =
      applyPermutation(sizes, permutationTo(to, order));
  if (m == 0)
    y = tensor::CollapseShapeOp::create(b, y, ArrayRef{range(0, 2)});
  if (m == 0 && n > 1)
    y = expanded(y, {range(0, n)}, shape);
  else if (m > 1 || (m > 0 && n > 1))
    y = expanded(y, {range(0, m), range(m, n)}, shape);
  return moved(y, shape, order, to);
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

FailureOr<Value> ProductQuantizer::multiply(const Factor &x,
                                            OpFoldResult count) {
  FailureOr<Value> codes = weightOf(kCodes), scales = weightOf(kScales),
                   superScales = Value(), zeros = Value(), codebook = Value();
  if (step(kScales).numSuperScales(groups) > 0)
    superScales = weightOf(kSuperScales);
  if (part->format->hasZeros())
    zeros = weightOf(kZeros);
  if (part->format->hasVectors())
    codebook = weightOf(kCodebook);
  if (failed(codes) || failed(scales) || failed(superScales) || failed(zeros) ||
      failed(codebook))
    return failure();
  SmallVector<OpFoldResult> shape = {count, b.getIndexAttr(rows)};
  Value init = empty(shape);
  Value y =
      mpgemm::MatmulOp::create(b, init.getType(), x.numbers, *codes, *scales,
                               *superScales, *zeros, *codebook, x.scales,
                               x.sums, init, format(), mpgemm::LayoutAttr())
          .getResult();
  if (!activation)
    return y;
  FailureOr<Value> sums = Value();
  if (activation->zero != 0)
    sums = weightOf(kSums);
  if (failed(sums))
    return failure();
  return scaledBack(b, y, *sums, shape, *activation);
}

/// Adds to y [M, N] the products of inputs and columns that are not quantized.
FailureOr<Value> ProductQuantizer::addRest(Value y, OpFoldResult count) {
  SmallVector<int64_t> kept =
      channels([](float factor) { return factor == 0; });
  FailureOr<Value> w = weightOf(kRest);
  if (failed(w))
    return failure();
  OpFoldResult n = b.getIndexAttr(rows);
  AffineExpr d0 = b.getAffineDimExpr(0), d1 = b.getAffineDimExpr(1),
             d2 = b.getAffineDimExpr(2);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(b.getF32Type()));
  Value init = linalg::FillOp::create(b, zero, empty({count, n})).getResult(0);
  Value rest = generic(
      {gathered(kept, count), *w}, {{d0, d2}, {d1, d2}, {d0, d1}}, init,
      [](OpBuilder &b, Location loc, ValueRange in) {
        Value product = arith::MulFOp::create(b, loc, in[0], in[1]);
        linalg::YieldOp::create(
            b, loc, Value(arith::AddFOp::create(b, loc, in[2], product)));
      });
  return generic({y, rest}, {{d0, d1}, {d0, d1}, {d0, d1}}, empty({count, n}),
                 [](OpBuilder &b, Location loc, ValueRange in) {
                   Value sum = arith::AddFOp::create(b, loc, in[0], in[1]);
                   linalg::YieldOp::create(b, loc, sum);
                 });
}

/// y [M, rows] of a part.
FailureOr<Value> ProductQuantizer::productOf(const QuantizedPart &of,
                                             OpFoldResult count) {
  part = &of;
  rows = of.rows ? of.rows.getNumElements() : product.weights(product.n);
  size = of.group;
  groups = llvm::divideCeil(columns, size);
  activation = of.integers ? layer.activation : std::nullopt;
  FailureOr<Factor> x = factor(count);
  if (failed(x))
    return failure();
  FailureOr<Value> y = multiply(*x, count);
  if (succeeded(y) && step(kCodes).numKept() > 0)
    y = addRest(*y, count);
  return y;
}

LogicalResult ProductQuantizer::run() {
  SmallVector<OpFoldResult> outer;
  AffineExpr count = b.getAffineConstantExpr(1);
  for (auto [loop, extent] :
       llvm::zip_equal(loopsOf(product.mapOf(product.init())), sizes))
    if (llvm::is_contained(product.m, loop)) {
      count = count * b.getAffineSymbolExpr(outer.size());
      outer.push_back(extent);
    }
  OpFoldResult m = affine::makeComposedFoldedAffineApply(
      b, b.getLoc(), AffineMap::get(0, outer.size(), count), outer);
  SmallVector<Value> ofParts;
  for (const QuantizedPart &each : layer.parts) {
    FailureOr<Value> y = productOf(each, m);
    if (failed(y))
      return failure();
    ofParts.push_back(*y);
  }
  Value y = joinOutputs(b, product.weight().getName(), layer.parts, ofParts, m);
  Value result = product.op->getResult(0);
  result.replaceAllUsesWith(
      withType(shapedY(y), cast<RankedTensorType>(result.getType())));
  product.op->erase();
  return success();
}

LogicalResult lutra::quantizeProduct(WeightProduct &product,
                                     const QuantizedLayer &layer,
                                     ArrayRef<OpFoldResult> sizes) {
  return ProductQuantizer(product, layer, sizes).run();
}
