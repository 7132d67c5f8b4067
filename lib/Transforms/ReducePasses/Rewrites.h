//===- Rewrites.h - What lowers the passes over a rank ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_REDUCEPASSES_REWRITES_H
#define LUTRA_TRANSFORMS_REDUCEPASSES_REWRITES_H

#include "NormalForm.h"

#include "llvm/ADT/SetVector.h"
#include <set>

namespace mlir::lutra::cascade {

/// Sentences in the order in which they were said first.
class Sentences {
public:
  void insert(std::string sentence) {
    if (said.insert(sentence).second)
      list.push_back(std::move(sentence));
  }
  ArrayRef<std::string> get() const { return list; }

private:
  std::vector<std::string> list;
  std::set<std::string> said;
};

/// What was done and what was not, in words.
struct Journal {
  Sentences rewrites, refusals;
  /// Why more than one pass over the rank at hand is left.
  Sentences obstacles;
};

/// Whether an extent is at least 1, for all that is known.
bool isPositive(OpFoldResult extent);

/// Moves what is the same along the rank out of the reductions over it. Returns
/// whether anything changed.
bool hoistOutOfReductions(CascadeOp cascade, StringRef rank, Journal &journal);

/// Makes a value that joins a maximum over the rank what the maximum starts
/// from, where it is known before the pass: max(max[m], s) is one reference.
void joinStarts(CascadeOp cascade, StringRef rank);

/// Whether all that a cascade computes has the range for exponentials above 1,
/// and rounds to nothing that has not.
bool isWide(CascadeOp cascade);

/// What the elements of a term may be, where they are numbers.
struct Interval {
  double low, high;
  /// Whether they may be -inf instead, as under a mask.
  bool mayBeAbsent = false;
};

Interval intervalOf(Terms &terms, const Term *term);

/// Replaces a maximum over the rank by a number, where the points of sums under
/// it are proven to be no farther from that than `distance`, and the results
/// are the same whatever the sums are taken under.
void fixReferences(CascadeOp cascade, StringRef rank, double distance,
                   Journal &journal);

/// A sum that can be taken under a reference that is not final yet.
struct RunningSum {
  EinsumOp sum;
  /// A maximum over the same rank.
  EinsumOp reference;
  Family family;
  /// The reference counts as 0 where it is infinite.
  bool isGuardedAbove = false;
  /// It does where it is -inf: the points of a row of these are 0 and not NaN.
  bool isGuarded = false;
  /// Its points are exponentials and nothing else: it is 0 of no points above
  /// -inf, and at least 1 of any.
  bool isAlone = false;
};

/// The maximum over the rank that `term` is, but for a guard against
/// infinities.
EinsumOp matchReference(Terms &terms, Levels &levels, const Term *term);

/// Whether `sum` has the points of its reference, which starts from none.
bool hasPointsOfReference(const RunningSum &sum);

/// Whether `sum` is 0 in the rows of its reference without a point above -inf,
/// and in no others.
bool isAbsenceTold(const RunningSum &sum);

/// Why `sum` needs its reference in advance, or how it does not.
std::optional<RunningSum> matchRunningSum(Terms &terms, Levels &levels,
                                          EinsumOp sum, Journal &journal);

/// Whether the results are the same whatever `sums` are taken under in the
/// place of `reference`.
bool hidesReference(Terms &terms, EinsumOp reference,
                    ArrayRef<RunningSum> sums);

/// A sum of squares (value - center)^2 of the points of `total`, the sum of the
/// values, of which the center is a multiple. It can be taken about the mean so
/// far.
struct SquareSum {
  EinsumOp sum, total;
  const Term *value;
  const Term *center;
};

std::optional<SquareSum> matchSquareSum(Terms &terms, Levels &levels,
                                        EinsumOp op);

/// What one iteration over a rank computes.
struct Loop {
  SmallVector<EinsumOp> references, plain;
  SmallVector<RunningSum> sums;
  SmallVector<SquareSum> squares;
  /// What the reductions read along the rank, and a guarded reference.
  llvm::SetVector<Operation *> inside;
  /// Guarded references, and what they guard.
  llvm::DenseMap<Value, EinsumOp> guards;
  llvm::SetVector<std::pair<Value, int64_t>> streams;
  /// By how much a reference may lie below the maximum before its sums are
  /// moved; 0 where results would tell.
  llvm::DenseMap<Operation *, double> tolerances;
  /// Maxima under which the graph would have NaN of rows without a point above
  /// -inf, and results tell.
  llvm::DenseSet<Operation *> visible;
};

/// Writes `loop` as a cascade.iterate.
void buildIteration(Terms &terms, StringRef rank, const Loop &loop);

/// Goes over the rank once, part by part, in a cascade.iterate, for as many
/// reductions as can be. Returns whether there were such.
bool iterateOverRank(CascadeOp cascade, StringRef rank, double lazy,
                     Journal &journal);

} // namespace mlir::lutra::cascade

#endif // LUTRA_TRANSFORMS_REDUCEPASSES_REWRITES_H
