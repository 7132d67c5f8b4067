//===- CascadeGroup.h - Operations that are one cascade ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_CASCADEGROUP_H
#define LUTRA_LIB_TRANSFORMS_CASCADEGROUP_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::lutra {

/// Operations of one block that share ranks. A rank is a loop that several
/// operations have in common, since one reads along it what another writes.
struct CascadeGroup {
  /// In the order of the block.
  SmallVector<linalg::GenericOp> members;
  /// The rank of each loop of each member.
  DenseMap<Operation *, SmallVector<unsigned>> ranksOf;
  unsigned numRanks = 0;
  /// The ranks that every member has, and the one that is reduced.
  SmallVector<unsigned> rows;
  unsigned reduced;
};

/// The group around `seed`, a reduction along one loop whose result is used to
/// compute along that loop again; nothing where there is no second reduction
/// along it, or where what the group reads depends on what it computes.
/// `isTaken` says of an operation that it belongs elsewhere.
std::optional<CascadeGroup>
findCascadeGroup(linalg::GenericOp seed,
                 function_ref<bool(Operation *)> isTaken);

/// The group around `seed`, a reduction of what another reduction gives the
/// points of along the reduced loop, such as two products with a map between
/// them: no pass needs another, and what is between them need not be kept.
/// Nothing where that is not cheaper.
std::optional<CascadeGroup>
findProductGroup(linalg::GenericOp seed,
                 function_ref<bool(Operation *)> isTaken);

/// Whether `op` reads as an Einsum that can be part of a cascade.
bool isCascadeMember(linalg::GenericOp op);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CASCADEGROUP_H
