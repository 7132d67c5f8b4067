//===- IterationRange.cpp - Where an iteration has to go ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A filter is a box cut by half-spaces. Each of them bounds the iterated rank
// where it has it with the factor 1 or -1; the bound is taken where the other
// ranks make it loosest, so that no point is lost and whole parts are.
//
//===----------------------------------------------------------------------===//

#include "IterationRange.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/AffineExprVisitor.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// A range of the iterated rank, as values.
struct Span {
  OpFoldResult begin, end;
};

class RangeBuilder {
public:
  RangeBuilder(OpBuilder &b, Location loc, unsigned rank, unsigned numRanks,
               SmallVector<OpFoldResult> operands)
      : b(b), loc(loc), rank(rank), numRanks(numRanks),
        operands(std::move(operands)) {}

  /// Narrows `range` to where `constraint` >= 0 can hold.
  void narrow(Span &range, AffineExpr constraint);
  OpFoldResult least(ArrayRef<OpFoldResult> values) {
    return affine::makeComposedFoldedAffineMin(b, loc, all(values), values);
  }
  OpFoldResult greatest(ArrayRef<OpFoldResult> values) {
    return affine::makeComposedFoldedAffineMax(b, loc, all(values), values);
  }

private:
  AffineMap all(ArrayRef<OpFoldResult> values) {
    return AffineMap::getMultiDimIdentityMap(values.size(), b.getContext());
  }

  OpBuilder &b;
  Location loc;
  unsigned rank, numRanks;
  /// The symbols of the filters, then the last coordinate of each rank.
  SmallVector<OpFoldResult> operands;
};
} // namespace

void RangeBuilder::narrow(Span &range, AffineExpr constraint) {
  MLIRContext *context = b.getContext();
  unsigned numSymbols = operands.size() - numRanks;
  SimpleAffineExprFlattener flattener(numRanks, numSymbols);
  if (failed(flattener.walkPostOrder(constraint)))
    return;
  auto factors = flattener.operandExprStack.back();
  int64_t sign = factors[rank];
  if (flattener.numLocals != 0 || (sign != 1 && sign != -1))
    return;
  // sign * d + rest >= 0, loosest where rest is greatest.
  AffineExpr rest = getAffineConstantExpr(factors.back(), context);
  for (unsigned i = 0; i < numRanks; ++i)
    if (i != rank && factors[i] > 0)
      rest = rest + factors[i] * getAffineSymbolExpr(numSymbols + i, context);
  for (unsigned i = 0; i < numSymbols; ++i)
    rest = rest + factors[numRanks + i] * getAffineSymbolExpr(i, context);
  AffineExpr bound = sign < 0 ? rest + 1 : -rest;
  OpFoldResult value =
      affine::makeComposedFoldedAffineApply(b, loc, bound, operands);
  if (sign < 0)
    range.end = least({range.end, value});
  else
    range.begin = greatest({range.begin, value});
}

std::pair<OpFoldResult, OpFoldResult>
lutra::iterationRange(OpBuilder &b, Location loc, cascade::IterateOp op,
                      unsigned rank, ArrayRef<OpFoldResult> extents,
                      ValueRange symbols) {
  Span whole = {b.getIndexAttr(0), extents[rank]};
  if (!op.getFilters() || op.getFilters()->empty())
    return {whole.begin, whole.end};
  SmallVector<OpFoldResult> operands(symbols.begin(), symbols.end());
  for (OpFoldResult extent : extents)
    operands.push_back(affine::makeComposedFoldedAffineApply(
        b, loc, b.getAffineSymbolExpr(0) - 1, {extent}));
  RangeBuilder builder(b, loc, rank, extents.size(), operands);
  SmallVector<OpFoldResult> begins, ends;
  for (IntegerSet set : op.getFilters()->getAsValueRange<IntegerSetAttr>()) {
    Span range = whole;
    for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
      builder.narrow(range, set.getConstraint(i));
      if (set.isEq(i))
        builder.narrow(range, -set.getConstraint(i));
    }
    begins.push_back(range.begin);
    ends.push_back(range.end);
  }
  if (begins.size() == 1)
    return {begins.front(), ends.front()};
  return {builder.least(begins), builder.greatest(ends)};
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
