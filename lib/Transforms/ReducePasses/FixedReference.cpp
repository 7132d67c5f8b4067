//===- FixedReference.cpp - Sums under a number ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums of exp(t - d) are taken under the maximum d of t so that none leaves the
// range of its type. Where t is proven to be near some number, as scores that a
// hyperbolic tangent caps are, that does as well, and no maximum is needed. The
// results must not tell the difference (ReferenceDegrees.cpp).
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra::cascade;

/// The sums over the rank that are taken under `reference`.
static SmallVector<RunningSum> sumsUnder(EinsumOp reference, Terms &terms,
                                         Levels &levels) {
  SmallVector<RunningSum> sums;
  Journal unsaid;
  for (auto op : terms.getCascade().getBlock()->getOps<EinsumOp>()) {
    if (!op.reduces(levels.getRank()) || levels.of(op) == 1 || op.getInit())
      continue;
    auto sum = matchRunningSum(terms, levels, op, unsaid);
    if (sum && sum->reference == reference && !sum->isGuardedAbove)
      sums.push_back(*sum);
  }
  return sums;
}

static void describeFixed(ArrayRef<RunningSum> sums, double number,
                          double distance, Journal &journal) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "B rebase {" << describe(sums.front().reference) << ";";
  llvm::ListSeparator separator(",");
  for (const RunningSum &sum : sums)
    os << separator << " " << describe(sum.sum);
  os << "} family=" << stringifyFamily(sums.front().family) << " policy=fixed "
     << llvm::format("%g", number) << ", exponent in ["
     << llvm::format("%g", -distance) << ", " << llvm::format("%g", distance)
     << "]";
  journal.rewrites.insert(text);
}

/// Replaces the first maximum that can be. Returns whether there was one.
static bool fixNext(CascadeOp cascade, StringRef rank, double limit,
                    Journal &journal) {
  Terms terms(cascade);
  Levels levels(cascade, rank);
  for (auto op : cascade.getBlock()->getOps<EinsumOp>()) {
    const Term *point = op.hasReduction() ? terms.point(op) : nullptr;
    if (!point || !op.reduces(rank) || op.getMonoid() != Monoid::Max ||
        op.getInit() || levels.of(op) != 1)
      continue;
    Interval bounds = intervalOf(terms, terms.inlined(point));
    double number = (bounds.low + bounds.high) / 2,
           distance = (bounds.high - bounds.low) / 2;
    SmallVector<RunningSum> sums = sumsUnder(op, terms, levels);
    if (!std::isfinite(number) || !(distance <= limit) || sums.empty())
      continue;
    if (!hidesReference(terms, op, sums))
      continue;
    describeFixed(sums, number, distance, journal);
    OpBuilder b(op);
    Type type = getElementTypeOrSelf(op.getType());
    EinsumOp fixed = buildEinsum(
        b, op.getLoc(), cascade, EinsumShape::of(op).asMap(),
        terms.constant(cast<TypedAttr>(b.getFloatAttr(type, number))));
    op.getResult().replaceAllUsesWith(fixed.getResult());
    eraseUnread(*cascade.getBlock());
    return true;
  }
  return false;
}

void lutra::cascade::fixReferences(CascadeOp cascade, StringRef rank,
                                   double distance, Journal &journal) {
  while (isWide(cascade) && fixNext(cascade, rank, distance, journal))
    ;
}
