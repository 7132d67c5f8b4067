//===- MixtureSizes.cpp - Inputs and sizes of mixtures of experts ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The second layer's weights say how many experts, tokens' elements and hidden
// units there are; all other inputs are held against these.
//
//===----------------------------------------------------------------------===//

#include "MixtureSizes.h"

#include "Operands.h"

using namespace mlir;
using namespace mlir::lutra;

static constexpr DType kFloats[] = {DType::Float, DType::Float16,
                                    DType::BFloat16};

bool lutra::isSwiGLU(const Node &node) {
  return node.stringAttr("activation_type", "relu") == "swiglu";
}

static void checkActivation(SizeCheck &check, const Node &node,
                            const MixtureInputs &inputs, MixtureSizes &sizes) {
  StringRef name = node.stringAttr("activation_type", "relu");
  if (!llvm::is_contained({"relu", "gelu", "silu", "swiglu", "identity"}, name))
    check.fail("expected activation_type relu, gelu, silu, swiglu or identity, "
               "got " +
               name);
  sizes.fusion = Fusion(check.count("swiglu_fusion", 0, 0, 2));
  if (sizes.fusion != Fusion::Apart && !isSwiGLU(node))
    check.fail("expected swiglu_fusion 0 with activation_type " + name +
               ", got " + Twine(int64_t(sizes.fusion)));
  bool hasGate = bool(node.input(inputs.fc3.weights));
  if (isSwiGLU(node) && hasGate != (sizes.fusion == Fusion::Apart))
    check.fail(
        "expected fc3_experts_weights with, and only with, swiglu_fusion "
        "0, got swiglu_fusion " +
        Twine(int64_t(sizes.fusion)));
  if (check.count("use_sparse_mixer", 0, 0, 1))
    check.fail("expected use_sparse_mixer 0, got 1: not implemented");
}

static void checkQuantization(SizeCheck &check, const Node &node,
                              const MixtureInputs &inputs,
                              MixtureSizes &sizes) {
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
  for (unsigned i = inputs.routerWeights + 1; i < node.numInputs(); ++i)
    if (node.input(i))
      check.fail("expected no input " + Twine(i) + " with quant_type int");
}

/// Checks a layer from `depth` to `columns` elements.
static void checkLayer(SizeCheck &check, const Node &node, LayerInputs layer,
                       const MixtureSizes &sizes, int64_t columns,
                       int64_t depth) {
  auto name = [&](StringRef what) { return (layer.name + what).str(); };
  AffineExpr experts = check.number(sizes.experts), n = check.number(columns);
  if (DType type = node.input(MixtureInputs::kTokens).dtype;
      type != DType::Undefined) {
    if (!sizes.bits)
      check.expectType(layer.weights, name("_experts_weights"), type);
    check.expectType(layer.bias, name("_experts_bias"), type);
  }
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
      check.fail("expected rows of " + layer.name +
                 " in whole bytes of zero "
                 "points, got " +
                 Twine(columns));
    check.expect(layer.zeros, name("_zero_points"),
                 {experts, check.number(columns / perByte)});
    return;
  }
  int64_t blocks = depth / sizes.block;
  if (depth % sizes.block != 0 ||
      (node.input(layer.zeros) && blocks % perByte != 0))
    check.fail(
        "expected whole blocks, and whole bytes of their zero points, in "
        "a row of " +
        layer.name + ", got " + Twine(depth) + " codes in blocks of " +
        Twine(sizes.block));
  check.expect(layer.scales, name("_scales"),
               {experts, n, check.number(blocks)});
  check.expect(layer.zeros, name("_zero_points"),
               {experts, n, check.number(blocks / perByte)});
}

/// The sizes that the weights of the second layer say, [E, hidden, inter].
static bool readSizes(SizeCheck &check, const Node &node,
                      const MixtureInputs &inputs, MixtureSizes &sizes) {
  unsigned i = inputs.fc2.weights;
  if (check.failed() || !check.isKnown(i))
    return false;
  check.expectRank(i, "fc2_experts_weights", {3});
  if (check.failed())
    return false;
  Tensor weights = node.input(i);
  for (int64_t d = 0; d < 3; ++d)
    if (int64_t size = weights.staticSize(d);
        ShapedType::isDynamic(size) || size < 1 || size > kMaxExtent)
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
  // Two halves of a gated unit in one layer are the most.
  int64_t elements = 2;
  for (int64_t size : {sizes.experts, sizes.hidden, sizes.inter})
    if (llvm::MulOverflow(elements, size, elements))
      check.fail("expected weights that memory holds, got " +
                 check.text(weights.shape));
  return !check.failed();
}

static void checkTokens(SizeCheck &check, const Node &node,
                        const MixtureInputs &inputs,
                        const MixtureSizes &sizes) {
  check.expectRank(MixtureInputs::kTokens, "input", {2, 3});
  check.expectLast(MixtureInputs::kTokens, "input", sizes.hidden);
  check.expectRank(MixtureInputs::kRouter, "router_probs", {2});
  check.expectLast(MixtureInputs::kRouter, "router_probs", sizes.experts);
  if (check.failed() || !check.isDemanding())
    return;
  AffineExpr tokens = check.number(1);
  Tensor input = node.input(MixtureInputs::kTokens);
  for (AffineExpr size : ArrayRef(input.shape).drop_back())
    tokens = tokens * size;
  Shape shape = {tokens, check.number(sizes.experts)};
  check.expect(MixtureInputs::kRouter, "router_probs", shape);
  check.expect(inputs.routerWeights, "router_weights", shape);
}

MixtureSizes lutra::checkMixture(SizeCheck &check, const Node &node,
                                 const MixtureInputs &inputs) {
  MixtureSizes sizes;
  for (auto [i, name] : {std::pair(MixtureInputs::kTokens, "input"),
                         {MixtureInputs::kRouter, "router_probs"},
                         {inputs.fc1.weights, "fc1_experts_weights"},
                         {inputs.fc2.weights, "fc2_experts_weights"}})
    if (!node.input(i))
      check.fail("expected " + Twine(name) + " (input " + Twine(i) +
                 "), got none");
  check.expectType(MixtureInputs::kTokens, "input", kFloats);
  if (DType type = node.input(MixtureInputs::kTokens).dtype;
      type != DType::Undefined)
    for (auto [i, name] : {std::pair(MixtureInputs::kRouter, "router_probs"),
                           {inputs.routerWeights, "router_weights"}})
      check.expectType(i, name, type);
  checkActivation(check, node, inputs, sizes);
  if (inputs.fc1.scales != LayerInputs::kNone)
    checkQuantization(check, node, inputs, sizes);
  if (!readSizes(check, node, inputs, sizes))
    return sizes;
  sizes.k = check.count("k", 1, 1, sizes.experts);
  checkTokens(check, node, inputs, sizes);
  int64_t fused = sizes.fusion == Fusion::Apart ? 1 : 2;
  checkLayer(check, node, inputs.fc1, sizes, fused * sizes.inter, sizes.hidden);
  checkLayer(check, node, inputs.fc2, sizes, sizes.hidden, sizes.inter);
  if (node.input(inputs.fc3.weights))
    checkLayer(check, node, inputs.fc3, sizes, sizes.inter, sizes.hidden);
  else if (node.input(inputs.fc3.bias))
    check.fail("expected no fc3_experts_bias without fc3_experts_weights");
  return sizes;
}
