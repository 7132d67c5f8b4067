//===- FixedReference.cpp - Sums under a number ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums of exp(t - d) are taken under the maximum d of t so that none leaves the
// range of its type. Where t is proven to be near some number, as scores that a
// hyperbolic tangent caps are, that does as well, and no maximum is needed. The
// results must not tell the difference: sums are multiples of exp(-d), and what
// is computed of them must divide one by another, so that no power of it is
// left.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra::cascade;

namespace {
/// Finds how what follows from sums under a reference depends on it.
class Degrees {
public:
  Degrees(Terms &terms, EinsumOp reference, ArrayRef<RunningSum> sums)
      : terms(terms), reference(reference) {
    for (const RunningSum &sum : sums)
      known[resultOf(sum.sum)] = 1;
  }

  /// The power of exp(-reference) that `result` is a multiple of; nothing where
  /// it depends on the reference in another way.
  std::optional<int> of(Value result) {
    auto op = result.getDefiningOp<EinsumOp>();
    return op ? of(resultOf(op)) : std::nullopt;
  }

private:
  const Term *resultOf(EinsumOp op) {
    return terms.element(op.getResult(),
                         terms.toCascade(op, op.getResultMap()));
  }
  std::optional<int> of(const Term *term);
  std::optional<int> compute(const Term *term);
  std::optional<int> ofElement(const Term *term);

  Terms &terms;
  EinsumOp reference;
  llvm::DenseMap<const Term *, std::optional<int>> known;
};
} // namespace

static bool isZero(const Term *term) { return asConstant(term) == 0.0; }

std::optional<int> Degrees::ofElement(const Term *term) {
  auto op = term->source.getDefiningOp<EinsumOp>();
  if (!op || op->getParentOp() != terms.getCascade())
    return 0;
  if (op == reference)
    return std::nullopt;
  if (known.count(resultOf(op)))
    return known[resultOf(op)];
  const Term *point = terms.point(op);
  if (!point)
    // Of what is gathered or too large to be looked at.
    return llvm::all_of(
               op.getInputs(),
               [&](Value input) { return !input.getDefiningOp<EinsumOp>(); })
               ? std::optional(0)
               : std::nullopt;
  std::optional<int> degree = of(point);
  if (Value init = op.getInit())
    if (degree != (init.getDefiningOp<EinsumOp>() ? of(init) : 0))
      return std::nullopt;
  bool isLinear = !op.hasReduction() || op.getMonoid() == Monoid::Add;
  return isLinear || degree == 0 ? degree : std::nullopt;
}

std::optional<int> Degrees::compute(const Term *term) {
  if (term->isElement())
    return ofElement(term);
  SmallVector<int> x;
  for (const Term *operand : term->operands) {
    std::optional<int> degree = of(operand);
    if (!degree)
      return std::nullopt;
    x.push_back(*degree);
  }
  if (term->isa<arith::MulFOp>())
    return x[0] + x[1];
  if (term->isa<arith::DivFOp, DivideOp>())
    return x[0] - x[1];
  if (term->isa<arith::NegFOp, arith::ExtFOp, arith::TruncFOp, math::AbsFOp>())
    return x[0];
  auto areAlike = [&](unsigned i, unsigned j) {
    return x[i] == x[j] || isZero(term->operands[i]) ||
           isZero(term->operands[j]);
  };
  auto common = [&](unsigned i, unsigned j) {
    return isZero(term->operands[i]) ? x[j] : x[i];
  };
  if (term->isa<arith::AddFOp, arith::SubFOp>())
    return areAlike(0, 1) ? std::optional(common(0, 1)) : std::nullopt;
  if (term->isa<arith::SelectOp>() && x[0] == 0)
    return areAlike(1, 2) ? std::optional(common(1, 2)) : std::nullopt;
  // The sign of a multiple is that of what it is a multiple of.
  if (term->isa<arith::CmpFOp>())
    return areAlike(0, 1) ? std::optional(0) : std::nullopt;
  return llvm::all_of(x, [](int degree) { return degree == 0; })
             ? std::optional(0)
             : std::nullopt;
}

std::optional<int> Degrees::of(const Term *term) {
  auto it = known.find(term);
  if (it != known.end())
    return it->second;
  std::optional<int> degree = compute(term);
  // Powers of a sum leave the range that is proven for the sum.
  if (degree && std::abs(*degree) > 1)
    degree = std::nullopt;
  return known[term] = degree;
}

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
    Degrees degrees(terms, op, sums);
    if (!llvm::all_of(cascade.getBlock()->getTerminator()->getOperands(),
                      [&](Value result) { return degrees.of(result) == 0; }))
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
