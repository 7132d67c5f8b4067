//===- ByteProduct.cpp - Products of bytes with a constant matrix ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With x signed, a product less its zero points is
//
//   sum of x * (code - zero) - xZero * sum of (code - zero)
//
// of which mpgemm.matmul is the first term. The sums of codes are a constant.
//
//===----------------------------------------------------------------------===//

#include "CodedMatrix.h"
#include "QuantizedElements.h"
#include "Reduction.h"
#include "dialects/Lutra/WeightSteps.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// A constant matrix of codes [N, K] and their sums [N].
struct SummedCodes {
  Tensor codes, sums;
};
} // namespace

/// The codes of a constant [K, N]; nothing where it is none.
static std::optional<SummedCodes> readCodes(Lowering &lowering,
                                            const Tensor &matrix) {
  WeightOp stored = storedBytes(lowering, matrix);
  if (!stored)
    return std::nullopt;
  Tensor bytes =
      lowering.tensor(stored.getResult(), matrix.shape, matrix.dtype);
  Tensor codes = codesOfConstant(lowering, bytes);
  if (!codes)
    return std::nullopt;
  codes = lowering.transpose(codes, {1, 0});
  auto weight = codes.value.getDefiningOp<WeightOp>();
  if (!weight)
    return std::nullopt;
  FailureOr<WeightOp> sums =
      addSteps(lowering.b, weight, SumAttr::get(lowering.context()));
  if (failed(sums))
    return std::nullopt;
  return SummedCodes{codes, lowering.tensor(sums->getResult(), {codes.shape[0]},
                                            DType::Int32)};
}

/// x as signed bytes: of unsigned ones, less 128.
static FailureOr<Tensor> toSigned(Lowering &lowering, const Tensor &x) {
  if (x.dtype == DType::Int8)
    return x;
  return compute(lowering, x, DType::Int8, [](Scalars &s, ValueRange in) {
    Value top = arith::ConstantOp::create(
        s.b, s.b.getIntegerAttr(in[0].getType(), -128));
    return arith::XOrIOp::create(s.b, in[0], top).getResult();
  });
}

/// product - xZero * (sums - K * zero).
static FailureOr<Tensor> takeZeroOff(Lowering &lowering, const Tensor &product,
                                     const Tensor &xZero, const Tensor &sums,
                                     int64_t zeros) {
  FailureOr<Tensor> scalar = lowering.reshape(xZero, {});
  if (failed(scalar))
    return failure();
  DType dtype = xZero.dtype;
  return compute(
      lowering, {product, *scalar, sums}, DType::Int32,
      [&](Scalars &s, ValueRange in) {
        Value zero = Lowering::castScalar(s.b, in[1], dtype, DType::Int32);
        if (dtype == DType::UInt8)
          zero = s.sub(zero, s.constant(128));
        return s.sub(in[0], s.mul(zero, s.sub(in[2], s.constant(zeros))));
      });
}

/// The first term, [M, N], of rows [M, K].
static FailureOr<Tensor> multiply(Lowering &lowering, const Tensor &rows,
                                  const Tensor &codes, int64_t zero) {
  ImplicitLocOpBuilder &b = lowering.b;
  AffineExpr m = rows.shape[0], k = rows.shape[1], n = codes.shape[0],
             one = lowering.constant(1);
  Tensor sums = accumulate(lowering, rows, 1, Monoid::Sum, DType::Int32);
  FailureOr<Tensor> groups = lowering.reshape(rows, {m, one, k}),
                    columns = lowering.reshape(codes, {n, one, k});
  if (failed(groups) || failed(columns))
    return failure();
  Shape shape = {m, n};
  auto product = mpgemm::MatmulOp::create(
      b, lowering.type(shape, DType::Int32), groups->value, columns->value,
      Value(), Value(), Value(), lowering.unsqueeze(sums, {1}).value,
      lowering.empty(shape, DType::Int32),
      mpgemm::AffineAttr::get(b.getContext(), 8, zero), mpgemm::LayoutAttr());
  return lowering.tensor(product.getResult(), shape, DType::Int32);
}

std::optional<FailureOr<Tensor>>
lutra::byteProduct(Lowering &lowering, const Tensor &x, const Tensor &xZero,
                   const Tensor &matrix, const Tensor &zero) {
  if (matrix.rank() != 2 || x.rank() < 1 || x.shape.back() != matrix.shape[0] ||
      (xZero && !hasOneElement(xZero)))
    return std::nullopt;
  int64_t k = matrix.staticSize(0), n = matrix.staticSize(1);
  std::optional<int64_t> code = matrix.dtype == DType::Int8 ? 128 : 0;
  if (zero)
    code = sameCode(lowering, zero);
  if (k < 1 || n < 1 || !mpgemm::fitsAccumulator(8, k) || !code)
    return std::nullopt;
  std::optional<SummedCodes> codes = readCodes(lowering, matrix);
  if (!codes)
    return std::nullopt;
  FailureOr<Tensor> bytes = toSigned(lowering, x);
  if (failed(bytes))
    return FailureOr<Tensor>(failure());
  AffineExpr m = lowering.product(ArrayRef(x.shape).drop_back());
  FailureOr<Tensor> rows = lowering.reshape(*bytes, {m, x.shape.back()});
  if (failed(rows))
    return FailureOr<Tensor>(failure());
  FailureOr<Tensor> product = multiply(lowering, *rows, codes->codes, *code);
  bool isShifted = x.dtype == DType::UInt8 || !isZero(lowering, xZero);
  if (succeeded(product) && isShifted) {
    Tensor shift = xZero;
    if (!shift)
      shift = lowering.tensor(
          arith::ConstantOp::create(
              lowering.b, lowering.b.getIntegerAttr(lowering.b.getI8Type(), 0)),
          {}, x.dtype);
    product = takeZeroOff(lowering, *product, shift, codes->sums, k * *code);
  }
  if (failed(product))
    return FailureOr<Tensor>(failure());
  Shape shape = x.shape;
  shape.back() = matrix.shape[1];
  return lowering.reshape(*product, shape);
}
