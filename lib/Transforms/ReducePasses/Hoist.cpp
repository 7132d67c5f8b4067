//===- Hoist.cpp - Factors leave reductions -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A factor that is the same along a rank is a factor of the whole sum over it,
// and a summand of a maximum one of the whole maximum. Where it is only known
// after a pass over the rank, the sum without it need not wait: that is how a
// division by a sum is deferred to the end. An exponential is split only where
// what stays in the sum is bounded, which the running maximum of Reference.cpp
// is there for.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra::cascade;

namespace {
class Hoister {
public:
  Hoister(Terms &terms, Levels &levels, Journal &journal)
      : terms(terms), levels(levels), journal(journal) {}

  /// The value that takes the place of a reduction, if any.
  Value hoist(EinsumOp op);

private:
  Value hoistFactors(EinsumOp op);
  Value hoistSummands(EinsumOp op);
  bool mayHoist(EinsumOp op, const Term *term);
  bool isWide(EinsumOp op, const Term *term);
  bool keepsRange(EinsumOp op, const Product &stays, const Product &leaves);
  const Term *resultOf(EinsumOp op) {
    return terms.element(op.getResult(),
                         terms.toCascade(op, op.getResultMap()));
  }
  const Term *product(const Product &product, Type type);
  const Term *cleared(const Term *condition, const Term *term);
  Product keepMaps(OpBuilder &b, const Product &stays);
  const Term *quotient(const Term *term, const Factor &factor, EinsumOp op);
  const Term *convert(const Term *term, Type type);
  std::string where(EinsumOp op) { return " out of " + describe(op); }

  Terms &terms;
  Levels &levels;
  Journal &journal;
};
} // namespace

/// Whether `term` differs along the rank at `position`.
static bool dependsOn(const Term *term, StringRef rank, unsigned position,
                      SmallPtrSetImpl<const Term *> &seen) {
  if (!seen.insert(term).second)
    return false;
  if (term->isElement())
    return term->map.isFunctionOfDim(position);
  if (term->isa<IndexOp>())
    return cast<StringAttr>(term->attributes.get("rank")).getValue() == rank;
  return llvm::any_of(term->operands, [&](const Term *operand) {
    return dependsOn(operand, rank, position, seen);
  });
}

/// Whether every rank of `term` is one of the result of `op`.
bool Hoister::mayHoist(EinsumOp op, const Term *term) {
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank) {
    if (!op.isReduced(rank))
      continue;
    StringRef name = op.getRankName(rank);
    SmallPtrSet<const Term *, 16> seen;
    if (!dependsOn(term, name, *terms.getCascade().findRank(name), seen))
      continue;
    journal.obstacles.insert(describe(terms, term) + " depends on " +
                             name.str() + ", which " + describe(op) +
                             " reduces too");
    return false;
  }
  return true;
}

/// Whether the sum may be without the factor for as long as it is taken.
bool Hoister::isWide(EinsumOp op, const Term *term) {
  auto type = dyn_cast<FloatType>(getElementTypeOrSelf(op.getType()));
  if (type && APFloat::semanticsMaxExponent(type.getFloatSemantics()) >= 127)
    return true;
  std::string text;
  llvm::raw_string_ostream(text)
      << "A hoist " << describe(terms, term) << where(op)
      << ": the sum may leave the range of "
      << getElementTypeOrSelf(op.getType());
  journal.refusals.insert(text);
  journal.obstacles.insert(describe(op) + " keeps " + describe(terms, term));
  return false;
}

/// Whether `term` is as large as a maximum or a minimum, and not as a sum.
static bool isExtreme(Terms &terms, const Term *term,
                      SmallPtrSetImpl<const Term *> &seen) {
  const Term *value = terms.inlined(term);
  if (!seen.insert(value).second)
    return false;
  if (EinsumOp op = terms.einsum(value))
    return op.getMonoid() == Monoid::Max || op.getMonoid() == Monoid::Min;
  return !value->isa<math::ExpOp, math::Exp2Op, math::LogOp, arith::CmpFOp>() &&
         llvm::any_of(value->operands, [&](const Term *operand) {
           return isExtreme(terms, operand, seen);
         });
}

/// Whether the sum is no nearer to the ends of its type's range without what
/// leaves it. A sum that divides is as near to them itself; an extremum, by
/// which rows are scaled so that they have no ends, is not.
bool Hoister::keepsRange(EinsumOp op, const Product &stays,
                         const Product &leaves) {
  SmallPtrSet<const Term *, 16> seen;
  if (llvm::none_of(leaves.factors, [&](const Factor &factor) {
        return !factor.clears && isExtreme(terms, factor.term, seen);
      }))
    return true;
  const Term *rest = product(stays, getElementTypeOrSelf(op.getType()));
  Interval interval = intervalOf(terms, rest);
  if (!interval.mayBeAbsent && std::isfinite(interval.low) &&
      std::isfinite(interval.high))
    return true;
  std::string text;
  llvm::raw_string_ostream(text)
      << "A hoist " << describe(terms, product(leaves, rest->type)) << where(op)
      << ": " << describe(terms, rest) << " is unbounded";
  journal.refusals.insert(text);
  return false;
}

const Term *Hoister::convert(const Term *term, Type type) {
  if (term->type == type)
    return term;
  unsigned from = term->type.getIntOrFloatBitWidth();
  unsigned to = type.getIntOrFloatBitWidth();
  if (from == to)
    return convert(convert(term, Float32Type::get(type.getContext())), type);
  if (from < to)
    return terms.operation<arith::ExtFOp>(term, type);
  return terms.operation<arith::TruncFOp>(term, type);
}

/// 0 under the condition, else `term`.
const Term *Hoister::cleared(const Term *condition, const Term *term) {
  const Term *zero =
      terms.constant(cast<TypedAttr>(FloatAttr::get(term->type, 0.0)));
  return terms.operation<arith::SelectOp>({condition, zero, term}, term->type);
}

const Term *Hoister::product(const Product &product, Type type) {
  const Term *result = nullptr;
  for (const Factor &factor : product.factors)
    if (!factor.divides && !factor.clears) {
      const Term *next = convert(factor.term, type);
      result =
          result ? terms.operation<arith::MulFOp>({result, next}, type) : next;
    }
  if (!result)
    result = terms.constant(cast<TypedAttr>(FloatAttr::get(type, 1.0)));
  for (const Factor &factor : product.factors)
    if (factor.divides)
      result = terms.operation<arith::DivFOp>(
          {result, convert(factor.term, type)}, type);
  if (product.isNegative)
    result = terms.operation<arith::NegFOp>(result, type);
  for (const Factor &factor : product.factors)
    if (factor.clears)
      result = cleared(factor.term, result);
  return result;
}

/// What is left of a map of several factors is a map again: inside the sum it
/// would be computed for each point of other ranks.
Product Hoister::keepMaps(OpBuilder &b, const Product &stays) {
  Product result;
  result.isNegative = stays.isNegative;
  SmallPtrSet<const Term *, 4> done;
  for (const Factor &factor : stays.factors) {
    if (!factor.origin) {
      result.factors.push_back(factor);
      continue;
    }
    if (!done.insert(factor.origin).second)
      continue;
    Product part;
    for (const Factor &other : stays.factors)
      if (other.origin == factor.origin)
        part.factors.push_back(other);
    if (part.factors.size() == 1 && factor.term->isElement()) {
      result.factors.push_back(factor);
      continue;
    }
    Type type = factor.term->type;
    EinsumOp map = terms.producer(factor.origin);
    EinsumShape shape = EinsumShape::of(map);
    shape.type = RankedTensorType::get(shape.type.getShape(), type);
    EinsumOp rest = buildEinsum(b, map.getLoc(), terms.getCascade(), shape,
                                product(part, type));
    result.factors.push_back({resultOf(rest)});
  }
  return result;
}

/// A sum over no points is 0, and stays so divided.
const Term *Hoister::quotient(const Term *term, const Factor &factor,
                              EinsumOp op) {
  MLIRContext *context = op.getContext();
  const Term *divisor = convert(factor.term, term->type);
  bool hasPoints =
      !op.isFiltered() &&
      isPositive(terms.getCascade().getMixedExtents()[levels.getPosition()]);
  if (!factor.empty && hasPoints)
    return terms.operation<arith::DivFOp>({term, divisor}, term->type);
  double empty = hasPoints ? *factor.empty : 0.0;
  auto attributes = DictionaryAttr::get(
      context,
      NamedAttribute(StringAttr::get(context, "empty"),
                     FloatAttr::get(Float64Type::get(context), empty)));
  return terms.operation(OperationName(DivideOp::getOperationName(), context),
                         attributes, {term, divisor}, term->type);
}

Value Hoister::hoistFactors(EinsumOp op) {
  const Term *point = terms.point(op);
  std::optional<Product> whole =
      point ? factorize(terms, levels, point) : std::nullopt;
  if (!whole) {
    journal.obstacles.insert(describe(op) + " has too large a body");
    return nullptr;
  }
  // A condition of a whole row leaves with the rest, for nothing.
  auto isHoisted = [&](const Factor &factor) {
    return !levels.carries(factor.term) &&
           (levels.waits(factor.term) || factor.clears) &&
           mayHoist(op, factor.term);
  };
  Product stays, leaves, shown;
  stays.isNegative = whole->isNegative;
  for (const Factor &factor : whole->factors) {
    bool leavesSum = isHoisted(factor);
    (leavesSum ? leaves : stays).factors.push_back(factor);
    if (leavesSum && !factor.clears)
      shown.factors.push_back(factor);
  }
  if (llvm::none_of(leaves.factors, [&](const Factor &factor) {
        return levels.waits(factor.term);
      }))
    return nullptr;
  const Term *all = product(shown, point->type);
  if (!isWide(op, all) || !keepsRange(op, stays, leaves))
    return nullptr;

  OpBuilder b(op);
  EinsumShape shape = EinsumShape::of(op);
  EinsumOp sum = buildEinsum(b, op.getLoc(), terms.getCascade(), shape,
                             product(keepMaps(b, stays), point->type));
  const Term *value = resultOf(sum);
  for (const Factor &factor : leaves.factors)
    if (!factor.divides && !factor.clears)
      value = terms.operation<arith::MulFOp>(
          {value, convert(factor.term, value->type)}, value->type);
  for (const Factor &factor : leaves.factors)
    if (factor.divides)
      value = quotient(value, factor, op);
  for (const Factor &factor : leaves.factors)
    if (factor.clears)
      value = cleared(factor.term, value);
  journal.rewrites.insert("A hoist " + describe(terms, all) + where(op));
  return buildEinsum(b, op.getLoc(), terms.getCascade(), shape.asMap(), value);
}

Value Hoister::hoistSummands(EinsumOp op) {
  const Term *point = terms.point(op);
  std::optional<SmallVector<Summand>> whole =
      point ? linearize(terms, levels, point) : std::nullopt;
  if (!whole) {
    journal.obstacles.insert(describe(op) + " has too large a body");
    return nullptr;
  }
  SmallVector<Summand> stays, leaves;
  for (const Summand &summand : *whole) {
    bool isHoisted = !levels.carries(summand.term) &&
                     levels.waits(summand.term) && mayHoist(op, summand.term);
    (isHoisted ? leaves : stays).push_back(summand);
  }
  if (leaves.empty() || stays.empty())
    return nullptr;
  auto add = [&](const Term *value, const Summand &summand) {
    const Term *next = convert(summand.term, point->type);
    if (!value)
      return summand.isNegative
                 ? terms.operation<arith::NegFOp>(next, point->type)
                 : next;
    return summand.isNegative
               ? terms.operation<arith::SubFOp>({value, next}, point->type)
               : terms.operation<arith::AddFOp>({value, next}, point->type);
  };
  const Term *inside = nullptr;
  for (const Summand &summand : stays)
    inside = add(inside, summand);
  OpBuilder b(op);
  EinsumShape shape = EinsumShape::of(op);
  EinsumOp extremum =
      buildEinsum(b, op.getLoc(), terms.getCascade(), shape, inside);
  const Term *value = resultOf(extremum);
  for (const Summand &summand : leaves) {
    value = add(value, summand);
    journal.rewrites.insert("A hoist " + describe(terms, summand.term) +
                            where(op));
  }
  return buildEinsum(b, op.getLoc(), terms.getCascade(), shape.asMap(), value);
}

Value Hoister::hoist(EinsumOp op) {
  if (levels.of(op) < 2 || !op.hasReduction() || op.getInit() ||
      !isa<FloatType>(getElementTypeOrSelf(op.getType())) ||
      op.goesAlong(op.getResultMap(), levels.getRank()))
    return nullptr;
  switch (*op.getMonoid()) {
  case Monoid::Add:
    return hoistFactors(op);
  case Monoid::Max:
  case Monoid::Min:
    return hoistSummands(op);
  default:
    return nullptr;
  }
}

bool lutra::cascade::hoistOutOfReductions(CascadeOp cascade, StringRef rank,
                                          Journal &journal) {
  Terms terms(cascade);
  Levels levels(cascade, rank);
  Hoister hoister(terms, levels, journal);
  SmallVector<std::pair<EinsumOp, Value>> replaced;
  for (EinsumOp op : llvm::to_vector(cascade.getBlock()->getOps<EinsumOp>()))
    if (Value value = hoister.hoist(op))
      replaced.push_back({op, value});
  // Only now, since terms speak of what was there.
  for (auto [op, value] : replaced)
    op.getResult().replaceAllUsesWith(value);
  eraseUnread(*cascade.getBlock());
  return !replaced.empty();
}
