//===- Levels.h - In which pass a value is there ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_REDUCEPASSES_LEVELS_H
#define LUTRA_TRANSFORMS_REDUCEPASSES_LEVELS_H

#include "Terms.h"
#include "lutra/Analysis/PassCount.h"

namespace mlir::lutra::cascade {

/// What the passes over one rank mean for terms.
class Levels {
public:
  Levels(CascadeOp cascade, StringRef rank);

  StringRef getRank() const { return rank; }
  unsigned getPosition() const { return position; }
  unsigned getPasses() const { return count.passes; }
  /// The pass in which an Einsum over the rank is computed; 0 for any other.
  unsigned of(EinsumOp op) const { return count.levelOf(op); }

  /// Whether `term` differs along the rank.
  bool carries(const Term *term);
  /// Whether `term` needs what only a whole pass over the rank gives.
  bool waits(const Term *term);
  /// Whether it does both: no factor of it can leave a sum over the rank.
  bool mixes(const Term *term) { return carries(term) && waits(term); }

private:
  struct Facts {
    bool carries = false;
    bool waits = false;
  };
  Facts facts(const Term *term);
  Facts elementFacts(const Term *term);

  StringRef rank;
  unsigned position;
  RankPasses count;
  /// The pass in which each point of a tensor along the rank is there, or after
  /// which a tensor without the rank is.
  llvm::DenseMap<Value, unsigned> streamed, final;
  llvm::DenseMap<const Term *, Facts> known;
};

} // namespace mlir::lutra::cascade

#endif // LUTRA_TRANSFORMS_REDUCEPASSES_LEVELS_H
