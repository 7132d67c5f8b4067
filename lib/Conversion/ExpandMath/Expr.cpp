//===- Expr.cpp - Formulas over floating-point values ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The operators of formulas, each one arith or math operation.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra::expand;

namespace ex = mlir::lutra::expand;

/// `type` with another element type.
static Type withElement(Type type, Type element) {
  if (auto shaped = dyn_cast<ShapedType>(type))
    return shaped.clone(element);
  return element;
}

static Type elementOf(Value value) {
  return getElementTypeOrSelf(value.getType());
}

static Value splat(Context &c, Type type, TypedAttr element) {
  TypedAttr attr = element;
  if (auto shaped = dyn_cast<ShapedType>(type))
    attr = DenseElementsAttr::get(shaped, Attribute(element));
  return arith::ConstantOp::create(c.b, c.loc, attr);
}

bool Expr::isFloat() const { return isa<FloatType>(elementOf(value)); }
bool Expr::isDouble() const {
  return elementOf(value).getIntOrFloatBitWidth() == 64;
}

Expr Expr::constant(double number) const {
  Type type = elementOf(value);
  return {*context, splat(*context, value.getType(),
                          context->b.getFloatAttr(type, number))};
}

Expr Expr::integer(int64_t number) const {
  Type element =
      context->b.getIntegerType(elementOf(value).getIntOrFloatBitWidth());
  return {*context, splat(*context, withElement(value.getType(), element),
                          context->b.getIntegerAttr(element, number))};
}

Expr Expr::infinity() const { return constant(INFINITY); }
Expr Expr::nan() const { return constant(NAN); }

Expr Expr::bits() const {
  Type element =
      context->b.getIntegerType(elementOf(value).getIntOrFloatBitWidth());
  return {*context, arith::BitcastOp::create(
                        context->b, context->loc,
                        withElement(value.getType(), element), value)};
}

Expr Expr::asFloat() const {
  Type element = isDouble() ? Type(context->b.getF64Type())
                            : Type(context->b.getF32Type());
  return {*context, arith::BitcastOp::create(
                        context->b, context->loc,
                        withElement(value.getType(), element), value)};
}

Expr Expr::extended() const {
  return {*context,
          arith::ExtFOp::create(
              context->b, context->loc,
              withElement(value.getType(), context->b.getF64Type()), value)};
}

Expr Expr::truncated() const {
  return {*context,
          arith::TruncFOp::create(
              context->b, context->loc,
              withElement(value.getType(), context->b.getF32Type()), value)};
}

Expr Expr::lowHalf() const {
  return {*context,
          arith::TruncIOp::create(
              context->b, context->loc,
              withElement(value.getType(), context->b.getI32Type()), value)};
}

Expr Expr::abs() const {
  return {*context, math::AbsFOp::create(context->b, context->loc, value)};
}

Expr Expr::sqrt() const {
  return {*context, math::SqrtOp::create(context->b, context->loc, value)};
}

Expr Expr::trunc() const {
  return {*context, math::TruncOp::create(context->b, context->loc, value)};
}

Expr Expr::copySign(Expr sign) const {
  return {*context,
          math::CopySignOp::create(context->b, context->loc, value, sign)};
}

Expr Expr::square() const { return *this * *this; }

Expr Expr::operator-() const {
  return {*context, arith::NegFOp::create(context->b, context->loc, value)};
}

/// An operation on floats or its counterpart on integers. Products and sums of
/// floats may contract.
template <typename FloatOp, typename IntOp>
static Expr build(Expr x, Expr y) {
  Context &c = x.getContext();
  if (x.isFloat())
    return {c,
            FloatOp::create(c.b, c.loc, x, y, arith::FastMathFlags::contract)};
  return {c, IntOp::create(c.b, c.loc, x, y)};
}

Expr ex::operator+(Expr x, Expr y) {
  return build<arith::AddFOp, arith::AddIOp>(x, y);
}
Expr ex::operator-(Expr x, Expr y) {
  return build<arith::SubFOp, arith::SubIOp>(x, y);
}
Expr ex::operator*(Expr x, Expr y) {
  return build<arith::MulFOp, arith::MulIOp>(x, y);
}
Expr ex::rounded(Expr x, Expr y) {
  Context &c = x.getContext();
  return {c, arith::MulFOp::create(c.b, c.loc, x, y)};
}
Expr ex::operator/(Expr x, Expr y) {
  Context &c = x.getContext();
  return {c, arith::DivFOp::create(c.b, c.loc, x, y)};
}

static Expr compare(arith::CmpFPredicate predicate, Expr x, Expr y) {
  Context &c = x.getContext();
  return {c, arith::CmpFOp::create(c.b, c.loc, predicate, x, y)};
}

Expr ex::operator<(Expr x, Expr y) {
  return compare(arith::CmpFPredicate::OLT, x, y);
}
Expr ex::operator<=(Expr x, Expr y) {
  return compare(arith::CmpFPredicate::OLE, x, y);
}
Expr ex::operator>(Expr x, Expr y) {
  return compare(arith::CmpFPredicate::OGT, x, y);
}
Expr ex::operator>=(Expr x, Expr y) {
  return compare(arith::CmpFPredicate::OGE, x, y);
}
Expr ex::operator==(Expr x, Expr y) {
  return compare(arith::CmpFPredicate::OEQ, x, y);
}
Expr ex::operator!=(Expr x, Expr y) {
  return compare(arith::CmpFPredicate::ONE, x, y);
}
Expr ex::isNotAtMost(Expr x, Expr y) {
  return compare(arith::CmpFPredicate::UGT, x, y);
}

Expr ex::operator&(Expr x, Expr y) {
  Context &c = x.getContext();
  return {c, arith::AndIOp::create(c.b, c.loc, x, y)};
}
Expr ex::operator|(Expr x, Expr y) {
  Context &c = x.getContext();
  return {c, arith::OrIOp::create(c.b, c.loc, x, y)};
}
Expr ex::operator^(Expr x, Expr y) {
  Context &c = x.getContext();
  return {c, arith::XOrIOp::create(c.b, c.loc, x, y)};
}
Expr ex::operator<<(Expr x, int64_t bits) {
  Context &c = x.getContext();
  return {c, arith::ShLIOp::create(c.b, c.loc, x, x.integer(bits))};
}
Expr ex::operator>>(Expr x, int64_t bits) {
  Context &c = x.getContext();
  return {c, arith::ShRSIOp::create(c.b, c.loc, x, x.integer(bits))};
}

Expr ex::isNotZero(Expr integer) {
  Context &c = integer.getContext();
  return {c, arith::CmpIOp::create(c.b, c.loc, arith::CmpIPredicate::ne,
                                   integer, integer.integer(0))};
}

Expr ex::select(Expr condition, Expr x, Expr y) {
  Context &c = x.getContext();
  return {c, arith::SelectOp::create(c.b, c.loc, condition, x, y)};
}

// Both keep NaN.
Expr ex::min(Expr x, double limit) {
  return select(x > limit, x.constant(limit), x);
}
Expr ex::max(Expr x, double limit) {
  return select(x < limit, x.constant(limit), x);
}

Expr ex::polynomial(Expr x, const Coefficients &coefficients) {
  ArrayRef<double> all =
      x.isDouble() ? coefficients.twice : coefficients.single;
  Expr result = x.constant(all.back());
  for (double each : llvm::reverse(all.drop_back()))
    result = result * x + each;
  return result;
}

/// 1.5 * 2^significandBits: numbers of small magnitude that are added to it are
/// rounded to integers.
static double shifter(Expr x) {
  return std::ldexp(1.5, int(x.significandBits()));
}

Expr ex::shiftToInteger(Expr x) { return x + shifter(x); }

Expr ex::unshift(Expr shifted) { return shifted - shifter(shifted); }

Expr ex::toFloat(Expr integer, Expr like) {
  Expr shift = like.constant(shifter(like)).bits();
  return unshift((integer + shift).asFloat());
}
