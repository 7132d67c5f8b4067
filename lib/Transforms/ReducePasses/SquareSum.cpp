//===- SquareSum.cpp - Squares about a value that is not final ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums of polynomials in x - d are a vector space that a change of d maps onto
// itself: with n points of mean a, the sum of (x - d)^2 is that of (x - a)^2
// plus n (a - d)^2. So a variance needs no pass for the mean before it, and
// since only squares are added nothing cancels.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// The sum of `summands`, all with the opposite sign if `isNegated`.
static const Term *sumOf(Terms &terms, ArrayRef<Summand> summands,
                         bool isNegated, Type type) {
  const Term *sum = nullptr;
  for (const Summand &summand : summands) {
    bool isNegative = summand.isNegative != isNegated;
    if (summand.term->type != type)
      return nullptr;
    if (!sum)
      sum = isNegative ? terms.operation<arith::NegFOp>(summand.term, type)
                       : summand.term;
    else if (isNegative)
      sum = terms.operation<arith::SubFOp>({sum, summand.term}, type);
    else
      sum = terms.operation<arith::AddFOp>({sum, summand.term}, type);
  }
  return sum;
}

/// The sum over the rank of which `term` is a multiple.
static EinsumOp findTotal(Terms &terms, Levels &levels, const Term *term) {
  while (term->isa<arith::MulFOp, arith::DivFOp>()) {
    bool isLeft = levels.waits(term->operands[0]);
    const Term *other = term->operands[isLeft ? 1 : 0];
    if (levels.waits(other) || (!isLeft && term->isa<arith::DivFOp>()))
      return nullptr;
    term = term->operands[isLeft ? 0 : 1];
  }
  EinsumOp op = terms.einsum(term);
  return op && op.getMonoid() == Monoid::Add && levels.of(op) == 1 ? op
                                                                   : EinsumOp();
}

std::optional<SquareSum>
lutra::cascade::matchSquareSum(Terms &terms, Levels &levels, EinsumOp op) {
  auto type = dyn_cast<FloatType>(getElementTypeOrSelf(op.getType()));
  const Term *point = terms.point(op);
  if (!type || type.getWidth() < 32 || !point || op.getInit() ||
      op.getMonoid() != Monoid::Add)
    return std::nullopt;
  std::optional<Product> product = factorize(terms, levels, point);
  if (!product || product->isNegative || product->factors.size() != 2)
    return std::nullopt;
  const Factor &x = product->factors[0], &y = product->factors[1];
  if (x.divides || x.clears || y.divides || y.clears ||
      terms.inlined(x.term) != terms.inlined(y.term))
    return std::nullopt;
  std::optional<SmallVector<Summand>> sum = linearize(terms, levels, x.term);
  if (!sum)
    return std::nullopt;
  SmallVector<Summand> value, center;
  for (const Summand &summand : *sum) {
    if (levels.mixes(summand.term))
      return std::nullopt;
    (levels.waits(summand.term) ? center : value).push_back(summand);
  }
  EinsumOp total = center.size() == 1
                       ? findTotal(terms, levels, terms.inlined(center[0].term))
                       : EinsumOp();
  SquareSum result{op, total, sumOf(terms, value, false, type),
                   sumOf(terms, center, true, type)};
  const Term *summand = total ? terms.point(total) : nullptr;
  if (!summand || !result.value || !result.center || total.getInit() ||
      !hasSamePoints(total, op) ||
      terms.inlined(summand) != terms.inlined(result.value))
    return std::nullopt;
  return result;
}
