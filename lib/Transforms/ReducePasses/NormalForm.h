//===- NormalForm.h - Bodies as products and sums ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_REDUCEPASSES_NORMALFORM_H
#define LUTRA_TRANSFORMS_REDUCEPASSES_NORMALFORM_H

#include "Levels.h"

namespace mlir::lutra::cascade {

/// A factor of a product, what divides it, or a condition under which it is 0.
struct Factor {
  const Term *term;
  bool divides = false;
  bool clears = false;
  /// Of a divisor: the quotient is this where it is 0.
  std::optional<double> empty = std::nullopt;
  /// The element that was written out for it, if any.
  const Term *origin = nullptr;
};

struct Product {
  SmallVector<Factor> factors;
  bool isNegative = false;
};

/// One of the terms of a sum.
struct Summand {
  const Term *term;
  bool isNegative = false;

  bool operator==(const Summand &other) const {
    return term == other.term && isNegative == other.isNegative;
  }
};

/// Writes `term` as a product, so that no factor both differs along the rank of
/// `levels` and waits for a value where that can be split. Maps that it reads
/// are written out only for this. Nothing where there are too many factors.
std::optional<Product> factorize(Terms &terms, Levels &levels,
                                 const Term *term);

/// Writes `term` as a sum in the same way, opposite summands left out.
std::optional<SmallVector<Summand>> linearize(Terms &terms, Levels &levels,
                                              const Term *term);

/// The same of a term in which maps are written out already, down to the last.
std::optional<SmallVector<Summand>> linearize(const Term *inlined);

/// Whether two sums have the same summands.
bool isSameSum(ArrayRef<Summand> a, ArrayRef<Summand> b);

/// What stands for `term` in a proof: x for `select(x == -inf, 0, x)` and for
/// `select(abs(x) < inf, x, 0)`, which differ only where there was nothing to
/// take a maximum of, or where it is infinite.
const Term *stripGuard(const Term *inlined);

/// Whether `term` is of the second form.
bool isGuardedAbove(const Term *inlined);

/// The floating-point number that `term` is.
std::optional<double> asConstant(const Term *term);

} // namespace mlir::lutra::cascade

#endif // LUTRA_TRANSFORMS_REDUCEPASSES_NORMALFORM_H
