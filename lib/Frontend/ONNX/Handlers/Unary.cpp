//===- Unary.cpp - Functions of one tensor --------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elementary functions. Those that the math dialect's inline expansions do not
// cover are composed here from those that they do, with care for cancellation
// and overflow.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

/// One operation of the math dialect.
template <typename Op>
static Value mathOp(Scalars &s, ValueRange x, const Node &) {
  return s.math<Op>(x[0]);
}

/// One member of Scalars.
template <Value (Scalars::*function)(Value) const>
static Value call(Scalars &s, ValueRange x, const Node &) {
  return (s.*function)(x[0]);
}

//===----------------------------------------------------------------------===//
// Signs and quotients
//===----------------------------------------------------------------------===//

static Value sign(Scalars &s, ValueRange x, const Node &) {
  Value zero = s.constant(0), one = s.constant(1);
  Value notPositive = x[0];
  if (s.isFloat())
    notPositive = s.select(s.lt(x[0], zero), s.constant(-1), x[0]);
  else if (isSigned(s.dtype))
    notPositive = s.select(s.lt(x[0], zero), s.constant(-1), zero);
  return s.select(s.gt(x[0], zero), one, notPositive);
}

static Value reciprocal(Scalars &s, ValueRange x, const Node &) {
  return s.div(s.constant(1), x[0]);
}

//===----------------------------------------------------------------------===//
// Trigonometry
//===----------------------------------------------------------------------===//

static Value tan(Scalars &s, ValueRange x, const Node &) {
  return s.div(s.math<math::SinOp>(x[0]), s.math<math::CosOp>(x[0]));
}

/// asin x = 2 atan(x / (1 + sqrt(1 - x^2))).
static Value asin(Scalars &s, ValueRange x, const Node &) {
  Value one = s.constant(1);
  Value cosine = s.sqrt(s.mul(s.sub(one, x[0]), s.add(one, x[0])));
  Value half = s.math<math::AtanOp>(s.div(x[0], s.add(one, cosine)));
  return s.add(half, half);
}

/// acos x = 2 atan(sqrt((1 - x) / (1 + x))); at -1 the quotient is infinite.
static Value acos(Scalars &s, ValueRange x, const Node &) {
  Value one = s.constant(1);
  Value quotient = s.div(s.sub(one, x[0]), s.add(one, x[0]));
  Value half = s.math<math::AtanOp>(s.sqrt(quotient));
  return s.add(half, half);
}

//===----------------------------------------------------------------------===//
// Hyperbolic functions
//===----------------------------------------------------------------------===//

/// exp(|x|) / 2 for large |x|, without overflow before the result does.
static Value halfExp(Scalars &s, Value absX) {
  Value root = s.exp(s.mul(absX, s.constant(0.5)));
  return s.mul(s.mul(root, s.constant(0.5)), root);
}

/// (e + e / (e + 1)) / 2 with e = exp|x| - 1, which does not cancel near 0.
static Value sinh(Scalars &s, ValueRange x, const Node &) {
  Value absX = s.abs(x[0]);
  Value e = s.expm1(absX);
  Value near =
      s.mul(s.add(e, s.div(e, s.add(e, s.constant(1)))), s.constant(0.5));
  Value far = s.gt(absX, s.constant(30));
  return s.math<math::CopySignOp>(s.select(far, halfExp(s, absX), near), x[0]);
}

static Value cosh(Scalars &s, ValueRange x, const Node &) {
  Value half = halfExp(s, s.abs(x[0]));
  return s.add(half, s.div(s.constant(0.25), half));
}

/// log x + log 2, for arguments whose square would overflow.
static Value logTwice(Scalars &s, Value x) {
  return s.add(s.log(x), s.constant(M_LN2));
}

/// Beyond this, 1 is lost beside the argument's square in any type.
static Value isHuge(Scalars &s, Value x) { return s.gt(x, s.constant(1e10)); }

/// log1p(x + x^2 / (1 + sqrt(1 + x^2))), of |x|.
static Value asinh(Scalars &s, ValueRange x, const Node &) {
  Value absX = s.abs(x[0]), one = s.constant(1);
  Value square = s.mul(absX, absX);
  Value root = s.sqrt(s.add(one, square));
  Value near = s.log1p(s.add(absX, s.div(square, s.add(one, root))));
  Value result = s.select(isHuge(s, absX), logTwice(s, absX), near);
  return s.math<math::CopySignOp>(result, x[0]);
}

/// log1p(t + sqrt(2 t + t^2)) with t = x - 1.
static Value acosh(Scalars &s, ValueRange x, const Node &) {
  Value t = s.sub(x[0], s.constant(1));
  Value root = s.sqrt(s.mul(t, s.add(t, s.constant(2))));
  Value near = s.log1p(s.add(t, root));
  return s.select(isHuge(s, x[0]), logTwice(s, x[0]), near);
}

/// log1p(2 x / (1 - x)) / 2, of |x|.
static Value atanh(Scalars &s, ValueRange x, const Node &) {
  Value absX = s.abs(x[0]);
  Value quotient = s.div(s.add(absX, absX), s.sub(s.constant(1), absX));
  Value result = s.mul(s.log1p(quotient), s.constant(0.5));
  return s.math<math::CopySignOp>(result, x[0]);
}

//===----------------------------------------------------------------------===//
// Classification
//===----------------------------------------------------------------------===//

static Value isNaN(Scalars &s, ValueRange x, const Node &) {
  return Lowering::fromI1(s.b, s.isNaN(x[0]));
}

static Value isInf(Scalars &s, ValueRange x, const Node &node) {
  bool negative = node.intAttr("detect_negative", 1);
  bool positive = node.intAttr("detect_positive", 1);
  Value value = negative && positive ? s.abs(x[0]) : x[0];
  Value infinity = s.constant(negative && !positive ? -INFINITY : INFINITY);
  if (!negative && !positive)
    return Scalars(s.b, DType::Bool).constantInt(0);
  return Lowering::fromI1(s.b, s.eq(value, infinity));
}

static AffineExpr foldNeg(Lowering &, ArrayRef<AffineExpr> x) {
  auto known = dyn_cast<AffineConstantExpr>(x[0]);
  return known && known.getValue() == INT64_MIN ? AffineExpr() : -x[0];
}

static AffineExpr foldAbs(Lowering &lowering, ArrayRef<AffineExpr> x) {
  return lowering.isNonNegative(x[0]) ? x[0] : AffineExpr();
}

void lutra::addUnaryHandlers(Registry &r) {
  constexpr Types number = Types::Number, floats = Types::Float;
  constexpr DType same = DType::Undefined;
  addElementwise<call<&Scalars::neg>, number, same, foldNeg>(r, "Neg", {6, 13});
  addElementwise<call<&Scalars::abs>, number, same, foldAbs>(r, "Abs", {6, 13});
  addElementwise<sign, number>(r, "Sign", {9, 13});
  addElementwise<reciprocal, floats>(r, "Reciprocal", {6, 13});
  addElementwise<call<&Scalars::sqrt>, floats>(r, "Sqrt", {6, 13});
  addElementwise<call<&Scalars::exp>, floats>(r, "Exp", {6, 13});
  addElementwise<call<&Scalars::log>, floats>(r, "Log", {6, 13});
  addElementwise<call<&Scalars::erf>, floats>(r, "Erf", {9, 13});
  addElementwise<mathOp<math::CeilOp>, floats>(r, "Ceil", {6, 13});
  addElementwise<mathOp<math::FloorOp>, floats>(r, "Floor", {6, 13});
  addElementwise<mathOp<math::RoundEvenOp>, floats>(r, "Round", {11, 22});
  addElementwise<mathOp<math::SinOp>, floats>(r, "Sin", {7, 22});
  addElementwise<mathOp<math::CosOp>, floats>(r, "Cos", {7, 22});
  addElementwise<mathOp<math::AtanOp>, floats>(r, "Atan", {7, 22});
  addElementwise<tan, floats>(r, "Tan", {7, 22});
  addElementwise<asin, floats>(r, "Asin", {7, 22});
  addElementwise<acos, floats>(r, "Acos", {7, 22});
  addElementwise<sinh, floats>(r, "Sinh", {9, 22});
  addElementwise<cosh, floats>(r, "Cosh", {9, 22});
  addElementwise<asinh, floats>(r, "Asinh", {9, 22});
  addElementwise<acosh, floats>(r, "Acosh", {9, 22});
  addElementwise<atanh, floats>(r, "Atanh", {9, 22});
  addElementwise<call<&Scalars::tanh>, floats>(r, "Tanh", {6, 13});
  addElementwise<call<&Scalars::sigmoid>, floats>(r, "Sigmoid", {6, 13});
  addElementwise<isNaN, floats, DType::Bool>(r, "IsNaN", {9, 13, 20});
  addElementwise<isInf, floats, DType::Bool>(r, "IsInf", {10, 20});
}
