//===- Pieces.cpp - What coordinates say of the points of an Einsum -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The bodies of Einsums are read once, from the first operation to the last. A
// value is known in pieces: a comparison of coordinates has two, 0 and 1, and a
// selection by it those of its operands. Pieces may overlap, where data decides
// which of them holds, and what is not understood is one piece of anything.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/Pieces.h"

#include "PieceArithmetic.h"
#include "lutra/Analysis/LinearBound.h"
#include "mlir/Dialect/Affine/Analysis/Utils.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;
using Kind = Content::Kind;

/// More pieces than masks have; they are then no longer told apart.
static constexpr unsigned kMaxPieces = 64, kMaxCombinations = 512;
/// Deeper arithmetic than sizes are computed by.
static constexpr unsigned kMaxDepth = 8;

bool Content::operator==(const Content &other) const {
  return kind == other.kind && integer == other.integer &&
         number.has_value() == other.number.has_value() &&
         (!number || number->bitwiseIsEqual(*other.number)) &&
         reference == other.reference;
}

static int maxExponent(const APFloat &number) {
  return APFloat::semanticsMaxExponent(number.getSemantics());
}

/// The type has to be wide enough for ordinary numbers to be far from its ends.
bool Content::isLeast() const {
  return kind == Kind::Least ||
         (number && number->isNegative() && number->isFiniteNonZero() &&
          maxExponent(*number) >= 127 &&
          ilogb(*number) >= maxExponent(*number) - 1);
}

bool Content::isOrdinary() const {
  return kind == Kind::Ordinary ||
         (number &&
          (number->isZero() ||
           (number->isFinite() && ilogb(*number) < maxExponent(*number) - 27)));
}

static Pieces anything() { return {ValuePiece()}; }

/// Leaves out pieces that lie in others of the same content.
static Pieces compact(ArrayRef<ValuePiece> pieces) {
  Pieces kept;
  for (const ValuePiece &piece : pieces) {
    auto isInside = [](const ValuePiece &inner, const ValuePiece &outer) {
      return inner.what == outer.what &&
             llvm::all_of(outer.where, [&](AffineExpr constraint) {
               return llvm::is_contained(inner.where, constraint);
             });
    };
    if (llvm::any_of(kept,
                     [&](ValuePiece &other) { return isInside(piece, other); }))
      continue;
    llvm::erase_if(kept,
                   [&](ValuePiece &other) { return isInside(other, piece); });
    kept.push_back(piece);
  }
  return kept.size() > kMaxPieces ? anything() : kept;
}

PieceReader::PieceReader(CascadeOp cascade) : cascade(cascade) {
  for (StringRef rank : cascade.getRanks().getAsValueRange<StringAttr>()) {
    int64_t extent = cascade.getStaticExtent(rank);
    upper.push_back(ShapedType::isDynamic(extent) ? std::nullopt
                                                  : std::optional(extent - 1));
  }
}

AffineExpr PieceReader::symbolFor(Value value) {
  auto it = llvm::find(symbols, value);
  if (it == symbols.end()) {
    symbols.push_back(value);
    it = std::prev(symbols.end());
  }
  return getAffineSymbolExpr(it - symbols.begin(), value.getContext());
}

AffineExpr PieceReader::extentOf(unsigned rank) {
  OpFoldResult extent = cascade.getMixedExtents()[rank];
  if (auto size = dyn_cast<Value>(extent))
    return symbolFor(size);
  return getAffineConstantExpr(*upper[rank] + 1, cascade.getContext());
}

AffineExpr PieceReader::simplify(AffineExpr expr) {
  return simplifyAffineExpr(expr, upper.size(), symbols.size());
}

/// Whether there may be coordinates and sizes where `constraint` >= 0.
bool PieceReader::canHold(AffineExpr constraint) {
  auto factors = linearBound(constraint, upper.size(), symbols.size());
  if (!factors)
    return true;
  int64_t most = factors->back();
  for (auto [i, factor] : llvm::enumerate(ArrayRef(*factors).drop_back())) {
    bool isRank = i < upper.size();
    // Extents and coordinates are not negative.
    bool hasLower = isRank || llvm::is_contained(cascade.getExtents(),
                                                 symbols[i - upper.size()]);
    if (factor == 0 || (factor < 0 && hasLower))
      continue;
    int64_t part;
    if (factor < 0 || !isRank || !upper[i] ||
        llvm::MulOverflow(factor, *upper[i], part) ||
        llvm::AddOverflow(most, part, most))
      return true;
  }
  return most >= 0;
}

bool PieceReader::narrow(Points &points, AffineExpr constraint) {
  constraint = simplify(constraint);
  AffineExpr opposite = simplify(-constraint - 1);
  if (!canHold(constraint) || llvm::is_contained(points, opposite))
    return false;
  if (canHold(opposite) && !llvm::is_contained(points, constraint))
    points.push_back(constraint);
  return true;
}

Points PieceReader::linear(const Points &points) {
  Points bounds;
  for (AffineExpr constraint : points) {
    auto factors = linearBound(constraint, upper.size(), symbols.size());
    if (!factors)
      continue;
    AffineExpr bound =
        getAffineConstantExpr(factors->back(), cascade.getContext());
    for (auto [i, factor] : llvm::enumerate(ArrayRef(*factors).drop_back()))
      bound = bound + factor * (i < upper.size()
                                    ? getAffineDimExpr(i, bound.getContext())
                                    : getAffineSymbolExpr(i - upper.size(),
                                                          bound.getContext()));
    (void)narrow(bounds, bound);
  }
  return bounds;
}

bool PieceReader::isEmpty(const Points &points) {
  SmallVector<AffineExpr> all(points);
  for (unsigned rank = 0; rank < upper.size(); ++rank) {
    if (llvm::none_of(points, [&](AffineExpr constraint) {
          return constraint.isFunctionOfDim(rank);
        }))
      continue;
    AffineExpr at = getAffineDimExpr(rank, cascade.getContext());
    all.push_back(at);
    all.push_back(extentOf(rank) - 1 - at);
  }
  // An IntegerSet has at least one constraint.
  if (all.empty())
    return false;
  SmallVector<bool> isEquality(all.size(), false);
  auto set = IntegerSet::get(upper.size(), symbols.size(), all, isEquality);
  return affine::simplifyIntegerSet(set).isEmptyIntegerSet();
}

/// What a value from outside of the cascade is: a constant, or an integer of
/// symbols. Integers that stand for sizes do not overflow.
Content PieceReader::outer(Value value, unsigned depth) {
  Operation *op = value.getDefiningOp();
  if (cascade.getBody().isAncestor(value.getParentRegion()))
    return {};
  Attribute constant;
  if (matchPattern(value, m_Constant(&constant)))
    return contentOf(constant);
  if (depth < kMaxDepth &&
      isa_and_nonnull<arith::IndexCastOp, arith::AddIOp, arith::SubIOp,
                      affine::AffineApplyOp>(op)) {
    auto operands = llvm::map_to_vector(op->getOperands(), [&](Value operand) {
      return outer(operand, depth + 1);
    });
    Pieces pieces = transfer(*op, operands);
    if (pieces.size() == 1 && pieces[0].what.kind == Kind::Integer)
      return pieces[0].what;
  }
  return value.getType().isIndex() ? Content(symbolFor(value)) : Content();
}

AffineExpr PieceReader::integerOf(Value index) {
  Content content = outer(index, 0);
  return content.kind == Kind::Integer ? content.integer : symbolFor(index);
}

const Pieces &PieceReader::lookup(Value value) {
  auto [it, isNew] = values.try_emplace(value);
  if (isNew)
    it->second = {{{}, outer(value, 0)}};
  return it->second;
}

/// Adds the points of `piece` that are in `where` to `pieces`.
void PieceReader::add(Pieces &pieces, Points where, const ValuePiece &piece) {
  for (AffineExpr constraint : piece.where)
    if (!narrow(where, constraint))
      return;
  pieces.push_back({std::move(where), piece.what});
}

static std::optional<int64_t> constantOf(const Content &what) {
  auto constant = dyn_cast_or_null<AffineConstantExpr>(what.integer);
  return constant ? std::optional(constant.getValue()) : std::nullopt;
}

Pieces PieceReader::select(arith::SelectOp op) {
  Pieces pieces;
  for (const ValuePiece &condition : Pieces(lookup(op.getCondition()))) {
    std::optional<int64_t> truth = constantOf(condition.what);
    if (truth != 0)
      for (const ValuePiece &piece : Pieces(lookup(op.getTrueValue())))
        add(pieces, condition.where, piece);
    if (!truth || truth == 0)
      for (const ValuePiece &piece : Pieces(lookup(op.getFalseValue())))
        add(pieces, condition.where, piece);
  }
  return pieces;
}

/// Whether a value is 0 or 1 at all points.
static bool isTruth(Value value, const Pieces &pieces) {
  return value.getType().isInteger(1) ||
         llvm::all_of(pieces, [](const ValuePiece &piece) {
           std::optional<int64_t> number = constantOf(piece.what);
           return number && (*number == 0 || *number == 1);
         });
}

/// A conjunction or disjunction, which one operand may decide alone.
Pieces PieceReader::connect(Operation &op) {
  Pieces sides[] = {lookup(op.getOperand(0)), lookup(op.getOperand(1))};
  int64_t decisive = isa<arith::AndIOp>(op) ? 0 : 1;
  if (decisive == 1 && !(isTruth(op.getOperand(0), sides[0]) &&
                         isTruth(op.getOperand(1), sides[1])))
    return combine(op);
  Pieces pieces;
  auto isDecisive = [&](const ValuePiece &piece) {
    return constantOf(piece.what) == decisive;
  };
  for (const Pieces &side : sides)
    llvm::copy_if(side, std::back_inserter(pieces), isDecisive);
  for (const ValuePiece &x : sides[0])
    for (const ValuePiece &y : sides[1])
      if (!isDecisive(x) && !isDecisive(y))
        for (ValuePiece &piece : transfer(op, {x.what, y.what})) {
          piece.where.append(y.where);
          add(pieces, x.where, piece);
        }
  return pieces;
}

/// Any other operation, at the points where its operands have one content each.
Pieces PieceReader::combine(Operation &op) {
  Pieces pieces;
  SmallVector<Pieces> operands;
  size_t numCombinations = 1;
  for (Value operand : op.getOperands()) {
    operands.push_back(lookup(operand));
    numCombinations *= operands.back().size();
    if (numCombinations > kMaxCombinations)
      return anything();
  }
  for (size_t i = 0; i < numCombinations; ++i) {
    Points where;
    SmallVector<Content> contents;
    size_t rest = i;
    bool isPossible = true;
    for (const Pieces &operand : operands) {
      const ValuePiece &piece = operand[rest % operand.size()];
      rest /= operand.size();
      contents.push_back(piece.what);
      if (where.empty())
        where = piece.where;
      else
        for (AffineExpr constraint : piece.where)
          isPossible = isPossible && narrow(where, constraint);
    }
    if (isPossible)
      for (const ValuePiece &piece : transfer(op, contents))
        add(pieces, where, piece);
  }
  return pieces;
}

Pieces PieceReader::evaluate(Operation &op) {
  if (auto index = dyn_cast<IndexOp>(op))
    return {{{},
             Content(getAffineDimExpr(*cascade.findRank(index.getRank()),
                                      op.getContext()))}};
  if (op.getNumResults() != 1 || op.getNumRegions() != 0)
    return anything();
  if (auto choice = dyn_cast<arith::SelectOp>(op))
    return choice.getCondition().getType().isInteger(1) ? select(choice)
                                                        : anything();
  if (isa<arith::AndIOp, arith::OrIOp>(op))
    return connect(op);
  return combine(op);
}

Pieces PieceReader::read(EinsumOp op, ArrayRef<Pieces> inputs) {
  values.clear();
  for (auto [argument, pieces] :
       llvm::zip(op.getBlock()->getArguments(), inputs))
    values[argument] = pieces;
  for (Operation &inner : op.getBlock()->without_terminator()) {
    Pieces pieces = compact(evaluate(inner));
    for (Value result : inner.getResults())
      values[result] = pieces;
  }
  return lookup(op.getBlock()->getTerminator()->getOperand(0));
}
