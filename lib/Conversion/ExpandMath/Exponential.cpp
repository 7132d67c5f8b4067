//===- Exponential.cpp - exp and what is built on it ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// exp(x) = 2^n * exp(r) with |r| <= ln(2) / 2, n found by adding a constant
// that leaves no room for fractions, ln(2) subtracted in two parts, and a
// polynomial for exp(r). Results that would be subnormal are zero. With tables,
// n is a multiple of 1 / 16, half of the polynomial does, and the instruction
// that multiplies by 2^n sees to the upper end of the range. For results of
// which few bits count, half of the polynomial does without tables.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

using namespace mlir;
using namespace mlir::lutra::expand;

namespace ex = mlir::lutra::expand;

/// (exp(r) - 1 - r) / r^2.
static const double kExpSingle[] = {0.4999999404, 0.1666652113, 0.04166826978,
                                    0.008368683979, 0.001382052433};
static const double kExpDouble[] = {0.5,
                                    0.166666666666666667,
                                    0.0416666666666666768,
                                    0.00833333333333333401,
                                    0.00138888888888790804,
                                    0.000198412698412633034,
                                    0.00002480158733642519,
                                    2.7557319247207368e-6,
                                    2.75572632973350253e-7,
                                    2.50520711064552335e-8,
                                    2.09181309867473876e-9,
                                    1.60866234571770202e-10};
static const Coefficients kExp{kExpSingle, kExpDouble};

/// (erf(x) / x - 1) over x^2, for |x| < 0.9.
static const double kErfSingle[] = {0.1283791512,   -0.3761250675,
                                    0.1128197834,   -0.02677339688,
                                    0.005004339386, -0.0006053391262};
static const double kErfDouble[] = {
    0.128379167095512573,    -0.376126389031837281,   0.112837916709537064,
    -0.0268661706448069034,  0.00522397762160483683,  -0.000854832675497205661,
    0.000120553210429753112, -1.49252997371082177e-5, 1.64552136430944049e-6,
    -1.62754714405694389e-7, 1.40460137380628002e-8,  -8.48175594169302422e-10};
static const Coefficients kErf{kErfSingle, kErfDouble};

/// log(1 - erf(x)) for x from 0.9 to 4 or to 6.
static const double kLogErfcSingle[] = {
    -0.0001773320982, -1.127750278,    -0.6370584965,  -0.1040384769,
    0.02227761038,    -0.003055728041, 0.0001971921301};
static const double kLogErfcDouble[] = {
    -2.50941688721760298e-7, -1.12837649480389015,    -0.636632967191689823,
    -0.102732562159211917,   0.0190450827662498548,   0.000334835137276877738,
    -0.00183662482156433926, 0.000706377187056381667, -9.42429140751543416e-5,
    -4.0687568160850554e-5,  3.08753688425954242e-5,  -1.115524416896977e-5,
    2.73058481409680684e-6,  -4.81071193222738981e-7, 6.0706619202872666e-8,
    -5.23954946022041073e-9, 2.77929092549386271e-10, -6.84367995577282077e-12};
static const Coefficients kLogErfc{kLogErfcSingle, kLogErfcDouble};

static constexpr double kLog2E = 1.4426950408889634074;
static constexpr double kLn2 = 0.69314718055994530942;

namespace {
/// x = n * ln(2) + r with |r| <= ln(2) / 2. The low bits of `shifted` are n.
struct Reduced {
  Expr shifted, r;
};
} // namespace

static Reduced reduce(Expr x) {
  // ln(2) is in two parts. Times any exponent, the first is exact.
  Expr shifted = shiftToInteger(x * kLog2E), n = unshift(shifted);
  Expr most = x - n * x.pick(0.693145751953125, 0.69314718055966295651);
  Expr low = x.pick(1.4286068203094172321e-6, 2.8235290563031577123e-13);
  return {shifted, most - n * low};
}

/// exp(r) - 1 for |r| <= ln(2) / 2.
static Expr expm1Reduced(Expr r) {
  return r + r.square() * polynomial(r, kExp);
}

/// The bits of exp(r) * 2^n.
static Expr scaledExp(Reduced x) {
  Expr r = x.r, p = (polynomial(r, kExp) * r + 1.0) * r + 1.0;
  return p.bits() + (x.shifted.bits() << r.significandBits());
}

/// The number of the bits `y`, 0 for x below `least`, infinity or NaN where
/// `isOver`. The order and the sense of the selections are those of masks.
static Expr withinRange(Expr x, Expr y, Expr least, Expr isOver) {
  Expr atLeast = select(x < least, y.integer(0), y).asFloat();
  return select(isOver, x + x.infinity(), atLeast);
}

/// The least x whose exp(x) is not subnormal, and the greatest with a
/// finite one.
static Expr leastOfExp(Expr x) {
  return x.pick(-87.33654475, -708.39641853226410622);
}
static Expr greatestOfExp(Expr x) {
  return x.pick(88.7228317, 709.78271289338397310);
}

/// 2^(i / 16); then (exp(r) - 1) / r for |r| <= ln(2) / 32, and (2^r - 1) / r
/// for |r| <= 1 / 32.
static const double kRoots[] = {
    1,           1.044273782, 1.090507733, 1.138788635,
    1.189207115, 1.241857812, 1.296839555, 1.354255547,
    1.414213562, 1.476826146, 1.542210825, 1.610490332,
    1.681792831, 1.756252160, 1.834008086, 1.915206561};
static const double kExpOfPart[] = {1, 0.5000162, 0.16666718};
static const double kExp2OfPart[] = {0.6931471806, 0.2402342903, 0.05550427962};

/// The low bits of x + kTableShifter are 16 * x, rounded to an integer.
static constexpr double kTableShifter = 1.5 * (1 << 19);

/// 2^n times what `ofPart` gives for r, where n, a multiple of 1 / 16, is
/// shifted - kTableShifter.
static Expr tableExp(Expr shifted, Expr n, Expr r, ArrayRef<double> ofPart) {
  // Where r is out of bounds n alone decides: it is too, or NaN.
  r = boundMagnitude(r, 0.5);
  Expr root = lookUp(shifted.bits(), kRoots);
  return scaleByPower(root * (polynomial(r, {ofPart, {}}) * r) + root, n);
}

Expr ex::exp(Expr x) {
  if (hasTables(x)) {
    Expr shifted = x * kLog2E + kTableShifter, n = shifted - kTableShifter;
    // As in reduce(); these n have four more bits.
    Expr most = x - n * 0.693115234375;
    return tableExp(shifted, n, most - n * 3.1946184945309417e-5, kExpOfPart);
  }
  return withinRange(x, scaledExp(reduce(x)), leastOfExp(x),
                     isNotAtMost(x, greatestOfExp(x)));
}

Expr ex::expOfSum(Expr x, Expr low) {
  auto [shifted, r] = reduce(x);
  Expr excess = (x - greatestOfExp(x)) + low;
  return withinRange(x, scaledExp({shifted, r + low}), leastOfExp(x),
                     isNotAtMost(excess, x.constant(0)));
}

Expr ex::exp2(Expr x) {
  if (hasTables(x)) {
    Expr shifted = x + kTableShifter, n = shifted - kTableShifter;
    return tableExp(shifted, n, x - n, kExp2OfPart);
  }
  Expr shifted = shiftToInteger(x);
  Expr r = (x - unshift(shifted)) * kLn2;
  return withinRange(
      x, scaledExp({shifted, r}), x.pick(-126, -1022),
      isNotAtMost(x, x.pick(127.99999237060547, 1023.9999999999998863)));
}

/// (2^r - 1) / r to 13 bits of 2^r, for r from 0 to 1 and from -1 / 2 to 1 / 2.
static const double kExp2RoughlyUp[] = {0.6951167869, 0.2276449891,
                                        0.07706704393};
static const double kExp2Roughly[] = {0.6932829272, 0.2422109599,
                                      0.05500893117};

Expr ex::exp2Roughly(Expr x) {
  if (hasTables(x)) {
    Expr r = fractionOf(x);
    return scaleByPower(polynomial(r, {kExp2RoughlyUp, {}}) * r + 1.0, x);
  }
  Expr shifted = shiftToInteger(x), r = x - unshift(shifted);
  Expr p = polynomial(r, {kExp2Roughly, {}}) * r + 1.0;
  return withinRange(x, p.bits() + (shifted.bits() << r.significandBits()),
                     x.constant(-126),
                     isNotAtMost(x, x.constant(127.99999237060547)));
}

Expr ex::expRoughly(Expr x) { return exp2Roughly(x * kLog2E); }

Expr ex::expm1(Expr x) {
  auto [shifted, r] = reduce(max(x, x.isDouble() ? -45.0 : -25.0));
  // With half of 2^n, which is finite for all n.
  Expr half =
      ((shifted.bits() + x.integer(x.bias() - 1)) << x.significandBits())
          .asFloat();
  Expr y = (half * expm1Reduced(r) + (half - 0.5)) * 2.0;
  return select(isNotAtMost(x, greatestOfExp(x)), x + x.infinity(), y)
      .copySign(x);
}

/// exp(x) - 1 for |x| of at most 50.
static Expr expm1Moderate(Expr x) {
  auto [shifted, r] = reduce(x);
  Expr power =
      ((shifted.bits() + x.integer(x.bias())) << x.significandBits()).asFloat();
  return power * expm1Reduced(r) + (power - 1.0);
}

Expr ex::tanh(Expr x) {
  // tanh(a) is 1 to the last bit beyond the bound.
  Expr bounded = min(x.abs(), x.isDouble() ? 22.0 : 10.0);
  Expr t = expm1Moderate(bounded * 2.0);
  return (t / (t + 2.0)).copySign(x);
}

Expr ex::sinh(Expr x) {
  Expr a = x.abs();
  Expr t = expm1Moderate(min(a, 20.0));
  Expr small = (t + t / (t + 1.0)) * 0.5;
  Expr root = exp(a * 0.5);
  return select(a <= 20.0, small, root * 0.5 * root).copySign(x);
}

Expr ex::cosh(Expr x) {
  Expr root = exp(x.abs() * 0.5);
  return root * 0.5 * root + 0.5 / root.square();
}

Expr ex::erf(Expr x) {
  // erf(a) is 1 to the last bit beyond the bound.
  Expr a = min(x.abs(), x.isDouble() ? 6.0 : 4.0);
  Expr small = a + a * polynomial(a.square(), kErf);
  Expr large = 1.0 - scaledExp(reduce(polynomial(a, kLogErfc))).asFloat();
  // NaN takes the small branch: the large one works on bits.
  return select(a >= 0.9, large, small).copySign(x);
}
