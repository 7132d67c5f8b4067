//===- MixtureOfExperts.cpp - com.microsoft's MoE and QMoE ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each token goes through the two layers, or three where a gate has one of its
// own, of the experts that its router prefers, and gets the sum of what they
// give.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Experts.h"
#include "MixtureSizes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

static constexpr MixtureInputs kMoE = {
    {"fc1", 2, 3}, {"fc2", 4, 5}, {"fc3", 6, 7}};
static constexpr MixtureInputs kQMoE = {
    {"fc1", 2, 4, 3, 11}, {"fc2", 5, 7, 6, 12}, {"fc3", 8, 10, 9, 13}, 14};

//===----------------------------------------------------------------------===//
// The layers
//===----------------------------------------------------------------------===//

static ExpertLayer layerOf(const Node &node, LayerInputs inputs,
                           const MixtureSizes &sizes, int64_t depth) {
  return {node.input(inputs.weights),
          node.input(inputs.bias),
          node.input(inputs.scales),
          node.input(inputs.zeros),
          sizes.bits,
          sizes.block ? sizes.block : depth,
          node.intAttr("accuracy_level", 0) == 4};
}

/// The bias of an expert's column, or 0.
static Value biasAt(Scalars &s, const ExpertLayer &layer, Value expert,
                    Value column) {
  if (!layer.bias)
    return s.constant(0);
  expert = arith::IndexCastOp::create(s.b, s.b.getIndexType(), expert);
  Value bias = tensor::ExtractOp::create(s.b, layer.bias.value,
                                         ValueRange{expert, column});
  return Lowering::castScalar(s.b, bias, layer.bias.dtype, DType::Float);
}

static Value activate(const Node &node, Scalars &s, Value x) {
  StringRef name = node.stringAttr("activation_type", "relu");
  if (name == "identity")
    return x;
  if (name == "relu")
    return s.max(x, s.constant(0));
  if (name == "silu")
    return s.mul(x, s.sigmoid(x));
  // gelu, as tanh approximates it.
  Value cube = s.mul(s.mul(x, x), x);
  Value inner = s.mul(s.constant(0.7978845608028654),
                      s.add(x, s.mul(s.constant(0.044715), cube)));
  return s.mul(s.mul(s.constant(0.5), x), s.add(s.constant(1), s.tanh(inner)));
}

/// What a gate and a linear unit give.
static Value gated(const Node &node, Scalars &s, Value gate, Value linear) {
  if (!isSwiGLU(node))
    return s.mul(activate(node, s, gate), linear);
  if (node.hasAttr("swiglu_limit")) {
    Value limit = s.constant(node.floatAttr("swiglu_limit", 0));
    gate = s.min(gate, limit);
    linear = s.max(s.min(linear, limit), s.neg(limit));
  }
  Value alpha = s.constant(node.floatAttr("activation_alpha", 1)),
        beta = s.constant(node.floatAttr("activation_beta", 0));
  Value swish = s.mul(gate, s.sigmoid(s.mul(alpha, gate)));
  return s.mul(swish, s.add(linear, beta));
}

namespace {
/// What units are made of, and how it is read along (place, unit): the sums of
/// one layer, or those of a gate and of a linear unit.
struct HiddenSums {
  SmallVector<Tensor> tensors;
  SmallVector<AffineMap> maps;
};
} // namespace

static FailureOr<HiddenSums> hiddenSums(const Node &node, Lowering &lowering,
                                        const Tensor &x,
                                        const SortedRoutes &routes,
                                        const MixtureInputs &inputs,
                                        const MixtureSizes &sizes) {
  AffineExpr place, i;
  bindDims(lowering.context(), place, i);
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(2, 0, exprs, lowering.context());
  };
  HiddenSums hidden;
  SmallVector<LayerInputs> layers = {inputs.fc1};
  if (node.input(inputs.fc3.weights))
    layers.push_back(inputs.fc3);
  for (const LayerInputs &layer : layers) {
    FailureOr<Tensor> sums = expertProduct(
        lowering, x, routes, layerOf(node, layer, sizes, sizes.hidden));
    if (failed(sums))
      return failure();
    hidden.tensors.push_back(*sums);
    hidden.maps.push_back(map({place, i}));
  }
  if (sizes.fusion == Fusion::Apart)
    return hidden;
  bool isInterleaved = sizes.fusion == Fusion::Interleaved;
  Shape halves = routes.experts.shape;
  halves.append(2, lowering.constant(sizes.inter));
  halves[isInterleaved ? 2 : 1] = lowering.constant(2);
  FailureOr<Tensor> sums = lowering.reshape(hidden.tensors.front(), halves);
  if (failed(sums))
    return failure();
  auto half = [&](int64_t part) {
    AffineExpr at = lowering.constant(part);
    return isInterleaved ? map({place, i, at}) : map({place, at, i});
  };
  return HiddenSums{{*sums, *sums}, {half(0), half(1)}};
}

/// The hidden units [S, inter] of each place.
static FailureOr<Tensor> hiddenUnits(const Node &node, Lowering &lowering,
                                     const Tensor &x,
                                     const SortedRoutes &routes,
                                     const MixtureInputs &inputs,
                                     const MixtureSizes &sizes) {
  auto hidden = hiddenSums(node, lowering, x, routes, inputs, sizes);
  if (failed(hidden))
    return failure();
  ExpertLayer fc1 = layerOf(node, inputs.fc1, sizes, sizes.hidden),
              fc3 = layerOf(node, inputs.fc3, sizes, sizes.hidden);
  Shape shape = routes.experts.shape;
  shape.push_back(lowering.constant(sizes.inter));
  hidden->tensors.push_back(routes.experts);
  hidden->maps.push_back(hidden->maps.front().getMajorSubMap(1));
  return computeMapped(
      lowering, hidden->tensors, hidden->maps, shape, DType::Float,
      [&](Scalars &s, ValueRange in) {
        auto withBias = [&](int64_t part) {
          bool isApart = sizes.fusion == Fusion::Apart,
               isInterleaved = sizes.fusion == Fusion::Interleaved;
          auto constant = [&](int64_t value) {
            return arith::ConstantIndexOp::create(s.b, value);
          };
          Value column = linalg::IndexOp::create(s.b, 1);
          if (isInterleaved)
            column = arith::MulIOp::create(s.b, column, constant(2));
          if (!isApart)
            column = arith::AddIOp::create(
                s.b, column,
                constant(part * (isInterleaved ? 1 : sizes.inter)));
          const ExpertLayer &layer = isApart && part == 1 ? fc3 : fc1;
          return s.add(in[part], biasAt(s, layer, in.back(), column));
        };
        bool isGated = in.size() > 2;
        return isGated ? gated(node, s, withBias(0), withBias(1))
                       : activate(node, s, withBias(0));
      });
}

/// The sum [T, hidden] of what the routes of a token give, times their shares,
/// of sums [S, hidden].
static Tensor combined(Lowering &lowering, const Tensor &sums,
                       const Routes &routes, const Tensor &places,
                       const ExpertLayer &layer) {
  AffineExpr t, n, j;
  bindDims(lowering.context(), t, n, j);
  AffineMap ofRoute = AffineMap::get(3, 0, {t, j}, lowering.context()),
            ofToken = AffineMap::get(3, 0, {t, n}, lowering.context());
  utils::IteratorType iterators[] = {utils::IteratorType::parallel,
                                     utils::IteratorType::parallel,
                                     utils::IteratorType::reduction};
  Shape shape = {places.shape[0], sums.shape[1]};
  Value init =
      lowering.filled(shape, DType::Float, lowering.scalar(DType::Float, 0));
  return lowering.generic(
      {places, routes.shares, routes.experts},
      {ofRoute, ofRoute, ofRoute, ofToken}, iterators, init, shape,
      DType::Float, [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Scalars s(b, DType::Float);
        Value place = arith::IndexCastOp::create(b, b.getIndexType(), in[0]),
              column = linalg::IndexOp::create(b, 1);
        Value sum =
            tensor::ExtractOp::create(b, sums.value, ValueRange{place, column});
        sum = s.add(sum, biasAt(s, layer, in[2], column));
        return s.add(in[3], s.mul(in[1], sum));
      });
}

static FailureOr<SmallVector<Tensor>>
lower(const Node &node, Lowering &lowering, const MixtureInputs &inputs) {
  SizeCheck check(node, &lowering);
  MixtureSizes sizes = checkMixture(check, node, inputs);
  if (check.failed())
    return node.error() << check.result().reason();
  Tensor input = node.input(MixtureInputs::kTokens);
  AffineExpr tokens = lowering.product(ArrayRef(input.shape).drop_back());
  FailureOr<Tensor> x =
      lowering.reshape(lowering.cast(input, DType::Float),
                       {tokens, lowering.constant(sizes.hidden)});
  auto routes = route(lowering, node.input(MixtureInputs::kRouter),
                      node.input(inputs.routerWeights), sizes.k,
                      node.intAttr("normalize_routing_weights", 0));
  if (failed(x) || failed(routes))
    return failure();
  auto sorted = sortRoutes(lowering, *routes, sizes.experts);
  if (failed(sorted))
    return failure();
  auto units = hiddenUnits(node, lowering, rowsOfTokens(lowering, *x, *sorted),
                           *sorted, inputs, sizes);
  if (failed(units))
    return failure();
  ExpertLayer fc2 = layerOf(node, inputs.fc2, sizes, sizes.inter);
  FailureOr<Tensor> sums = expertProduct(lowering, *units, *sorted, fc2);
  if (failed(sums))
    return failure();
  Tensor y = combined(lowering, *sums, *routes, sorted->places, fc2);
  return one(lowering.reshape(lowering.cast(y, input.dtype), input.shape));
}

template <const MixtureInputs &inputs>
static Support supports(const Node &node) {
  SizeCheck check(node);
  checkMixture(check, node, inputs);
  return check.result();
}

template <const MixtureInputs &inputs>
static FailureOr<SmallVector<Tensor>> lower(const Node &node,
                                            Lowering &lowering) {
  return lower(node, lowering, inputs);
}

void lutra::addExpertHandlers(Registry &registry) {
  registry.add({"com.microsoft",
                "MoE",
                {1},
                supports<kMoE>,
                lower<kMoE>,
                "use_sparse_mixer"});
  registry.add(
      {"com.microsoft",
       "QMoE",
       {1},
       supports<kQMoE>,
       lower<kQMoE>,
       "use_sparse_mixer; quant_type other than int; weights that were "
       "packed for a device"});
}
