//===- Scalars.h - The bodies of elementwise operations ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ONNX's scalar semantics in arith and math. No operation here can trap or give
// poison: where ONNX leaves a result open (x / 0 of integers, a shift by too
// much) it is some value.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_SCALARS_H
#define LUTRA_LIB_FRONTEND_ONNX_SCALARS_H

#include "lutra/Frontend/ONNX/Lowering.h"

namespace mlir::lutra {

/// The type that an operation on elements of `dtype` computes in: f32 for the
/// 16-bit floats, the type itself for the others.
DType computeType(DType dtype);

/// Emits arithmetic on scalars of one type, which is a computeType. Conditions
/// are i1.
class Scalars {
public:
  Scalars(ImplicitLocOpBuilder &b, DType dtype) : b(b), dtype(dtype) {}

  ImplicitLocOpBuilder &b;
  DType dtype;

  Type type() const { return storageType(b.getContext(), dtype); }
  Value constant(double value) const;
  Value constantInt(int64_t value) const;

  //===--- Any number -----------------------------------------------------===//

  Value add(Value x, Value y) const;
  Value sub(Value x, Value y) const;
  Value mul(Value x, Value y) const;
  /// Integers truncate towards zero.
  Value div(Value x, Value y) const;
  /// The remainder with the sign of `x`, as C's fmod.
  Value rem(Value x, Value y) const;
  Value neg(Value x) const;
  Value abs(Value x) const;
  /// NaN if either is.
  Value max(Value x, Value y) const;
  Value min(Value x, Value y) const;

  Value eq(Value x, Value y) const;
  Value lt(Value x, Value y) const;
  Value le(Value x, Value y) const;
  Value gt(Value x, Value y) const { return lt(y, x); }
  Value ge(Value x, Value y) const { return le(y, x); }

  Value select(Value condition, Value x, Value y) const;
  Value logicalNot(Value condition) const;
  /// x to the power of y, where both have this type.
  Value pow(Value x, Value y) const;

  //===--- Floats ---------------------------------------------------------===//

  bool isFloat() const { return lutra::isFloat(dtype); }
  /// One operation of the math dialect.
  template <typename Op, typename... Args>
  Value math(Args... args) const {
    return Op::create(b, args...);
  }
  Value exp(Value x) const;
  Value expm1(Value x) const;
  Value log(Value x) const;
  Value log1p(Value x) const;
  Value tanh(Value x) const;
  Value erf(Value x) const;
  Value sqrt(Value x) const;
  Value sigmoid(Value x) const;
  Value softplus(Value x) const;
  Value softsign(Value x) const;
  /// x where it is not negative, else slope * x.
  Value leakyRelu(Value x, Value slope) const;
  /// clamp(alpha * x + beta) to [0, 1].
  Value hardSigmoid(Value x, Value alpha, Value beta) const;
  /// x where it is not negative, else alpha * (exp(x) - 1).
  Value elu(Value x, Value alpha) const;
  Value isNaN(Value x) const;

private:
  Value integerDivisor(Value x, Value y) const;
  Value integerPow(Value x, Value y) const;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_SCALARS_H
