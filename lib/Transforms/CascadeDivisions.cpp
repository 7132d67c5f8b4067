//===- CascadeDivisions.cpp - Divisions once a row ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CascadeDivisions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Whether all that a tensor begins with is 0 or an exponential.
static bool isNotNegative(Value start) {
  auto op = start.getDefiningOp<EinsumOp>();
  if (!op || op.hasReduction())
    return false;
  Value point = op.getEinsumPoint();
  return matchPattern(point, m_AnyZeroFloat()) ||
         isa_and_present<math::ExpOp, math::Exp2Op>(point.getDefiningOp());
}

/// The maximum that `value` is a map of.
static EinsumOp maximumBehind(Value value) {
  auto op = value.getDefiningOp<EinsumOp>();
  while (op && !op.hasReduction() && op.getInputs().size() == 1)
    op = op.getInputs()[0].getDefiningOp<EinsumOp>();
  return op && op.getMonoid() == Monoid::Max ? op : EinsumOp();
}

/// The running maximum that is subtracted in the exponents of `op`, a map.
static RebaseOp referenceOf(EinsumOp op) {
  Operation *power = op.getEinsumPoint().getDefiningOp();
  if (op.hasReduction() || !isa_and_present<math::ExpOp, math::Exp2Op>(power))
    return nullptr;
  auto difference = power->getOperand(0).getDefiningOp<arith::SubFOp>();
  auto argument = difference ? dyn_cast<BlockArgument>(difference.getRhs())
                             : BlockArgument();
  if (!argument || argument.getOwner() != op.getBlock())
    return nullptr;
  Value reference = op.getInputs()[argument.getArgNumber()];
  auto rebase = reference.getDefiningOp<RebaseOp>();
  return rebase && rebase.getUpdated() == reference &&
                 rebase.getMonoid() == Monoid::Max &&
                 rebase.getPolicyKind() != PolicyKind::Fixed
             ? rebase
             : RebaseOp();
}

/// Whether `maximum` is that of all points of `sum`, whose exponentials
/// `powers` computes.
static bool isOfSamePoints(EinsumOp maximum, EinsumOp powers, EinsumOp sum) {
  if (maximum.getInputs().size() != 1 || maximum.getMask() != sum.getMask() ||
      maximum.getFilters() != sum.getFilters() ||
      ranksOf(maximum.getResult()) != ranksOf(sum.getResult()))
    return false;
  auto ranks = ranksRead(maximum, 0);
  return ranks &&
         llvm::any_of(llvm::enumerate(powers.getInputs()), [&](auto input) {
           return input.value() == maximum.getInputs()[0] &&
                  ranksRead(powers, input.index()) == ranks;
         });
}

/// Whether a result of `iterate` is a sum of exponentials under the maximum of
/// the same points, in a type whose reciprocals are as precise.
static bool sumsUnderMaximum(IterateOp iterate, unsigned number) {
  Operation *yield = iterate.getBlock()->getTerminator();
  auto sum = yield->getOperand(number).getDefiningOp<EinsumOp>();
  if (!sum || sum.getMonoid() != Monoid::Add || sum.getInputs().size() != 1 ||
      sum.getEinsumPoint() != sum.getBlock()->getArgument(0) ||
      sum.getType().getElementTypeBitWidth() < 32 ||
      !isNotNegative(iterate.getInits()[number]))
    return false;
  auto powers = sum.getInputs()[0].getDefiningOp<EinsumOp>();
  RebaseOp rebase = powers ? referenceOf(powers) : RebaseOp();
  EinsumOp maximum = rebase ? maximumBehind(rebase.getLocal()) : EinsumOp();
  return maximum && isOfSamePoints(maximum, powers, sum);
}

/// Whether a body divides by an element, and does nothing else with it.
static bool onlyDividesBy(BlockArgument element) {
  return !element.use_empty() &&
         llvm::all_of(element.getUses(), [](OpOperand &use) {
           return isa<arith::DivFOp, DivideOp>(use.getOwner()) &&
                  use.getOperandNumber() == 1;
         });
}

/// 1 / x, for each element of a tensor.
static Value reciprocalOf(OpBuilder &b, Location loc, Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return EinsumOp::create(
             b, loc, type, b.getStrArrayAttr(*ranksOf(tensor)), tensor,
             [](OpBuilder &b, Location loc, ValueRange elements) -> Value {
               Type type = elements[0].getType();
               Value one =
                   arith::ConstantOp::create(b, loc, b.getFloatAttr(type, 1.0));
               return arith::DivFOp::create(b, loc, one, elements[0]);
             })
      .getResult();
}

/// x * (1 / t) in the place of x / t. Where t is 0, since nothing was summed
/// up, the reciprocal is infinite, and a guarded quotient is what its guard
/// says.
static void multiply(Operation *quotient, Value reciprocal) {
  Location loc = quotient->getLoc();
  OpBuilder b(quotient);
  Value result =
      arith::MulFOp::create(b, loc, quotient->getOperand(0), reciprocal);
  if (auto guarded = dyn_cast<DivideOp>(quotient)) {
    auto type = cast<FloatType>(guarded.getType());
    auto constant = [&](FloatAttr value) -> Value {
      return arith::ConstantOp::create(b, loc, value);
    };
    Value infinity = constant(
        FloatAttr::get(type, APFloat::getInf(type.getFloatSemantics())));
    Value empty =
        constant(b.getFloatAttr(type, guarded.getEmpty().convertToDouble()));
    Value isEmpty = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ,
                                          reciprocal, infinity);
    result = arith::SelectOp::create(b, loc, isEmpty, empty, result);
  }
  quotient->getResult(0).replaceAllUsesWith(result);
  quotient->erase();
}

void lutra::divideOnceARow(IterateOp iterate) {
  OpBuilder b(iterate->getContext());
  for (OpResult sum : iterate.getResults()) {
    if (!sumsUnderMaximum(iterate, sum.getResultNumber()))
      continue;
    size_t ranks = ranksOf(sum)->size();
    Value reciprocal;
    for (OpOperand &use : llvm::make_early_inc_range(sum.getUses())) {
      auto map = dyn_cast<EinsumOp>(use.getOwner());
      unsigned input = use.getOperandNumber();
      if (!map || map.hasReduction() || input >= map.getInputs().size() ||
          map.getNumRanks() <= ranks)
        continue;
      BlockArgument element = map.getBlock()->getArgument(input);
      if (!onlyDividesBy(element))
        continue;
      b.setInsertionPointAfter(iterate);
      if (!reciprocal)
        reciprocal = reciprocalOf(b, map.getLoc(), sum);
      use.set(reciprocal);
      for (Operation *quotient : llvm::to_vector(element.getUsers()))
        multiply(quotient, element);
    }
  }
}
