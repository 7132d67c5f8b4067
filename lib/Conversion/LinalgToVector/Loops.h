//===- Loops.h - Loops in pieces --------------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A loop that is stepped by more than one is covered in pieces: full tiles,
// then full vectors or fewer rows, and last one masked vector, never a loop
// over scalars.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_LINALGTOVECTOR_LOOPS_H
#define LUTRA_LIB_CONVERSION_LINALGTOVECTOR_LOOPS_H

#include "Lanes.h"

namespace mlir::lutra {

/// A stretch of a loop that is covered in equal steps.
struct Piece {
  int64_t vectors; ///< Vectors of one step; for rows, their number.
  int64_t lanes;   ///< Lanes of a vector; 1 for rows.
  bool isMasked;

  int64_t step() const { return vectors * lanes; }
};

using Values = SmallVector<Value>;

/// The pieces of a loop that vectors run along. A static rest gets a shorter
/// vector, without a mask if it can, unless all must have `lanes`.
SmallVector<Piece> piecesOfLanes(OpFoldResult extent, int64_t lanes,
                                 int64_t vectors, bool keepLanes);

/// The pieces of a loop over `rows` rows at a time.
SmallVector<Piece> piecesOfRows(OpFoldResult extent, int64_t rows);

/// A loop over [begin, end), or no loop where it runs at most once. `begin` is
/// a multiple of `multiple`. `inside` gets the index and the carried values.
Values buildLoop(OpBuilder &b, Location loc, OpFoldResult begin,
                 OpFoldResult end, int64_t step, int64_t multiple,
                 ValueRange carried,
                 function_ref<Values(Index, ValueRange)> inside);

/// A loop over [0, extent) for each of the pieces, one after the other.
Values coverLoop(OpBuilder &b, Location loc, OpFoldResult extent,
                 ArrayRef<Piece> pieces, ValueRange carried,
                 function_ref<Values(Piece, Index, ValueRange)> inside);

/// x - y, folded.
OpFoldResult subtract(OpBuilder &b, Location loc, OpFoldResult x,
                      OpFoldResult y);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_LINALGTOVECTOR_LOOPS_H
