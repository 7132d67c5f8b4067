//===- LayerNormalization.cpp - LayerNorm and RMSNorm ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Normalizations over trailing dimensions: ONNX's, the name that exporters give
// RMSNormalization in ONNX's domain (SimplifiedLayerNormalization), and those
// of com.microsoft that add a skip connection first and give the sum too.
//
//===----------------------------------------------------------------------===//

#include "Normalization.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

static FailureOr<SmallVector<int64_t>> trailingAxes(const Node &node) {
  int64_t rank = node.input(0).rank();
  auto axis = normalizeAxis(node, node.intAttr("axis", -1), rank);
  if (failed(axis))
    return failure();
  return axesFrom(*axis, rank);
}

/// Reads `operand`, which broadcasts to a tensor of `shape` from its last
/// dimension on.
static FailureOr<AffineMap> broadcastTo(const Node &node, Lowering &lowering,
                                        const Tensor &operand,
                                        ArrayRef<AffineExpr> shape) {
  int64_t skipped = int64_t(shape.size()) - operand.rank();
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < operand.rank() && skipped >= 0; ++i) {
    if (operand.shape[i] == shape[skipped + i])
      exprs.push_back(lowering.b.getAffineDimExpr(skipped + i));
    else if (operand.staticSize(i) == 1)
      exprs.push_back(lowering.constant(0));
  }
  if (int64_t(exprs.size()) != operand.rank())
    return node.error() << "expected a shape that broadcasts to "
                        << lowering.str(shape) << ", got "
                        << lowering.str(operand.shape);
  return AffineMap::get(shape.size(), 0, exprs, lowering.context());
}

/// normalized * inverse * scale + bias, the last two optional.
static FailureOr<Tensor> scaled(const Node &node, Lowering &lowering,
                                const Tensor &normalized, const Tensor &inverse,
                                AffineMap inverseMap, const Tensor &scale,
                                const Tensor &bias) {
  Shape shape = normalized.shape;
  SmallVector<Tensor> operands = {normalized, inverse};
  SmallVector<AffineMap> maps = {
      lowering.b.getMultiDimIdentityMap(shape.size()), inverseMap};
  for (const Tensor &operand : {scale, bias}) {
    if (!operand)
      continue;
    auto map = broadcastTo(node, lowering, operand, shape);
    if (failed(map))
      return failure();
    operands.push_back(operand);
    maps.push_back(*map);
  }
  DType type = node.input(0).dtype;
  return computeMapped(
      lowering, operands, maps, shape, type, [&](Scalars &s, ValueRange v) {
        Value result =
            s.mul(asType(s, v[0], normalized), asType(s, v[1], inverse));
        if (scale)
          result = s.mul(result, asType(s, v[2], scale));
        if (bias)
          result = s.add(result, asType(s, v.back(), bias));
        return Lowering::castScalar(s.b, result, s.dtype, computeType(type));
      });
}

/// x normalized over its trailing `axes`, its mean where `centers`, and the
/// inverse of its deviation.
static Results normalize(const Node &node, Lowering &lowering, const Tensor &x,
                         ArrayRef<int64_t> axes, const Tensor &scale,
                         const Tensor &bias, bool centers, double epsilon) {
  DType type = computeType(x.dtype);
  Tensor mean, center = x;
  if (centers) {
    mean = meanOf(lowering, x, axes, type);
    center = centered(lowering, x, mean, axes);
  }
  Tensor square = meanOf(lowering, center, axes, type, squareOf);
  Tensor inverse = inverseDeviation(lowering, square, epsilon);
  FailureOr<Tensor> y = scaled(
      node, lowering, center, inverse,
      selectDims(lowering, x.rank(), otherAxes(x.rank(), axes)), scale, bias);
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{*y, mean, inverse};
}

/// `statistic` as output i, in `type` and with the dimensions `axes`, if it is
/// used.
static Tensor statisticOf(const Node &node, Lowering &lowering, unsigned i,
                          const Tensor &statistic, ArrayRef<int64_t> axes,
                          DType type) {
  if (!statistic || !node.usesOutput(i))
    return Tensor();
  return lowering.cast(lowering.unsqueeze(statistic, axes), type);
}

static Results lowerLayerNorm(const Node &node, Lowering &lowering) {
  auto axes = trailingAxes(node);
  if (failed(axes))
    return failure();
  Results results = normalize(node, lowering, node.input(0), *axes,
                              node.input(1), node.input(2), /*centers=*/true,
                              node.floatAttr("epsilon", 1e-5));
  if (failed(results))
    return failure();
  auto stash = static_cast<DType>(node.intAttr("stash_type", 1));
  for (unsigned i : {1, 2})
    (*results)[i] = statisticOf(node, lowering, i, (*results)[i], *axes, stash);
  return results;
}

/// RMSNormalization, and SimplifiedLayerNormalization, which has a second
/// output.
static Results lowerRMSNorm(const Node &node, Lowering &lowering) {
  auto axes = trailingAxes(node);
  if (failed(axes))
    return failure();
  Results results =
      normalize(node, lowering, node.input(0), *axes, node.input(1), Tensor(),
                /*centers=*/false, node.floatAttr("epsilon", 1e-5));
  if (failed(results))
    return failure();
  auto stash = static_cast<DType>(node.intAttr("stash_type", 1));
  return SmallVector<Tensor>{
      (*results)[0],
      statisticOf(node, lowering, 1, (*results)[2], *axes, stash)};
}

/// input + skip + bias, normalized over the last dimension. The outputs are the
/// result, the mean, the inverse of the deviation, and the sum.
template <bool centers>
static Results lowerSkipNorm(const Node &node, Lowering &lowering) {
  Tensor x = node.input(0);
  if (x.rank() == 0)
    return node.error() << "expected input of rank 1 or more, got rank 0";
  Tensor scale = node.input(2), beta = centers ? node.input(3) : Tensor(),
         bias = node.input(centers ? 4 : 3);
  SmallVector<Tensor> summands = {x, node.input(1)};
  if (bias)
    summands.push_back(bias);
  FailureOr<Tensor> sum =
      compute(lowering, summands, x.dtype, [](Scalars &s, ValueRange v) {
        Value sum = s.add(v[0], v[1]);
        return v.size() > 2 ? s.add(sum, v[2]) : sum;
      });
  if (failed(sum))
    return failure();
  if (ArrayRef(sum->shape) != ArrayRef(x.shape))
    return node.error() << "expected skip and bias that broadcast to "
                        << lowering.str(x.shape) << ", got a sum of shape "
                        << lowering.str(sum->shape);
  int64_t axes[] = {x.rank() - 1};
  Results results = normalize(node, lowering, *sum, axes, scale, beta, centers,
                              node.floatAttr("epsilon", 1e-12));
  if (failed(results))
    return failure();
  for (unsigned i : {1, 2})
    (*results)[i] =
        statisticOf(node, lowering, i, (*results)[i], axes, DType::Float);
  results->push_back(*sum);
  return results;
}

void lutra::addLayerNormalizationHandlers(Registry &r) {
  addNorm<lowerLayerNorm, 2>(r, "", "LayerNormalization", {17});
  addNorm<lowerRMSNorm, 2>(r, "", "RMSNormalization", {23});
  addNorm<lowerRMSNorm, 2>(r, "", "SimplifiedLayerNormalization", {1});
  addNorm<lowerSkipNorm<true>, 3>(r, "com.microsoft", "SkipLayerNormalization",
                                  {1});
  addNorm<lowerSkipNorm<false>, 3>(r, "com.microsoft",
                                   "SkipSimplifiedLayerNormalization", {1});
}
