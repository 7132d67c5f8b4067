//===- PassCount.h - How often a cascade goes over its ranks ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A pass over a rank is a traversal of every element of a fiber along it. One
// more is needed where an element must be seen again after every other element
// of the fiber was: where an Einsum reads along the rank and needs a value that
// is final only behind an earlier pass. Einsums of one pass can be fused along
// the rank, those of different passes never, whatever the schedule.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_PASSCOUNT_H
#define LUTRA_ANALYSIS_PASSCOUNT_H

#include "dialects/Cascade/Cascade.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::lutra {

/// The passes of a tensor's readers are counted up to this number.
inline constexpr unsigned kMaxCountedPasses = 64;

/// How often the fibers of a tensor along a rank are gone over.
struct TensorPasses {
  Value tensor;
  /// The passes that read it, and those that would if nothing that is computed
  /// from it were kept from one pass to the next.
  unsigned direct = 0, recomputed = 0;
  /// It is computed in one pass and read in a later one, so that whole fibers
  /// are kept or computed again.
  bool isLive = false;
};

struct RankPasses {
  unsigned passes = 0;
  /// The pass, from 1, of each operation that goes over the rank; also of those
  /// inside of iterations.
  llvm::DenseMap<Operation *, unsigned> levels;
  /// The tensors that are read along the rank, in the order of the cascade. A
  /// stream stands for its parts.
  SmallVector<TensorPasses> tensors;

  unsigned levelOf(Operation *op) const { return levels.lookup(op); }
};

class CascadeProgram;

/// Counts the passes of a cascade that was verified. What it found holds until
/// the cascade changes.
class PassCount {
public:
  explicit PassCount(cascade::CascadeOp cascade);
  ~PassCount();

  /// The passes over one of the cascade's ranks; inside of an iteration over
  /// another rank, those of one step. Takes time in proportion to the size of
  /// the cascade.
  RankPasses count(StringRef rank) const;

private:
  std::unique_ptr<CascadeProgram> program;
};

/// The number of passes over each rank: `{m = 3, p = 1}`.
DictionaryAttr passCounts(cascade::CascadeOp cascade);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_PASSCOUNT_H
