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

#include "ByteProduct.h"

#include "CodedMatrix.h"
#include "QuantizedElements.h"
#include "Reduction.h"
#include "dialects/Lutra/WeightSteps.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

Tensor lutra::asWeight(Lowering &lowering, const Tensor &tensor) {
  WeightOp weight = weightOf(lowering, tensor);
  return weight
             ? lowering.tensor(weight.getResult(), tensor.shape, tensor.dtype)
             : Tensor();
}

/// A constant of bytes as codes that are a weight, or null.
static Tensor codesAsWeight(Lowering &lowering, const Tensor &tensor) {
  Tensor weight = asWeight(lowering, tensor);
  return weight ? codesOfConstant(lowering, weight) : Tensor();
}

std::optional<CodedColumns> lutra::codedColumns(Lowering &lowering,
                                                const Tensor &matrix,
                                                const Tensor &zero) {
  CodedColumns columns;
  int64_t n = matrix.staticSize(0), k = matrix.staticSize(1);
  if (k < 1 || n < 1 || !mpgemm::fitsAccumulator(8, k))
    return std::nullopt;
  columns.zero = matrix.dtype == DType::Int8 ? 128 : 0;
  if (zero) {
    std::optional<int64_t> same = sameCode(lowering, zero);
    columns.zero = same.value_or(0);
    if (!same) {
      Tensor zeros = codesAsWeight(lowering, zero);
      if (!zeros || zeros.rank() != 1 || zeros.shape[0] != matrix.shape[0])
        return std::nullopt;
      columns.zeros = lowering.unsqueeze(zeros, {1});
    }
  }
  columns.codes = codesAsWeight(lowering, matrix);
  if (!columns.codes)
    return std::nullopt;
  auto weight = columns.codes.value.getDefiningOp<WeightOp>();
  if (!weight)
    return std::nullopt;
  FailureOr<WeightOp> sums =
      addSteps(lowering.b, weight, SumAttr::get(lowering.context()));
  if (failed(sums))
    return std::nullopt;
  columns.sums = lowering.tensor(sums->getResult(), {columns.codes.shape[0]},
                                 DType::Int32);
  return columns;
}

FailureOr<Tensor> lutra::signedBytes(Lowering &lowering, const Tensor &x) {
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
                                     const Tensor &xZero,
                                     const CodedColumns &columns, int64_t k) {
  FailureOr<Tensor> scalar = lowering.reshape(xZero, {});
  if (failed(scalar))
    return failure();
  DType dtype = xZero.dtype;
  SmallVector<Tensor> operands = {product, *scalar, columns.sums};
  if (columns.zeros) {
    FailureOr<Tensor> zeros =
        lowering.reshape(columns.zeros, columns.sums.shape);
    if (failed(zeros))
      return failure();
    operands.push_back(*zeros);
  }
  return compute(
      lowering, operands, DType::Int32, [&](Scalars &s, ValueRange in) {
        Value xZero = Lowering::castScalar(s.b, in[1], dtype, DType::Int32);
        if (dtype == DType::UInt8)
          xZero = s.sub(xZero, s.constant(128));
        Value zeros = s.constant(k * columns.zero);
        if (columns.zeros)
          zeros = s.mul(
              s.constant(k),
              Lowering::castScalar(s.b, in[3], DType::UInt8, DType::Int32));
        return s.sub(in[0], s.mul(xZero, s.sub(in[2], zeros)));
      });
}

/// The first term, [M, N], of rows [M, K] with their sums [M].
static FailureOr<Tensor> multiply(Lowering &lowering, const Tensor &rows,
                                  const Tensor &sums,
                                  const CodedColumns &matrix) {
  ImplicitLocOpBuilder &b = lowering.b;
  AffineExpr m = rows.shape[0], k = rows.shape[1], n = matrix.codes.shape[0],
             one = lowering.constant(1);
  FailureOr<Tensor> groups = lowering.reshape(rows, {m, one, k}),
                    columns = lowering.reshape(matrix.codes, {n, one, k});
  if (failed(groups) || failed(columns))
    return failure();
  Shape shape = {m, n};
  auto product = mpgemm::MatmulOp::create(
      b, lowering.type(shape, DType::Int32), groups->value, columns->value,
      /*scales=*/Value(), /*superScales=*/Value(), matrix.zeros.value,
      /*codebook=*/Value(), /*xScales=*/Value(),
      lowering.unsqueeze(sums, {1}).value, lowering.empty(shape, DType::Int32),
      mpgemm::AffineAttr::get(b.getContext(), 8, matrix.zero),
      mpgemm::LayoutAttr());
  return lowering.tensor(product.getResult(), shape, DType::Int32);
}

FailureOr<Tensor> lutra::multiplyBytes(Lowering &lowering, const Tensor &rows,
                                       const Tensor &sums,
                                       const CodedColumns &columns,
                                       const Tensor &xZero, DType xType) {
  FailureOr<Tensor> product = multiply(lowering, rows, sums, columns);
  bool isShifted = xType == DType::UInt8 || !isZero(lowering, xZero);
  if (failed(product) || !isShifted)
    return product;
  Tensor shift = xZero;
  if (!shift)
    shift = lowering.tensor(
        arith::ConstantOp::create(
            lowering.b, lowering.b.getIntegerAttr(lowering.b.getI8Type(), 0)),
        {}, xType);
  return takeZeroOff(lowering, *product, shift, columns, rows.staticSize(1));
}

std::optional<FailureOr<Tensor>>
lutra::byteProduct(Lowering &lowering, const Tensor &x, const Tensor &xZero,
                   const Tensor &matrix, const Tensor &zero) {
  if (matrix.rank() != 2 || x.rank() < 1 || x.shape.back() != matrix.shape[0] ||
      (xZero && !hasOneElement(xZero)))
    return std::nullopt;
  Tensor constant = asWeight(lowering, matrix);
  if (!constant)
    return std::nullopt;
  std::optional<CodedColumns> columns =
      codedColumns(lowering, lowering.transpose(constant, {1, 0}), zero);
  if (!columns)
    return std::nullopt;
  FailureOr<Tensor> bytes = signedBytes(lowering, x);
  if (failed(bytes))
    return FailureOr<Tensor>(failure());
  AffineExpr m = lowering.product(ArrayRef(x.shape).drop_back());
  FailureOr<Tensor> rows = lowering.reshape(*bytes, {m, x.shape.back()});
  if (failed(rows))
    return FailureOr<Tensor>(failure());
  Tensor sums = accumulate(lowering, *rows, 1, Monoid::Sum, DType::Int32);
  FailureOr<Tensor> product =
      multiplyBytes(lowering, *rows, sums, *columns, xZero, x.dtype);
  if (failed(product))
    return FailureOr<Tensor>(failure());
  Shape shape = x.shape;
  shape.back() = matrix.shape[1];
  return lowering.reshape(*product, shape);
}

std::optional<FailureOr<Tensor>> lutra::productOfBytes(Lowering &lowering,
                                                       const Tensor &lhs,
                                                       const Tensor &rhs,
                                                       bool transposed) {
  const Factors &a = *lhs.factors, &b = *rhs.factors;
  auto isByte = [](DType dtype) {
    return dtype == DType::Int8 || dtype == DType::UInt8;
  };
  // A hostile zero point may lie along another axis than its scale.
  int64_t axis = transposed ? 0 : 1;
  if (b.quantized.rank() != 2 || !isByte(a.quantized.dtype) ||
      !isByte(b.quantized.dtype) ||
      (b.zero && !hasOneElement(b.zero) && b.axis != axis))
    return std::nullopt;
  Tensor matrix = b.quantized;
  if (transposed)
    matrix = lowering.transpose(matrix, {1, 0});
  auto sums = byteProduct(lowering, a.quantized, a.zero, matrix, b.zero);
  if (!sums || failed(*sums))
    return sums;
  return lowering.cast(**sums, DType::Float);
}
