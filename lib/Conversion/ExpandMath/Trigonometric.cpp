//===- Trigonometric.cpp - sin, cos, tan and their inverses ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The argument is reduced to [-pi/4, pi/4] by subtracting multiples of pi/2 in
// parts whose products are exact for multiples below 2^20, that is up to
// |x| = 1.6e6; f32 is reduced in f64. Beyond that the error grows with |x|.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

using namespace mlir;
using namespace mlir::lutra::expand;

namespace ex = mlir::lutra::expand;

/// (sin(r) / r - 1) / z over z = r^2.
static const double kSinSingle[] = {-0.1666666666, 0.008333331874,
                                    -0.0001984008655, 2.724990116e-6};
static const double kSinDouble[] = {
    -0.166666666666666667,   0.00833333333333333149,  -0.00019841269841265063,
    2.75573192193376703e-6,  -2.50521062319278563e-8, 1.60585315366118343e-10,
    -7.58669226209434427e-13};
/// (cos(r) - 1 + z / 2) / z^2.
static const double kCosSingle[] = {0.04166666466, -0.001388830294,
                                    2.454792175e-5};
static const double kCosDouble[] = {
    0.0416666666666666654,   -0.00138888888888873966, 0.0000248015872987647793,
    -2.75573172712585121e-7, 2.0876146170183975e-9,   -1.13826253494475928e-11};
/// (atan(t) / t - 1) / z over z = t^2, |t| <= tan(pi/8).
static const double kAtanSingle[] = {-0.3333333328,  0.1999997725,
                                     -0.1428415096,  0.1107136068,
                                     -0.08624643784, 0.0504805501};
static const double kAtanDouble[] = {
    -0.333333333333333332,  0.199999999999998044,   -0.142857142856598069,
    0.111111111051534294,   -0.090909087534004996,  0.0769229637212996382,
    -0.0666642483361355236, 0.0587892839851723232,  -0.0523044985670924066,
    0.045515730866641905,   -0.0345700441860955359, 0.0162851830298656667};
/// (asin(s) / s - 1) / z over z = s^2, |s| <= 1/2.
static const double kAsinSingle[] = {0.1666666634,  0.07500094543,
                                     0.04459940153, 0.03110066274,
                                     0.01714923836, 0.0336908472};
static const double kAsinDouble[] = {
    0.166666666666666666,   0.0750000000000011775, 0.0446428571425518929,
    0.03038194447553234,    0.0223721574435072224, 0.017352816540325495,
    0.0139637800122035696,  0.0115664596121216686, 0.00962184297010028102,
    0.0093195607947674463,  0.0030448799094556774, 0.0195545133361233789,
    -0.0192416717467430407, 0.0296120112649551204};
static const Coefficients kSin{kSinSingle, kSinDouble},
    kCos{kCosSingle, kCosDouble}, kAtan{kAtanSingle, kAtanDouble},
    kAsin{kAsinSingle, kAsinDouble};

static constexpr double kPi = 3.14159265358979323846;

/// pi / 2 in two parts.
static Expr halfPiHigh(Expr x) {
  return x.pick(1.57079637050628662, 1.57079632679489656);
}
static Expr halfPiLow(Expr x) {
  return x.pick(-4.37113882867e-8, 6.123233995736766e-17);
}

namespace {
/// sin and cos of what is left of the argument, and how many times pi/2 went.
struct Reduced {
  Expr sine, cosine, quadrant;
};
} // namespace

static Reduced reduce(Expr x) {
  Expr wide = x.isDouble() ? x : x.extended();
  Expr shifted = shiftToInteger(wide * (2 / kPi));
  Expr k = unshift(shifted);
  Expr first = wide - k * 1.5707963267341256142;
  Expr second = k * 6.0771005063039659766e-11, most = first - second;
  Expr lost = (first - most) - second;
  Expr r = x.isDouble() ? most - (k * 2.0222662487959510077e-21 - lost)
                        : most.truncated();
  // Where the promise ends, sines still end at 1.
  r = max(min(r, 1.0), -1.0);
  Expr quadrant = x.isDouble() ? shifted.bits() : shifted.bits().lowHalf();
  Expr z = r.square();
  Expr sine = r * (z * polynomial(z, kSin) + 1.0);
  Expr half = z * 0.5, most1 = 1.0 - half;
  Expr cosine =
      most1 + (((1.0 - most1) - half) + z.square() * polynomial(z, kCos));
  return {sine, cosine, quadrant};
}

/// The sine `turns` quarter turns on.
static Expr sineAt(Expr x, int64_t turns) {
  auto [sine, cosine, k] = reduce(x);
  Expr quadrant = k + k.integer(turns);
  Expr isOdd = isNotZero(quadrant & quadrant.integer(1));
  Expr sign = (quadrant & quadrant.integer(2))
              << (x.significandBits() == 52 ? 62 : 30);
  return (select(isOdd, cosine, sine).bits() ^ sign).asFloat();
}

Expr ex::sin(Expr x) { return sineAt(x, 0); }
Expr ex::cos(Expr x) { return sineAt(x, 1); }

Expr ex::tan(Expr x) {
  auto [sine, cosine, quadrant] = reduce(x);
  Expr isOdd = isNotZero(quadrant & quadrant.integer(1));
  return select(isOdd, -cosine, sine) / select(isOdd, sine, cosine);
}

/// atan(t) for |t| <= tan(pi/8), plus a constant in two parts.
static Expr atanReduced(Expr t, Expr high, Expr low) {
  Expr z = t.square();
  return high + (t + (t * (z * polynomial(z, kAtan)) + low));
}

/// atan(a) for a >= 0.
static Expr atanPositive(Expr a) {
  // atan(a) = pi/2 + atan(-1/a) = pi/4 + atan((a - 1) / (a + 1)).
  Expr isLarge = a > 2.4142135623730950488,
       isMiddle = a > 0.41421356237309504880;
  Expr one = a.constant(1), zero = a.constant(0);
  Expr t = select(isLarge, a.constant(-1), select(isMiddle, a - 1.0, a)) /
           select(isLarge, a, select(isMiddle, a + 1.0, one));
  Expr high = halfPiHigh(a), low = halfPiLow(a);
  return atanReduced(t,
                     select(isLarge, high, select(isMiddle, high * 0.5, zero)),
                     select(isLarge, low, select(isMiddle, low * 0.5, zero)));
}

Expr ex::atan(Expr x) { return atanPositive(x.abs()).copySign(x); }

Expr ex::atan2(Expr y, Expr x) {
  Expr a = x.abs(), b = y.abs();
  Expr isSteep = b > a;
  Expr quotient = select(isSteep, a, b) / select(isSteep, b, a);
  // Of two zeros, and of two infinities.
  Expr same = select(a == 0.0, a.constant(0), a.constant(1));
  Expr angle = atanPositive(select(a == b, same, quotient));
  Expr high = halfPiHigh(x), low = halfPiLow(x);
  Expr first = select(isSteep, high - (angle - low), angle);
  Expr isLeft = x.constant(1).copySign(x) < 0.0;
  Expr second = select(isLeft, high * 2.0 - (first - low * 2.0), first);
  return second.copySign(y);
}

/// asin(s) for |s| <= 1/2, z = s^2.
static Expr asinReduced(Expr s, Expr z) {
  return s + s * (z * polynomial(z, kAsin));
}

Expr ex::asin(Expr x) {
  Expr a = x.abs(), isLarge = a > 0.5;
  Expr z = select(isLarge, (1.0 - a) * 0.5, a.square());
  Expr p = asinReduced(select(isLarge, z.sqrt(), a), z);
  Expr large = halfPiHigh(x) - (p * 2.0 - halfPiLow(x));
  return select(isLarge, large, p).copySign(x);
}

Expr ex::acos(Expr x) {
  Expr a = x.abs(), isLarge = a > 0.5;
  Expr z = select(isLarge, (1.0 - a) * 0.5, a.square());
  Expr p = asinReduced(select(isLarge, z.sqrt(), x), z);
  Expr high = halfPiHigh(x), low = halfPiLow(x);
  Expr right = p * 2.0, left = high * 2.0 - (p * 2.0 - low * 2.0);
  return select(isLarge, select(x > 0.0, right, left), high - (p - low));
}
