//===- BlockSchedule.h - Blocks of a product --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_SCHEDULE_BLOCKSCHEDULE_H
#define LUTRA_LIB_SCHEDULE_BLOCKSCHEDULE_H

#include "lutra/Analysis/Contraction.h"

namespace mlir::lutra {

/// Rows of two matrix tiles, which are multiplied together.
inline constexpr int64_t kRowsOfMatrixTiles = 32;

/// What a task computes of a product, and how many steps of the reduction it
/// goes at once. Of a strip of rows the sums fit the first-level cache.
struct ProductBlock {
  int64_t rows, columns, depth, strip;
};

/// The blocks of a contraction that goes over its reduction so: as much of a
/// row of `b` is read at once as leaves threads and sums enough, and the copy
/// of its columns and the rows that it is multiplied with stay in the
/// second-level cache. Sums and copies lie on the stack.
ProductBlock selectBlock(linalg::GenericOp op, const Contraction &contraction,
                         Blocks blocks, TargetAttr target);

} // namespace mlir::lutra

#endif // LUTRA_LIB_SCHEDULE_BLOCKSCHEDULE_H
