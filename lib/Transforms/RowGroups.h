//===- RowGroups.h - Reductions of the same rows ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_ROWGROUPS_H
#define LUTRA_LIB_TRANSFORMS_ROWGROUPS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::lutra {

/// Operations that one kernel can do row by row, in order; the last is the
/// root.
struct RowGroup {
  SmallVector<Operation *> members;
  /// The root's loops that are rows; the others are computed as a whole.
  SmallVector<int64_t> rows;
};

/// The largest such group that ends in `root`, an elementwise operation: it and
/// what only the group reads, if that has at least one reduction, all over the
/// same rows, and no more than one tensor of the root's size at a time, whose
/// place the root's output can take. `isTaken` says of an operation that it
/// belongs elsewhere.
std::optional<RowGroup> findRowGroup(linalg::GenericOp root,
                                     function_ref<bool(Operation *)> isTaken);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_ROWGROUPS_H
