//===- Expr.h - Formulas over floating-point values -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lets math functions be written as formulas that build arith operations, on
// scalars and vectors, f32 and f64. Products may fuse with sums where the
// machine can; no formula relies on it.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_EXPANDMATH_EXPR_H
#define LUTRA_LIB_CONVERSION_EXPANDMATH_EXPR_H

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

namespace mlir::lutra::expand {

struct Context {
  OpBuilder &b;
  Location loc;
  /// The machine, or null.
  TargetAttr target;
};

/// A value and where formulas over it are built.
class Expr {
public:
  Expr(Context &context, Value value) : context(&context), value(value) {}

  operator Value() const { return value; }
  Context &getContext() const { return *context; }
  bool isFloat() const;
  bool isDouble() const;
  /// Bits of the significand that are stored: 23 or 52.
  int64_t significandBits() const { return isDouble() ? 52 : 23; }
  int64_t bias() const { return isDouble() ? 1023 : 127; }

  /// Constants of this value's type, or of its type as bits.
  Expr constant(double number) const;
  Expr integer(int64_t number) const;
  Expr infinity() const;
  Expr nan() const;
  /// `number` to 53 bits or to 24, per the type.
  Expr pick(double single, double twice) const {
    return constant(isDouble() ? twice : single);
  }

  Expr bits() const;
  Expr asFloat() const;
  /// f32 to f64 and back.
  Expr extended() const;
  Expr truncated() const;
  /// The low half of 64-bit integers.
  Expr lowHalf() const;

  Expr abs() const;
  Expr sqrt() const;
  Expr trunc() const;
  Expr copySign(Expr sign) const;
  Expr square() const;
  Expr operator-() const;

private:
  Context *context;
  Value value;
};

/// A product that is rounded, and fuses with no sum.
Expr rounded(Expr x, Expr y);
Expr operator+(Expr x, Expr y);
Expr operator-(Expr x, Expr y);
Expr operator*(Expr x, Expr y);
Expr operator/(Expr x, Expr y);
inline Expr operator+(Expr x, double y) { return x + x.constant(y); }
inline Expr operator-(Expr x, double y) { return x - x.constant(y); }
inline Expr operator-(double x, Expr y) { return y.constant(x) - y; }
inline Expr operator*(Expr x, double y) { return x * x.constant(y); }
inline Expr operator/(double x, Expr y) { return y.constant(x) / y; }

/// Comparisons, false where an operand is NaN.
Expr operator<(Expr x, Expr y);
Expr operator<=(Expr x, Expr y);
Expr operator>(Expr x, Expr y);
Expr operator>=(Expr x, Expr y);
Expr operator==(Expr x, Expr y);
Expr operator!=(Expr x, Expr y);
/// The one comparison that is true where an operand is NaN.
Expr isNotAtMost(Expr x, Expr y);
inline Expr operator<(Expr x, double y) { return x < x.constant(y); }
inline Expr operator<=(Expr x, double y) { return x <= x.constant(y); }
inline Expr operator>(Expr x, double y) { return x > x.constant(y); }
inline Expr operator>=(Expr x, double y) { return x >= x.constant(y); }
inline Expr operator==(Expr x, double y) { return x == x.constant(y); }

/// On integers and truth values.
Expr operator&(Expr x, Expr y);
Expr operator|(Expr x, Expr y);
Expr operator^(Expr x, Expr y);
Expr operator<<(Expr x, int64_t bits);
/// Arithmetic shift.
Expr operator>>(Expr x, int64_t bits);
Expr isNotZero(Expr integer);

Expr select(Expr condition, Expr x, Expr y);
Expr min(Expr x, double limit);
Expr max(Expr x, double limit);

/// Coefficients for f32 and for f64, lowest first.
struct Coefficients {
  ArrayRef<double> single, twice;
};
Expr polynomial(Expr x, const Coefficients &coefficients);

/// x + 1.5 * 2^significandBits: its low bits are x rounded to an integer, which
/// unshift() gives as a number.
Expr shiftToInteger(Expr x);
Expr unshift(Expr shifted);
/// An integer of small magnitude as a number.
Expr toFloat(Expr integer, Expr like);

/// Whether the machine can do what follows, to vectors as `x`.
bool hasTables(Expr x);
/// The entry of a table of 16 that the low bits of each index name.
Expr lookUp(Expr index, ArrayRef<double> table);
/// x, or a number of the magnitude `bound` where that is less or x is NaN.
Expr boundMagnitude(Expr x, double bound);
/// x * 2^floor(n), rounded once, for all x of at least 1 and all n; 0 where
/// that is subnormal: some machines take a hundred times as long to multiply
/// such.
Expr scaleByPower(Expr x, Expr n);
/// x - floor(x), exactly; 0 for infinities.
Expr fractionOf(Expr x);

//===----------------------------------------------------------------------===//
// The functions.
//===----------------------------------------------------------------------===//

Expr exp(Expr x);
Expr exp2(Expr x);
Expr expm1(Expr x);
Expr tanh(Expr x);
Expr sinh(Expr x);
Expr cosh(Expr x);
Expr erf(Expr x);
Expr log(Expr x);
Expr log2(Expr x);
Expr log10(Expr x);
Expr log1p(Expr x);
Expr asinh(Expr x);
Expr acosh(Expr x);
Expr atanh(Expr x);
Expr pow(Expr x, Expr y);
Expr cbrt(Expr x);
Expr sin(Expr x);
Expr cos(Expr x);
Expr tan(Expr x);
Expr atan(Expr x);
Expr atan2(Expr y, Expr x);
Expr asin(Expr x);
Expr acos(Expr x);

/// exp(x) and 2^x of f32 with relative errors below 2^-13 where the result is a
/// normal number, and exact for whole powers of two.
Expr expRoughly(Expr x);
Expr exp2Roughly(Expr x);

/// exp(x + low) for a |low| below an ulp of x.
Expr expOfSum(Expr x, Expr low);

/// x = m * 2^exponent, m in [sqrt(1/2), sqrt(2)), as m - 1; for 0 < x < inf.
struct Parts {
  Expr exponent, fraction;
};
Parts split(Expr x);

} // namespace mlir::lutra::expand

#endif // LUTRA_LIB_CONVERSION_EXPANDMATH_EXPR_H
