//===- QuantizedElements.cpp - Pieces of quantized operators --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements what all operators of quantized numbers share: which types they
// take, and their arithmetic on one element.
//
//===----------------------------------------------------------------------===//

#include "QuantizedElements.h"

#include "CodedMatrix.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lutra;

bool lutra::isQuantized(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::UInt8 ||
         dtype == DType::Int16 || dtype == DType::UInt16;
}

bool lutra::isScale(DType dtype) {
  return isFloat(dtype) && dtype != DType::Double;
}

bool lutra::isNarrowQuantized(DType dtype) {
  return isNarrow(dtype) && dtype != DType::Float8E8M0;
}

Support lutra::supportsInput(const Node &node, unsigned i, StringRef what,
                             bool (*accepts)(DType)) {
  DType dtype = node.input(i).dtype;
  if (dtype == DType::Undefined || accepts(dtype))
    return Support::yes();
  return Support::no("expected " + what + " (input " + Twine(i) +
                     ") of another type than " + dtypeName(dtype));
}

/// The least and the largest number of a quantized type.
static std::pair<double, double> rangeOf(DType dtype) {
  if (isNarrow(dtype))
    return {0, (1 << codeBits(dtype)) - 1};
  bool narrow = dtype == DType::Int8 || dtype == DType::UInt8;
  double count = narrow ? 256 : 65536;
  double low = isSigned(dtype) ? -count / 2 : 0;
  return {low, low + count - 1};
}

/// Clamps before it rounds, which gives the same since the bounds are whole
/// numbers, so that the conversion is always in range. The comparisons are such
/// that NaN becomes `low`.
Value lutra::quantizeScalar(ImplicitLocOpBuilder &b, Value value, Value zero,
                            DType dtype) {
  Scalars f(b, DType::Float), i(b, DType::Int32);
  auto [least, most] = rangeOf(dtype);
  Value low = f.constant(least), high = f.constant(most);
  if (isNarrow(dtype))
    dtype = DType::UInt8;
  if (zero) {
    zero = Lowering::castScalar(b, zero, dtype, DType::Int32);
    Value shift = Lowering::castScalar(b, zero, DType::Int32, DType::Float);
    low = f.sub(low, shift);
    high = f.sub(high, shift);
  }
  value = f.select(f.gt(value, low), value, low);
  value = f.select(f.lt(value, high), value, high);
  value = f.math<math::RoundEvenOp>(value);
  value = arith::FPToSIOp::create(b, i.type(), value);
  if (zero)
    value = i.add(value, zero);
  return Lowering::castScalar(b, value, DType::Int32, dtype);
}

Value lutra::centerScalar(ImplicitLocOpBuilder &b, Value scalar, Value zero,
                          DType dtype) {
  Value wide = Lowering::castScalar(b, scalar, dtype, DType::Int32);
  if (!zero)
    return wide;
  zero = Lowering::castScalar(b, zero, dtype, DType::Int32);
  return arith::SubIOp::create(b, wide, zero);
}

bool lutra::isZero(Lowering &lowering, const Tensor &zero) {
  if (!zero)
    return true;
  auto known = lowering.constantInts(zero);
  return known && llvm::all_of(*known, [](int64_t value) { return !value; });
}
