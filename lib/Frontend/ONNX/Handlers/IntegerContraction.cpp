//===- IntegerContraction.cpp - MatMulInteger, QLinearConv, ... -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements products of quantized tensors, summed in i32. Activations are
// centered (their zero point subtracted, which leaves 9 bits) before the sum;
// the zero point of a product's second operand, the weights, is taken off the
// sums instead, so that weights are read as they are stored. Products and
// convolutions with constants are mpgemm.matmul (ByteProduct.cpp,
// ByteConvolution.cpp).
//
//===----------------------------------------------------------------------===//

#include "IntegerContraction.h"

#include "ByteConvolution.h"
#include "CodedMatrix.h"
#include "Contraction.h"
#include "Convolution.h"
#include "QuantizedElements.h"
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static bool isByte(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::UInt8;
}

static bool isInt32(DType dtype) { return dtype == DType::Int32; }

namespace {
/// Where an operand and its parameters are among a node's inputs.
struct Quantized {
  unsigned value, scale, zero;
};
} // namespace

static constexpr unsigned kNone = ~0u;

/// Checks the types of a quantized operand and of its parameters.
static Support supportsQuantized(const Node &node, Quantized operand) {
  if (Support type =
          supportsInput(node, operand.value, "a quantized tensor", isByte);
      !type)
    return type;
  if (operand.scale != kNone)
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

/// Input i, which must broadcast to `target`'s shape without changing it.
static FailureOr<Tensor> fit(const Node &node, Lowering &lowering,
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

/// A scale or zero point of one element.
static FailureOr<Tensor> onlyOne(const Node &node, Lowering &lowering,
                                 unsigned i, const Tensor &target) {
  if (!hasOneElement(node.input(i)))
    return node.error() << "expected input " << i << " to be a scalar, got "
                        << lowering.str(node.input(i).shape);
  return fit(node, lowering, node.input(i), target);
}

/// value - zero, in i16; `value` itself where the zero point is 0.
static FailureOr<Tensor> center(const Node &node, Lowering &lowering,
                                const Tensor &value, const Tensor &zero) {
  if (isZero(lowering, zero))
    return value;
  FailureOr<Tensor> fitting = fit(node, lowering, zero, value);
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
static FailureOr<Tensor> requantize(Lowering &lowering, const Tensor &sums,
                                    const Tensor &bias, ArrayRef<Tensor> scales,
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

/// Fails with the reason of `support`, or where one of the inputs before
/// `required` is absent.
static LogicalResult check(const Node &node, const Support &support,
                           unsigned required) {
  if (!support)
    return node.error() << support.reason();
  for (unsigned i = 0; i < required; ++i)
    if (!node.input(i))
      return node.error() << "expected input " << i << ", got none";
  return success();
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

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
  FailureOr<Tensor> fitting = fit(node, lowering, zero, rhs);
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

static constexpr Quantized kMatMulIntegerA = {0, kNone, 2},
                           kMatMulIntegerB = {1, kNone, 3};

static Support supportsMatMulInteger(const Node &node) {
  Support a = supportsQuantized(node, kMatMulIntegerA);
  return a ? supportsQuantized(node, kMatMulIntegerB) : a;
}

static FailureOr<SmallVector<Tensor>> lowerMatMulInteger(const Node &node,
                                                         Lowering &lowering) {
  if (failed(check(node, supportsMatMulInteger(node), 2)))
    return failure();
  return one(productOf(node, lowering, kMatMulIntegerA, kMatMulIntegerB));
}

static constexpr Quantized kQLinearMatMulA = {0, 1, 2},
                           kQLinearMatMulB = {3, 4, 5};

static Support supportsQLinearMatMul(const Node &node) {
  for (Quantized operand : {kQLinearMatMulA, kQLinearMatMulB})
    if (Support support = supportsQuantized(node, operand); !support)
      return support;
  if (Support scale = supportsInput(node, 6, "y_scale", isScale); !scale)
    return scale;
  return supportsInput(node, 7, "y_zero_point", isByte);
}

static FailureOr<SmallVector<Tensor>> lowerQLinearMatMul(const Node &node,
                                                         Lowering &lowering) {
  if (failed(check(node, supportsQLinearMatMul(node), 8)))
    return failure();
  FailureOr<Tensor> sums =
      productOf(node, lowering, kQLinearMatMulA, kQLinearMatMulB);
  if (failed(sums))
    return failure();
  FailureOr<Tensor> scales[] = {
      fit(node, lowering, rowParameter(lowering, node.input(1)), *sums),
      fit(node, lowering, node.input(4), *sums),
      onlyOne(node, lowering, 6, *sums)};
  FailureOr<Tensor> zero = onlyOne(node, lowering, 7, *sums);
  if (llvm::any_of(scales, [](auto &scale) { return failed(scale); }) ||
      failed(zero))
    return failure();
  return one(requantize(lowering, *sums, Tensor(),
                        {*scales[0], *scales[1], *scales[2]}, *zero));
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

/// Whether all sums of a convolution with weights [F, C, kernel...] of centered
/// bytes are exact in f32, in which they are faster.
static bool areExactInFloats(const Tensor &w) {
  constexpr int64_t kExact = 1 << 24;
  int64_t most = 255 * 255;
  for (int64_t dim = 1; dim < w.rank() && most <= kExact; ++dim)
    most *= w.staticSize(dim);
  return most <= kExact;
}

FailureOr<Tensor> lutra::centeredConvolution(const Node &node,
                                             Lowering &lowering,
                                             const Centered &x,
                                             const Centered &w) {
  if (x.zero && !hasOneElement(x.zero))
    return node.error() << "expected a scalar zero point of x, got "
                        << lowering.str(x.zero.shape);
  Shape features(w.value.rank(), lowering.constant(1));
  features[0] = w.value.shape[0];
  Tensor zero = w.zero;
  if (zero && !hasOneElement(zero) &&
      (zero.rank() != 1 || zero.shape[0] != features[0]))
    return node.error() << "expected a zero point per feature, got "
                        << lowering.str(zero.shape);
  FailureOr<Window> window =
      convolutionWindow(node, lowering, x.value, w.value);
  if (failed(window))
    return failure();
  if (auto sums =
          byteConvolution(lowering, x.value, x.zero, w.value, zero, *window))
    return *sums;
  if (zero && !hasOneElement(zero)) {
    FailureOr<Tensor> column = lowering.reshape(zero, features);
    if (failed(column))
      return failure();
    zero = isZero(lowering, zero) ? Tensor() : *column;
  }
  FailureOr<Tensor> lhs = center(node, lowering, x.value, x.zero);
  FailureOr<Tensor> rhs = center(node, lowering, w.value, zero);
  if (failed(lhs) || failed(rhs))
    return failure();
  if (isByChannel(*lhs, *rhs))
    return channelConvolution(lowering, *lhs, *rhs, *window);
  if (!areExactInFloats(w.value))
    return convolution(node, lowering, *lhs, *rhs, DType::Int32);
  FailureOr<Tensor> sums =
      convolution(node, lowering, lowering.cast(*lhs, DType::Float),
                  lowering.cast(*rhs, DType::Float), DType::Float);
  if (failed(sums))
    return failure();
  return lowering.cast(*sums, DType::Int32);
}

/// The convolution of two operands of a node.
static FailureOr<Tensor> convolutionOf(const Node &node, Lowering &lowering,
                                       Quantized x, Quantized w) {
  if (failed(requireRank(node, x.value, 3)) ||
      failed(requireRank(node, w.value, 3)))
    return failure();
  return centeredConvolution(node, lowering,
                             {node.input(x.value), node.input(x.zero)},
                             {node.input(w.value), node.input(w.zero)});
}

static constexpr Quantized kConvIntegerX = {0, kNone, 2},
                           kConvIntegerW = {1, kNone, 3};

static Support supportsConvInteger(const Node &node) {
  for (Quantized operand : {kConvIntegerX, kConvIntegerW})
    if (Support support = supportsQuantized(node, operand); !support)
      return support;
  return supportsConvolution(node);
}

static FailureOr<SmallVector<Tensor>> lowerConvInteger(const Node &node,
                                                       Lowering &lowering) {
  if (failed(check(node, supportsConvInteger(node), 2)))
    return failure();
  return one(convolutionOf(node, lowering, kConvIntegerX, kConvIntegerW));
}

static constexpr Quantized kQLinearConvX = {0, 1, 2}, kQLinearConvW = {3, 4, 5};

static Support supportsQLinearConv(const Node &node) {
  for (Quantized operand : {kQLinearConvX, kQLinearConvW})
    if (Support support = supportsQuantized(node, operand); !support)
      return support;
  if (Support scale = supportsInput(node, 6, "y_scale", isScale); !scale)
    return scale;
  if (Support zero = supportsInput(node, 7, "y_zero_point", isByte); !zero)
    return zero;
  if (Support bias = supportsInput(node, 8, "a bias", isInt32); !bias)
    return bias;
  return supportsConvolution(node);
}

static FailureOr<SmallVector<Tensor>> lowerQLinearConv(const Node &node,
                                                       Lowering &lowering) {
  if (failed(check(node, supportsQLinearConv(node), 8)))
    return failure();
  FailureOr<Tensor> sums =
      convolutionOf(node, lowering, kQLinearConvX, kQLinearConvW);
  if (failed(sums))
    return failure();
  const Tensor &wScale = node.input(4);
  FailureOr<Tensor> scales[] = {
      onlyOne(node, lowering, 1, *sums),
      hasOneElement(wScale) ? fit(node, lowering, wScale, *sums)
                            : alongFeatures(node, lowering, wScale, *sums),
      onlyOne(node, lowering, 6, *sums)};
  FailureOr<Tensor> zero = onlyOne(node, lowering, 7, *sums);
  FailureOr<Tensor> bias = alongFeatures(node, lowering, node.input(8), *sums);
  if (llvm::any_of(scales, [](auto &scale) { return failed(scale); }) ||
      failed(zero) || failed(bias))
    return failure();
  return one(requantize(lowering, *sums, *bias,
                        {*scales[0], *scales[1], *scales[2]}, *zero));
}

void lutra::addIntegerContractionHandlers(Registry &registry) {
  registry.add(
      {"", "MatMulInteger", {10}, supportsMatMulInteger, lowerMatMulInteger});
  registry.add({"",
                "QLinearMatMul",
                {10, 21},
                supportsQLinearMatMul,
                lowerQLinearMatMul,
                "float8; y_scale per row"});
  registry.add({"",
                "ConvInteger",
                {10},
                supportsConvInteger,
                lowerConvInteger,
                "the shape of the weights must be known"});
  registry.add({"",
                "QLinearConv",
                {10},
                supportsQLinearConv,
                lowerQLinearConv,
                "the shape of the weights must be known"});
}
