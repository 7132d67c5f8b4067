//===- Iteration.cpp - One pass as a cascade.iterate ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Einsums are copied into the body as they are, since their rank means the part
// there. A reduction starts from what is carried; a sum under a reference from
// what is carried times the correction of its reference.
//
//===----------------------------------------------------------------------===//

#include "IterationBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// Reads parts where a tensor from outside is read along the rank.
void IterationBuilder::cutOperands(EinsumOp clone) {
  unsigned position = 0;
  while (position < clone.getNumRanks() && clone.getRankName(position) != rank)
    ++position;
  auto cut = [&](OpOperand &operand, AffineMap map) {
    for (auto [i, expr] : llvm::enumerate(map.getResults()))
      if (expr == getAffineDimExpr(position, b.getContext()))
        if (Value part = parts.lookup({operand.get(), int64_t(i)}))
          operand.set(part);
  };
  for (auto [i, operand] : llvm::enumerate(clone.getInputsMutable()))
    cut(operand, clone.getInputMap(i));
  for (OpOperand &operand : clone.getMaskMutable())
    cut(operand, clone.getMaskMap());
}

/// A copy of `op` that reads parts; a reduction starts from `init`.
EinsumOp IterationBuilder::cloneInside(EinsumOp op, Value init) {
  auto clone = cast<EinsumOp>(b.cloneWithoutRegions(*op, inside));
  // With a mapping of its own, since a maximum may be copied twice.
  IRMapping body;
  op.getBody().cloneInto(&clone.getBody(), body);
  clone.getInitMutable().clear();
  if (init)
    clone.getInitMutable().assign(init);
  cutOperands(clone);
  auto type = cast<RankedTensorType>(op.getType());
  for (auto [i, name] : llvm::enumerate(*ranksOf(op.getResult())))
    if (name == rank)
      type = IterateOp::partType(type, i);
  clone.getResult().setType(type);
  return clone;
}

PolicyAttr IterationBuilder::policyOf(EinsumOp reference) {
  double tolerance = loop.tolerances.lookup(reference);
  if (tolerance <= 0)
    return nullptr;
  return PolicyAttr::get(b.getContext(), PolicyKind::Lazy,
                         b.getF64FloatAttr(tolerance));
}

/// Whether a sum counts the reference as 0 where it is infinite.
bool IterationBuilder::isGuardedAbove(EinsumOp reference) {
  return llvm::any_of(loop.sums, [&](const RunningSum &sum) {
    return sum.reference == reference && sum.isGuardedAbove;
  });
}

/// Under the greatest finite number, as under 0, the exponential of an infinite
/// point is infinite; less of it would be NaN.
void IterationBuilder::keepFinite(EinsumOp maximum) {
  Operation *yield = maximum.getBlock()->getTerminator();
  OpBuilder inner(yield);
  auto type = cast<FloatType>(yield->getOperand(0).getType());
  Value greatest = arith::ConstantOp::create(
      inner, maximum.getLoc(),
      b.getFloatAttr(type, APFloat::getLargest(type.getFloatSemantics())));
  yield->setOperand(0,
                    arith::MinimumFOp::create(inner, maximum.getLoc(),
                                              yield->getOperand(0), greatest));
}

/// The reference with what is in the part, and a correction for each family.
void IterationBuilder::buildReference(EinsumOp op) {
  EinsumOp local = cloneInside(op, Value());
  if (isGuardedAbove(op))
    keepFinite(local);
  for (const RunningSum &sum : loop.sums) {
    Value &correction = corrections[{op, unsigned(sum.family)}];
    if (sum.reference != op || correction)
      continue;
    auto rebase = RebaseOp::create(b, op.getLoc(), carried[op], local,
                                   sum.family, Monoid::Max, policyOf(op));
    correction = rebase.getCorrection();
    if (!next.count(op))
      next[op] = rebase.getUpdated();
  }
  inside.map(op.getResult(), next[op]);
  for (auto [guard, reference] : loop.guards)
    if (reference == op)
      inside.map(guard, next[op]);
}

void IterationBuilder::buildBody() {
  llvm::DenseMap<Operation *, const SquareSum *> squares;
  llvm::DenseSet<Operation *> totals;
  for (const SquareSum &central : loop.squares) {
    squares[central.sum] = &central;
    totals.insert(central.total);
  }
  llvm::DenseMap<Operation *, const RunningSum *> sums;
  for (const RunningSum &sum : loop.sums)
    sums[sum.sum] = &sum;
  for (EinsumOp op : llvm::to_vector(cascade.getBlock()->getOps<EinsumOp>())) {
    if (loop.inside.contains(op))
      inside.map(op.getResult(), cloneInside(op, op.getInit()).getResult());
    // First as a state of its own, as its result then means the reference.
    if (totals.contains(op))
      locals[op] = cloneInside(op, Value());
    else if (plainCarried.count(op))
      plainNext[op] = cloneInside(op, plainCarried[op]);
    if (llvm::is_contained(loop.references, op))
      buildReference(op);
    if (const SquareSum *central = squares.lookup(op))
      buildSquares(*central);
    auto it = sums.find(op);
    if (it == sums.end())
      continue;
    const RunningSum &sum = *it->second;
    Value correction = corrections[{sum.reference, unsigned(sum.family)}];
    EinsumOp moved =
        buildMap(op, {carried[op], correction},
                 [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                   Value factor = args[1];
                   Type type = args[0].getType();
                   unsigned from = factor.getType().getIntOrFloatBitWidth();
                   if (from < type.getIntOrFloatBitWidth())
                     factor = arith::ExtFOp::create(b, loc, type, factor);
                   else if (factor.getType() != type)
                     factor = arith::TruncFOp::create(b, loc, type, factor);
                   return arith::MulFOp::create(b, loc, args[0], factor);
                 });
    next[op] = cloneInside(op, moved);
  }
  // Squares read the mean of what was before.
  for (EinsumOp op : loop.plain)
    if (Value local = locals.lookup(op))
      plainNext[op] = buildSum(op, plainCarried[op], local);
}

/// Puts the results in the place of the reductions, and what reads them behind
/// the iteration.
void IterationBuilder::finish(IterateOp iterate) {
  unsigned number = 0;
  for (EinsumOp op : loop.references)
    finishReference(op, iterate.getResult(number++), iterate);
  for (const RunningSum &sum : loop.sums)
    finishSum(sum, iterate.getResult(number++), iterate);
  llvm::DenseMap<Operation *, Value> totals;
  for (EinsumOp op : loop.plain) {
    totals[op] = iterate.getResult(number++);
    op.getResult().replaceAllUsesWith(totals[op]);
  }
  for (const SquareSum &squares : loop.squares) {
    finishSquares(squares, totals[squares.total],
                  {iterate.getResult(number), iterate.getResult(number + 1)});
    number += 2;
  }

  llvm::DenseSet<Operation *> late = {iterate};
  Operation *last = iterate;
  for (Operation &op :
       llvm::make_early_inc_range(cascade.getBlock()->without_terminator())) {
    if (&op == iterate)
      break;
    bool isLate = llvm::any_of(op.getOperands(), [&](Value operand) {
      return operand.getDefiningOp() && late.contains(operand.getDefiningOp());
    });
    if (!isLate)
      continue;
    late.insert(&op);
    op.moveAfter(last);
    last = &op;
  }
}

void IterationBuilder::build() {
  SmallVector<Value> inits;
  llvm::DenseMap<Operation *, Value> references;
  for (EinsumOp op : loop.references)
    inits.push_back(references[op] = firstReference(op));
  for (const RunningSum &sum : loop.sums)
    inits.push_back(firstSum(sum, references[sum.reference]));
  for (EinsumOp op : loop.plain)
    inits.push_back(firstPlain(op));
  for (const SquareSum &squares : loop.squares) {
    EinsumOp op = squares.sum;
    // Each its own, to be updated where it is.
    for (unsigned i = 0; i < 2; ++i)
      inits.push_back(buildConstant(
          op, identityOf(Monoid::Add, getElementTypeOrSelf(op.getType()))));
  }
  SmallVector<Value> streams;
  SmallVector<int64_t> dims;
  for (auto [tensor, dim] : loop.streams) {
    streams.push_back(tensor);
    dims.push_back(dim);
  }
  Location loc = cascade.getLoc();
  auto iterate =
      IterateOp::create(b, loc, ValueRange(inits).getTypes(), rank, streams,
                        inits, ValueRange(), dims, ArrayAttr());
  Block *body = new Block;
  iterate.getBody().push_back(body);
  for (auto [tensor, dim] : loop.streams)
    parts[{tensor, dim}] =
        body->addArgument(IterateOp::partType(tensor.getType(), dim), loc);
  for (Value init : inits)
    body->addArgument(init.getType(), loc);
  unsigned number = 0;
  for (EinsumOp op : loop.references)
    carried[op] = iterate.getCarried()[number++];
  for (const RunningSum &sum : loop.sums)
    carried[sum.sum] = iterate.getCarried()[number++];
  for (EinsumOp op : loop.plain)
    plainCarried[op] = iterate.getCarried()[number++];
  for (const SquareSum &squares : loop.squares) {
    moments[squares.sum] = {iterate.getCarried()[number],
                            iterate.getCarried()[number + 1]};
    number += 2;
  }

  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(body);
  buildBody();
  SmallVector<Value> values;
  for (EinsumOp op : loop.references)
    values.push_back(next[op]);
  for (const RunningSum &sum : loop.sums)
    values.push_back(next[sum.sum]);
  for (EinsumOp op : loop.plain)
    values.push_back(plainNext[op]);
  for (const SquareSum &squares : loop.squares) {
    const Moments &state = moments[squares.sum];
    values.append({state.count, state.squares});
  }
  YieldOp::create(b, loc, values);
  finish(iterate);
}

void lutra::cascade::buildIteration(Terms &terms, StringRef rank,
                                    const Loop &loop) {
  IterationBuilder(terms, rank, loop).build();
}
