//===- Codes.h - Codes taken out of bit planes ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_CODES_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_CODES_H

#include "dialects/Lutra/CodePlanes.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::lutra {

/// Lanes of 32 bits of a register of codes: as many as the machine's vectors
/// have that divide the rows of a tile. At depth 1 a tile is one register.
int64_t lanesOf(TargetAttr target, const CodePlanes &planes);

/// Chunks of codes that are decoded together, which have whole vectors, and the
/// quads of numbers that they stand for.
struct CodeUnit {
  int64_t chunks, quads;
};
CodeUnit unitOf(mpgemm::MatmulOp op);

/// The codes of one chunk and those behind it, of which a register holds 4 *
/// `lanes` bytes. Loads and shares what several quads need.
class CodesOfChunk {
public:
  /// `codes` is a buffer [tiles, chunks, vectors, bytes].
  CodesOfChunk(OpBuilder &b, Location loc, const CodePlanes &planes,
               int64_t lanes, Value codes, Value tile, Value chunk)
      : b(b), loc(loc), planes(planes), lanes(lanes), codes(codes), tile(tile),
        chunk(chunk) {}

  /// The codes of quad `quad` from the chunk on, in bytes, of register `part`
  /// of each vector. `withFields`, other bits may stand above codes of one
  /// plane.
  Value quad(int64_t quad, int64_t part, bool withFields = false);
  /// The same, of codes in one plane, where they lie in their bytes: times
  /// 2 to the power of where their field begins.
  Value quadInPlace(int64_t quad, int64_t part);

  /// Key `key` of each byte of the chunk, of codes in one plane: half a byte.
  Value key(int64_t key, int64_t part);

  /// Fetches the lines of the chunk that is about `distance` bytes ahead.
  void prefetch(int64_t distance);

private:
  Value splat(uint32_t value);
  Value asBytes(Value lanes);
  Value load(int64_t vector, int64_t part);

  OpBuilder &b;
  Location loc;
  const CodePlanes &planes;
  int64_t lanes;
  Value codes, tile, chunk;
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> loaded;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_CODES_H
