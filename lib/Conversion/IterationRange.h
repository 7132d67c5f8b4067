//===- IterationRange.h - Where an iteration has to go ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_ITERATIONRANGE_H
#define LUTRA_LIB_CONVERSION_ITERATIONRANGE_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// The first coordinate of rank number `rank` that `op` goes over and the one
/// behind the last: all of `extents[rank]` without filters, else what they
/// leave at any coordinates of the other ranks, which go from 0 to their
/// extents. `symbols` are those of the filters.
std::pair<OpFoldResult, OpFoldResult>
iterationRange(OpBuilder &b, Location loc, cascade::IterateOp op, unsigned rank,
               ArrayRef<OpFoldResult> extents, ValueRange symbols);

/// Whether `constraint` >= 0, over the same ranks and symbols, holds at all
/// points of that range, rounded outwards to multiples of `unit`: where it is a
/// constraint of all filters, and bounds the iterated rank by such a multiple,
/// at the one coordinate that the others have.
bool isImplied(cascade::IterateOp op, unsigned rank,
               ArrayRef<OpFoldResult> extents, AffineExpr constraint,
               int64_t unit);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_ITERATIONRANGE_H
