//===- Iteration.cpp - One pass as a cascade.iterate ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Einsums are copied into the body as they are, since their rank means the part
// there. A reduction starts from what is carried; a sum under a reference from
// what is carried times the correction of its reference. Running maxima start
// from the lowest finite number: the exponential of -inf minus -inf, over parts
// that are masked as a whole, would be NaN.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

void lutra::cascade::eraseUnread(CascadeOp cascade) {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(*cascade.getBlock())))
    if (isa<EinsumOp>(op) && op.use_empty())
      op.erase();
}

namespace {
class IterationBuilder {
public:
  IterationBuilder(CascadeOp cascade, StringRef rank, const Loop &loop)
      : cascade(cascade), rank(rank), loop(loop),
        b(cascade.getBlock()->getTerminator()) {}

  void build();

private:
  EinsumOp
  buildMap(EinsumOp like, ArrayRef<Value> inputs,
           function_ref<Value(OpBuilder &, Location, ValueRange)> body);
  EinsumOp buildConstant(EinsumOp like, TypedAttr value);
  Value firstReference(EinsumOp op);
  Value firstSum(const RunningSum &sum, Value reference);
  Value firstPlain(EinsumOp op);
  EinsumOp cloneInside(EinsumOp op, Value init);
  void buildReference(EinsumOp op);
  void cutOperands(EinsumOp clone);
  bool isGuardedAbove(EinsumOp reference);
  void keepFinite(EinsumOp maximum);
  void buildBody();
  void finish(IterateOp iterate);

  CascadeOp cascade;
  StringRef rank;
  const Loop &loop;
  OpBuilder b;
  IRMapping inside;
  llvm::DenseMap<std::pair<Value, int64_t>, Value> parts;
  /// What is carried of a reduction, and what of a maximum that is no reference
  /// by itself, too.
  llvm::DenseMap<Operation *, Value> carried, next, plainCarried, plainNext;
  llvm::DenseMap<std::pair<Operation *, unsigned>, Value> corrections;
};
} // namespace

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
  Location loc = like.getLoc();
  auto einsum = EinsumOp::create(
      b, loc, like.getType(), inputs, Value(), ValueRange(), Value(),
      b.getStrArrayAttr(ranks), b.getAffineMapArrayAttr(maps), MonoidAttr(),
      ArrayAttr());
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&einsum.getBody());
  for (Value input : inputs)
    block->addArgument(getElementTypeOrSelf(input.getType()), loc);
  YieldOp::create(b, loc, body(b, loc, block->getArguments()));
  return einsum;
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
                                   sum.family, Monoid::Max, PolicyAttr());
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
  llvm::DenseMap<Operation *, const RunningSum *> sums;
  for (const RunningSum &sum : loop.sums)
    sums[sum.sum] = &sum;
  for (EinsumOp op : llvm::to_vector(cascade.getBlock()->getOps<EinsumOp>())) {
    if (loop.inside.contains(op))
      inside.map(op.getResult(), cloneInside(op, op.getInit()).getResult());
    // First as a state of its own, as its result then means the reference.
    if (plainCarried.count(op))
      plainNext[op] = cloneInside(op, plainCarried[op]);
    if (llvm::is_contained(loop.references, op))
      buildReference(op);
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
}

/// Puts the results in the place of the reductions, and what reads them behind
/// the iteration.
void IterationBuilder::finish(IterateOp iterate) {
  unsigned number = 0;
  for (EinsumOp op : loop.references) {
    Value result = iterate.getResult(number++);
    if (!plainCarried.count(op))
      op.getResult().replaceAllUsesWith(result);
  }
  for (const RunningSum &sum : loop.sums)
    EinsumOp(sum.sum).getResult().replaceAllUsesWith(
        iterate.getResult(number++));
  for (EinsumOp op : loop.plain)
    op.getResult().replaceAllUsesWith(iterate.getResult(number++));

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
  SmallVector<Value> streams;
  SmallVector<int64_t> dims;
  for (auto [tensor, dim] : loop.streams) {
    streams.push_back(tensor);
    dims.push_back(dim);
  }
  Location loc = cascade.getLoc();
  auto iterate = IterateOp::create(b, loc, ValueRange(inits).getTypes(), rank,
                                   streams, inits, dims);
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
  YieldOp::create(b, loc, values);
  finish(iterate);
}

void lutra::cascade::buildIteration(CascadeOp cascade, StringRef rank,
                                    const Loop &loop) {
  IterationBuilder(cascade, rank, loop).build();
}
