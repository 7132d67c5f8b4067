//===- Convolution.cpp - Conv ---------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements convolutions of any spatial rank as a padding and one
// linalg.generic. Groups are a loop of their own over reshaped operands; loops
// that depthwise convolutions would make of size one are left out.
//
//===----------------------------------------------------------------------===//

#include "Convolution.h"

#include "../SizeAlgebra.h"
#include "ByteConvolution.h"
#include "Contraction.h"
#include "IntegerConvolution.h"
#include "Operands.h"
#include "Window.h"

using namespace mlir;
using namespace mlir::lutra;

Support lutra::supportsConvolution(const Node &node) {
  std::optional<int64_t> rank = knownRank(node.input(0));
  if (rank && *rank < 3)
    return Support::no("expected an input of rank 3 or more, got rank " +
                       Twine(*rank));
  if (int64_t group = node.intAttr("group", 1); group < 1)
    return Support::no("expected a positive group, got " + Twine(group));
  if (rank)
    rank = *rank - 2;
  return checkWindow(node, rank);
}

Support lutra::supportsFloatConvolution(const Node &node) {
  if (node.numInputs() < 2 || node.numInputs() > 3)
    return Support::no("expected 2 or 3 inputs, got " +
                       Twine(node.numInputs()));
  DType dtype = node.input(0).dtype;
  if (dtype != DType::Undefined && !isFloat(dtype))
    return Support::no("expected a float element type, got " +
                       dtypeName(dtype));
  return supportsConvolution(node);
}

namespace {
/// Sizes of a convolution. A loop that is left out has no size.
struct ConvSizes {
  AffineExpr batch, group, features, channels;
  bool hasGroup, hasFeatures, hasChannels;
  /// features = group * featuresPerGroup
  int64_t groups, featuresPerGroup, channelsPerGroup;
};
} // namespace

static FailureOr<ConvSizes> convSizes(const Node &node, Lowering &lowering,
                                      const Tensor &x, const Tensor &w) {
  ConvSizes sizes;
  sizes.batch = x.shape[0];
  sizes.groups = node.intAttr("group", 1);
  int64_t channels = x.staticSize(1), features = w.staticSize(0);
  sizes.channelsPerGroup = w.staticSize(1);
  for (int64_t d = 0; d < w.rank(); ++d)
    if (w.staticSize(d) == ShapedType::kDynamic)
      return node.error() << "expected weights of known shape, got "
                          << lowering.str(w.shape);
  if (sizes.groups < 1 || features % sizes.groups)
    return node.error() << "expected group to divide " << features
                        << " features, got " << sizes.groups;
  int64_t expected;
  if (llvm::MulOverflow(sizes.channelsPerGroup, sizes.groups, expected) ||
      channels != expected)
    return node.error() << "expected " << sizes.groups << " groups of "
                        << sizes.channelsPerGroup << " channels, got "
                        << sizeText(lowering, x.shape[1]) << " channels";
  sizes.featuresPerGroup = features / sizes.groups;
  sizes.hasGroup = sizes.groups > 1;
  sizes.hasFeatures = !sizes.hasGroup || sizes.featuresPerGroup != 1;
  sizes.hasChannels = !sizes.hasGroup || sizes.channelsPerGroup != 1;
  sizes.group = lowering.constant(sizes.groups);
  sizes.features = lowering.constant(sizes.featuresPerGroup);
  sizes.channels = lowering.constant(sizes.channelsPerGroup);
  return sizes;
}

/// Splits the channels (the features) off into groups and drops dimensions
/// that no loop runs over.
static FailureOr<std::pair<Tensor, Tensor>>
groupOperands(Lowering &lowering, const Tensor &x, const Tensor &w,
              const ConvSizes &sizes) {
  if (!sizes.hasGroup)
    return std::make_pair(x, w);
  Shape xShape = {sizes.batch, sizes.group}, wShape = {sizes.group};
  if (sizes.hasFeatures)
    wShape.push_back(sizes.features);
  if (sizes.hasChannels) {
    xShape.push_back(sizes.channels);
    wShape.push_back(sizes.channels);
  }
  llvm::append_range(xShape, ArrayRef(x.shape).drop_front(2));
  llvm::append_range(wShape, ArrayRef(w.shape).drop_front(2));
  FailureOr<Tensor> grouped = lowering.reshape(x, xShape);
  FailureOr<Tensor> weights = lowering.reshape(w, wShape);
  if (failed(grouped) || failed(weights))
    return failure();
  return std::make_pair(*grouped, *weights);
}

/// The generic over (n, [g,] [f,] o..., [c,] k...).
static Tensor convolve(Lowering &lowering, const Tensor &x, const Tensor &w,
                       DType accumulator, const ConvSizes &sizes,
                       const Window &window) {
  MLIRContext *context = lowering.context();
  unsigned next = 0;
  SmallVector<utils::IteratorType> iterators;
  auto loop = [&](utils::IteratorType type) {
    iterators.push_back(type);
    return getAffineDimExpr(next++, context);
  };
  constexpr auto parallel = utils::IteratorType::parallel;
  constexpr auto reduction = utils::IteratorType::reduction;
  SmallVector<AffineExpr> xs, ws, ys;
  Shape shape = {sizes.batch};
  ys.push_back(loop(parallel));
  xs.push_back(ys.back());
  if (sizes.hasGroup) {
    ys.push_back(loop(parallel));
    xs.push_back(ys.back());
    ws.push_back(ys.back());
    shape.push_back(sizes.group);
  }
  if (sizes.hasFeatures) {
    ys.push_back(loop(parallel));
    ws.push_back(ys.back());
    shape.push_back(sizes.features);
  }
  unsigned firstOutput = ys.size();
  for (AffineExpr size : window.output) {
    ys.push_back(loop(parallel));
    shape.push_back(size);
  }
  if (sizes.hasChannels) {
    ws.push_back(loop(reduction));
    xs.push_back(ws.back());
  }
  for (int64_t i = 0; i < window.rank(); ++i) {
    AffineExpr k = loop(reduction);
    ws.push_back(k);
    xs.push_back(window.index(i, ys[firstOutput + i], k));
  }
  AffineMap maps[] = {AffineMap::get(next, 0, xs, context),
                      AffineMap::get(next, 0, ws, context),
                      AffineMap::get(next, 0, ys, context)};
  return sumOfProducts(lowering, x, w, accumulator, maps, iterators, shape);
}

/// The accumulators as [batch, features, spatial...].
static FailureOr<Tensor> convolveGroups(Lowering &lowering, const Tensor &x,
                                        const Tensor &w, DType accumulator,
                                        const ConvSizes &sizes,
                                        const Window &window) {
  auto operands = groupOperands(lowering, x, w, sizes);
  if (failed(operands))
    return failure();
  Tensor sums = convolve(lowering, operands->first, operands->second,
                         accumulator, sizes, window);
  Shape shape = {sizes.batch, w.shape[0]};
  llvm::append_range(shape, window.output);
  return lowering.reshape(sums, shape);
}

FailureOr<Tensor> lutra::convolve(const Node &node, Lowering &lowering,
                                  const Tensor &x, const Tensor &w,
                                  const Window &window) {
  FailureOr<ConvSizes> sizes = convSizes(node, lowering, x, w);
  if (failed(sizes))
    return failure();
  return convolveGroups(lowering, x, w, accumulatorType(x.dtype), *sizes,
                        window);
}

FailureOr<Tensor> lutra::alongFeatures(const Node &node, Lowering &lowering,
                                       const Tensor &vector,
                                       const Tensor &result) {
  if (!vector)
    return vector;
  if (vector.rank() != 1 || vector.shape[0] != result.shape[1])
    return node.error() << "expected a vector of "
                        << sizeText(lowering, result.shape[1])
                        << " features, got " << lowering.str(vector.shape);
  Shape shape(result.rank() - 1, lowering.constant(1));
  shape[0] = result.shape[1];
  return lowering.reshape(vector, shape);
}

FailureOr<Window> lutra::convolutionWindow(const Node &node, Lowering &lowering,
                                           const Tensor &x, const Tensor &w) {
  if (w.rank() != x.rank())
    return node.error() << "expected weights of rank " << x.rank() << ", got "
                        << lowering.str(w.shape);
  if (failed(convSizes(node, lowering, x, w)))
    return failure();
  SmallVector<int64_t> kernel;
  for (int64_t d = 2; d < w.rank(); ++d)
    kernel.push_back(w.staticSize(d));
  if (node.intsAttr("kernel_shape", kernel) != kernel)
    return node.error() << "expected kernel_shape to be that of the weights "
                        << lowering.str(w.shape);
  return makeWindow(node, lowering, x, kernel);
}

FailureOr<Tensor> lutra::convolution(const Node &node, Lowering &lowering,
                                     const Tensor &x, const Tensor &w,
                                     DType accumulator) {
  FailureOr<Window> window = convolutionWindow(node, lowering, x, w);
  if (failed(window))
    return failure();
  FailureOr<ConvSizes> sizes = convSizes(node, lowering, x, w);
  if (failed(sizes))
    return failure();
  Tensor padded =
      padForWindow(lowering, x, *window, lowering.scalarInt(x.dtype, 0));
  return convolveGroups(lowering, padded, w, accumulator, *sizes, *window);
}

static LogicalResult checkOperands(const Node &node, Lowering &lowering) {
  if (failed(requireRank(node, 0, 3)) || failed(requireRank(node, 1, 3)))
    return failure();
  const Tensor &x = node.input(0);
  if (!isFloat(x.dtype))
    return node.error() << "expected a float element type, got "
                        << dtypeName(x.dtype);
  return requireSameType(node);
}

/// The convolution of what two tensors were dequantized from, in i32; nothing
/// where these are no bytes, or neither of all channels nor of one each.
static std::optional<FailureOr<Tensor>> convolveBytes(const Node &node,
                                                      Lowering &lowering,
                                                      const Factors &x,
                                                      const Factors &w) {
  auto isByte = [](DType dtype) {
    return dtype == DType::Int8 || dtype == DType::UInt8;
  };
  // Zero points of a hostile file may lie otherwise than their scales.
  if (!isByte(x.quantized.dtype) || !isByte(w.quantized.dtype) ||
      (x.zero && !hasOneElement(x.zero)) ||
      (w.zero && !hasOneElement(w.zero) && w.axis != 0))
    return std::nullopt;
  if (isByChannel(x.quantized, w.quantized))
    return centeredConvolution(node, lowering, {x.quantized, x.zero},
                               {w.quantized, w.zero});
  FailureOr<Window> window =
      convolutionWindow(node, lowering, x.quantized, w.quantized);
  if (failed(window))
    return FailureOr<Tensor>(failure());
  return byteConvolution(lowering, x.quantized, x.zero, w.quantized, w.zero,
                         *window);
}

/// The sums, in f32, of the integers of two tensors.
static FailureOr<Tensor> sumIntegers(const Node &node, Lowering &lowering,
                                     const Factors &x, const Factors &w) {
  auto sums = convolveBytes(node, lowering, x, w);
  if (!sums)
    return convolution(node, lowering, x.integers, w.integers, DType::Float);
  if (failed(*sums))
    return failure();
  return lowering.cast(**sums, DType::Float);
}

/// The sums of dequantized operands: the integers' sums, times the scales of
/// the tensor x and of the weights or their features.
static FailureOr<Tensor> scaledConvolution(const Node &node, Lowering &lowering,
                                           const Factors &x, const Factors &w) {
  FailureOr<Tensor> sums = sumIntegers(node, lowering, x, w);
  if (failed(sums))
    return failure();
  Tensor scale = w.scale;
  if (!hasOneElement(scale)) {
    FailureOr<Tensor> features = alongFeatures(node, lowering, scale, *sums);
    if (failed(features))
      return failure();
    scale = *features;
  }
  return applyScales(lowering, *sums, x.scale, scale);
}

static FailureOr<SmallVector<Tensor>> lowerConv(const Node &node,
                                                Lowering &lowering) {
  if (failed(checkOperands(node, lowering)))
    return failure();
  const Tensor &x = node.input(0), &w = node.input(1);
  FailureOr<Tensor> sums =
      haveFactors(x, w, /*axis=*/0)
          ? scaledConvolution(node, lowering, *x.factors, *w.factors)
          : convolution(node, lowering, x, w, accumulatorType(x.dtype));
  if (failed(sums))
    return failure();
  FailureOr<Tensor> bias = alongFeatures(node, lowering, node.input(2), *sums);
  if (failed(bias))
    return failure();
  return one(addBias(lowering, *sums, *bias, x.dtype));
}

void lutra::addConvolutionHandlers(Registry &registry) {
  registry.add({"",
                "Conv",
                {1, 11, 22},
                supportsFloatConvolution,
                lowerConv,
                "the shape of the weights must be known"});
}
