//===- Parts.h - An iteration as parts that are merged ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A cascade that iterates over a rank is two: one whose states have a further
// rank that counts parts of the iterated one, each gone over apart, and one
// that merges the states of all parts and computes what follows from them.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_PARTS_H
#define LUTRA_DIALECTS_CASCADE_PARTS_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra::cascade {

/// The numbers of states that tell a mean: a sum of points, and how many.
struct Moments {
  unsigned sum, count;
};

/// What is carried through an iteration, as an element of an algebra.
struct CarriedState {
  /// What combines that of two parts, but for a sum under a reference.
  Monoid monoid;
  /// Of a sum under a reference: the number of that, and how it depends on it.
  std::optional<unsigned> reference;
  Family family = Family::Exp;
  /// What it is where no point was gone over.
  TypedAttr neutral;
  /// Of squares of distances to a mean: what tells that.
  std::optional<Moments> about = std::nullopt;
};

/// What `op` carries, where all of it can be merged: references that are
/// maxima, sums of multiples of exponentials under them, squares of distances
/// to the mean so far, and reductions that need nothing that is carried.
/// Nothing where something else is carried.
std::optional<SmallVector<CarriedState>> carriedStates(IterateOp op);

/// Parts of an iterated rank, counted by a rank of their own.
struct Parts {
  OpFoldResult count;
  /// From which coordinate to which a part goes: d0 is its number.
  AffineExpr begin, end;
  SmallVector<Value> symbols;
  /// Of which part number 0 is the first: nothing but the whole begins from
  /// what the iteration begins from.
  OpFoldResult first;
};

/// The only iteration of a cascade, if it can be done in parts.
IterateOp findDivisibleIteration(CascadeOp op);

/// Whether a rank counts parts: no tensor from outside has it, and all that is
/// carried does.
bool countsParts(CascadeOp op, StringRef rank);

/// A cascade whose results are what the iteration of `op` carries, with a first
/// dimension that counts the parts.
CascadeOp buildParts(OpBuilder &b, CascadeOp op, const Parts &parts);

/// A cascade with the results of `op`, of the states of all parts.
CascadeOp buildMerge(OpBuilder &b, CascadeOp op, OpFoldResult count,
                     ValueRange states);

} // namespace mlir::lutra::cascade

#endif // LUTRA_DIALECTS_CASCADE_PARTS_H
