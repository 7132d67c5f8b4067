//===- RankLabels.h - Which loops are one rank ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_RANKLABELS_H
#define LUTRA_LIB_TRANSFORMS_RANKLABELS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::lutra {

/// The members of a group that grows, with the rank of each of their loops.
struct RankLabels {
  llvm::MapVector<Operation *, SmallVector<unsigned>> members;
  /// The rank that is reduced.
  unsigned reduced = 0;
  unsigned numRanks = 0;

  /// The ranks of the loops of `op`, which is no member, from what it reads of
  /// members and what members read of it; ranks from `numRanks` on for other
  /// loops. Nothing where these contradict each other.
  std::optional<SmallVector<unsigned>> label(linalg::GenericOp op) const;
  void add(linalg::GenericOp op, SmallVector<unsigned> labels);

private:
  void labelReduced(linalg::GenericOp op,
                    MutableArrayRef<unsigned> labels) const;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_RANKLABELS_H
