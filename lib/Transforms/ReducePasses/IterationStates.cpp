//===- IterationStates.cpp - What an iteration carries --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where each state starts, and squares about a mean, which move
// with it. Running maxima start from the lowest finite number, since the
// exponential of -inf minus -inf, over parts that are masked as a whole, would
// be NaN.
//
//===----------------------------------------------------------------------===//

#include "IterationBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// A map over the ranks of the result of `like`, of tensors over ranks of it;
/// one from outside has them all.
EinsumOp IterationBuilder::buildMap(
    EinsumOp like, ArrayRef<Value> inputs,
    function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  MLIRContext *context = b.getContext();
  SmallVector<StringRef> ranks = *ranksOf(like.getResult());
  SmallVector<AffineMap> maps;
  auto addMap = [&](ArrayRef<StringRef> names) {
    SmallVector<AffineExpr> exprs;
    for (StringRef name : names)
      exprs.push_back(
          getAffineDimExpr(llvm::find(ranks, name) - ranks.begin(), context));
    maps.push_back(AffineMap::get(ranks.size(), 0, exprs, context));
  };
  for (Value input : inputs)
    addMap(ranksOf(input).value_or(ranks));
  addMap(ranks);
  return EinsumOp::create(b, like.getLoc(), like.getType(),
                          b.getStrArrayAttr(ranks), inputs, maps, std::nullopt,
                          body);
}

EinsumOp IterationBuilder::buildConstant(EinsumOp like, TypedAttr value) {
  return buildMap(like, {}, [&](OpBuilder &b, Location loc, ValueRange) {
    return arith::ConstantOp::create(b, loc, value).getResult();
  });
}

Value IterationBuilder::firstReference(EinsumOp op) {
  auto type = cast<FloatType>(getElementTypeOrSelf(op.getType()));
  auto value = b.getFloatAttr(
      type, APFloat::getLargest(type.getFloatSemantics(), /*Negative=*/true));
  if (!op.getInit())
    return buildConstant(op, value);
  return buildMap(op, {op.getInit()},
                  [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                    Value constant = arith::ConstantOp::create(b, loc, value);
                    return arith::MaximumFOp::create(b, loc, args[0], constant);
                  });
}

/// Where a sum starts under the first reference: from nothing, or from what the
/// maximum starts from, under it.
Value IterationBuilder::firstSum(const RunningSum &sum, Value reference) {
  EinsumOp op = sum.sum, maximum = sum.reference;
  Type type = getElementTypeOrSelf(op.getType());
  if (!op.getInit())
    return buildConstant(op, identityOf(Monoid::Add, type));
  return buildMap(
      op, {maximum.getInit(), reference},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value below = arith::SubFOp::create(b, loc, args[0], args[1]);
        return sum.family == Family::Exp
                   ? math::ExpOp::create(b, loc, below).getResult()
                   : math::Exp2Op::create(b, loc, below).getResult();
      });
}

Value IterationBuilder::firstPlain(EinsumOp op) {
  Type type = getElementTypeOrSelf(op.getType());
  if (!op.getInit())
    return buildConstant(op, identityOf(*op.getMonoid(), type));
  if (ranksOf(op.getInit()))
    return op.getInit();
  // An iteration carries what the cascade computes.
  return buildMap(
      op, {op.getInit()},
      [](OpBuilder &, Location, ValueRange args) { return args[0]; });
}

/// A reduction like `like` of other points.
EinsumOp IterationBuilder::buildInside(EinsumOp like, Value init,
                                       const Term *point) {
  EinsumShape shape = EinsumShape::of(like);
  shape.init = init;
  EinsumOp op = buildEinsum(b, like.getLoc(), cascade, shape, point);
  cutOperands(op);
  for (OpOperand &operand : op.getInputsMutable())
    operand.set(inside.lookupOrDefault(operand.get()));
  return op;
}

/// What was carried and what the part adds to it.
Value IterationBuilder::buildSum(EinsumOp like, Value carried, Value local) {
  return buildMap(like, {carried, local},
                  [](OpBuilder &b, Location loc, ValueRange args) -> Value {
                    return arith::AddFOp::create(b, loc, args[0], args[1]);
                  });
}

static Value divide(OpBuilder &b, Location loc, Value sum, Value count) {
  return DivideOp::create(b, loc, sum.getType(), sum, count,
                          b.getF64FloatAttr(0.0));
}

Value IterationBuilder::buildMean(EinsumOp like, Value sum, Value count) {
  return buildMap(like, {sum, count},
                  [](OpBuilder &b, Location loc, ValueRange args) {
                    return divide(b, loc, args[0], args[1]);
                  });
}

/// The mean with what the part adds to both, in one: a sum that is carried on
/// is another operation, behind all that reads what it was.
Value IterationBuilder::buildMean(EinsumOp like, Value sum, Value localSum,
                                  Value count, Value localCount) {
  return buildMap(like, {sum, localSum, count, localCount},
                  [](OpBuilder &b, Location loc, ValueRange args) {
                    Value sum = arith::AddFOp::create(b, loc, args[0], args[1]);
                    Value count =
                        arith::AddFOp::create(b, loc, args[2], args[3]);
                    return divide(b, loc, sum, count);
                  });
}

/// squares + count * (from - to)^2, in this order.
static Value moveSquares(OpBuilder &b, Location loc, ValueRange args) {
  Value by = arith::SubFOp::create(b, loc, args[2], args[3]);
  Value square = arith::MulFOp::create(b, loc, by, by);
  Value moved = arith::MulFOp::create(b, loc, args[1], square);
  return arith::AddFOp::create(b, loc, args[0], moved);
}

void IterationBuilder::buildSquares(const SquareSum &squares) {
  EinsumOp op = squares.sum;
  Moments &state = moments[op];
  Value total = plainCarried[squares.total], local = locals[squares.total];
  Value before = buildMean(op, total, state.count);
  EinsumOp count = buildInside(op, Value(), squares.value);
  Operation *yield = count.getBlock()->getTerminator();
  OpBuilder inner(yield);
  auto type = cast<FloatType>(yield->getOperand(0).getType());
  yield->setOperand(0, arith::ConstantOp::create(inner, op.getLoc(),
                                                 b.getFloatAttr(type, 1.0)));
  Value after = buildMean(op, total, local, state.count, count);
  Value moved =
      buildMap(op, {state.squares, state.count, before, after}, moveSquares);
  const Term *mean =
      terms.element(after, terms.toCascade(op, op.getResultMap()));
  const Term *distance =
      terms.operation<arith::SubFOp>({squares.value, mean}, type);
  state.squares = buildInside(
      op, moved, terms.operation<arith::MulFOp>({distance, distance}, type));
  state.count = buildSum(op, state.count, count);
}

/// From the mean to the center.
void IterationBuilder::finishSquares(const SquareSum &squares, Value total,
                                     const Moments &result) {
  EinsumOp op = squares.sum;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op);
  Value mean = buildMean(op, total, result.count);
  EinsumOp center = buildEinsum(b, op.getLoc(), cascade,
                                EinsumShape::of(op).asMap(), squares.center);
  op.getResult().replaceAllUsesWith(
      buildMap(op, {result.squares, result.count, mean, center}, moveSquares));
}
