//===- LoweringCast.cpp - Conversions between element types ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// As ONNX's Cast. What ONNX leaves open (a float beyond the integer type's
// range, NaN) must still not be poison, so floats are clamped before they are
// converted. A weight is cast in its expression.
//
//===----------------------------------------------------------------------===//

#include "lutra/Frontend/ONNX/Lowering.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

Value Lowering::toI1(ImplicitLocOpBuilder &b, Value i8) {
  Value zero = arith::ConstantOp::create(b, b.getIntegerAttr(i8.getType(), 0));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, i8, zero);
}

Value Lowering::fromI1(ImplicitLocOpBuilder &b, Value i1) {
  return arith::ExtUIOp::create(b, b.getI8Type(), i1);
}

static Value floatConstant(ImplicitLocOpBuilder &b, Type type, double value) {
  return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
}

/// Widens or narrows a float. All but f32 reach each other through it.
static Value resizeFloat(ImplicitLocOpBuilder &b, Value value, Type to) {
  Type from = value.getType();
  if (from == to)
    return value;
  if (!from.isF32() && !to.isF32())
    return resizeFloat(b, resizeFloat(b, value, b.getF32Type()), to);
  if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(b, to, value);
  return arith::TruncFOp::create(b, to, value);
}

static Value resizeInteger(ImplicitLocOpBuilder &b, Value value, Type to,
                           bool isSigned) {
  unsigned from = value.getType().getIntOrFloatBitWidth();
  unsigned width = to.getIntOrFloatBitWidth();
  if (from == width)
    return value;
  if (from > width)
    return arith::TruncIOp::create(b, to, value);
  if (isSigned)
    return arith::ExtSIOp::create(b, to, value);
  return arith::ExtUIOp::create(b, to, value);
}

/// Converts after clamping to [-2^(width-1), 2^(width-1)); NaN becomes 0.
static Value floatToSigned(ImplicitLocOpBuilder &b, Value value,
                           unsigned width) {
  Type type = value.getType();
  int precision = type.isF64() ? 53 : 24;
  double low = -std::ldexp(1.0, width - 1);
  double high = std::ldexp(1.0, width - 1) -
                std::ldexp(1.0, std::max<int>(int(width) - 1 - precision, 0));
  Value zero = floatConstant(b, type, 0), lowest = floatConstant(b, type, low),
        highest = floatConstant(b, type, high);
  using arith::CmpFPredicate;
  auto clamp = [&](CmpFPredicate predicate, Value bound, Value to) {
    Value beyond = arith::CmpFOp::create(b, predicate, value, bound);
    value = arith::SelectOp::create(b, beyond, to, value);
  };
  clamp(CmpFPredicate::UNO, value, zero);
  clamp(CmpFPredicate::OLT, lowest, lowest);
  clamp(CmpFPredicate::OGT, highest, highest);
  return arith::FPToSIOp::create(b, b.getIntegerType(width), value);
}

/// Values from 2^63 on are converted as their half's bits: 2^63 is subtracted
/// and the top bit set. Negative ones wrap.
static Value floatToUInt64(ImplicitLocOpBuilder &b, Value value) {
  Value half = floatConstant(b, value.getType(), std::ldexp(1.0, 63));
  Value large =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, value, half);
  Value reduced = arith::SelectOp::create(
      b, large, arith::SubFOp::create(b, value, half), value);
  Value bits = floatToSigned(b, reduced, 64);
  Value top = arith::ConstantOp::create(
      b, b.getIntegerAttr(b.getI64Type(), APInt::getSignMask(64)));
  return arith::SelectOp::create(b, large, arith::XOrIOp::create(b, bits, top),
                                 bits);
}

static Value floatToInteger(ImplicitLocOpBuilder &b, Value value, DType to) {
  Type type = storageType(b.getContext(), to);
  unsigned width = type.getIntOrFloatBitWidth();
  if (!value.getType().isF64())
    value = resizeFloat(b, value, b.getF32Type());
  if (to == DType::UInt64)
    return floatToUInt64(b, value);
  // A wider type first, so that the low bits are kept, as a C compiler's
  // conversions do.
  bool needs64 = width == 64 || to == DType::UInt32;
  return resizeInteger(b, floatToSigned(b, value, needs64 ? 64 : 32), type,
                       true);
}

static Value integerToFloat(ImplicitLocOpBuilder &b, Value value, bool isSigned,
                            Type to) {
  Type exact = to.getIntOrFloatBitWidth() == 16 ? b.getF32Type() : to;
  Value converted = isSigned ? Value(arith::SIToFPOp::create(b, exact, value))
                             : Value(arith::UIToFPOp::create(b, exact, value));
  return resizeFloat(b, converted, to);
}

Value Lowering::castScalar(ImplicitLocOpBuilder &b, Value value, DType from,
                           DType to) {
  if (from == to)
    return value;
  Type type = storageType(b.getContext(), to);
  if (to == DType::Bool) {
    if (!isFloat(from))
      return fromI1(b, toI1(b, value));
    Value zero = floatConstant(b, value.getType(), 0);
    return fromI1(
        b, arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, value, zero));
  }
  if (isFloat(from))
    return isFloat(to) ? resizeFloat(b, value, type)
                       : floatToInteger(b, value, to);
  if (isFloat(to))
    return integerToFloat(b, value, isSigned(from), type);
  return resizeInteger(b, value, type, isSigned(from));
}

/// The known elements after a cast, where none of them changes.
static std::optional<SmallVector<AffineExpr>> castInts(const Tensor &operand,
                                                       DType to) {
  if (!operand.ints || isFloat(to))
    return std::nullopt;
  unsigned width =
      storageType(operand.value.getContext(), to).getIntOrFloatBitWidth();
  for (AffineExpr expr : *operand.ints) {
    auto known = dyn_cast<AffineConstantExpr>(expr);
    if (!known           ? to != DType::Int64 && to != DType::Int32
        : isUnsigned(to) ? known.getValue() < 0 ||
                               !llvm::isUIntN(to == DType::Bool ? 1 : width,
                                              known.getValue())
                         : !llvm::isIntN(width, known.getValue()))
      return std::nullopt;
  }
  return operand.ints;
}

Tensor Lowering::cast(const Tensor &operand, DType to) {
  if (operand.dtype == to)
    return operand;
  if (auto ints = castInts(operand, to))
    return intsTensor(*ints, to, operand.rank() == 0);
  if (auto weight = operand.value.getDefiningOp<WeightOp>()) {
    auto steps = llvm::to_vector(weight.getSteps());
    steps.push_back(CastAttr::get(context(),
                                  importType(context(), operand.dtype),
                                  importType(context(), to)));
    auto copy = mlir::cast<WeightOp>(b.clone(*weight));
    copy.setStepsAttr(b.getArrayAttr(steps));
    copy.getResult().setType(type(operand.shape, to));
    return tensor(copy.getResult(), operand.shape, to);
  }
  FailureOr<Tensor> result = elementwise(
      operand, to, [&](ImplicitLocOpBuilder &inner, ValueRange scalars) {
        return castScalar(inner, scalars[0], operand.dtype, to);
      });
  return *result; // One operand always broadcasts.
}
