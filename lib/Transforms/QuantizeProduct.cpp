//===- QuantizeProduct.cpp - A product of codes ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the weight as [N, K] and x as [M, K]. The weight's steps make it that
// matrix and quantize it, which moves no byte here; what becomes of x is in
// ProductFactor.cpp, and y is reshaped, and transposed where its dimensions are
// not in this order. Where some rows of the weight have another format, each
// part is a product of its own, of the same x, and y takes columns of both.
//
//===----------------------------------------------------------------------===//

#include "ActivationScale.h"
#include "ProductFactor.h"
#include "QuantizedParts.h"
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
  mpgemm::FormatInterface format();
  QuantizeAttr step(StringRef name) {
    return layer.step(b.getContext(), *part, name);
  }
  FailureOr<Value> weightOf(StringRef name);
  FailureOr<Value> multiply(const ProductFactor &x, OpFoldResult count);
  FailureOr<Value> addRest(Value y, FactorBuilder &x, OpFoldResult count);
  FailureOr<Value> productOf(const QuantizedPart &of, OpFoldResult count);
  Value shapedY(Value y);

  WeightProduct &product;
  const QuantizedLayer &layer;
  /// Of the result.
  ArrayRef<OpFoldResult> sizes;
  int64_t columns;
  /// What is being made a product, and how many rows it has.
  const QuantizedPart *part = nullptr;
  int64_t rows = 0;
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

FailureOr<Value> ProductQuantizer::multiply(const ProductFactor &x,
                                            OpFoldResult count) {
  FailureOr<Value> codes = weightOf(kCodes), scales = weightOf(kScales),
                   superScales = Value(), zeros = Value(), codebook = Value();
  if (step(kScales).numSuperScales(llvm::divideCeil(columns, part->group)) > 0)
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
  std::optional<ActivationScale> activation = activationOf(layer, *part);
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
FailureOr<Value> ProductQuantizer::addRest(Value y, FactorBuilder &x,
                                           OpFoldResult count) {
  FailureOr<Value> w = weightOf(kRest);
  if (failed(w))
    return failure();
  OpFoldResult n = b.getIndexAttr(rows);
  AffineExpr d0 = b.getAffineDimExpr(0), d1 = b.getAffineDimExpr(1),
             d2 = b.getAffineDimExpr(2);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(b.getF32Type()));
  Value init = linalg::FillOp::create(b, zero, empty({count, n})).getResult(0);
  Value rest = generic(
      {x.keptColumns(), *w}, {{d0, d2}, {d1, d2}, {d0, d1}}, init,
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
  FactorBuilder factor(product, layer, of, sizes, count);
  FailureOr<ProductFactor> x = factor.build();
  if (failed(x))
    return failure();
  FailureOr<Value> y = multiply(*x, count);
  if (succeeded(y) && step(kCodes).numKept() > 0)
    y = addRest(*y, factor, count);
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
