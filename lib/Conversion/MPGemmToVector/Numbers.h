//===- Numbers.h - Bytes that codes stand for -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_NUMBERS_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_NUMBERS_H

#include "Codes.h"
#include "dialects/MPGemm/MPGemm.h"

namespace mlir::lutra {

/// Makes quads of numbers of codes, in registers of `lanes` lanes of 32 bits:
/// the unsigned integers of 8 bits that stand for them with the format's
/// offset. Quads of a trellis are decoded one after the other.
class NumberDecoder {
public:
  NumberDecoder(OpBuilder &b, mpgemm::MatmulOp op, int64_t lanes)
      : b(b), loc(op.getLoc()), format(op.getFormat()),
        codebook(op.getCodebook()), lanes(lanes) {}

  /// Whether codes are not such integers themselves.
  static bool isNeeded(mpgemm::FormatInterface format) {
    return !format.isScalar() ||
           (format.getOffset() && format.getNumberBits() != format.getBits());
  }

  /// What is known of the codes before the first ones, for a register: the
  /// highest eight bits of their last windows, the latest first.
  SmallVector<Value> start();
  /// The integers of quad `quad` of a unit of codes, in bytes, of register
  /// `part`. `history` goes on.
  Value decode(CodesOfChunk &codes, int64_t quad, int64_t part,
               MutableArrayRef<Value> history);

private:
  Value decodeTrellis(Value codes, MutableArrayRef<Value> history);
  Value decodeVectors(mpgemm::VectorsAttr vectors, CodesOfChunk &codes,
                      int64_t quad, int64_t part);
  Value splat(uint32_t value);
  Value asLanes(Value bytes);
  Value shiftRight(Value lanes, unsigned by, uint8_t mask);
  Value lookUp(Value nibbles, ArrayRef<uint8_t> entries);

  OpBuilder &b;
  Location loc;
  mpgemm::FormatInterface format;
  /// A buffer, where codes stand for vectors.
  Value codebook;
  int64_t lanes;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_NUMBERS_H
