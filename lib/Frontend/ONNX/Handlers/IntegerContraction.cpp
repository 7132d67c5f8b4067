//===- IntegerContraction.cpp - MatMulInteger, QLinearMatMul --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements products of quantized tensors, summed in i32. Activations are
// centered (their zero point subtracted, which leaves 9 bits) before the sum;
// the zero point of a product's second operand, the weights, is taken off the
// sums instead, so that weights are read as they are stored. Products with
// constants are mpgemm.matmul (ByteProduct.cpp).
//
//===----------------------------------------------------------------------===//

#include "IntegerContraction.h"

#include "CodedMatrix.h"
#include "Contraction.h"
#include "QuantizedElements.h"
#include "Reduction.h"

using namespace mlir;
using namespace mlir::lutra;

/// A vector of parameters of the rows of the first operand as a column.
static Tensor rowParameter(Lowering &lowering, const Tensor &parameter) {
  if (!parameter || parameter.rank() != 1 || hasOneElement(parameter))
    return parameter;
  return lowering.unsqueeze(parameter, {1});
}

/// A parameter must not vary along the dimension that is summed over, which is
/// `fromEnd` from the end.
static LogicalResult checkInvariant(const Node &node, Lowering &lowering,
                                    const Tensor &parameter, int64_t fromEnd) {
  if (!parameter || hasOneElement(parameter) || parameter.rank() < fromEnd ||
      parameter.staticSize(parameter.rank() - fromEnd) == 1)
    return success();
  return node.error() << "expected one scale and zero point per sum, got "
                      << lowering.str(parameter.shape);
}

/// sums - zero * (the sums of `lhs` over its last dimension).
static FailureOr<Tensor> takeZeroOff(const Node &node, Lowering &lowering,
                                     const Tensor &sums, const Tensor &lhs,
                                     const Tensor &rhs, const Tensor &zero) {
  if (isZero(lowering, zero))
    return sums;
  FailureOr<Tensor> fitting = fitParameter(node, lowering, zero, rhs);
  if (failed(fitting) ||
      failed(checkInvariant(node, lowering, *fitting, /*fromEnd=*/2)))
    return failure();
  int64_t last = lhs.rank() - 1;
  Tensor rows = accumulate(lowering, lhs, last, Monoid::Sum, DType::Int32);
  if (rhs.rank() > 1)
    rows = lowering.unsqueeze(rows, last);
  DType dtype = zero.dtype;
  return compute(lowering, {sums, rows, *fitting}, DType::Int32,
                 [&](Scalars &s, ValueRange in) {
                   Value wide =
                       Lowering::castScalar(s.b, in[2], dtype, DType::Int32);
                   return s.sub(in[0], s.mul(in[1], wide));
                 });
}

FailureOr<Tensor> lutra::centeredMatMul(const Node &node, Lowering &lowering,
                                        const Centered &a, const Centered &b) {
  Tensor zero = rowParameter(lowering, a.zero);
  if (failed(checkInvariant(node, lowering, zero, /*fromEnd=*/1)))
    return failure();
  if (auto product = byteProduct(lowering, a.value, a.zero, b.value, b.zero))
    return *product;
  FailureOr<Tensor> lhs = center(node, lowering, a.value, zero);
  if (failed(lhs))
    return failure();
  FailureOr<Tensor> sums = matMul(node, lowering, *lhs, b.value, DType::Int32);
  if (failed(sums))
    return failure();
  return takeZeroOff(node, lowering, *sums, *lhs, b.value, b.zero);
}

/// The product of two operands of a node.
static FailureOr<Tensor> productOf(const Node &node, Lowering &lowering,
                                   Quantized a, Quantized b) {
  if (failed(requireRank(node, a.value, 1)) ||
      failed(requireRank(node, b.value, 1)))
    return failure();
  return centeredMatMul(node, lowering,
                        {node.input(a.value), node.input(a.zero)},
                        {node.input(b.value), node.input(b.zero)});
}

static FailureOr<SmallVector<Tensor>> lowerMatMulInteger(const Node &node,
                                                         Lowering &lowering) {
  if (failed(requireSupport(node, supportsIntegers(node), 2)))
    return failure();
  return one(productOf(node, lowering, kIntegerA, kIntegerB));
}

static FailureOr<SmallVector<Tensor>> lowerQLinearMatMul(const Node &node,
                                                         Lowering &lowering) {
  if (failed(requireSupport(node, supportsQLinear(node), 8)))
    return failure();
  FailureOr<Tensor> sums = productOf(node, lowering, kQLinearA, kQLinearB);
  if (failed(sums))
    return failure();
  FailureOr<Tensor> aScale = fitParameter(
      node, lowering, rowParameter(lowering, node.input(1)), *sums);
  FailureOr<Tensor> bScale = fitParameter(node, lowering, node.input(4), *sums);
  return one(requantize(node, lowering, *sums, Tensor(), aScale, bScale));
}

void lutra::addIntegerContractionHandlers(Registry &registry) {
  registry.add(
      {"", "MatMulInteger", {10}, supportsIntegers, lowerMatMulInteger});
  registry.add({"",
                "QLinearMatMul",
                {10, 21},
                supportsQLinear,
                lowerQLinearMatMul,
                "float8; y_scale per row"});
}
