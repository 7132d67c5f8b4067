//===- GroupRanks.h - Ranks of a group of operations ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_GROUPRANKS_H
#define LUTRA_LIB_TRANSFORMS_GROUPRANKS_H

#include "CascadeGroup.h"

namespace mlir::lutra {

/// A name for each rank. The reduced one is m, the last of the rows p, as those
/// who write about attention call keys and queries; the others take the letters
/// that are left.
SmallVector<std::string> rankNames(const CascadeGroup &group);

/// The extents of all ranks, from the tensors that members read and write.
/// Fails where one is not known.
FailureOr<SmallVector<OpFoldResult>> rankExtents(OpBuilder &b,
                                                 const CascadeGroup &group);

/// Whether what the member `op` reads by `map` has all rows.
bool hasRows(const CascadeGroup &group, linalg::GenericOp op, AffineMap map);

/// Whether what the member `op` reads by `map` is gone over, for all rows
/// alike.
bool isStreamed(const CascadeGroup &group, linalg::GenericOp op, AffineMap map);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_GROUPRANKS_H
