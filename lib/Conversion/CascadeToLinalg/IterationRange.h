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

/// Where an iteration goes: the coordinates from `begin` on and before `end`,
/// less those in gaps. A loop over what is left has a variable without gaps.
struct IterationRange {
  /// Where the variable is at `split`, which is a number of whole steps from
  /// `begin`, `length` coordinates are left out.
  struct Gap {
    Value split, length;
  };
  OpFoldResult begin, end;
  /// Each is a gap of what the gaps before it left.
  SmallVector<Gap> gaps;

  /// The end of a loop from `begin` that has only what is left.
  OpFoldResult loopEnd(OpBuilder &b, Location loc) const;
  /// The coordinate that the loop's variable stands for.
  Value coordinate(OpBuilder &b, Location loc, Value variable) const;
  /// Leaves out the whole steps in the coordinates of `inner`, which is all on
  /// one side of each gap. The loop's variable from where to where that was.
  std::pair<OpFoldResult, OpFoldResult> takeOut(OpBuilder &b, Location loc,
                                                const IterationRange &inner,
                                                int64_t step);
};

/// All of `extents[rank]` without filters, else what they leave at any
/// coordinates of the other ranks, which go from 0 to their extents. `symbols`
/// are those of the filters. A range is rounded outwards to multiples of
/// `unit`, which the whole is one of: what filters leave nothing of changes
/// nothing.
IterationRange iterationRange(OpBuilder &b, Location loc, cascade::IterateOp op,
                              unsigned rank, ArrayRef<OpFoldResult> extents,
                              ValueRange symbols, Value step, int64_t unit);

/// Where all of the constraints `points` >= 0 hold, which are linear, at all
/// coordinates of the other ranks. It may end before it begins.
IterationRange innerRange(OpBuilder &b, Location loc, unsigned rank,
                          ArrayRef<OpFoldResult> extents,
                          ArrayRef<AffineExpr> points, ValueRange symbols);

/// Whether `constraint` >= 0, over the same ranks and symbols, holds at all
/// points of that range, rounded outwards to multiples of `unit`: where it is a
/// constraint of all filters, and bounds the iterated rank by such a multiple,
/// at the one coordinate that the others have.
bool isImplied(cascade::IterateOp op, unsigned rank,
               ArrayRef<OpFoldResult> extents, AffineExpr constraint,
               int64_t unit);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_ITERATIONRANGE_H
