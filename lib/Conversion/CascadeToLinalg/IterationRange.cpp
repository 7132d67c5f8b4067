//===- IterationRange.cpp - Where an iteration has to go ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A filter is a box cut by half-spaces. Each of them bounds the iterated rank,
// or says whether there is anything at all; that is taken where the other ranks
// make it loosest, so that no point is lost and whole parts are. Several
// filters leave the union of what each leaves, in which one gap is found.
//
//===----------------------------------------------------------------------===//

#include "IterationRange.h"

#include "lutra/Analysis/LinearBound.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/AffineExprVisitor.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// A range of the iterated rank.
struct Span {
  OpFoldResult begin, end;
  /// Not negative where there is anything in it; null if that is not known.
  OpFoldResult slack;
};

class RangeBuilder {
public:
  RangeBuilder(OpBuilder &b, Location loc, unsigned rank,
               ArrayRef<OpFoldResult> extents, ValueRange symbols)
      : b(b), loc(loc), rank(rank), numRanks(extents.size()),
        operands(symbols.begin(), symbols.end()) {
    for (OpFoldResult extent : extents)
      operands.push_back(affine::makeComposedFoldedAffineApply(
          b, loc, b.getAffineSymbolExpr(0) - 1, {extent}));
  }

  /// Narrows `range` to where `constraint` >= 0 can hold, or to where it holds
  /// at all coordinates of the other ranks.
  void narrow(Span &range, AffineExpr constraint, bool atAll = false);
  /// The union of the ranges, in a loop of steps; `whole` is behind them all.
  IterationRange unite(ArrayRef<Span> ranges, OpFoldResult whole, Value step,
                       int64_t unit);

private:
  OpFoldResult least(ArrayRef<OpFoldResult> values) {
    return affine::makeComposedFoldedAffineMin(b, loc, all(values), values);
  }
  OpFoldResult greatest(ArrayRef<OpFoldResult> values) {
    return affine::makeComposedFoldedAffineMax(b, loc, all(values), values);
  }
  AffineMap all(ArrayRef<OpFoldResult> values) {
    return AffineMap::getMultiDimIdentityMap(values.size(), b.getContext());
  }
  Value valueOf(OpFoldResult size) {
    return getValueOrCreateConstantIndexOp(b, loc, size);
  }
  Value choose(arith::CmpIPredicate predicate, Value x, Value y, Value yes,
               Value no) {
    Value holds = arith::CmpIOp::create(b, loc, predicate, x, y);
    return arith::SelectOp::create(b, loc, holds, yes, no);
  }
  void clear(Span &range, OpFoldResult whole);
  void widen(Span &range, int64_t unit);

  OpBuilder &b;
  Location loc;
  unsigned rank, numRanks;
  /// The symbols of the filters, then the last coordinate of each rank.
  SmallVector<OpFoldResult> operands;
};
} // namespace

void RangeBuilder::narrow(Span &range, AffineExpr constraint, bool atAll) {
  MLIRContext *context = b.getContext();
  unsigned numSymbols = operands.size() - numRanks;
  auto factors = linearBound(constraint, numRanks, numSymbols);
  auto isZero = [](int64_t factor) { return factor == 0; };
  if (!factors || (llvm::all_of(ArrayRef(*factors).drop_back(), isZero) &&
                   factors->back() >= 0))
    return;
  // factor * d + rest >= 0, loosest where rest is greatest, tightest where it
  // is least.
  AffineExpr rest = getAffineConstantExpr(factors->back(), context);
  for (unsigned i = 0; i < numRanks; ++i)
    if (i != rank && (atAll ? (*factors)[i] < 0 : (*factors)[i] > 0))
      rest =
          rest + (*factors)[i] * getAffineSymbolExpr(numSymbols + i, context);
  for (unsigned i = 0; i < numSymbols; ++i)
    rest = rest + (*factors)[numRanks + i] * getAffineSymbolExpr(i, context);
  auto apply = [&](AffineExpr expr) {
    return affine::makeComposedFoldedAffineApply(b, loc, expr, operands);
  };
  int64_t factor = (*factors)[rank];
  if (factor < 0)
    range.end = least({range.end, apply(rest.floorDiv(-factor) + 1)});
  else if (factor > 0)
    range.begin = greatest({range.begin, apply((-rest).ceilDiv(factor))});
  else
    range.slack = range.slack ? least({range.slack, apply(rest)}) : apply(rest);
}

/// Moves a range that nothing is in to where it is beyond all others.
void RangeBuilder::clear(Span &range, OpFoldResult whole) {
  Value begin = valueOf(range.begin), end = valueOf(range.end),
        zero = arith::ConstantIndexOp::create(b, loc, 0);
  if (range.slack)
    end = choose(arith::CmpIPredicate::sge, valueOf(range.slack), zero, end,
                 begin);
  range.begin =
      choose(arith::CmpIPredicate::slt, begin, end, begin, valueOf(whole));
  range.end = choose(arith::CmpIPredicate::slt, begin, end, end, zero);
}

/// Makes a range begin and end at multiples of `unit`.
void RangeBuilder::widen(Span &range, int64_t unit) {
  AffineExpr at = b.getAffineSymbolExpr(0);
  range.begin = affine::makeComposedFoldedAffineApply(
      b, loc, at.floorDiv(unit) * unit, {range.begin});
  range.end = affine::makeComposedFoldedAffineApply(
      b, loc, at.ceilDiv(unit) * unit, {range.end});
}

IterationRange RangeBuilder::unite(ArrayRef<Span> ranges, OpFoldResult whole,
                                   Value step, int64_t unit) {
  SmallVector<Span> spans(ranges);
  bool isSimple = spans.size() == 1 && !spans[0].slack;
  SmallVector<OpFoldResult> begins, ends;
  for (Span &span : spans) {
    if (!isSimple)
      clear(span, whole);
    if (unit != 1)
      widen(span, unit);
    begins.push_back(span.begin);
    ends.push_back(span.end);
  }
  if (spans.size() == 1)
    return {spans[0].begin, spans[0].end, {}};
  Value begin = valueOf(least(begins)), end = valueOf(greatest(ends));
  // How far it goes from the first on without a gap: each range may prolong it,
  // and then others that were too far.
  Value reached = begin;
  for (unsigned round = 0; round < spans.size(); ++round)
    for (const Span &span : spans)
      reached =
          choose(arith::CmpIPredicate::sle, cast<Value>(span.begin), reached,
                 arith::MaxSIOp::create(b, loc, reached, cast<Value>(span.end)),
                 reached);
  Value next = end;
  for (const Span &span : spans)
    next = choose(arith::CmpIPredicate::sgt, cast<Value>(span.begin), reached,
                  arith::MinSIOp::create(b, loc, next, cast<Value>(span.begin)),
                  next);
  Value length = arith::SubIOp::create(b, loc, reached, begin);
  Value steps = arith::CeilDivSIOp::create(b, loc, length, step);
  Value split = arith::AddIOp::create(
      b, loc, begin, arith::MulIOp::create(b, loc, steps, step));
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value gap = arith::MaxSIOp::create(
      b, loc, arith::SubIOp::create(b, loc, next, split), zero);
  return {begin, end, {{split, gap}}};
}

OpFoldResult IterationRange::loopEnd(OpBuilder &b, Location loc) const {
  OpFoldResult last = end;
  for (const Gap &gap : gaps)
    last = arith::SubIOp::create(b, loc,
                                 getValueOrCreateConstantIndexOp(b, loc, last),
                                 gap.length)
               .getResult();
  return last;
}

Value IterationRange::coordinate(OpBuilder &b, Location loc,
                                 Value variable) const {
  for (const auto &[split, length] : llvm::reverse(gaps)) {
    Value isBehind = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge,
                                           variable, split);
    Value behind = arith::AddIOp::create(b, loc, variable, length);
    variable = arith::SelectOp::create(b, loc, isBehind, behind, variable);
  }
  return variable;
}

std::pair<OpFoldResult, OpFoldResult>
IterationRange::takeOut(OpBuilder &b, Location loc, const IterationRange &inner,
                        int64_t step) {
  auto valueOf = [&](OpFoldResult size) {
    return getValueOrCreateConstantIndexOp(b, loc, size);
  };
  AffineExpr s0 = b.getAffineSymbolExpr(0), s1 = b.getAffineSymbolExpr(1);
  OpFoldResult from = inner.begin, to = inner.end;
  for (const auto &[split, length] : gaps) {
    Value isBehind =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, valueOf(from),
                              arith::AddIOp::create(b, loc, split, length));
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    OpFoldResult shift =
        arith::SelectOp::create(b, loc, isBehind, length, zero).getResult();
    from =
        affine::makeComposedFoldedAffineApply(b, loc, s0 - s1, {from, shift});
    to = affine::makeComposedFoldedAffineApply(b, loc, s0 - s1, {to, shift});
  }
  // Rounded inwards to whole steps, of which there may be none.
  auto greatest = [&](AffineExpr other, OpFoldResult x, OpFoldResult y) {
    return affine::makeComposedFoldedAffineMax(
        b, loc, AffineMap::get(0, 2, {s0, other}, b.getContext()), {x, y});
  };
  from = greatest(s0 + (s1 - s0).ceilDiv(step) * step, begin, from);
  to = greatest(s0 + (s1 - s0).floorDiv(step) * step, from, to);
  if (isEqualConstantIntOrValue(from, begin) && gaps.empty()) {
    begin = to;
    return {from, to};
  }
  gaps.push_back({valueOf(from), valueOf(affine::makeComposedFoldedAffineApply(
                                     b, loc, s1 - s0, {from, to}))});
  return {from, to};
}

IterationRange lutra::iterationRange(OpBuilder &b, Location loc,
                                     cascade::IterateOp op, unsigned rank,
                                     ArrayRef<OpFoldResult> extents,
                                     ValueRange symbols, Value step,
                                     int64_t unit) {
  Span whole = {b.getIndexAttr(0), extents[rank], nullptr};
  if (!op.getFilters() || op.getFilters()->empty())
    return {whole.begin, whole.end, {}};
  RangeBuilder builder(b, loc, rank, extents, symbols);
  SmallVector<Span> ranges;
  for (IntegerSet set : op.getFilters()->getAsValueRange<IntegerSetAttr>()) {
    Span range = whole;
    for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
      builder.narrow(range, set.getConstraint(i));
      if (set.isEq(i))
        builder.narrow(range, -set.getConstraint(i));
    }
    ranges.push_back(range);
  }
  return builder.unite(ranges, whole.end, step, unit);
}

IterationRange lutra::innerRange(OpBuilder &b, Location loc, unsigned rank,
                                 ArrayRef<OpFoldResult> extents,
                                 ArrayRef<AffineExpr> points,
                                 ValueRange symbols) {
  Span range = {b.getIndexAttr(0), extents[rank], nullptr};
  RangeBuilder builder(b, loc, rank, extents, symbols);
  for (AffineExpr constraint : points)
    builder.narrow(range, constraint, /*atAll=*/true);
  return builder.unite(range, range.end, /*step=*/nullptr, /*unit=*/1);
}

bool lutra::isImplied(cascade::IterateOp op, unsigned rank,
                      ArrayRef<OpFoldResult> extents, AffineExpr constraint,
                      int64_t unit) {
  unsigned numSymbols = op.getSymbols().size();
  SimpleAffineExprFlattener flattener(extents.size(), numSymbols);
  if (!op.getFilters() || failed(flattener.walkPostOrder(constraint)))
    return false;
  auto factors = flattener.operandExprStack.back();
  int64_t sign = factors[rank];
  if (flattener.numLocals != 0 || (sign != 1 && sign != -1))
    return false;
  for (auto [i, extent] : llvm::enumerate(extents))
    if (i != rank && factors[i] != 0 && !isOneInteger(extent))
      return false;
  // The first coordinate, or the one behind the last.
  factors.back() += sign < 0 ? 1 : 0;
  for (int64_t factor : ArrayRef(factors).drop_front(extents.size()))
    if (factor % unit != 0)
      return false;
  return llvm::all_of(
      op.getFilters()->getAsValueRange<IntegerSetAttr>(), [&](IntegerSet set) {
        return llvm::any_of(set.getConstraints(), [&](AffineExpr other) {
          return simplifyAffineExpr(other - constraint, extents.size(),
                                    numSymbols) == 0;
        });
      });
}
