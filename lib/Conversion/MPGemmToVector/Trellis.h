//===- Trellis.h - Numbers of codes and those before them -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TRELLIS_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TRELLIS_H

#include "dialects/Lutra/TrellisCode.h"
#include "mlir/IR/Builders.h"

namespace mlir::lutra {

/// Computes the numbers that quads of a trellis's codes stand for, one quad
/// after the other, in registers of `lanes` lanes of 32 bits.
class TrellisDecoder {
public:
  TrellisDecoder(OpBuilder &b, Location loc, unsigned bits, int64_t lanes)
      : b(b), loc(loc), bits(bits), lanes(lanes),
        code(*findTrellisCode(bits)) {}

  /// What a register's codes are decoded with beside them, kHistory values,
  /// before the first code of rows.
  SmallVector<Value> start();
  /// The numbers, plus TrellisCode::kOffset, in bytes. `history` goes on.
  Value decode(Value codes, MutableArrayRef<Value> history);

  /// The highest eight bits of the last windows, the latest first.
  static constexpr int64_t kHistory = 2;

private:
  Value splat(uint32_t value);
  Value shiftRight(Value lanes, unsigned by, uint8_t mask);
  Value lookUp(Value nibbles, ArrayRef<uint8_t> entries);

  OpBuilder &b;
  Location loc;
  unsigned bits;
  int64_t lanes;
  const TrellisCode &code;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TRELLIS_H
