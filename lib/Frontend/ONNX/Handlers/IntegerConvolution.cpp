//===- IntegerConvolution.cpp - ConvInteger, QLinearConv ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions of quantized tensors, summed in i32; both operands are centered
// before. With constants of bytes they are mpgemm.matmul (ByteConvolution.cpp).
//
//===----------------------------------------------------------------------===//

#include "IntegerConvolution.h"

#include "ByteConvolution.h"
#include "Convolution.h"
#include "QuantizedElements.h"

using namespace mlir;
using namespace mlir::lutra;

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

static Support supportsConvInteger(const Node &node) {
  if (Support operands = supportsIntegers(node); !operands)
    return operands;
  return supportsConvolution(node);
}

static FailureOr<SmallVector<Tensor>> lowerConvInteger(const Node &node,
                                                       Lowering &lowering) {
  if (failed(requireSupport(node, supportsConvInteger(node), 2)))
    return failure();
  return one(convolutionOf(node, lowering, kIntegerA, kIntegerB));
}

static bool isInt32(DType dtype) { return dtype == DType::Int32; }

static Support supportsQLinearConv(const Node &node) {
  if (Support operands = supportsQLinear(node); !operands)
    return operands;
  if (Support bias = supportsInput(node, 8, "a bias", isInt32); !bias)
    return bias;
  return supportsConvolution(node);
}

static FailureOr<SmallVector<Tensor>> lowerQLinearConv(const Node &node,
                                                       Lowering &lowering) {
  if (failed(requireSupport(node, supportsQLinearConv(node), 8)))
    return failure();
  FailureOr<Tensor> sums = convolutionOf(node, lowering, kQLinearA, kQLinearB);
  if (failed(sums))
    return failure();
  const Tensor &w = node.input(4);
  FailureOr<Tensor> xScale = scalarParameter(node, lowering, 1, *sums),
                    wScale = hasOneElement(w)
                                 ? fitParameter(node, lowering, w, *sums)
                                 : alongFeatures(node, lowering, w, *sums),
                    bias = alongFeatures(node, lowering, node.input(8), *sums);
  if (failed(bias))
    return failure();
  return one(requantize(node, lowering, *sums, *bias, xScale, wScale));
}

void lutra::addIntegerConvolutionHandlers(Registry &registry) {
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
