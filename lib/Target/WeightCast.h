//===- WeightCast.h - ONNX's Cast on arrays of weights ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_WEIGHTCAST_H
#define LUTRA_LIB_TARGET_WEIGHTCAST_H

#include "mlir/IR/Types.h"
#include <cstdint>
#include <optional>

namespace mlir::lutra {

/// An element type as memory holds it.
enum class Scalar {
  Bool,
  S8,
  S16,
  S32,
  S64,
  U8,
  U16,
  U32,
  U64,
  F16,
  BF16,
  F32,
  F64,
  // Only to cast from.
  F4E2M1,
  F8E4M3,
  F8E4M3FNUZ,
  F8E5M2,
  F8E5M2FNUZ,
  F8E8M0
};

/// The scalar of a type in which signedness counts; i8 to i64 are signed.
std::optional<Scalar> scalarOf(Type type);

unsigned bytesOf(Scalar scalar);

/// Whether it is a float of 8 bits or fewer, which is held as its bits.
bool isNarrowFloat(Scalar scalar);

/// Converts `count` elements as ONNX's Cast does: to an integer by truncation
/// (beyond its range: the nearest value; NaN: 0), between integers by dropping
/// bits, to a float by rounding to nearest even, to bool by comparing with 0.
void castElements(Scalar from, const char *in, Scalar to, char *out,
                  int64_t count);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_WEIGHTCAST_H
