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
#include "SizeCheck.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
constexpr unsigned kNone = ~0u;

/// Where a layer has its inputs.
struct LayerInputs {
  StringRef name;
  unsigned weights, bias, scales = kNone, zeros = kNone;
};

/// Where an operator has its inputs; the first two are the tokens and what the
/// router says of them.
struct Inputs {
  LayerInputs fc1, fc2, fc3;
  unsigned routerWeights = kNone;
};
constexpr unsigned kTokens = 0, kRouter = 1;

constexpr Inputs kMoE = {{"fc1", 2, 3}, {"fc2", 4, 5}, {"fc3", 6, 7}};
constexpr Inputs kQMoE = {
    {"fc1", 2, 4, 3, 11}, {"fc2", 5, 7, 6, 12}, {"fc3", 8, 10, 9, 13}, 14};

enum Fusion : int64_t { Apart, Interleaved, Concatenated };

/// The numbers of a node.
struct Sizes {
  int64_t experts = 0, hidden = 0, inter = 0, k = 0;
  /// 0 where weights are floats.
  unsigned bits = 0;
  /// Codes of a block, or 0 where it is a row.
  int64_t block = 0;
  Fusion fusion = Apart;

  unsigned perByte() const { return bits ? 8 / bits : 1; }
};
} // namespace

static constexpr DType kFloats[] = {DType::Float, DType::Float16,
                                    DType::BFloat16};

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static bool isSwiGLU(const Node &node) {
  return node.stringAttr("activation_type", "relu") == "swiglu";
}

static void checkActivation(SizeCheck &check, const Node &node,
                            const Inputs &inputs, Sizes &sizes) {
  StringRef name = node.stringAttr("activation_type", "relu");
  if (!llvm::is_contained({"relu", "gelu", "silu", "swiglu", "identity"}, name))
    check.fail("expected activation_type relu, gelu, silu, swiglu or identity, "
               "got " +
               name);
  sizes.fusion = Fusion(check.count("swiglu_fusion", Apart, Apart, Concatenated));
  if (sizes.fusion != Apart && !isSwiGLU(node))
    check.fail("expected swiglu_fusion 0 with activation_type " + name +
               ", got " + Twine(sizes.fusion));
  bool hasGate = bool(node.input(inputs.fc3.weights));
  if (isSwiGLU(node) && hasGate != (sizes.fusion == Apart))
    check.fail("expected fc3_experts_weights with, and only with, swiglu_fusion "
               "0, got swiglu_fusion " +
               Twine(sizes.fusion));
  if (check.count("use_sparse_mixer", 0, 0, 1))
    check.fail("expected use_sparse_mixer 0, got 1: not implemented");
}

static void checkQuantization(SizeCheck &check, const Node &node,
                              Sizes &sizes) {
  sizes.bits = check.count("expert_weight_bits", 4, 2, 8);
  if (!llvm::isPowerOf2_32(sizes.bits))
    check.fail("expected expert_weight_bits 2, 4 or 8, got " +
               Twine(sizes.bits));
  if (StringRef type = node.stringAttr("quant_type", "int"); type != "int")
    check.fail("expected quant_type int, got " + type + ": not implemented");
  // -1 is a device's own layout, which on a CPU is that of 0.
  check.count("weights_prepacked", -1, -1, 0);
  check.count("accuracy_level", 0, 0, 4);
  sizes.block = node.intAttr("block_size", 0);
  if (sizes.block != 0 && (sizes.block < 16 || sizes.block > kMaxExtent ||
                           !llvm::isPowerOf2_64(sizes.block)))
    check.fail("expected a block_size that is a power of 2 from 16 on, got " +
               Twine(sizes.block));
  for (unsigned i = kQMoE.routerWeights + 1; i < node.numInputs(); ++i)
    if (node.input(i))
      check.fail("expected no input " + Twine(i) + " with quant_type int");
}

/// Checks a layer from `depth` to `columns` elements.
static void checkLayer(SizeCheck &check, const Node &node, LayerInputs layer,
                       const Sizes &sizes, int64_t columns, int64_t depth) {
  auto name = [&](StringRef what) { return (layer.name + what).str(); };
  AffineExpr experts = check.number(sizes.experts),
             n = check.number(columns);
  if (!sizes.bits)
    check.expectType(layer.weights, name("_experts_weights"),
                     node.input(kTokens).dtype);
  check.expectType(layer.bias, name("_experts_bias"),
                   node.input(kTokens).dtype);
  unsigned perByte = sizes.perByte();
  check.expect(layer.weights, name("_experts_weights"),
               {experts, n, check.number(depth / perByte)});
  check.expect(layer.bias, name("_experts_bias"), {experts, n});
  if (!sizes.bits)
    return;
  if (!node.input(layer.scales))
    check.fail("expected " + name("_scales") + " (input " +
               Twine(layer.scales) + "), got none");
  check.expectType(layer.weights, name("_experts_weights"), DType::UInt8);
  check.expectType(layer.scales, name("_scales"), kFloats);
  check.expectType(layer.zeros, name("_zero_points"), DType::UInt8);
  if (!sizes.block) {
    check.expect(layer.scales, name("_scales"), {experts, n});
    if (node.input(layer.zeros) && columns % perByte != 0)
      check.fail("expected rows of " + layer.name + " in whole bytes of zero "
                 "points, got " + Twine(columns));
    check.expect(layer.zeros, name("_zero_points"),
                 {experts, check.number(columns / perByte)});
    return;
  }
  int64_t blocks = depth / sizes.block;
  if (depth % sizes.block != 0 ||
      (node.input(layer.zeros) && blocks % perByte != 0))
    check.fail("expected whole blocks, and whole bytes of their zero points, in "
               "a row of " +
               layer.name + ", got " + Twine(depth) + " codes in blocks of " +
               Twine(sizes.block));
  check.expect(layer.scales, name("_scales"),
               {experts, n, check.number(blocks)});
  check.expect(layer.zeros, name("_zero_points"),
               {experts, n, check.number(blocks / perByte)});
}

/// The sizes that the weights of the second layer say, [E, hidden, inter].
static bool readSizes(SizeCheck &check, const Node &node, const Inputs &inputs,
                      Sizes &sizes) {
  unsigned i = inputs.fc2.weights;
  if (check.failed() || !check.isKnown(i))
    return false;
  check.expectRank(i, "fc2_experts_weights", {3});
  if (check.failed())
    return false;
  Tensor weights = node.input(i);
  for (int64_t d = 0; d < 3; ++d)
    if (int64_t size = weights.staticSize(d); ShapedType::isDynamic(size) ||
                                              size < 1 || size > kMaxExtent)
      check.fail("expected fc2_experts_weights of known shape without empty "
                 "dimensions, got " +
                 check.text(weights.shape));
  if (check.failed())
    return false;
  sizes.experts = weights.staticSize(0);
  sizes.hidden = weights.staticSize(1);
  sizes.inter = weights.staticSize(2) * sizes.perByte();
  if (sizes.hidden % sizes.perByte() != 0)
    check.fail("expected rows of fc1 in whole bytes, got " +
               Twine(sizes.hidden) + " codes");
  return !check.failed();
}

static void checkTokens(SizeCheck &check, const Node &node,
                        const Inputs &inputs, const Sizes &sizes) {
  check.expectRank(kTokens, "input", {2, 3});
  check.expectLast(kTokens, "input", sizes.hidden);
  check.expectRank(kRouter, "router_probs", {2});
  check.expectLast(kRouter, "router_probs", sizes.experts);
  if (check.failed() || !check.isDemanding())
    return;
  AffineExpr tokens = check.number(1);
  for (AffineExpr size : ArrayRef(node.input(kTokens).shape).drop_back())
    tokens = tokens * size;
  Shape shape = {tokens, check.number(sizes.experts)};
  check.expect(kRouter, "router_probs", shape);
  check.expect(inputs.routerWeights, "router_weights", shape);
}

static Sizes checkNode(SizeCheck &check, const Node &node,
                       const Inputs &inputs) {
  Sizes sizes;
  for (auto [i, name] : {std::pair(kTokens, "input"),
                         {kRouter, "router_probs"},
                         {inputs.fc1.weights, "fc1_experts_weights"},
                         {inputs.fc2.weights, "fc2_experts_weights"}})
    if (!node.input(i))
      check.fail("expected " + Twine(name) + " (input " + Twine(i) +
                 "), got none");
  check.expectType(kTokens, "input", kFloats);
  if (DType type = node.input(kTokens).dtype; type != DType::Undefined)
    for (auto [i, name] : {std::pair(kRouter, "router_probs"),
                           {inputs.routerWeights, "router_weights"}})
      check.expectType(i, name, type);
  checkActivation(check, node, inputs, sizes);
  if (inputs.fc1.scales != kNone)
    checkQuantization(check, node, sizes);
  if (!readSizes(check, node, inputs, sizes))
    return sizes;
  sizes.k = check.count("k", 1, 1, sizes.experts);
  checkTokens(check, node, inputs, sizes);
  int64_t fused = sizes.fusion == Apart ? 1 : 2;
  checkLayer(check, node, inputs.fc1, sizes, fused * sizes.inter, sizes.hidden);
  checkLayer(check, node, inputs.fc2, sizes, sizes.hidden, sizes.inter);
  if (node.input(inputs.fc3.weights))
    checkLayer(check, node, inputs.fc3, sizes, sizes.inter, sizes.hidden);
  else if (node.input(inputs.fc3.bias))
    check.fail("expected no fc3_experts_bias without fc3_experts_weights");
  return sizes;
}

//===----------------------------------------------------------------------===//
// The layers
//===----------------------------------------------------------------------===//

static ExpertLayer layerOf(const Node &node, LayerInputs inputs,
                           const Sizes &sizes, int64_t depth) {
  return {node.input(inputs.weights), node.input(inputs.bias),
          node.input(inputs.scales),  node.input(inputs.zeros),
          sizes.bits,                 sizes.block ? sizes.block : depth};
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
  return s.mul(s.mul(s.constant(0.5), x),
               s.add(s.constant(1), s.tanh(inner)));
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

/// The sums of the first layer, or of one and a gate's, as pairs: two tensors
/// and how they are read, or one.
struct HiddenSums {
  SmallVector<Tensor> tensors;
  SmallVector<AffineMap> maps;
};

static FailureOr<HiddenSums> hiddenSums(const Node &node, Lowering &lowering,
                                        const Tensor &x, const Routes &routes,
                                        const Inputs &inputs,
                                        const Sizes &sizes) {
  AffineExpr t, j, i;
  bindDims(lowering.context(), t, j, i);
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(3, 0, exprs, lowering.context());
  };
  HiddenSums hidden;
  SmallVector<LayerInputs> layers = {inputs.fc1};
  if (node.input(inputs.fc3.weights))
    layers.push_back(inputs.fc3);
  for (const LayerInputs &layer : layers) {
    FailureOr<Tensor> sums =
        expertProduct(lowering, x, routes,
                      layerOf(node, layer, sizes, sizes.hidden));
    if (failed(sums))
      return failure();
    hidden.tensors.push_back(*sums);
    hidden.maps.push_back(map({t, j, i}));
  }
  if (sizes.fusion == Apart)
    return hidden;
  bool isInterleaved = sizes.fusion == Interleaved;
  Shape halves = routes.experts.shape;
  halves.append(2, lowering.constant(sizes.inter));
  halves[isInterleaved ? 3 : 2] = lowering.constant(2);
  FailureOr<Tensor> sums = lowering.reshape(hidden.tensors.front(), halves);
  if (failed(sums))
    return failure();
  auto half = [&](int64_t part) {
    AffineExpr at = lowering.constant(part);
    return isInterleaved ? map({t, j, i, at}) : map({t, j, at, i});
  };
  return HiddenSums{{*sums, *sums}, {half(0), half(1)}};
}

/// The hidden units [T, k, inter] of each route.
static FailureOr<Tensor> hiddenUnits(const Node &node, Lowering &lowering,
                                     const Tensor &x, const Routes &routes,
                                     const Inputs &inputs, const Sizes &sizes) {
  auto hidden = hiddenSums(node, lowering, x, routes, inputs, sizes);
  if (failed(hidden))
    return failure();
  ExpertLayer fc1 = layerOf(node, inputs.fc1, sizes, sizes.hidden),
              fc3 = layerOf(node, inputs.fc3, sizes, sizes.hidden);
  Shape shape = routes.experts.shape;
  shape.push_back(lowering.constant(sizes.inter));
  hidden->tensors.push_back(routes.experts);
  hidden->maps.push_back(hidden->maps.front().getMajorSubMap(2));
  return computeMapped(
      lowering, hidden->tensors, hidden->maps, shape, DType::Float,
      [&](Scalars &s, ValueRange in) {
        Value expert = in.back(), column = linalg::IndexOp::create(s.b, 2);
        auto index = [&](int64_t times, Value plus) -> Value {
          Value by = arith::ConstantIndexOp::create(s.b, times);
          Value scaled = arith::MulIOp::create(s.b, column, by);
          return arith::AddIOp::create(s.b, scaled, plus);
        };
        auto offset = [&](int64_t by) -> Value {
          return arith::ConstantIndexOp::create(s.b, by);
        };
        if (in.size() == 2)
          return activate(node, s,
                          s.add(in[0], biasAt(s, fc1, expert, column)));
        Value bias, linear;
        switch (sizes.fusion) {
        case Apart:
          bias = biasAt(s, fc1, expert, column);
          linear = biasAt(s, fc3, expert, column);
          break;
        case Interleaved:
          bias = biasAt(s, fc1, expert, index(2, offset(0)));
          linear = biasAt(s, fc1, expert, index(2, offset(1)));
          break;
        case Concatenated:
          bias = biasAt(s, fc1, expert, column);
          linear = biasAt(s, fc1, expert, index(1, offset(sizes.inter)));
          break;
        }
        return gated(node, s, s.add(in[0], bias), s.add(in[1], linear));
      });
}

/// The sum [T, hidden] of what the routes of a token give, times their shares.
static Tensor combined(Lowering &lowering, const Tensor &sums,
                       const Routes &routes, const ExpertLayer &layer) {
  AffineExpr t, n, j;
  bindDims(lowering.context(), t, n, j);
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(3, 0, exprs, lowering.context());
  };
  AffineMap maps[] = {map({t, j, n}), map({t, j}), map({t, j}), map({t, n})};
  utils::IteratorType iterators[] = {utils::IteratorType::parallel,
                                     utils::IteratorType::parallel,
                                     utils::IteratorType::reduction};
  Shape shape = {sums.shape[0], sums.shape[2]};
  Value init =
      lowering.filled(shape, DType::Float, lowering.scalar(DType::Float, 0));
  return lowering.generic(
      {sums, routes.shares, routes.experts}, maps, iterators, init, shape,
      DType::Float, [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Scalars s(b, DType::Float);
        Value bias =
            biasAt(s, layer, in[2], linalg::IndexOp::create(b, 1));
        return s.add(in[3], s.mul(in[1], s.add(in[0], bias)));
      });
}

static FailureOr<SmallVector<Tensor>>
lower(const Node &node, Lowering &lowering, const Inputs &inputs) {
  SizeCheck check(node, &lowering);
  Sizes sizes = checkNode(check, node, inputs);
  if (check.failed())
    return node.error() << check.result().reason();
  Tensor input = node.input(kTokens);
  AffineExpr tokens = lowering.product(ArrayRef(input.shape).drop_back());
  FailureOr<Tensor> x =
      lowering.reshape(lowering.cast(input, DType::Float),
                       {tokens, lowering.constant(sizes.hidden)});
  auto routes = route(lowering, node.input(kRouter),
                      node.input(inputs.routerWeights), sizes.k,
                      node.intAttr("normalize_routing_weights", 0));
  if (failed(x) || failed(routes))
    return failure();
  auto units = hiddenUnits(node, lowering, *x, *routes, inputs, sizes);
  if (failed(units))
    return failure();
  ExpertLayer fc2 = layerOf(node, inputs.fc2, sizes, sizes.inter);
  FailureOr<Tensor> sums = expertProduct(lowering, *units, *routes, fc2);
  if (failed(sums))
    return failure();
  Tensor y = combined(lowering, *sums, *routes, fc2);
  return one(lowering.reshape(lowering.cast(y, input.dtype), input.shape));
}

template <const Inputs &inputs>
static Support supports(const Node &node) {
  SizeCheck check(node);
  checkNode(check, node, inputs);
  return check.result();
}

template <const Inputs &inputs>
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
  registry.add({"com.microsoft",
                "QMoE",
                {1},
                supports<kQMoE>,
                lower<kQMoE>,
                "use_sparse_mixer; quant_type other than int; weights that were "
                "packed for a device"});
}
