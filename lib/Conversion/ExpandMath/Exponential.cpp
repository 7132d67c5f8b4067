//===- Exponential.cpp - exp and what is built on it ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// exp(x) = 2^n * exp(r) with |r| <= ln(2) / 2, n found by adding a constant
// that leaves no room for fractions, ln(2) subtracted in two parts, and a
// polynomial for exp(r). Results that would be subnormal are zero.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

using namespace mlir;
using namespace mlir::lutra::expand;

namespace ex = mlir::lutra::expand;

/// (exp(r) - 1 - r) / r^2.
static const double kExpSingle[] = {0.5000000013,   0.1666666668,
                                    0.04166646499,  0.008333310933,
                                    0.001393364269, 0.0001989098271};
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

/// erf(x) / x over x^2, for |x| < 1.
static const double kErfSingle[] = {
    1.128379166,    -0.3761262667,    0.1128359472,  -0.02685421201,
    0.005189087423, -0.0008016864287, 7.875875063e-5};
static const double kErfDouble[] = {
    1.12837916709551257,     -0.376126389031837481,
    0.112837916709548787,    -0.0268661706450767932,
    0.00522397762481801447,  -0.000854832698083378991,
    0.000120553311116427109, -0.0000149255952668311816,
    1.6461000484121368e-6,   -1.6350312701054695e-7,
    1.46597752740474358e-8,  -1.13728488567916737e-9,
    5.9571761477489114e-11};
static const Coefficients kErf{kErfSingle, kErfDouble};

/// erfc(x) * exp(x^2) over (x - 2) / (x + 2), for x from 1 to 4 or to 6.
static const double kErfcSingle[] = {
    0.2553956763,   -0.4271859898,  0.2416582015,    -0.07896830613,
    0.003732371759, 0.006811140131, -0.0008379754387};
static const double kErfcDouble[] = {
    0.255395676310505745,      -0.427185847413958486,
    0.241658194242465846,      -0.078978581015706104,
    0.00373289240439783377,    0.00699746173697157874,
    -0.000847143252991950048,  -0.000981976941103864265,
    0.000043555586865754816,   0.000174359474002051576,
    0.0000275271755572272473,  -0.000027562209161129353,
    -0.0000139982837727849769, 1.30585771222780165e-6,
    4.01174964732506693e-6,    1.27256766184022802e-6,
    -1.13525714772736264e-6};
static const Coefficients kErfc{kErfcSingle, kErfcDouble};

static constexpr double kLog2E = 1.4426950408889634074;
static constexpr double kLn2 = 0.69314718055994530942;
/// ln(2) in two parts. Times any exponent, the first is exact.
static Expr ln2High(Expr x) {
  return x.pick(0.693145751953125, 0.69314718055966295651);
}
static Expr ln2Low(Expr x) {
  return x.pick(1.4286068203094172321e-6, 2.8235290563031577123e-13);
}

/// exp(r) - 1 for |r| <= ln(2) / 2.
static Expr expm1Reduced(Expr r) {
  return r + r.square() * polynomial(r, kExp);
}

/// exp(r) * 2^n, where the low bits of `shifted` are n.
static Expr scaledExp(Expr r, Expr shifted) {
  Expr p = expm1Reduced(r) + 1.0;
  return (p.bits() + (shifted.bits() << r.significandBits())).asFloat();
}

/// `y` for x in [least, greatest], else 0, infinity or NaN.
static Expr withinRange(Expr x, Expr y, Expr least, Expr greatest) {
  Expr atLeast = select(x < least, x.constant(0), y);
  return select(x <= greatest, atLeast, x + x.infinity());
}

Expr ex::expOfSum(Expr x, Expr low) {
  Expr shifted = shiftToInteger(x * kLog2E);
  Expr n = unshift(shifted);
  Expr r = (x - n * ln2High(x)) - (n * ln2Low(x) - low);
  return withinRange(x, scaledExp(r, shifted),
                     x.pick(-87.33654475, -708.39641853226410622),
                     x.pick(88.72283905, 709.78271289338397310));
}

Expr ex::exp(Expr x) {
  Expr shifted = shiftToInteger(x * kLog2E);
  Expr n = unshift(shifted);
  Expr r = (x - n * ln2High(x)) - n * ln2Low(x);
  return withinRange(x, scaledExp(r, shifted),
                     x.pick(-87.33654475, -708.39641853226410622),
                     x.pick(88.72283905, 709.78271289338397310));
}

Expr ex::exp2(Expr x) {
  Expr shifted = shiftToInteger(x);
  Expr r = (x - unshift(shifted)) * kLn2;
  return withinRange(x, scaledExp(r, shifted), x.pick(-126, -1022),
                     x.pick(127.99999237060547, 1023.9999999999998863));
}

Expr ex::expm1(Expr x) {
  Expr bounded = max(x, x.isDouble() ? -45.0 : -25.0);
  Expr shifted = shiftToInteger(bounded * kLog2E);
  Expr n = unshift(shifted);
  Expr r = (bounded - n * ln2High(x)) - n * ln2Low(x);
  // With half of 2^n, which is finite for all n.
  Expr half =
      ((shifted.bits() + x.integer(x.bias() - 1)) << x.significandBits())
          .asFloat();
  Expr y = (half * expm1Reduced(r) + (half - 0.5)) * 2.0;
  Expr greatest = x.pick(88.72283905, 709.78271289338397310);
  Expr finite = select(x <= greatest, y, x + x.infinity());
  return select(x == 0.0, x, finite);
}

Expr ex::tanh(Expr x) {
  // tanh(a) is 1 to the last bit beyond the bound.
  Expr bounded = min(x.abs(), x.isDouble() ? 22.0 : 10.0);
  Expr t = expm1(bounded * 2.0);
  return (t / (t + 2.0)).copySign(x);
}

Expr ex::sinh(Expr x) {
  Expr a = x.abs();
  Expr t = expm1(min(a, 20.0));
  Expr small = (t + t / (t + 1.0)) * 0.5;
  Expr root = exp(a * 0.5);
  return select(a <= 20.0, small, root * 0.5 * root).copySign(x);
}

Expr ex::cosh(Expr x) {
  Expr root = exp(x.abs() * 0.5);
  return root * 0.5 * root + 0.5 / root.square();
}

Expr ex::erf(Expr x) {
  Expr a = min(x.abs(), x.isDouble() ? 6.0 : 4.0);
  Expr square = a.square();
  Expr small = a * polynomial(square, kErf);
  Expr tail = polynomial((a - 2.0) / (a + 2.0), kErfc);
  Expr large = 1.0 - exp(-square) * tail;
  return select(a < 1.0, small, large).copySign(x);
}
