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
/// `depth` codes of a row that follow each other are a quad: 4, as instructions
/// multiply and add them, or 1, where all bytes of a vector are looked up in
/// one table. A vector has depth * rows bytes: byte depth * r + j belongs to
/// row r and to code j of each of the quads that it holds, one in each field of
/// the byte, the first in the lowest bits. At depth 1 its bytes belong to rows
/// 0, rows / 2, 1, rows / 2 + 1 and so on, so that the halves of 16-bit lanes
/// are rows that follow each other.
///
/// Where rows share bytes (codes of 2 and 4 bits, at depth 4), a vector has one
/// quad, and each field of a byte belongs to the same code of another row, so
/// that all fields are multiplied with the same number. Rows are in quarters,
/// of which the first 8 / bits are in the first `rows` bytes of the vector, the
/// first quarter in the lowest fields: byte 4 * r + j of these has code j of
/// row r of each.
///
/// A code of 3, 5, 6 or 7 bits is split into planes, widest first (the lowest
/// bits of the code): 3 is 2 + 1, 7 is 4 + 2 + 1. A chunk is as many quads as
/// make whole vectors in each plane; it holds the vectors of the first plane,
/// then those of the next. The codes of a row are padded with zeros to chunks.
///
/// So codes [N, K] lie as [ceil(N / rows), chunks, vectorsPerChunk(),
/// vectorBytes()].
struct CodePlanes {
  unsigned bits;
  int64_t rows;
  int64_t depth = 4;
  bool rowsShareBytes = false;

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
  bool isValid() const {
    if (rowsShareBytes)
      return depth == 4 && (bits == 2 || bits == 4) && rows % 4 == 0;
    return depth == 4 || (depth == 1 && rows % 2 == 0);
  }
  /// Rows that have codes in one byte of a plane.
  int64_t rowsOfByte() const { return rowsShareBytes ? 8 / bits : 1; }
  int64_t quarter() const { return rows / 4; }
  /// Quads of one chunk.
  int64_t quadsPerChunk() const {
    return rowsShareBytes ? 1 : planes().back().codesPerByte();
  }
  int64_t vectorBytes() const { return depth * rows / rowsOfByte(); }
  /// The row that a field of a byte of a vector belongs to.
  int64_t rowOfField(int64_t byte, int64_t field) const {
    if (rowsShareBytes)
      return (byte / rows * rowsOfByte() + field) * quarter() +
             byte % rows / depth;
    return depth == 1 ? byte / 2 + byte % 2 * (rows / 2) : byte / depth;
  }
  /// Vectors of one chunk.
  int64_t vectorsPerChunk() const {
    return rowsShareBytes ? 1 : bits * quadsPerChunk() / 8;
  }
  /// Whether groups of `codes` codes have whole chunks, or chunks whole groups.
  bool divides(int64_t codes) const {
    int64_t quads = codes / depth, perChunk = quadsPerChunk();
    return codes > 0 && codes % depth == 0 &&
           (quads % perChunk == 0 || perChunk % quads == 0);
  }
  /// Chunks of rows of `codes` codes.
  int64_t chunks(int64_t codes) const {
    return llvm::divideCeil(codes, depth * quadsPerChunk());
  }
};

} // namespace mlir::lutra

#endif // LUTRA_DIALECTS_LUTRA_CODEPLANES_H
