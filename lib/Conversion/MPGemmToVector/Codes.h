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
/// have that divide the rows of a tile, or a quarter of these where rows share
/// bytes. At depth 1 a tile is one register.
int64_t lanesOf(TargetAttr target, const CodePlanes &planes);

/// Chunks of codes that are decoded together, which have whole vectors, and the
/// quads of numbers that they stand for. Where rows share bytes a chunk is one
/// quad, and several of a group are decoded together.
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
  /// of each vector.
  Value quad(int64_t quad, int64_t part);
  /// The same, of codes in one plane of up to 4 bits, in lower halves of bytes:
  /// and how many codes of others are below them. Any bits are above them.
  std::pair<Value, int64_t> quadInHalf(int64_t quad, int64_t part);
  /// The same, of codes in one plane, where they lie in their bytes: times
  /// 2 to the power of where their field begins. Where rows share bytes, those
  /// of the fields below are added to them.
  Value quadInPlace(int64_t quad, int64_t part);

  /// Key `key` of each byte of the chunk, of codes in one plane: half a byte.
  Value key(int64_t key, int64_t part);

  /// Fetches the lines of the chunk that is about `distance` bytes ahead of the
  /// one `behind` chunks on.
  void prefetch(int64_t distance, int64_t behind = 0);

private:
  Value splat(uint32_t value);
  Value asBytes(Value lanes);
  Value load(int64_t vector, int64_t part);
  Value shiftRight(Value lanes, int64_t by);
  /// The register of each vector, and the field of its bytes, where a part has
  /// its codes if rows share bytes.
  std::pair<int64_t, int64_t> placeOf(int64_t part) const;

  OpBuilder &b;
  Location loc;
  const CodePlanes &planes;
  int64_t lanes;
  Value codes, tile, chunk;
  llvm::DenseMap<std::pair<int64_t, int64_t>, Value> loaded;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_CODES_H
