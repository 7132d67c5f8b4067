//===- JoinStarts.cpp - Maxima start from what joins them -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A row may have a point more than its rank, such as a learned logit that no
// key stands for: the reference is then the maximum of both. Taken as what the
// maximum starts from, it is one reduction again.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// The maximum over the rank that `term` reads.
static EinsumOp matchMaximum(Terms &terms, Levels &levels, const Term *term) {
  EinsumOp op = terms.einsum(term);
  bool isMaximum = op && op.getMonoid() == Monoid::Max &&
                   isa<FloatType>(getElementTypeOrSelf(op.getType()));
  return isMaximum && levels.of(op) == 1 && levels.waits(term) &&
                 !levels.carries(term)
             ? op
             : EinsumOp();
}

/// The maximum of `op` and what joins it, if that is what `op` is.
static std::pair<EinsumOp, const Term *> matchJoin(Terms &terms, Levels &levels,
                                                   EinsumOp op) {
  const Term *point = op.hasReduction() ? nullptr : terms.point(op);
  if (!point || !point->isa<arith::MaximumFOp>())
    return {};
  for (unsigned side : {0, 1}) {
    EinsumOp maximum = matchMaximum(terms, levels, point->operands[side]);
    const Term *other = point->operands[1 - side];
    if (maximum && !levels.waits(other) && !levels.carries(other) &&
        *ranksOf(maximum.getResult()) == *ranksOf(op.getResult()))
      return {maximum, other};
  }
  return {};
}

/// Joins what each maximum is joined by first. Returns whether there was any.
static bool joinNext(CascadeOp cascade, StringRef rank) {
  Terms terms(cascade);
  Levels levels(cascade, rank);
  SmallVector<std::pair<EinsumOp, Value>> joined;
  for (EinsumOp op : llvm::to_vector(cascade.getBlock()->getOps<EinsumOp>())) {
    auto [maximum, other] = matchJoin(terms, levels, op);
    const Term *point = maximum ? terms.point(maximum) : nullptr;
    if (!point)
      continue;
    OpBuilder b(op);
    EinsumShape shape = EinsumShape::of(maximum);
    if (Value init = maximum.getInit())
      other = terms.operation<arith::MaximumFOp>(
          {terms.element(init,
                         terms.toCascade(maximum, maximum.getResultMap())),
           other},
          getElementTypeOrSelf(maximum.getType()));
    shape.init =
        buildEinsum(b, op.getLoc(), cascade, shape.asMap(), other).getResult();
    joined.push_back(
        {op, buildEinsum(b, op.getLoc(), cascade, shape, point).getResult()});
  }
  for (auto [op, value] : joined)
    op.getResult().replaceAllUsesWith(value);
  eraseUnread(*cascade.getBlock());
  return !joined.empty();
}

void lutra::cascade::joinStarts(CascadeOp cascade, StringRef rank) {
  while (joinNext(cascade, rank))
    ;
}
