//===- Logarithm.cpp - log, pow and what is built on them -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// log(2^e * (1 + f)) = e * ln(2) + log(1 + f), the latter as a series in
// s = f / (2 + f): 2 * atanh(s). pow needs more digits than a logarithm has: it
// goes through f64 for f32, and for f64 through a logarithm in two parts.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include <cfloat>
#include <cmath>

using namespace mlir;
using namespace mlir::lutra::expand;

namespace ex = mlir::lutra::expand;

/// (2 * atanh(s) / s - 2) / z over z = s^2.
static const double kLogSingle[] = {0.6666666655, 0.40000122, 0.2855080255,
                                    0.2333096405};
static const double kLogDouble[] = {0.666666666666666665, 0.400000000000008797,
                                    0.285714285708019569, 0.222222223920890079,
                                    0.181817956000607924, 0.153862418819385955,
                                    0.132687147923480967, 0.130872361966596223};
static const Coefficients kLog{kLogSingle, kLogDouble};

static constexpr double kLn2 = 0.69314718055994530942;

Parts ex::split(Expr x) {
  // Subnormals are scaled up first.
  int64_t bits = x.significandBits();
  Expr isTiny = x < x.pick(FLT_MIN, DBL_MIN);
  Expr scaled = select(isTiny, x * std::ldexp(1.0, int(bits)), x);
  Expr start = x.constant(std::sqrt(0.5)).bits();
  Expr exponent = (scaled.bits() - start) >> bits;
  Expr m = (scaled.bits() - (exponent << bits)).asFloat();
  Expr e = toFloat(exponent, x);
  return {select(isTiny, e - double(bits), e), m - 1.0};
}

/// log(1 + f) = f - rest, with `rest` small.
static Expr restOfLog(Expr f) {
  Expr s = f / (f + 2.0);
  Expr z = s.square();
  Expr half = f.square() * 0.5;
  return half - s * (half + z * polynomial(z, kLog));
}

/// `y` for x > 0, else as logarithms do.
static Expr logOf(Expr x, Expr y) {
  Expr finite = select(x < x.infinity(), y, x + x);
  Expr positive = select(x == 0.0, -x.infinity(), finite);
  return select(x < 0.0, x.nan(), positive);
}

Expr ex::log(Expr x) {
  auto [e, f] = split(x);
  Expr high = x.pick(0.693145751953125, 0.69314718055966295651);
  Expr low = x.pick(1.4286068203094172321e-6, 2.8235290563031577123e-13);
  return logOf(x, e * high + (f - (restOfLog(f) - e * low)));
}

/// The logarithm to a base with 1 / ln(base) = `scale` and log(2) = high + low.
static Expr logTo(Expr x, double scale, double high, double low) {
  auto [e, f] = split(x);
  return logOf(x, e * high + (e * low + (f - restOfLog(f)) * scale));
}

Expr ex::log2(Expr x) { return logTo(x, 1.4426950408889634074, 1, 0); }

Expr ex::log10(Expr x) {
  double high = x.isDouble() ? 0.30102999566360143945 : 0.30102920532226562;
  return logTo(x, 0.43429448190325182765, high,
               x.isDouble() ? 3.7977366e-13 : 7.9034151668e-7);
}

Expr ex::log1p(Expr x) {
  // log(u) * x / (u - 1) has the error of u = 1 + x cancel out.
  Expr u = x + 1.0;
  Expr y = select(u == 1.0, x, log(u) * (x / (u - 1.0)));
  return select(x == x.infinity(), x, y);
}

/// From here on, x^2 + 1 and x^2 - 1 are x^2, and log(1 + x) is log(x).
static double largeFor(Expr x) {
  return std::ldexp(1.0, x.isDouble() ? 60 : 30);
}

Expr ex::asinh(Expr x) {
  // Of large numbers, the square might overflow.
  double large = largeFor(x);
  Expr a = x.abs(), bounded = min(a, large);
  Expr square = bounded.square();
  Expr sum = bounded + square / ((square + 1.0).sqrt() + 1.0);
  Expr isLarge = a > large;
  Expr y = log1p(select(isLarge, a, sum)) +
           select(isLarge, x.constant(kLn2), x.constant(0));
  return y.copySign(x);
}

Expr ex::acosh(Expr x) {
  double large = largeFor(x);
  Expr t = min(x, large) - 1.0;
  Expr sum = t + (t * (t + 2.0)).sqrt();
  Expr isLarge = x > large;
  Expr y = log1p(select(isLarge, x, sum)) +
           select(isLarge, x.constant(kLn2), x.constant(0));
  return select(x < 1.0, x.nan(), y);
}

Expr ex::atanh(Expr x) {
  Expr a = x.abs();
  return (log1p(a * 2.0 / (1.0 - a)) * 0.5).copySign(x);
}

/// The upper half of the bits of an f64.
static Expr upper(Expr x) {
  return (x.bits() & x.integer(-(int64_t(1) << 27))).asFloat();
}

namespace {
/// A number as the sum of two, the second within an ulp of the first.
struct Pair {
  Expr high, low;
};
} // namespace

/// s^3 * 2/3 for s = high + low, where `high` has half the bits; the high part
/// is a product of halves, and exact.
static Pair cubicTerm(Pair s) {
  constexpr double kHigh = 0.6666666567325592, kLow = 9.934107462565104e-09;
  Expr square = s.high.square(), top = upper(square);
  Expr cube = top * s.high, v = upper(cube);
  Expr rest = (cube - v) + ((square - top) * s.high +
                            (square + s.high * s.low) * s.low * 3.0);
  return {v * kHigh, v * kLow + rest * (2.0 / 3)};
}

/// log(x) for 0 < x < inf, in f64.
static Pair logPair(Expr x) {
  auto [e, f] = split(x);
  // s = f / (2 + f) in two parts.
  Expr m = f + 1.0, g = m + 1.0, gHigh = upper(g), gLow = m - (gHigh - 1.0);
  Expr s = f / g, sHigh = upper(s);
  Expr sLow = ((f - sHigh * gHigh) - sHigh * gLow) / g;
  auto [cubeHigh, cubeLow] = cubicTerm({sHigh, sLow});
  Expr z = s.square();
  Coefficients others{{}, ArrayRef(kLogDouble).drop_front()};
  Expr small = s * (z.square() * polynomial(z, others)) +
               (cubeLow + (sLow * 2.0 + e * 2.8235290563031577123e-13));
  // Which of the first two is larger depends on e; the cubic term is less.
  Expr whole = e * 0.69314718055966295651, twice = sHigh * 2.0;
  Expr two = whole + twice, back = two - whole;
  Expr three = two + cubeHigh;
  Expr rest = ((whole - (two - back)) + (twice - back)) +
              ((cubeHigh - (three - two)) + small);
  Expr high = three + rest;
  return {high, rest - (high - three)};
}

/// |x|^y for f64, without the special cases of 1 and 0.
static Expr powDouble(Expr x, Expr y) {
  auto [finite, low] = logPair(x);
  Expr high = logOf(x, finite);
  // y * log(x) in two parts.
  Expr product = rounded(y, high);
  Expr high1 = upper(high), high2 = high - high1, y1 = upper(y), y2 = y - y1;
  Expr error =
      ((high1 * y1 - product) + high1 * y2 + high2 * y1) + high2 * y2 + y * low;
  Expr isModerate = product.abs() < 1000.0;
  return expOfSum(product, select(isModerate, error, x.constant(0)));
}

Expr ex::pow(Expr x, Expr y) {
  Expr a = x.abs();
  Expr magnitude = x.isDouble()
                       ? powDouble(a, y)
                       : exp(y.extended() * log(a.extended())).truncated();
  // Odd integers y keep the sign of x.
  Expr half = y * 0.5;
  Expr isInteger = y.trunc() == y, isOdd = isInteger & (half.trunc() != half);
  Expr hasSign = x.constant(1).copySign(x) < 0.0;
  Expr real = select(isOdd & hasSign, -magnitude, magnitude);
  Expr isNegative = (x < 0.0) & (a < x.infinity());
  Expr defined = select(isInteger, real, select(isNegative, x.nan(), real));
  Expr isOne =
      (x == 1.0) | (y == 0.0) | ((x == -1.0) & (y.abs() == y.infinity()));
  return select(isOne, x.constant(1), defined);
}

Expr ex::cbrt(Expr x) {
  Expr a = x.abs();
  Expr y = pow(a, x.constant(1.0 / 3));
  // One step of Newton's method for the error of 1/3.
  Expr better = y - (y - a / y.square()) * (1.0 / 3);
  Expr isPlain = (a > 0.0) & (a < a.infinity());
  return select(isPlain, better, a).copySign(x);
}
