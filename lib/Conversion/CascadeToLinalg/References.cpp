//===- References.cpp - Maxima that nothing but exponentials sees ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// softmax(x) = exp(x - max x) / sum exp(x - max x) for any number in the place
// of max x. Where x has a NaN so has the sum, and with it all of the row, even
// if the maximum is that of the other elements.
//
//===----------------------------------------------------------------------===//

#include "References.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Whether the point of `op` is NaN where input `number` is, whatever the
/// others are.
static bool keepsNaN(EinsumOp op, unsigned number) {
  DenseSet<Value> keeping = {op.getBlock()->getArgument(number)};
  auto keeps = [&](Value each) { return keeping.contains(each); };
  for (Operation &inner : op.getBlock()->without_terminator()) {
    // What is guarded is something else where the denominator is 0.
    auto guarded = dyn_cast<DivideOp>(inner);
    if (guarded
            ? keeps(guarded.getDenominator())
            : isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
                  arith::NegFOp, arith::ExtFOp, arith::TruncFOp, math::ExpOp,
                  math::Exp2Op, math::LogOp>(inner) &&
                  llvm::any_of(inner.getOperands(), keeps))
      keeping.insert(inner.getResult(0));
  }
  return keeps(op.getEinsumPoint());
}

/// Whether `op` is NaN where one of `values` is, of which it reads some, each
/// along the ranks that it has, or `ranks` if it is from outside.
static bool keepsNaNOf(EinsumOp op, const DenseSet<Value> &values,
                       ArrayRef<StringRef> ranks = {}) {
  return llvm::any_of(llvm::enumerate(op.getInputs()), [&](auto input) {
    Value value = input.value();
    auto along = ranksRead(op, input.index());
    return values.contains(value) && along &&
           ArrayRef(*along) == ArrayRef(ranksOf(value).value_or(
                                   SmallVector<StringRef>(ranks))) &&
           keepsNaN(op, input.index());
  });
}

static SmallVector<StringRef> reducedRanks(EinsumOp op) {
  SmallVector<StringRef> ranks;
  for (unsigned rank : llvm::seq(op.getNumRanks()))
    if (op.isReduced(rank))
      ranks.push_back(op.getRankName(rank));
  return ranks;
}

static bool reads(Operation &op, const DenseSet<Value> &values) {
  return op
      .walk([&](Operation *inner) {
        return llvm::any_of(inner->getOperands(),
                            [&](Value each) { return values.contains(each); })
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Whether all that comes of `maximum` is NaN in rows that have a NaN, since it
/// comes of a sum over the same row, too.
static bool isToldBySum(EinsumOp maximum) {
  auto ranks = ranksRead(maximum, 0);
  if (!ranks)
    return false;
  // What is NaN where the row's elements are; what then is NaN in all of a row;
  // and what is not, and has the maximum in it.
  DenseSet<Value> elements = {maximum.getInputs()[0]}, rows,
                  carriers = {maximum.getResult()};
  for (Operation &each : *maximum->getBlock()) {
    auto op = dyn_cast<EinsumOp>(each);
    if (!op) {
      if (reads(each, carriers))
        return false;
      continue;
    }
    bool isSum = op.getMonoid() == Monoid::Add && !op.getMask() &&
                 !op.getFilters() &&
                 isa<FloatType>(op.getType().getElementType()) &&
                 reducedRanks(op) == reducedRanks(maximum) &&
                 keepsNaNOf(op, elements, *ranks);
    if (isSum || (!op.hasReduction() && keepsNaNOf(op, rows))) {
      rows.insert(op.getResult());
      continue;
    }
    if (!op.hasReduction() && keepsNaNOf(op, elements, *ranks))
      elements.insert(op.getResult());
    if (!reads(each, carriers))
      continue;
    if (op.hasReduction())
      return false;
    carriers.insert(op.getResult());
  }
  return true;
}

/// Whether a maximum goes to exponentials' references only, which parts of a
/// rank have one after the other.
static bool isReferenceOfParts(Value maximum) {
  return !maximum.use_empty() &&
         llvm::all_of(maximum.getUses(), [](OpOperand &use) {
           if (auto rebase = dyn_cast<RebaseOp>(use.getOwner()))
             return use.get() == rebase.getLocal() &&
                    rebase.getFamily() != Family::Ratio;
           auto map = dyn_cast<EinsumOp>(use.getOwner());
           return map && !map.hasReduction() && map.getInputs().size() == 1 &&
                  isReferenceOfParts(map.getResult());
         });
}

bool lutra::isReference(EinsumOp maximum) {
  if (maximum.getMonoid() != Monoid::Max ||
      !isa<FloatType>(maximum.getType().getElementType()))
    return false;
  if (isReferenceOfParts(maximum.getResult()))
    return true;
  bool isOfElements = maximum.getInputs().size() == 1 && !maximum.getMask() &&
                      !maximum.getFilters() && !maximum.getInit() &&
                      isa<BlockArgument>(maximum.getEinsumPoint());
  return isOfElements && isToldBySum(maximum);
}
