//===- NarrowFloats.cpp - Floats of 8 and 4 bits --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A narrow float is looked up, and rounded to by arithmetic on the bits of f32.
// What types have of mantissas, exponents, infinities and NaNs is read from
// LLVM's semantics of them.
//
//===----------------------------------------------------------------------===//

#include "NarrowFloats.h"

#include "CodedMatrix.h"
#include "Elementwise.h"
#include "dialects/Lutra/WeightSteps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

static const llvm::fltSemantics &semanticsOf(MLIRContext *context,
                                             DType dtype) {
  return cast<FloatType>(importType(context, dtype)).getFloatSemantics();
}

SmallVector<float> lutra::numbersOf(MLIRContext *context, DType dtype) {
  const llvm::fltSemantics &semantics = semanticsOf(context, dtype);
  unsigned width = APFloat::semanticsSizeInBits(semantics);
  SmallVector<float> numbers;
  for (unsigned bits = 0; bits < 1u << width; ++bits)
    numbers.push_back(APFloat(semantics, APInt(width, bits)).convertToDouble());
  return numbers;
}

FailureOr<Tensor> lutra::decoded(Lowering &lowering, const Tensor &x) {
  ImplicitLocOpBuilder &b = lowering.b;
  if (WeightOp weight = weightOf(lowering, x)) {
    FailureOr<WeightOp> cast = addSteps(
        b, weight,
        CastAttr::get(b.getContext(), importType(b.getContext(), x.dtype),
                      b.getF32Type()));
    if (failed(cast))
      return failure();
    return lowering.tensor(cast->getResult(), x.shape, DType::Float);
  }
  SmallVector<float> numbers = numbersOf(b.getContext(), x.dtype);
  auto type = RankedTensorType::get(int64_t(numbers.size()), b.getF32Type());
  Value table = arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, ArrayRef(numbers)));
  Tensor codes = lowering.tensor(x.value, x.shape, DType::UInt8);
  return compute(lowering, codes, DType::Float, [&](Scalars &s, ValueRange in) {
    Value code = arith::IndexCastUIOp::create(s.b, s.b.getIndexType(), in[0]);
    return tensor::ExtractOp::create(s.b, table, code).getResult();
  });
}

namespace {
/// Emits the rounding of one f32 to a type.
class Encoder {
public:
  Encoder(ImplicitLocOpBuilder &b, const llvm::fltSemantics &semantics)
      : semantics(semantics), f(b, DType::Float), i(b, DType::Int32),
        width(APFloat::semanticsSizeInBits(semantics)),
        mantissa(APFloat::semanticsPrecision(semantics) - 1),
        minExponent(APFloat::semanticsMinExponent(semantics)) {}

  Value encode(Value value, bool saturates) {
    Value magnitude = f.abs(value), code = round(magnitude);
    APFloat largest = APFloat::getLargest(semantics);
    Value most = constant(largest);
    code = i.select(i.gt(code, most), saturates ? most : beyond(), code);
    Value sign = arith::ShRUIOp::create(f.b, bitsOf(value), i.constantInt(31));
    sign = arith::ShLIOp::create(f.b, sign, i.constantInt(width - 1));
    if (isNaNNegativeZero())
      sign = i.select(i.eq(code, i.constantInt(0)), code, sign);
    code = arith::OrIOp::create(f.b, code, sign);
    code = i.select(f.isNaN(value), notANumber(), code);
    return Lowering::castScalar(f.b, code, DType::Int32, DType::UInt8);
  }

private:
  Value bitsOf(Value value) {
    return arith::BitcastOp::create(f.b, i.type(), value);
  }
  Value constant(const APFloat &value) {
    return i.constantInt(value.bitcastToAPInt().getZExtValue());
  }

  /// The nearest code, ties to even, which may be larger than there are. The
  /// least numbers are multiples of the smallest; others drop bits of f32.
  Value round(Value magnitude) {
    Value least = f.constant(std::ldexp(1.0, minExponent));
    Value isSmall = f.lt(magnitude, least);
    Value multiple = f.mul(f.select(isSmall, magnitude, f.constant(0)),
                           f.constant(std::ldexp(1.0, mantissa - minExponent)));
    Value small = arith::FPToSIOp::create(f.b, i.type(),
                                          f.math<math::RoundEvenOp>(multiple));
    int dropped = 23 - mantissa;
    Value bits = bitsOf(magnitude), count = i.constantInt(dropped);
    Value odd = arith::AndIOp::create(
        f.b, arith::ShRUIOp::create(f.b, bits, count), i.constantInt(1));
    bits = i.add(i.add(bits, i.constantInt((1 << (dropped - 1)) - 1)), odd);
    // Exponents count from another number.
    Value large = i.sub(arith::ShRUIOp::create(f.b, bits, count),
                        i.constantInt((126 + minExponent) << mantissa));
    return i.select(isSmall, small, large);
  }

  bool hasNaN() const { return mantissa > 1; }
  /// Whether the bits of -0 are NaN.
  bool isNaNNegativeZero() const {
    return hasNaN() && APFloat::getNaN(semantics).isNegative();
  }
  /// NaN, or what stands for it where there is none: -0.
  Value notANumber() {
    return constant(hasNaN() ? APFloat::getNaN(semantics)
                             : APFloat::getZero(semantics, /*Negative=*/true));
  }
  /// What is too large.
  Value beyond() {
    if (APFloat::semanticsHasInf(semantics))
      return constant(APFloat::getInf(semantics));
    return hasNaN() ? notANumber() : constant(APFloat::getLargest(semantics));
  }

  const llvm::fltSemantics &semantics;
  Scalars f, i;
  int width, mantissa, minExponent;
};
} // namespace

Value lutra::encodeScalar(ImplicitLocOpBuilder &b, Value value, DType dtype,
                          bool saturates) {
  return Encoder(b, semanticsOf(b.getContext(), dtype))
      .encode(value, saturates);
}
