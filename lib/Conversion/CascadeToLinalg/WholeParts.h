//===- WholeParts.h - Parts of which nothing is masked ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_CASCADETOLINALG_WHOLEPARTS_H
#define LUTRA_LIB_CONVERSION_CASCADETOLINALG_WHOLEPARTS_H

#include "lutra/Analysis/Pieces.h"

namespace mlir::lutra {

/// Where `filter` of `op` holds, or fewer points: linear constraints.
Points pointsOf(PieceReader &reader, cascade::IterateOp op, IntegerSet filter);

/// Whether `points` are fewer than `length` coordinates of `rank` next to each
/// other at which they are all coordinates of the other ranks, which go from 0
/// to `extents`, whatever the symbols.
bool isShorter(PieceReader &reader, const Points &points, unsigned rank,
               ArrayRef<OpFoldResult> extents, int64_t length);

/// Leaves out of the body of `op` what is decided where all points are in
/// `points`: filters, and comparisons of coordinates. False if that is nothing
/// but constraints of filters of which `isImplied` holds.
bool simplifyWhere(PieceReader &reader, cascade::IterateOp op,
                   const Points &points,
                   function_ref<bool(cascade::EinsumOp, AffineExpr)> isImplied);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_CASCADETOLINALG_WHOLEPARTS_H
