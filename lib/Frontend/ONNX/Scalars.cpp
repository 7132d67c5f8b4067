//===- Scalars.cpp - The bodies of elementwise operations -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each function emits the float, signed or unsigned form of one operation.
//
//===----------------------------------------------------------------------===//

#include "Scalars.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lutra;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

DType lutra::computeType(DType dtype) {
  bool narrow = dtype == DType::Float16 || dtype == DType::BFloat16;
  return narrow ? DType::Float : dtype;
}

Value Scalars::constant(double value) const {
  if (!isFloat())
    return constantInt(static_cast<int64_t>(value));
  return arith::ConstantOp::create(b, b.getFloatAttr(type(), value));
}

Value Scalars::constantInt(int64_t value) const {
  if (isFloat())
    return constant(static_cast<double>(value));
  APInt bits(64, static_cast<uint64_t>(value));
  return arith::ConstantOp::create(
      b, b.getIntegerAttr(type(),
                          bits.sextOrTrunc(type().getIntOrFloatBitWidth())));
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value Scalars::add(Value x, Value y) const {
  if (isFloat())
    return arith::AddFOp::create(b, x, y);
  return arith::AddIOp::create(b, x, y);
}

Value Scalars::sub(Value x, Value y) const {
  if (isFloat())
    return arith::SubFOp::create(b, x, y);
  return arith::SubIOp::create(b, x, y);
}

Value Scalars::mul(Value x, Value y) const {
  if (isFloat())
    return arith::MulFOp::create(b, x, y);
  return arith::MulIOp::create(b, x, y);
}

/// `y`, or 1 where x / y would trap: y is 0, or the quotient overflows, and
/// then dividing by 1 gives what wraps.
Value Scalars::integerDivisor(Value x, Value y) const {
  Value one = constantInt(1);
  Value trap = eq(y, constantInt(0));
  if (isSigned(dtype)) {
    unsigned width = type().getIntOrFloatBitWidth();
    Value lowest = arith::ConstantOp::create(
        b, b.getIntegerAttr(type(), APInt::getSignedMinValue(width)));
    Value overflow =
        arith::AndIOp::create(b, eq(x, lowest), eq(y, constantInt(-1)));
    trap = arith::OrIOp::create(b, trap, overflow);
  }
  return select(trap, one, y);
}

Value Scalars::div(Value x, Value y) const {
  if (isFloat())
    return arith::DivFOp::create(b, x, y);
  y = integerDivisor(x, y);
  if (isSigned(dtype))
    return arith::DivSIOp::create(b, x, y);
  return arith::DivUIOp::create(b, x, y);
}

/// fmod in f64, where x - trunc(x / y) * y by one fused multiply-add is exact
/// while the quotient is below 2^53; a quotient that was rounded up to the next
/// integer makes the remainder negative, which is repaired.
static Value floatRem(const Scalars &s, Value x, Value y) {
  Value absX = s.abs(x), absY = s.abs(y), zero = s.constant(0);
  Value quotient = s.math<math::TruncOp>(s.div(absX, absY));
  Value r = s.math<math::FmaOp>(s.neg(quotient), absY, absX);
  r = s.select(s.lt(r, zero), s.add(r, absY), r);
  // x itself where it is smaller, which includes an infinite y.
  r = s.select(s.lt(absX, absY), absX, r);
  return s.math<math::CopySignOp>(r, x);
}

Value Scalars::rem(Value x, Value y) const {
  if (isFloat()) {
    Scalars wide(b, DType::Double);
    auto cast = [&](Value value, DType from, DType to) {
      return Lowering::castScalar(b, value, from, to);
    };
    return cast(floatRem(wide, cast(x, dtype, DType::Double),
                         cast(y, dtype, DType::Double)),
                DType::Double, dtype);
  }
  y = integerDivisor(x, y);
  if (isSigned(dtype))
    return arith::RemSIOp::create(b, x, y);
  return arith::RemUIOp::create(b, x, y);
}

Value Scalars::neg(Value x) const {
  if (isFloat())
    return arith::NegFOp::create(b, x);
  return sub(constantInt(0), x);
}

Value Scalars::abs(Value x) const {
  if (isFloat())
    return math::AbsFOp::create(b, x);
  if (!isSigned(dtype))
    return x;
  return select(lt(x, constantInt(0)), neg(x), x);
}

Value Scalars::max(Value x, Value y) const {
  if (isFloat())
    return arith::MaximumFOp::create(b, x, y);
  if (isSigned(dtype))
    return arith::MaxSIOp::create(b, x, y);
  return arith::MaxUIOp::create(b, x, y);
}

Value Scalars::min(Value x, Value y) const {
  if (isFloat())
    return arith::MinimumFOp::create(b, x, y);
  if (isSigned(dtype))
    return arith::MinSIOp::create(b, x, y);
  return arith::MinUIOp::create(b, x, y);
}

/// x^y by squaring, over six bits of y: a larger exponent only matters for the
/// bases -1, 0 and 1, of which its parity is enough. A negative exponent gives
/// 1 / x^-y, truncated.
Value Scalars::integerPow(Value x, Value y) const {
  Value one = constantInt(1), zero = constantInt(0);
  Value negative = isSigned(dtype) ? lt(y, zero) : Value();
  Value exponent = negative ? select(negative, neg(y), y) : y;
  Value parity = arith::AndIOp::create(b, exponent, one);
  exponent = select(gt(exponent, constantInt(63)), add(constantInt(62), parity),
                    exponent);
  Value result = one, square = x;
  for (unsigned bit = 0; bit < 6; ++bit) {
    Value shifted = arith::ShRUIOp::create(b, exponent, constantInt(bit));
    Value set = eq(arith::AndIOp::create(b, shifted, one), one);
    result = select(set, mul(result, square), result);
    square = mul(square, square);
  }
  return negative ? select(negative, div(one, result), result) : result;
}

Value Scalars::pow(Value x, Value y) const {
  return isFloat() ? Value(math::PowFOp::create(b, x, y)) : integerPow(x, y);
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

Value Scalars::eq(Value x, Value y) const {
  if (isFloat())
    return arith::CmpFOp::create(b, CmpFPredicate::OEQ, x, y);
  return arith::CmpIOp::create(b, CmpIPredicate::eq, x, y);
}

Value Scalars::lt(Value x, Value y) const {
  if (isFloat())
    return arith::CmpFOp::create(b, CmpFPredicate::OLT, x, y);
  return arith::CmpIOp::create(
      b, isSigned(dtype) ? CmpIPredicate::slt : CmpIPredicate::ult, x, y);
}

Value Scalars::le(Value x, Value y) const {
  if (isFloat())
    return arith::CmpFOp::create(b, CmpFPredicate::OLE, x, y);
  return arith::CmpIOp::create(
      b, isSigned(dtype) ? CmpIPredicate::sle : CmpIPredicate::ule, x, y);
}

Value Scalars::select(Value condition, Value x, Value y) const {
  return arith::SelectOp::create(b, condition, x, y);
}

Value Scalars::logicalNot(Value condition) const {
  Value yes = arith::ConstantOp::create(b, b.getBoolAttr(true));
  return arith::XOrIOp::create(b, condition, yes);
}

Value Scalars::isNaN(Value x) const {
  return arith::CmpFOp::create(b, CmpFPredicate::UNO, x, x);
}

//===----------------------------------------------------------------------===//
// Functions of floats
//===----------------------------------------------------------------------===//

Value Scalars::exp(Value x) const { return math<math::ExpOp>(x); }
Value Scalars::expm1(Value x) const { return math<math::ExpM1Op>(x); }
Value Scalars::log(Value x) const { return math<math::LogOp>(x); }
Value Scalars::log1p(Value x) const { return math<math::Log1pOp>(x); }
Value Scalars::tanh(Value x) const { return math<math::TanhOp>(x); }
Value Scalars::erf(Value x) const { return math<math::ErfOp>(x); }
Value Scalars::sqrt(Value x) const { return math<math::SqrtOp>(x); }

Value Scalars::sigmoid(Value x) const {
  Value one = constant(1);
  return div(one, add(one, exp(neg(x))));
}

/// log(1 + exp(x)), written so that nothing overflows.
Value Scalars::softplus(Value x) const {
  return add(max(x, constant(0)), log1p(exp(neg(abs(x)))));
}

Value Scalars::softsign(Value x) const {
  return div(x, add(constant(1), abs(x)));
}

Value Scalars::leakyRelu(Value x, Value slope) const {
  return select(lt(x, constant(0)), mul(slope, x), x);
}

Value Scalars::hardSigmoid(Value x, Value alpha, Value beta) const {
  Value line = add(mul(alpha, x), beta);
  return max(min(line, constant(1)), constant(0));
}

Value Scalars::elu(Value x, Value alpha) const {
  return select(lt(x, constant(0)), mul(alpha, expm1(x)), x);
}
