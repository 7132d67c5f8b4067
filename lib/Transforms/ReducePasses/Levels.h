//===- Levels.h - In which pass a value is there ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_REDUCEPASSES_LEVELS_H
#define LUTRA_TRANSFORMS_REDUCEPASSES_LEVELS_H

#include "Terms.h"

#include "llvm/ADT/DenseSet.h"

namespace mlir::lutra::cascade {

/// The passes over one rank of a cascade.
class Levels {
public:
  /// Of `early` it is assumed that they are final after the first pass.
  Levels(CascadeOp cascade, StringRef rank,
         const llvm::DenseSet<Operation *> &early = {});

  StringRef getRank() const { return rank; }
  unsigned getPosition() const { return position; }
  unsigned getPasses() const { return passes; }
  /// The pass in which an Einsum over the rank is computed; 0 for any other.
  unsigned of(EinsumOp op) const { return levels.lookup(op); }

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
  unsigned levelOf(EinsumOp op) const;
  std::optional<unsigned> findRank(EinsumOp op) const;

  CascadeOp cascade;
  StringRef rank;
  unsigned position;
  unsigned passes = 0;
  llvm::DenseMap<Operation *, unsigned> levels;
  /// The pass in which each point of a tensor along the rank is there, or after
  /// which a tensor without the rank is.
  llvm::DenseMap<Value, unsigned> streamed, final;
  llvm::DenseMap<const Term *, Facts> known;
};

} // namespace mlir::lutra::cascade

#endif // LUTRA_TRANSFORMS_REDUCEPASSES_LEVELS_H
