//===- AbsentRows.cpp - Rows of which no point is above -inf --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Running maxima start from the lowest finite number, so that sums under them
// are 0 of a row that is -inf throughout. The graph has -inf for its maximum,
// and -inf - -inf, NaN, for the points of its sums. Quotients of sums are NaN
// in both; whatever else shows one of these gets what the graph has.
//
//===----------------------------------------------------------------------===//

#include "IterationBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// What tells the rows without a point above -inf, and what it is in these and
/// in no others: a sum of nothing but exponentials, or the maximum itself.
std::optional<std::pair<Value, double>>
IterationBuilder::absenceUnder(EinsumOp reference, IterateOp iterate) {
  unsigned number = loop.references.size();
  for (const RunningSum &sum : loop.sums) {
    Value result = iterate.getResult(number++);
    if (sum.reference == reference && isAbsenceTold(sum))
      return std::pair(result, 0.0);
  }
  for (EinsumOp op : loop.plain) {
    Value result = iterate.getResult(number++);
    if (op == reference)
      return std::pair(result, -INFINITY);
  }
  return std::nullopt;
}

/// A copy of `result`, of `like`, that is `number` in rows without a point
/// above -inf.
Value IterationBuilder::buildAbsent(EinsumOp like, Value result,
                                    std::pair<Value, double> absence,
                                    double number) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(like);
  return buildMap(
      like, {result, absence.first},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        auto constant = [&](Type type, double value) -> Value {
          return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
        };
        Value isAbsent =
            arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, args[1],
                                  constant(args[1].getType(), absence.second));
        return arith::SelectOp::create(
            b, loc, isAbsent, constant(args[0].getType(), number), args[0]);
      });
}

void IterationBuilder::finishReference(EinsumOp op, Value result,
                                       IterateOp iterate) {
  if (plainCarried.count(op))
    return;
  if (auto absence = absenceUnder(op, iterate))
    result = buildAbsent(op, result, *absence, -INFINITY);
  op.getResult().replaceAllUsesWith(result);
}

/// Whether a quotient by a sum of no points is said to be what it is.
static bool isGuardedQuotient(OpOperand &use) {
  auto reader = dyn_cast<EinsumOp>(use.getOwner());
  if (!reader || use.getOperandNumber() >= reader.getInputs().size())
    return false;
  BlockArgument element =
      reader.getBlock()->getArgument(use.getOperandNumber());
  return llvm::any_of(element.getUsers(), [&](Operation *user) {
    auto quotient = dyn_cast<DivideOp>(user);
    return quotient && quotient.getDenominator() == element;
  });
}

void IterationBuilder::finishSum(const RunningSum &sum, Value result,
                                 IterateOp iterate) {
  EinsumOp op = sum.sum;
  bool mayBeNaN = loop.visible.contains(sum.reference) && !sum.isGuarded &&
                  hasPointsOfReference(sum);
  auto absence = mayBeNaN ? absenceUnder(sum.reference, iterate) : std::nullopt;
  if (absence) {
    Value told = buildAbsent(op, result, *absence, NAN);
    op.getResult().replaceUsesWithIf(
        told, [](OpOperand &use) { return !isGuardedQuotient(use); });
  }
  op.getResult().replaceAllUsesWith(result);
}
