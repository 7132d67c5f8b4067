//===- Reference.cpp - Sums under a running reference ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A sum of exp(t - d) * g, where d is the maximum of t over the same rank, can
// be taken under the maximum so far: when that grows from d to d', what has
// been summed is multiplied by exp(d - d'). This needs no pass of its own for
// d, and nothing leaves [0, 1] on the way. That d is the maximum of this very
// t, and bounds it, is proven by comparing the two written out; no bound is
// assumed.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// The smallest term of `term` that mixes what cannot be taken apart.
static const Term *innermostMix(Levels &levels, const Term *term) {
  while (true) {
    const Term *next = nullptr;
    for (const Term *operand : term->operands)
      if (!next && levels.mixes(operand))
        next = operand;
    if (!next)
      return term;
    // A product or a sum under another operation could be taken apart itself.
    bool isLinear = llvm::none_of(next->operands, [&](const Term *operand) {
      return levels.mixes(operand);
    });
    if (isLinear && next->operands.size() == 2)
      return term;
    term = next;
  }
}

static std::nullopt_t refuseMix(Terms &terms, Levels &levels, const Term *term,
                                Journal &journal) {
  journal.obstacles.insert(
      describe(terms, innermostMix(levels, terms.inlined(term))) +
      " mixes a streamed and a final value");
  return std::nullopt;
}

EinsumOp lutra::cascade::matchReference(Terms &terms, Levels &levels,
                                        const Term *term) {
  EinsumOp op = terms.einsum(stripGuard(terms.inlined(term)));
  if (!op || op.getMonoid() != Monoid::Max || levels.of(op) != 1)
    return nullptr;
  return op;
}

/// Whether no point of `sum` lies outside of those that `reference` is the
/// maximum of.
static bool coversPoints(EinsumOp reference, EinsumOp sum, Terms &terms) {
  if (!reference.isFiltered())
    return true;
  auto filtersOf = [&](EinsumOp op) {
    SmallVector<Attribute> filters;
    if (!op.getFilters())
      return filters;
    for (IntegerSet set : op.getFilters()->getAsValueRange<IntegerSetAttr>()) {
      // As many maps over the ranks of the cascade, and which are equations.
      AffineMap map = AffineMap::get(set.getNumDims(), set.getNumSymbols(),
                                     set.getConstraints(), op.getContext());
      SmallVector<AffineExpr> ranks, symbols;
      for (StringRef rank : op.getIter().getAsValueRange<StringAttr>())
        ranks.push_back(getAffineDimExpr(*terms.getCascade().findRank(rank),
                                         op.getContext()));
      for (unsigned i = 0; i < set.getNumSymbols(); ++i)
        symbols.push_back(getAffineSymbolExpr(i, op.getContext()));
      filters.push_back(AffineMapAttr::get(map.replaceDimsAndSymbols(
          ranks, symbols, terms.getCascade().getRanks().size(),
          set.getNumSymbols())));
      filters.push_back(
          DenseBoolArrayAttr::get(op.getContext(), set.getEqFlags()));
    }
    return filters;
  };
  bool isSameMask =
      reference.getMask() == sum.getMask() &&
      (!sum.getMask() || terms.toCascade(reference, reference.getMaskMap()) ==
                             terms.toCascade(sum, sum.getMaskMap()));
  return isSameMask && reference.getSymbols() == sum.getSymbols() &&
         filtersOf(reference) == filtersOf(sum);
}

/// Whether a factor of the shape of `reference` applies to `sum`.
static bool isBelow(EinsumOp reference, EinsumOp sum) {
  SmallVector<StringRef> ranks = *ranksOf(sum.getResult());
  return llvm::all_of(*ranksOf(reference.getResult()), [&](StringRef rank) {
    return llvm::is_contained(ranks, rank);
  });
}

namespace {
/// exp(rest - reference), or the same to base 2.
struct Exponential {
  EinsumOp reference;
  Family family;
  bool isGuardedAbove = false, isGuarded = false;
  SmallVector<Summand> rest;
};
} // namespace

static std::optional<Exponential> matchExponential(Terms &terms, Levels &levels,
                                                   const Factor &factor,
                                                   Journal &journal) {
  const Term *root = terms.inlined(factor.term);
  while (root->isa<arith::ExtFOp, arith::TruncFOp>())
    root = root->operands[0];
  if (!root->isa<math::ExpOp, math::Exp2Op>())
    return refuseMix(terms, levels, factor.term, journal);
  std::optional<SmallVector<Summand>> sum = linearize(root->operands[0]);
  if (!sum)
    return refuseMix(terms, levels, factor.term, journal);
  Exponential result;
  result.family = root->isa<math::ExpOp>() ? Family::Exp : Family::Exp2;
  for (Summand summand : *sum) {
    summand.isNegative ^= factor.divides;
    if (!levels.waits(summand.term)) {
      result.rest.push_back(summand);
      continue;
    }
    if (levels.carries(summand.term))
      return refuseMix(terms, levels, summand.term, journal);
    EinsumOp reference = matchReference(terms, levels, summand.term);
    if (!reference || !summand.isNegative || result.reference) {
      journal.obstacles.insert(
          describe(terms, root) + " is under " + describe(terms, summand.term) +
          (result.reference ? " and another reference"
                            : ", which is no maximum of the same pass"));
      return std::nullopt;
    }
    result.reference = reference;
    const Term *read = terms.inlined(summand.term);
    result.isGuardedAbove = isGuardedAbove(read);
    result.isGuarded = stripGuard(read) != read;
  }
  return result.reference ? std::optional(result) : std::nullopt;
}

/// Whether `sum` starts from exp(i - d), where the maximum d starts from i:
/// under the first reference, that is 1.
static bool startsUnder(Terms &terms, EinsumOp sum, const Exponential &under) {
  EinsumOp reference = under.reference;
  if (!reference.getInit() ||
      *ranksOf(reference.getResult()) != *ranksOf(sum.getResult()) ||
      sum.getType() != reference.getType())
    return false;
  auto inlined = [&](Value value) {
    return terms.inlined(
        terms.element(value, terms.toCascade(sum, sum.getResultMap())));
  };
  const Term *start = inlined(sum.getInit());
  bool isFamily = under.family == Family::Exp ? start->isa<math::ExpOp>()
                                              : start->isa<math::Exp2Op>();
  auto exponent = isFamily ? linearize(start->operands[0]) : std::nullopt;
  auto first = linearize(inlined(reference.getInit()));
  if (!exponent || !first)
    return false;
  auto *moved = llvm::find_if(*exponent, [&](const Summand &summand) {
    return summand.isNegative &&
           terms.einsum(stripGuard(summand.term)) == reference;
  });
  if (moved == exponent->end())
    return false;
  exponent->erase(moved);
  return isSameSum(*exponent, *first);
}

/// Notes that exp(-d) alone would not do: what stays is not bounded.
static void refuseHoist(Terms &terms, const Exponential &exponential,
                        EinsumOp sum, const Term *root, Journal &journal) {
  std::string text;
  llvm::raw_string_ostream os(text);
  StringRef function = stringifyFamily(exponential.family);
  os << "A hoist " << function << "(-" << describe(exponential.reference)
     << ") out of " << describe(sum) << ": " << function << '(';
  for (auto [i, summand] : llvm::enumerate(exponential.rest))
    os << (summand.isNegative ? (i ? " - " : "-") : (i ? " + " : ""))
       << describe(terms, summand.term);
  os << ") is unbounded";
  journal.refusals.insert(text);
}

bool lutra::cascade::hasPointsOfReference(const RunningSum &sum) {
  EinsumOp op = sum.sum, reference = sum.reference;
  // Where both are filtered, they are alike.
  return !reference.getInit() && op.isFiltered() == reference.isFiltered();
}

bool lutra::cascade::isAbsenceTold(const RunningSum &sum) {
  return sum.isAlone && hasPointsOfReference(sum) &&
         *ranksOf(EinsumOp(sum.sum).getResult()) ==
             *ranksOf(EinsumOp(sum.reference).getResult());
}

std::optional<RunningSum> lutra::cascade::matchRunningSum(Terms &terms,
                                                          Levels &levels,
                                                          EinsumOp sum,
                                                          Journal &journal) {
  const Term *point = terms.point(sum);
  std::optional<Product> product =
      point ? factorize(terms, levels, point) : std::nullopt;
  if (!product || sum.getMonoid() != Monoid::Add) {
    if (point && levels.mixes(point))
      return refuseMix(terms, levels, point, journal);
    journal.obstacles.insert(describe(sum) + (point ? " waits for another pass"
                                                    : " has too large a body"));
    return std::nullopt;
  }
  std::optional<Exponential> under;
  for (const Factor &factor : product->factors) {
    if (!levels.waits(factor.term))
      continue;
    if (!levels.carries(factor.term)) {
      journal.obstacles.insert(describe(sum) + " keeps " +
                               (factor.divides ? "1 / " : "") +
                               describe(terms, factor.term));
      return std::nullopt;
    }
    std::optional<Exponential> next =
        matchExponential(terms, levels, factor, journal);
    if (!next)
      return std::nullopt;
    refuseHoist(terms, *next, sum, factor.term, journal);
    if (under) {
      journal.obstacles.insert(describe(sum) + " is under two references, " +
                               describe(under->reference) + " and " +
                               describe(next->reference));
      return std::nullopt;
    }
    under = next;
  }
  if (!under)
    return std::nullopt;
  if (!isBelow(under->reference, sum)) {
    journal.obstacles.insert(describe(sum) + " has not all ranks of " +
                             describe(under->reference));
    return std::nullopt;
  }
  if (sum.getInit() && !startsUnder(terms, sum, *under)) {
    journal.obstacles.insert(describe(sum) + " starts from a value that " +
                             describe(under->reference) +
                             " does not start from");
    return std::nullopt;
  }
  Type type = getElementTypeOrSelf(under->reference.getType());
  if (type.getIntOrFloatBitWidth() < 32) {
    std::string text;
    llvm::raw_string_ostream(text) << describe(under->reference) << " is "
                                   << type << ", too coarse for corrections";
    journal.obstacles.insert(text);
    return std::nullopt;
  }

  const Term *extremum = terms.point(under->reference);
  std::optional<SmallVector<Summand>> bound =
      extremum ? linearize(terms.inlined(extremum)) : std::nullopt;
  if (!bound || !isSameSum(under->rest, *bound) ||
      !coversPoints(under->reference, sum, terms)) {
    journal.obstacles.insert("no bound of the exponent under " +
                             describe(under->reference) + " is known in " +
                             describe(sum));
    return std::nullopt;
  }
  bool isAlone = product->factors.size() == 1 && !product->isNegative &&
                 !product->factors.front().divides;
  return RunningSum{sum,
                    under->reference,
                    under->family,
                    under->isGuardedAbove,
                    under->isGuarded,
                    isAlone};
}
