//===- Arithmetic.cpp - Add to Pow, Min, Max, Sum, Mean -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic of two or more tensors with broadcasting. On integers that are
// known, as in shape arithmetic, the result is an expression.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"

#include "../SizeAlgebra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/CheckedArithmetic.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

static Value add(Scalars &s, ValueRange x, const Node &) {
  return s.add(x[0], x[1]);
}

static Value sub(Scalars &s, ValueRange x, const Node &) {
  return s.sub(x[0], x[1]);
}

static Value mul(Scalars &s, ValueRange x, const Node &) {
  return s.mul(x[0], x[1]);
}

static Value div(Scalars &s, ValueRange x, const Node &) {
  return s.div(x[0], x[1]);
}

/// With fmod = 0 a remainder of the other sign than the divisor's moves by one
/// divisor, and a zero takes the divisor's sign.
static Value mod(Scalars &s, ValueRange x, const Node &node) {
  Value r = s.rem(x[0], x[1]);
  if (node.intAttr("fmod", 0) != 0 || (!s.isFloat() && !isSigned(s.dtype)))
    return r;
  Value zero = s.constant(0);
  Value differ = arith::XOrIOp::create(s.b, s.lt(r, zero), s.lt(x[1], zero));
  Value isZero = s.eq(r, zero);
  Value move = arith::AndIOp::create(s.b, differ, s.logicalNot(isZero));
  Value moved = s.select(move, s.add(r, x[1]), r);
  if (!s.isFloat())
    return moved;
  Value signedZero = s.math<math::CopySignOp>(zero, x[1]);
  return s.select(isZero, signedZero, moved);
}

template <Value (Scalars::*combine)(Value, Value) const>
static Value fold(Scalars &s, ValueRange x, const Node &) {
  Value result = x[0];
  for (Value next : x.drop_front())
    result = (s.*combine)(result, next);
  return result;
}

static Value mean(Scalars &s, ValueRange x, const Node &node) {
  return s.div(fold<&Scalars::add>(s, x, node), s.constant(node.numInputs()));
}

//===----------------------------------------------------------------------===//
// Known elements
//===----------------------------------------------------------------------===//

using CheckedOp = std::optional<int64_t> (*)(int64_t, int64_t);

/// `x` and `y` where both are constants, combined by `op`.
static std::optional<AffineExpr> foldConstants(ArrayRef<AffineExpr> x,
                                               CheckedOp op) {
  auto a = dyn_cast<AffineConstantExpr>(x[0]);
  auto b = dyn_cast<AffineConstantExpr>(x[1]);
  if (!a || !b)
    return std::nullopt;
  std::optional<int64_t> value = op(a.getValue(), b.getValue());
  return value ? getAffineConstantExpr(*value, x[0].getContext())
               : AffineExpr();
}

static AffineExpr foldAdd(Lowering &, ArrayRef<AffineExpr> x) {
  if (auto known = foldConstants(x, llvm::checkedAdd<int64_t>))
    return *known;
  return x[0] + x[1];
}

static AffineExpr foldSub(Lowering &, ArrayRef<AffineExpr> x) {
  if (auto known = foldConstants(x, llvm::checkedSub<int64_t>))
    return *known;
  return x[0] - x[1];
}

static AffineExpr foldMul(Lowering &, ArrayRef<AffineExpr> x) {
  if (auto known = foldConstants(x, llvm::checkedMul<int64_t>))
    return *known;
  return x[0] * x[1];
}

static AffineExpr foldDiv(Lowering &lowering, ArrayRef<AffineExpr> x) {
  auto divide = [](int64_t a, int64_t b) -> std::optional<int64_t> {
    if (b == 0 || (b == -1 && a == INT64_MIN))
      return std::nullopt;
    return a / b;
  };
  if (auto known = foldConstants(x, divide))
    return *known;
  if (std::optional<AffineExpr> exact = divideSize(x[0], x[1]))
    return *exact;
  auto divisor = dyn_cast<AffineConstantExpr>(x[1]);
  if (divisor && divisor.getValue() > 0 && lowering.isNonNegative(x[0]))
    return x[0].floorDiv(divisor.getValue());
  return {};
}

static AffineExpr foldMod(Lowering &lowering, ArrayRef<AffineExpr> x) {
  if (divideSize(x[0], x[1]))
    return lowering.constant(0);
  auto divisor = dyn_cast<AffineConstantExpr>(x[1]);
  if (divisor && divisor.getValue() > 0 && lowering.isNonNegative(x[0]))
    return x[0] - x[0].floorDiv(divisor.getValue()) * divisor.getValue();
  return {};
}

template <bool isMax>
static AffineExpr foldExtreme(Lowering &lowering, ArrayRef<AffineExpr> x) {
  AffineExpr result = x[0];
  for (AffineExpr next : x.drop_front()) {
    AffineExpr difference = foldSub(lowering, {next, result});
    if (!difference)
      return {};
    bool greater = lowering.isNonNegative(canonicalSize(difference));
    bool less = lowering.isNonNegative(canonicalSize(-difference));
    if (!greater && !less)
      return {};
    if (isMax ? greater : less)
      result = next;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Pow
//===----------------------------------------------------------------------===//

static Support supportsPow(const Node &node) {
  for (const Tensor &input : node.inputs())
    if (input.dtype != DType::Undefined && !accepts(Types::Number, input.dtype))
      return Support::no("expected numbers, got " + dtypeName(input.dtype));
  return node.numInputs() == 2 ? Support::yes()
                               : Support::no("expected two inputs");
}

/// The type in which a power of `base` to `exponent` is computed: integers
/// only where both are.
static DType powType(DType base, DType exponent) {
  if (isFloat(base))
    return computeType(base);
  return isFloat(exponent) ? DType::Double : base;
}

static FailureOr<SmallVector<Tensor>> lowerPow(const Node &node,
                                               Lowering &lowering) {
  if (Support support = supportsPow(node); !support)
    return node.error() << support.reason();
  DType base = node.input(0).dtype, exponent = node.input(1).dtype;
  DType type = powType(base, exponent);
  auto body = [&](ImplicitLocOpBuilder &b, ValueRange x) {
    Value power =
        Scalars(b, type).pow(Lowering::castScalar(b, x[0], base, type),
                             Lowering::castScalar(b, x[1], exponent, type));
    return Lowering::castScalar(b, power, type, base);
  };
  FailureOr<Tensor> result = lowering.elementwise(node.inputs(), base, body);
  if (failed(result))
    return failure();
  return SmallVector<Tensor>{*result};
}

void lutra::addArithmeticHandlers(Registry &registry) {
  constexpr DType same = DType::Undefined;
  addElementwise<add, Types::Number, same, foldAdd>(registry, "Add",
                                                    {7, 13, 14});
  addElementwise<sub, Types::Number, same, foldSub>(registry, "Sub",
                                                    {7, 13, 14});
  addElementwise<mul, Types::Number, same, foldMul>(registry, "Mul",
                                                    {7, 13, 14});
  addElementwise<div, Types::Number, same, foldDiv>(registry, "Div",
                                                    {7, 13, 14});
  addElementwise<mod, Types::Number, same, foldMod>(registry, "Mod",
                                                    {10, 13, 28});
  constexpr Body max = fold<&Scalars::max>, min = fold<&Scalars::min>,
                 sum = fold<&Scalars::add>;
  addElementwise<max, Types::Number, same, foldExtreme<true>, max>(
      registry, "Max", {6, 8, 12, 13});
  addElementwise<min, Types::Number, same, foldExtreme<false>, min>(
      registry, "Min", {6, 8, 12, 13});
  addElementwise<sum, Types::Float, same, nullptr, sum>(registry, "Sum",
                                                        {6, 8, 13});
  addElementwise<mean, Types::Float, same, nullptr, sum>(registry, "Mean",
                                                         {6, 8, 13});
  registry.add({"", "Pow", {7, 12, 13, 15}, supportsPow, lowerPow});
}
