//===- ScaledContraction.cpp - DynamicQuantizeMatMul, ... -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// com.microsoft's products of bytes with a result in floats: exact sums in
// i32, times the scales of both factors, plus a bias. The first factor is given
// as bytes, or as floats that are quantized here.
//
//===----------------------------------------------------------------------===//

#include "DynamicQuantization.h"
#include "Elementwise.h"
#include "IntegerContraction.h"
#include "SizeCheck.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// Where an operator has its inputs; A is the first of both.
struct Inputs {
  unsigned b, bScale, bZero, bias;
};
} // namespace

static constexpr DType kBytes[] = {DType::Int8, DType::UInt8};

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static void requireInputs(SizeCheck &check, const Node &node,
                          ArrayRef<StringRef> names) {
  for (auto [i, name] : llvm::enumerate(names))
    if (!node.input(i))
      check.fail("expected " + name + " (input " + Twine(i) + "), got none");
}

/// Fails unless input i is absent, one number or one per column of B.
static void expectColumns(SizeCheck &check, const Node &node, unsigned b,
                          unsigned i, StringRef name) {
  if (check.isKnown(i) && !hasOneElement(node.input(i)))
    check.expect(i, name, node.input(b).shape.back());
}

/// Checks B and what belongs to it.
static void checkSecond(SizeCheck &check, const Node &node, Inputs inputs) {
  check.expectType(inputs.b, "B", kBytes);
  check.expectTypeOf(inputs.b, {{inputs.bZero, "b_zero_point"}});
  check.expectTypeOf(inputs.bScale, {{inputs.bias, "bias"}});
  if (check.failed() || !check.isKnown(inputs.b))
    return;
  if (int64_t rank = node.input(inputs.b).rank(); rank < 2)
    return check.fail("expected B of rank 2 or more, got rank " + Twine(rank));
  expectColumns(check, node, inputs.b, inputs.bScale, "b_scale");
  expectColumns(check, node, inputs.b, inputs.bZero, "b_zero_point");
  check.expect(inputs.bias, "bias", node.input(inputs.b).shape.back());
}

static void expectNotScalar(SizeCheck &check, const Node &node) {
  if (knownRank(node.input(0)) == 0)
    check.fail("expected A of rank 1 or more, got rank 0");
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

/// sums * (aScale * bScale) + bias, in the type of `bScale`.
static FailureOr<Tensor> scaledProduct(const Node &node, Lowering &lowering,
                                       const Centered &a, const Tensor &aScale,
                                       Inputs inputs) {
  Centered b = {node.input(inputs.b), node.input(inputs.bZero)};
  FailureOr<Tensor> sums = centeredMatMul(node, lowering, a, b);
  if (failed(sums))
    return failure();
  Tensor bScale = node.input(inputs.bScale), bias = node.input(inputs.bias);
  SmallVector<Tensor> operands = {*sums, aScale, bScale};
  if (bias)
    operands.push_back(bias);
  return compute(
      lowering, operands, bScale.dtype, [&](Scalars &s, ValueRange in) {
        Scalars f(s.b, DType::Float);
        Value sum =
            Lowering::castScalar(s.b, in[0], DType::Int32, DType::Float);
        Value scaled = f.mul(sum, f.mul(in[1], in[2]));
        return bias ? f.add(scaled, in[3]) : scaled;
      });
}

//===----------------------------------------------------------------------===//
// DynamicQuantizeMatMul
//===----------------------------------------------------------------------===//

static constexpr Inputs kDynamic = {1, 2, 3, 4};

static void checkDynamic(SizeCheck &check, const Node &node) {
  requireInputs(check, node, {"A", "B", "b_scale"});
  check.expectType(0, "A", DType::Float);
  check.expectType(2, "b_scale", DType::Float);
  expectNotScalar(check, node);
  checkSecond(check, node, kDynamic);
}

static FailureOr<SmallVector<Tensor>> lowerDynamic(const Node &node,
                                                   Lowering &lowering) {
  SizeCheck check(node, &lowering);
  checkDynamic(check, node);
  if (check.failed())
    return node.error() << check.result().reason();
  auto a = dynamicallyQuantized(lowering, node.input(0));
  if (failed(a))
    return failure();
  return one(
      scaledProduct(node, lowering, {a->bytes, a->zero}, a->scale, kDynamic));
}

//===----------------------------------------------------------------------===//
// MatMulIntegerToFloat
//===----------------------------------------------------------------------===//

static constexpr Inputs kToFloat = {1, 3, 5, 6};
static constexpr unsigned kAScale = 2, kAZero = 4;

static void checkToFloat(SizeCheck &check, const Node &node) {
  requireInputs(check, node, {"A", "B", "a_scale", "b_scale"});
  check.expectType(0, "A", kBytes);
  check.expectTypeOf(0, {{kAZero, "a_zero_point"}});
  check.expectType(kAScale, "a_scale", {DType::Float, DType::Float16});
  check.expectTypeOf(kAScale, {{kToFloat.bScale, "b_scale"}});
  expectNotScalar(check, node);
  checkSecond(check, node, kToFloat);
  for (auto [i, name] :
       {std::pair(kAScale, "a_scale"), {kAZero, "a_zero_point"}})
    if (check.isKnown(i) && !hasOneElement(node.input(i)))
      check.fail("expected " + Twine(name) + " to be one number, got " +
                 check.text(node.input(i).shape));
}

static FailureOr<SmallVector<Tensor>> lowerToFloat(const Node &node,
                                                   Lowering &lowering) {
  SizeCheck check(node, &lowering);
  checkToFloat(check, node);
  if (check.failed())
    return node.error() << check.result().reason();
  return one(scaledProduct(node, lowering, {node.input(0), node.input(kAZero)},
                           node.input(kAScale), kToFloat));
}

void lutra::addScaledContractionHandlers(Registry &registry) {
  registry.add({"com.microsoft",
                "DynamicQuantizeMatMul",
                {1},
                supportsChecked<checkDynamic>,
                lowerDynamic});
  registry.add({"com.microsoft",
                "MatMulIntegerToFloat",
                {1},
                supportsChecked<checkToFloat>,
                lowerToFloat,
                "a_scale and a_zero_point per row"});
}
