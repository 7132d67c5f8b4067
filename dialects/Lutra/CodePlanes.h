//===- CodePlanes.h - Low-bit codes as the kernels read them ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_CODEPLANES_H
#define LUTRA_DIALECTS_LUTRA_CODEPLANES_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::lutra {

/// Bits [shift, shift + width) of each code, `width` being 1, 2, 4 or 8, so
/// that a byte holds 8 / width codes.
struct CodePlane {
  unsigned shift, width;

  unsigned codesPerByte() const { return 8 / width; }
};

/// How unsigned codes of `bits` bits lie, of `rows` rows (columns of the
/// product) beside each other.
///
/// Four codes of a row that follow each other are a quad. A vector has 4 * rows
/// bytes: byte 4 * r + j belongs to row r and to code j of each of the quads
/// that it holds, one in each field of the byte, the first in the lowest bits.
/// A code of 3, 5, 6 or 7 bits is split into planes, widest first (the lowest
/// bits of the code): 3 is 2 + 1, 7 is 4 + 2 + 1. A chunk is as many quads as
/// make whole vectors in each plane; it holds the vectors of the first plane,
/// then those of the next. The codes of a row are padded with zeros to chunks.
///
/// So codes [N, K] lie as [ceil(N / rows), chunks, vectorsPerChunk(), 4 * rows]
/// bytes.
struct CodePlanes {
  unsigned bits;
  int64_t rows;

  /// The planes of a code, widest first.
  SmallVector<CodePlane, 3> planes() const {
    SmallVector<CodePlane, 3> result;
    for (unsigned shift = 0; shift < bits;) {
      unsigned width = llvm::bit_floor(bits - shift);
      result.push_back({shift, width});
      shift += width;
    }
    return result;
  }
  /// Quads of one chunk.
  int64_t quadsPerChunk() const { return planes().back().codesPerByte(); }
  /// Vectors of 4 * rows bytes of one chunk.
  int64_t vectorsPerChunk() const { return bits * quadsPerChunk() / 8; }
  /// Whether groups of `codes` codes have whole chunks, or chunks whole groups.
  bool divides(int64_t codes) const {
    int64_t quads = codes / 4, perChunk = quadsPerChunk();
    return codes > 0 && codes % 4 == 0 &&
           (quads % perChunk == 0 || perChunk % quads == 0);
  }
  /// Chunks of rows of `codes` codes.
  int64_t chunks(int64_t codes) const {
    return llvm::divideCeil(codes, 4 * quadsPerChunk());
  }
};

} // namespace mlir::lutra

#endif // LUTRA_DIALECTS_LUTRA_CODEPLANES_H
