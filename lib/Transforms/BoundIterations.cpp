//===- BoundIterations.cpp - Where an iteration changes anything ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Masks reach a cascade as values: -inf where a key must not be seen. Whether a
// point is masked is often a matter of its coordinates alone, as in causal and
// windowed attention. Here conditions over coordinates are read as affine sets,
// and the values that a point has outside of them are followed through the
// Einsums of an iteration: -inf leaves a maximum alone, and exp(-inf) leaves a
// sum. Where that holds of all that is carried, the sets become the filters of
// the iteration, whose empty parts are then never gone over.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_BOUNDITERATIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Deeper expressions than masks have are not looked into.
static constexpr unsigned kMaxDepth = 16;

namespace {
/// What a value is at the points where a condition does not hold.
enum class Outside { Unknown, Lowest, Zero };

/// A condition over coordinates: all of `constraints` >= 0. The expressions are
/// over the ranks of the cascade and the symbols.
struct Condition {
  SmallVector<AffineExpr> constraints;
};

/// Reads the masks of an iteration.
class MaskReader {
public:
  explicit MaskReader(IterateOp op)
      : op(op), cascade(op->getParentOfType<CascadeOp>()) {}

  /// The condition outside of which nothing that is carried changes.
  std::optional<Condition> run();
  ArrayRef<Value> getSymbols() const { return symbols; }

private:
  bool findCondition();
  bool changesNothing();
  Outside outside(Value value, EinsumOp einsum, unsigned depth);
  Outside outsideOfOp(Operation *inner, EinsumOp einsum, unsigned depth);
  std::optional<Condition> conditionOf(Value value, unsigned depth);
  std::optional<AffineExpr> affineOf(Value value, unsigned depth);
  AffineExpr symbolFor(Value value);
  bool isCondition(Value value);

  IterateOp op;
  CascadeOp cascade;
  std::optional<Condition> condition;
  SmallVector<Value> symbols;
  DenseMap<Value, Outside> results;
};
} // namespace

AffineExpr MaskReader::symbolFor(Value value) {
  auto it = llvm::find(symbols, value);
  if (it == symbols.end()) {
    symbols.push_back(value);
    it = std::prev(symbols.end());
  }
  return getAffineSymbolExpr(it - symbols.begin(), op.getContext());
}

/// An integer of a body as an expression over ranks and symbols. Integers that
/// stand for sizes do not overflow.
std::optional<AffineExpr> MaskReader::affineOf(Value value, unsigned depth) {
  if (depth > kMaxDepth)
    return std::nullopt;
  IntegerAttr constant;
  if (matchPattern(value, m_Constant(&constant)))
    return getAffineConstantExpr(constant.getInt(), op.getContext());
  Operation *inner = value.getDefiningOp();
  if (!op.getBody().isAncestor(value.getParentRegion())) {
    if (value.getType().isIndex())
      return symbolFor(value);
    // An integer that was an index, such as a size.
    auto cast = dyn_cast_or_null<arith::IndexCastOp>(inner);
    return cast && cast.getIn().getType().isIndex()
               ? std::optional(symbolFor(cast.getIn()))
               : std::nullopt;
  }
  // What is read from a tensor differs from point to point.
  if (!inner)
    return std::nullopt;
  if (auto index = dyn_cast<IndexOp>(inner))
    return getAffineDimExpr(*cascade.findRank(index.getRank()),
                            op.getContext());
  if (isa<arith::IndexCastOp, arith::ExtSIOp>(inner))
    return affineOf(inner->getOperand(0), depth + 1);
  if (auto apply = dyn_cast<affine::AffineApplyOp>(inner)) {
    AffineMap map = apply.getAffineMap();
    SmallVector<AffineExpr> operands;
    for (Value operand : apply.getOperands()) {
      std::optional<AffineExpr> expr = affineOf(operand, depth + 1);
      if (!expr)
        return std::nullopt;
      operands.push_back(*expr);
    }
    return map.getResult(0).replaceDimsAndSymbols(
        ArrayRef(operands).take_front(map.getNumDims()),
        ArrayRef(operands).drop_front(map.getNumDims()));
  }
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(inner))
    return std::nullopt;
  std::optional<AffineExpr> x = affineOf(inner->getOperand(0), depth + 1),
                            y = affineOf(inner->getOperand(1), depth + 1);
  if (!x || !y)
    return std::nullopt;
  if (isa<arith::AddIOp>(inner))
    return *x + *y;
  if (isa<arith::SubIOp>(inner))
    return *x - *y;
  return isa<AffineConstantExpr>(*x) || isa<AffineConstantExpr>(*y)
             ? std::optional(*x * *y)
             : std::nullopt;
}

/// A boolean of a body as a condition.
std::optional<Condition> MaskReader::conditionOf(Value value, unsigned depth) {
  Operation *inner = value.getDefiningOp();
  if (!inner || depth > kMaxDepth)
    return std::nullopt;
  if (isa<arith::AndIOp>(inner)) {
    auto x = conditionOf(inner->getOperand(0), depth + 1),
         y = conditionOf(inner->getOperand(1), depth + 1);
    // What is no condition over coordinates only narrows the other further.
    if (!x || !y)
      return x ? x : y;
    x->constraints.append(y->constraints);
    return x;
  }
  auto compare = dyn_cast<arith::CmpIOp>(inner);
  if (!compare)
    return std::nullopt;
  std::optional<AffineExpr> x = affineOf(compare.getLhs(), depth + 1),
                            y = affineOf(compare.getRhs(), depth + 1);
  if (!x || !y)
    return std::nullopt;
  switch (compare.getPredicate()) {
  case arith::CmpIPredicate::sle:
    return Condition{{*y - *x}};
  case arith::CmpIPredicate::slt:
    return Condition{{*y - *x - 1}};
  case arith::CmpIPredicate::sge:
    return Condition{{*x - *y}};
  case arith::CmpIPredicate::sgt:
    return Condition{{*x - *y - 1}};
  default:
    return std::nullopt;
  }
}

/// Whether the condition that was found is part of the boolean `value`.
bool MaskReader::isCondition(Value value) {
  std::optional<Condition> other = conditionOf(value, 0);
  return other && llvm::all_of(condition->constraints, [&](AffineExpr expr) {
           return llvm::is_contained(other->constraints, expr);
         });
}

static Outside constantOutside(Value value) {
  FloatAttr constant;
  if (!matchPattern(value, m_Constant(&constant)))
    return Outside::Unknown;
  APFloat number = constant.getValue();
  if (number.isInfinity() && number.isNegative())
    return Outside::Lowest;
  return number.isZero() ? Outside::Zero : Outside::Unknown;
}

Outside MaskReader::outsideOfOp(Operation *inner, EinsumOp einsum,
                                unsigned depth) {
  auto of = [&](unsigned operand) {
    return outside(inner->getOperand(operand), einsum, depth + 1);
  };
  auto isOneOf = [&](Outside what) { return of(0) == what || of(1) == what; };
  if (auto select = dyn_cast<arith::SelectOp>(inner)) {
    if (isCondition(select.getCondition()))
      return of(2);
    return of(1) == of(2) ? of(1) : Outside::Unknown;
  }
  // Of what is finite: +inf and NaN are masked by what they are masked with.
  if (isa<arith::AddFOp>(inner))
    return isOneOf(Outside::Lowest) ? Outside::Lowest : Outside::Unknown;
  if (isa<arith::SubFOp>(inner))
    return of(0) == Outside::Lowest ? Outside::Lowest : Outside::Unknown;
  if (isa<arith::MulFOp>(inner))
    return isOneOf(Outside::Zero) ? Outside::Zero : Outside::Unknown;
  if (isa<math::ExpOp, math::Exp2Op>(inner))
    return of(0) == Outside::Lowest ? Outside::Zero : Outside::Unknown;
  if (isa<arith::ExtFOp, arith::TruncFOp>(inner))
    return of(0);
  return Outside::Unknown;
}

/// What a value of the body of `einsum` is outside of the condition.
Outside MaskReader::outside(Value value, EinsumOp einsum, unsigned depth) {
  if (depth > kMaxDepth)
    return Outside::Unknown;
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner() == einsum.getBlock()
               ? results.lookup(einsum.getInputs()[argument.getArgNumber()])
               : Outside::Unknown;
  Outside constant = constantOutside(value);
  if (constant != Outside::Unknown ||
      !einsum->isProperAncestor(value.getDefiningOp()))
    return constant;
  return outsideOfOp(value.getDefiningOp(), einsum, depth);
}

/// Takes the first condition that selects -inf, of an Einsum that goes along
/// the rank.
bool MaskReader::findCondition() {
  for (auto einsum : op.getBlock()->getOps<EinsumOp>())
    for (Operation &inner : *einsum.getBlock()) {
      auto select = dyn_cast<arith::SelectOp>(inner);
      if (!select || constantOutside(select.getFalseValue()) != Outside::Lowest)
        continue;
      condition = conditionOf(select.getCondition(), 0);
      if (condition)
        return true;
      symbols.clear();
    }
  return false;
}

/// Whether all reductions along the rank stay as they are outside of the
/// condition.
bool MaskReader::changesNothing() {
  for (auto einsum : op.getBlock()->getOps<EinsumOp>()) {
    Outside point =
        outside(einsum.getBlock()->getTerminator()->getOperand(0), einsum, 0);
    bool reduces = false, hasRank = false;
    for (unsigned rank = 0; rank < einsum.getNumRanks(); ++rank) {
      bool isIt = einsum.getRankName(rank) == op.getRank();
      hasRank |= isIt;
      reduces |= isIt && einsum.isReduced(rank);
    }
    if (reduces) {
      Outside neutral = einsum.getMonoid() == Monoid::Max   ? Outside::Lowest
                        : einsum.getMonoid() == Monoid::Add ? Outside::Zero
                                                            : Outside::Unknown;
      if (neutral == Outside::Unknown || point != neutral)
        return false;
    } else if (hasRank && !einsum.hasReduction()) {
      results[einsum.getResult()] = point;
    }
  }
  return true;
}

std::optional<Condition> MaskReader::run() {
  if (!cascade || !findCondition() || !changesNothing())
    return std::nullopt;
  return condition;
}

static void bound(IterateOp op) {
  if (op.getFilters())
    return;
  MaskReader reader(op);
  std::optional<Condition> condition = reader.run();
  if (!condition)
    return;
  Builder b(op);
  unsigned numRanks = op->getParentOfType<CascadeOp>().getRanks().size();
  SmallVector<bool> isEquality(condition->constraints.size(), false);
  auto set = IntegerSet::get(numRanks, reader.getSymbols().size(),
                             condition->constraints, isEquality);
  op.setFiltersAttr(b.getArrayAttr(IntegerSetAttr::get(set)));
  op.getSymbolsMutable().assign(reader.getSymbols());
}

namespace {
struct BoundIterations : lutra::impl::BoundIterationsBase<BoundIterations> {
  using BoundIterationsBase::BoundIterationsBase;

  void runOnOperation() override {
    getOperation().walk([](IterateOp op) { bound(op); });
  }
};
} // namespace
