//===- Activation.cpp - Relu and its kin, Clip, PRelu ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Activations as elementwise operators. Their attributes become constants of
// the body.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

/// An attribute as a constant of the body's type.
static Value attribute(Scalars &s, const Node &node, StringRef name,
                       double otherwise) {
  return s.constant(node.floatAttr(name, otherwise));
}

//===----------------------------------------------------------------------===//
// Piecewise linear
//===----------------------------------------------------------------------===//

static Value relu(Scalars &s, ValueRange x, const Node &) {
  return s.max(x[0], s.constant(0));
}

static Value leakyRelu(Scalars &s, ValueRange x, const Node &node) {
  return s.leakyRelu(x[0], attribute(s, node, "alpha", 0.01));
}

static Value pRelu(Scalars &s, ValueRange x, const Node &) {
  return s.leakyRelu(x[0], x[1]);
}

static Value hardSigmoid(Scalars &s, ValueRange x, const Node &node) {
  return s.hardSigmoid(x[0], attribute(s, node, "alpha", 0.2),
                       attribute(s, node, "beta", 0.5));
}

static Value hardSwish(Scalars &s, ValueRange x, const Node &) {
  Value gate = s.hardSigmoid(x[0], s.constant(1.0 / 6), s.constant(0.5));
  return s.mul(x[0], gate);
}

static Value shrink(Scalars &s, ValueRange x, const Node &node) {
  // Computed in f32 at least: lambd and bias are floats, x may be an integer.
  DType type = s.isFloat() ? s.dtype : DType::Double;
  Scalars f(s.b, type);
  Value value = Lowering::castScalar(s.b, x[0], s.dtype, type);
  Value lambd = attribute(f, node, "lambd", 0.5);
  Value bias = attribute(f, node, "bias", 0);
  Value above = f.select(f.gt(value, lambd), f.sub(value, bias), f.constant(0));
  Value result = f.select(f.lt(value, f.neg(lambd)), f.add(value, bias), above);
  return Lowering::castScalar(s.b, result, type, s.dtype);
}

static Value thresholdedRelu(Scalars &s, ValueRange x, const Node &node) {
  Value alpha = attribute(s, node, "alpha", 1);
  return s.select(s.gt(x[0], alpha), x[0], s.constant(0));
}

//===----------------------------------------------------------------------===//
// Exponential
//===----------------------------------------------------------------------===//

static Value elu(Scalars &s, ValueRange x, const Node &node) {
  return s.elu(x[0], attribute(s, node, "alpha", 1));
}

static Value selu(Scalars &s, ValueRange x, const Node &node) {
  Value alpha = attribute(s, node, "alpha", 1.67326319217681884765625);
  Value gamma = attribute(s, node, "gamma", 1.05070102214813232421875);
  return s.mul(gamma, s.elu(x[0], alpha));
}

static Value celu(Scalars &s, ValueRange x, const Node &node) {
  Value alpha = attribute(s, node, "alpha", 1);
  Value low = s.mul(alpha, s.expm1(s.div(x[0], alpha)));
  Value zero = s.constant(0);
  return s.add(s.max(x[0], zero), s.min(low, zero));
}

static Value swish(Scalars &s, ValueRange x, const Node &node) {
  Value alpha = attribute(s, node, "alpha", 1);
  return s.mul(x[0], s.sigmoid(s.mul(alpha, x[0])));
}

static Value mish(Scalars &s, ValueRange x, const Node &) {
  return s.mul(x[0], s.tanh(s.softplus(x[0])));
}

static Value softplus(Scalars &s, ValueRange x, const Node &) {
  return s.softplus(x[0]);
}

static Value softsign(Scalars &s, ValueRange x, const Node &) {
  return s.softsign(x[0]);
}

static Value gelu(Scalars &s, ValueRange x, const Node &node) {
  Value inner;
  if (node.stringAttr("approximate", "none") == "tanh") {
    Value cube = s.mul(s.mul(x[0], x[0]), x[0]);
    Value sum = s.add(x[0], s.mul(s.constant(0.044715), cube));
    inner = s.tanh(s.mul(s.constant(std::sqrt(M_2_PI)), sum));
  } else {
    inner = s.erf(s.mul(x[0], s.constant(M_SQRT1_2)));
  }
  Value half = s.mul(s.constant(0.5), x[0]);
  return s.mul(half, s.add(s.constant(1), inner));
}

//===----------------------------------------------------------------------===//
// Clip
//===----------------------------------------------------------------------===//

/// Version 6 has the bounds as attributes.
static Value clipByAttributes(Scalars &s, ValueRange x, const Node &node) {
  Value result = x[0];
  if (node.hasAttr("min"))
    result = s.max(result, attribute(s, node, "min", 0));
  if (node.hasAttr("max"))
    result = s.min(result, attribute(s, node, "max", 0));
  return result;
}

static FailureOr<SmallVector<Tensor>> lowerClip(const Node &node,
                                                Lowering &lowering) {
  if (Support support = supportsTypes(node, Types::Number); !support)
    return node.error() << support.reason();
  Tensor low = node.input(1), high = node.input(2);
  SmallVector<Tensor> operands = {node.input(0)};
  for (const Tensor &bound : {low, high})
    if (bound)
      operands.push_back(bound);
  FailureOr<Tensor> result = compute(
      lowering, operands, node.input(0).dtype, [&](Scalars &s, ValueRange x) {
        if (node.sinceVersion < 11)
          return clipByAttributes(s, x, node);
        Value value = low ? s.max(x[0], x[1]) : x[0];
        return high ? s.min(value, x.back()) : value;
      });
  if (failed(result))
    return failure();
  return SmallVector<Tensor>{*result};
}

void lutra::addActivationHandlers(Registry &r) {
  constexpr Types number = Types::Number, floats = Types::Float;
  addElementwise<relu, number>(r, "Relu", {6, 13, 14});
  addElementwise<leakyRelu, floats>(r, "LeakyRelu", {6, 16});
  addElementwise<pRelu, number>(r, "PRelu", {7, 9, 16});
  addElementwise<hardSigmoid, floats>(r, "HardSigmoid", {6, 22});
  addElementwise<hardSwish, floats>(r, "HardSwish", {14, 22});
  addElementwise<shrink, number>(r, "Shrink", {9});
  addElementwise<thresholdedRelu, floats>(r, "ThresholdedRelu", {10, 22});
  addElementwise<elu, floats>(r, "Elu", {6, 22});
  addElementwise<selu, floats>(r, "Selu", {6, 22});
  addElementwise<celu, floats>(r, "Celu", {12, 28});
  addElementwise<swish, floats>(r, "Swish", {24});
  addElementwise<mish, floats>(r, "Mish", {18, 22});
  addElementwise<softplus, floats>(r, "Softplus", {1, 22});
  addElementwise<softsign, floats>(r, "Softsign", {1, 22});
  addElementwise<gelu, floats>(r, "Gelu", {20});
  r.add({"",
         "Clip",
         {6, 11, 12, 13},
         [](const Node &node) { return supportsTypes(node, Types::Number); },
         lowerClip});
}
