//===- WholeParts.cpp - Parts of which nothing is masked ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A filter of an iteration says where coordinates do not mask a point. Parts
// that lie in one for all rows of a tile need none of its comparisons: such as
// all keys before the diagonal of a causal mask.
//
//===----------------------------------------------------------------------===//

#include "WholeParts.h"

#include "lutra/Analysis/LinearBound.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// What constraints over symbols `values` have for these.
static SmallVector<AffineExpr> symbolsOf(PieceReader &reader,
                                         ValueRange values) {
  return llvm::map_to_vector(
      values, [&](Value value) { return reader.integerOf(value); });
}

Points lutra::pointsOf(PieceReader &reader, IterateOp op, IntegerSet filter) {
  SmallVector<AffineExpr> symbols = symbolsOf(reader, op.getSymbols());
  Points points;
  for (unsigned i = 0; i < filter.getNumConstraints(); ++i) {
    AffineExpr constraint = filter.getConstraint(i).replaceSymbols(symbols);
    points.push_back(constraint);
    if (filter.isEq(i))
      points.push_back(-constraint);
  }
  return reader.linear(points);
}

bool lutra::isShorter(PieceReader &reader, const Points &points, unsigned rank,
                      ArrayRef<OpFoldResult> extents, int64_t length) {
  SmallVector<SmallVector<int64_t>> lower, upper;
  for (AffineExpr constraint : points) {
    auto factors =
        linearBound(constraint, extents.size(), reader.getSymbols().size());
    if (factors && (*factors)[rank] == 1)
      lower.push_back(*factors);
    else if (factors && (*factors)[rank] == -1)
      upper.push_back(*factors);
  }
  // m + x >= 0 and y - m >= 0 are x + y + 1 coordinates, at the least of both.
  auto isShort = [&](ArrayRef<int64_t> x, ArrayRef<int64_t> y) {
    int64_t most = x.back() + y.back() + 1;
    for (unsigned i = 0; i + 1 < x.size(); ++i) {
      if (x[i] + y[i] != 0)
        return false;
      std::optional<int64_t> extent =
          i < extents.size() ? getConstantIntValue(extents[i]) : std::nullopt;
      if (i != rank && extent && *extent > 0)
        most -= std::abs(x[i]) * (*extent - 1);
    }
    return most < length;
  };
  return llvm::any_of(lower, [&](ArrayRef<int64_t> x) {
    return llvm::any_of(upper,
                        [&](ArrayRef<int64_t> y) { return isShort(x, y); });
  });
}

/// Whether it is seen that `constraint` >= 0 at all of `points`.
static bool follows(PieceReader &reader, const Points &points,
                    AffineExpr constraint) {
  Points others(points);
  others.push_back(-constraint - 1);
  return reader.isEmpty(others);
}

/// What a value of the body that was read last is at all of `points`.
static std::optional<bool> truthOf(PieceReader &reader, const Points &points,
                                   Value value) {
  std::optional<bool> truth;
  for (const ValuePiece &piece : reader.lookup(value)) {
    Points where(points);
    where.append(piece.where);
    if (reader.isEmpty(where))
      continue;
    auto constant = dyn_cast_or_null<AffineConstantExpr>(piece.what.integer);
    bool isTrue = constant && constant.getValue() != 0;
    if (!constant || truth.value_or(isTrue) != isTrue)
      return std::nullopt;
    truth = isTrue;
  }
  return truth;
}

static bool simplifyBody(PieceReader &reader, EinsumOp op,
                         const Points &points) {
  reader.read(op, {});
  bool isSimpler = false;
  for (Operation &each : op.getBlock()->without_terminator()) {
    if (each.getNumResults() != 1 || each.hasTrait<OpTrait::ConstantLike>() ||
        !each.getResult(0).getType().isInteger(1))
      continue;
    std::optional<bool> truth = truthOf(reader, points, each.getResult(0));
    if (!truth)
      continue;
    isSimpler = true;
    OpBuilder b(&each);
    for (OpOperand &use : llvm::make_early_inc_range(each.getUses())) {
      if (auto select = dyn_cast<arith::SelectOp>(use.getOwner());
          select && use.getOperandNumber() == 0)
        select.getResult().replaceAllUsesWith(*truth ? select.getTrueValue()
                                                     : select.getFalseValue());
      else
        use.set(arith::ConstantIntOp::create(b, each.getLoc(), *truth, 1));
    }
  }
  return isSimpler;
}

/// Leaves out the constraints of filters that follow from `points`.
static bool
simplifyFilters(PieceReader &reader, EinsumOp op, const Points &points,
                function_ref<bool(EinsumOp, AffineExpr)> isImplied) {
  if (!op.getFilters())
    return false;
  auto cascade = op->getParentOfType<CascadeOp>();
  SmallVector<AffineExpr> symbols = symbolsOf(reader, op.getSymbols()), ranks;
  for (StringRef rank : op.getIter().getAsValueRange<StringAttr>())
    ranks.push_back(getAffineDimExpr(*cascade.findRank(rank), op.getContext()));
  bool isSimpler = false;
  SmallVector<Attribute> sets;
  for (IntegerSet set : op.getFilters()->getAsValueRange<IntegerSetAttr>()) {
    SmallVector<AffineExpr> left;
    SmallVector<bool> isEq;
    for (auto [constraint, isEquality] :
         llvm::zip_equal(set.getConstraints(), set.getEqFlags())) {
      AffineExpr expr = constraint.replaceDimsAndSymbols(ranks, symbols);
      if (!isEquality && follows(reader, points, expr)) {
        isSimpler |= !isImplied(op, constraint);
        continue;
      }
      left.push_back(constraint);
      isEq.push_back(isEquality);
    }
    if (left.empty()) {
      op.removeFiltersAttr();
      op.getSymbolsMutable().clear();
      return isSimpler;
    }
    sets.push_back(IntegerSetAttr::get(
        IntegerSet::get(set.getNumDims(), set.getNumSymbols(), left, isEq)));
  }
  op.setFiltersAttr(ArrayAttr::get(op.getContext(), sets));
  return isSimpler;
}

bool lutra::simplifyWhere(PieceReader &reader, IterateOp op,
                          const Points &points,
                          function_ref<bool(EinsumOp, AffineExpr)> isImplied) {
  bool isSimpler = false;
  for (auto einsum : op.getBlock()->getOps<EinsumOp>()) {
    isSimpler |= simplifyFilters(reader, einsum, points, isImplied);
    isSimpler |= simplifyBody(reader, einsum, points);
  }
  IRRewriter rewriter(op.getContext());
  (void)runRegionDCE(rewriter, op->getRegions());
  return isSimpler;
}
