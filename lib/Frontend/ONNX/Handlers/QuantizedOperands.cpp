//===- QuantizedOperands.cpp - Operands of products of bytes --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantizedOperands.h"

#include "Operands.h"
#include "QuantizedElements.h"

using namespace mlir;
using namespace mlir::lutra;

static bool isByte(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::UInt8;
}

/// Checks the types of a quantized operand and of its parameters.
static Support supportsQuantized(const Node &node, Quantized operand) {
  if (Support type =
          supportsInput(node, operand.value, "a quantized tensor", isByte);
      !type)
    return type;
  if (operand.scale != kNoInput)
    if (Support scale = supportsInput(node, operand.scale, "a scale", isScale);
        !scale)
      return scale;
  DType dtype = node.input(operand.value).dtype;
  DType zero = node.input(operand.zero).dtype;
  if (zero != DType::Undefined && dtype != DType::Undefined && zero != dtype)
    return Support::no("expected a zero point (input " + Twine(operand.zero) +
                       ") of type " + dtypeName(dtype) + ", got " +
                       dtypeName(zero));
  return Support::yes();
}

FailureOr<Tensor> lutra::fitParameter(const Node &node, Lowering &lowering,
                                      Tensor parameter, const Tensor &target) {
  if (hasOneElement(parameter) && parameter.rank() > target.rank())
    return lowering.reshape(parameter, {});
  FailureOr<Shape> shape = lowering.broadcast({parameter, target});
  if (failed(shape))
    return failure();
  if (*shape != target.shape)
    return node.error() << "expected a scale or zero point that broadcasts to "
                        << lowering.str(target.shape) << ", got "
                        << lowering.str(parameter.shape);
  return parameter;
}

FailureOr<Tensor> lutra::scalarParameter(const Node &node, Lowering &lowering,
                                         unsigned i, const Tensor &target) {
  if (!hasOneElement(node.input(i)))
    return node.error() << "expected input " << i << " to be a scalar, got "
                        << lowering.str(node.input(i).shape);
  return fitParameter(node, lowering, node.input(i), target);
}

FailureOr<Tensor> lutra::center(const Node &node, Lowering &lowering,
                                const Tensor &value, const Tensor &zero) {
  if (isZero(lowering, zero))
    return value;
  FailureOr<Tensor> fitting = fitParameter(node, lowering, zero, value);
  if (failed(fitting))
    return failure();
  DType dtype = value.dtype;
  return compute(lowering, {value, *fitting}, DType::Int16,
                 [&](Scalars &s, ValueRange in) {
                   Value difference = centerScalar(s.b, in[0], in[1], dtype);
                   return Lowering::castScalar(s.b, difference, DType::Int32,
                                               DType::Int16);
                 });
}

/// sums * (scales[0] * scales[1] / scales[2]), quantized with `zero`. The sums
/// have `bias` (null for none) added first.
static FailureOr<Tensor> quantizeSums(Lowering &lowering, const Tensor &sums,
                                      const Tensor &bias,
                                      ArrayRef<Tensor> scales,
                                      const Tensor &zero) {
  // Of its own, since a division for each sum would take most of the time.
  FailureOr<Tensor> scale =
      compute(lowering, scales, DType::Float, [](Scalars &s, ValueRange in) {
        return s.div(s.mul(in[0], in[1]), in[2]);
      });
  if (failed(scale))
    return failure();
  SmallVector<Tensor> operands = {sums, *scale, zero};
  if (bias)
    operands.push_back(bias);
  return compute(
      lowering, operands, zero.dtype, [&](Scalars &s, ValueRange in) {
        Value sum = bias ? s.add(in[0], in[3]) : in[0];
        Value value =
            Lowering::castScalar(s.b, sum, DType::Int32, DType::Float);
        return quantizeScalar(s.b, Scalars(s.b, DType::Float).mul(value, in[1]),
                              in[2], zero.dtype);
      });
}

Support lutra::supportsIntegers(const Node &node) {
  Support a = supportsQuantized(node, kIntegerA);
  return a ? supportsQuantized(node, kIntegerB) : a;
}

Support lutra::supportsQLinear(const Node &node) {
  for (Quantized operand : {kQLinearA, kQLinearB})
    if (Support support = supportsQuantized(node, operand); !support)
      return support;
  if (Support scale = supportsInput(node, 6, "y_scale", isScale); !scale)
    return scale;
  return supportsInput(node, 7, "y_zero_point", isByte);
}

LogicalResult lutra::requireSupport(const Node &node, const Support &support,
                                    unsigned required) {
  if (!support)
    return node.error() << support.reason();
  for (unsigned i = 0; i < required; ++i)
    if (!node.input(i))
      return node.error() << "expected input " << i << ", got none";
  return success();
}

FailureOr<Tensor> lutra::requantize(const Node &node, Lowering &lowering,
                                    const Tensor &sums, const Tensor &bias,
                                    FailureOr<Tensor> aScale,
                                    FailureOr<Tensor> bScale) {
  FailureOr<Tensor> scale = scalarParameter(node, lowering, 6, sums),
                    zero = scalarParameter(node, lowering, 7, sums);
  if (failed(aScale) || failed(bScale) || failed(scale) || failed(zero))
    return failure();
  return quantizeSums(lowering, sums, bias, {*aScale, *bScale, *scale}, *zero);
}
