//===- ReferenceDegrees.cpp - What results tell of a reference ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums of exp(t - d) are multiples of exp(-d). They may be taken under another
// reference than the graph says, one that is a number or that lags behind the
// maximum, if what is computed of them divides one by another, so that no power
// of exp(-d) is left in any result.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

namespace {
/// Finds how what follows from sums under a reference depends on it.
class Degrees {
public:
  Degrees(Terms &terms, EinsumOp reference, ArrayRef<RunningSum> sums)
      : terms(terms), reference(reference) {
    for (const RunningSum &sum : sums)
      if (sum.reference == reference)
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

bool lutra::cascade::hidesReference(Terms &terms, EinsumOp reference,
                                    ArrayRef<RunningSum> sums) {
  Degrees degrees(terms, reference, sums);
  return llvm::all_of(
      terms.getCascade().getBlock()->getTerminator()->getOperands(),
      [&](Value result) { return degrees.of(result) == 0; });
}
