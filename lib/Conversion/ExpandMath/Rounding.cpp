//===- Rounding.cpp - floor, ceil and the like ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rounds by adding and subtracting 2^23 (2^52), for machines without rounding
// instructions. All keep the sign, also of a zero result.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include <cmath>

using namespace mlir;
using namespace mlir::lutra::expand;

namespace ex = mlir::lutra::expand;

/// The least magnitude at which all numbers are integers.
static double allIntegers(Expr x) {
  return std::ldexp(1.0, int(x.significandBits()));
}

/// `y` where x has a fraction, with the sign of x.
static Expr keepIntegers(Expr x, Expr y) {
  return select(x.abs() < allIntegers(x), y.copySign(x), x);
}

static Expr roundEvenPositive(Expr a) {
  return (a + allIntegers(a)) - allIntegers(a);
}

/// 1 where `condition`, else 0.
static Expr one(Expr condition, Expr like) {
  return select(condition, like.constant(1), like.constant(0));
}

static Expr truncPositive(Expr a) {
  Expr near = roundEvenPositive(a);
  return near - one(near > a, a);
}

Expr ex::roundEven(Expr x) {
  return keepIntegers(x, roundEvenPositive(x.abs()));
}

Expr ex::trunc(Expr x) { return keepIntegers(x, truncPositive(x.abs())); }

Expr ex::floor(Expr x) {
  Expr whole = truncPositive(x.abs()).copySign(x);
  return keepIntegers(x, whole - one(whole > x, x));
}

Expr ex::ceil(Expr x) {
  Expr whole = truncPositive(x.abs()).copySign(x);
  return keepIntegers(x, whole + one(whole < x, x));
}

Expr ex::round(Expr x) {
  Expr a = x.abs(), whole = truncPositive(a);
  return keepIntegers(x, whole + one(a.constant(0.5) <= a - whole, a));
}
