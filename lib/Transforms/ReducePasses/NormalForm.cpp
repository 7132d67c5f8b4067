//===- NormalForm.cpp - Bodies as products and sums -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The body of a sum is written as a product of what differs along a rank and
// what is the same all along it; that of a maximum, and every exponent, as a
// sum. Quotients that exporters guard against empty sums, by comparing the
// divisor with 0, and maxima that they guard against infinities, are seen
// through.
//
//===----------------------------------------------------------------------===//

#include "NormalForm.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// More factors or summands than any formula that is worth rewriting has.
static constexpr unsigned kMaxParts = 64;
/// More operations than are looked at for one.
static constexpr unsigned kMaxSteps = 1024;

std::optional<double> lutra::cascade::asConstant(const Term *term) {
  if (!term->isa<arith::ConstantOp>())
    return std::nullopt;
  auto real = dyn_cast<FloatAttr>(term->attributes.get("value"));
  return real ? std::optional<double>(real.getValueAsDouble()) : std::nullopt;
}

/// The operands x and y of a comparison `x == y` that is false for NaN.
static std::optional<std::pair<const Term *, const Term *>>
matchEquality(const Term *term) {
  if (!term->isa<arith::CmpFOp>())
    return std::nullopt;
  auto predicate = dyn_cast<IntegerAttr>(term->attributes.get("predicate"));
  if (!predicate || predicate.getInt() != int64_t(arith::CmpFPredicate::OEQ))
    return std::nullopt;
  return std::pair(term->operands[0], term->operands[1]);
}

/// What is compared with the constant `value` in `term`.
static const Term *comparedWith(const Term *term, double value) {
  auto sides = matchEquality(term);
  if (sides && asConstant(sides->second) == value)
    return sides->first;
  return sides && asConstant(sides->first) == value ? sides->second : nullptr;
}

/// The condition that was stored as an integer and is compared with 0.
static const Term *asCondition(const Term *term) {
  while (term->isa<arith::CmpIOp>() &&
         term->operands[0]->isa<arith::ExtUIOp>() &&
         term->operands[0]->operands[0]->type.isInteger(1) &&
         term->operands[1]->isa<arith::ConstantOp>()) {
    auto predicate = dyn_cast<IntegerAttr>(term->attributes.get("predicate"));
    auto value =
        dyn_cast<IntegerAttr>(term->operands[1]->attributes.get("value"));
    if (!predicate || !value || !value.getValue().isZero() ||
        predicate.getInt() != int64_t(arith::CmpIPredicate::ne))
      break;
    term = term->operands[0]->operands[0];
  }
  return term;
}

/// Whether `term` says that `value` is NaN.
static bool isUnordered(const Term *term, const Term *value) {
  if (!term->isa<arith::CmpFOp>() || term->operands[0] != value ||
      term->operands[1] != value)
    return false;
  auto predicate = dyn_cast<IntegerAttr>(term->attributes.get("predicate"));
  return predicate &&
         (predicate.getInt() == int64_t(arith::CmpFPredicate::UNO) ||
          predicate.getInt() == int64_t(arith::CmpFPredicate::UNE));
}

bool lutra::cascade::isGuardedAbove(const Term *term) {
  if (!term->isa<arith::SelectOp>() || asConstant(term->operands[2]) != 0.0)
    return false;
  const Term *isFinite = term->operands[0];
  if (!isFinite->isa<arith::CmpFOp>() ||
      asConstant(isFinite->operands[1]) != INFINITY)
    return false;
  auto predicate = dyn_cast<IntegerAttr>(isFinite->attributes.get("predicate"));
  const Term *magnitude = isFinite->operands[0];
  return predicate &&
         (predicate.getInt() == int64_t(arith::CmpFPredicate::OLT) ||
          predicate.getInt() == int64_t(arith::CmpFPredicate::ONE)) &&
         magnitude->isa<math::AbsFOp>() &&
         magnitude->operands[0] == term->operands[1];
}

const Term *lutra::cascade::stripGuard(const Term *term) {
  if (isGuardedAbove(term))
    return term->operands[1];
  if (!term->isa<arith::SelectOp>() || asConstant(term->operands[1]) != 0.0)
    return term;
  const Term *guarded = comparedWith(term->operands[0], -INFINITY);
  return guarded && guarded == term->operands[2] ? guarded : term;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
class Factorizer {
public:
  Factorizer(Terms &terms, Levels &levels) : terms(terms), levels(levels) {}

  bool add(const Term *term, bool divides, Product &product);

private:
  /// Whether a product lies under `term`.
  static bool isProduct(const Term *inlined) {
    return inlined->isa<arith::MulFOp, arith::DivFOp, DivideOp, arith::NegFOp,
                        arith::ExtFOp, arith::TruncFOp, arith::SelectOp>();
  }
  bool addCast(const Term *term, bool divides, Product &product);
  bool addSelect(const Term *term, bool divides, Product &product);
  bool isSumOfNumerators(const Factor &divisor, const Product &product);
  bool addCleared(const Term *condition, const Term *rest, Product &product);
  bool append(const Product &part, Product &product) {
    product.isNegative ^= part.isNegative;
    for (Factor factor : part.factors) {
      factor.origin = factor.origin ? factor.origin : origin;
      product.factors.push_back(factor);
    }
    return product.factors.size() <= kMaxParts;
  }
  bool addFactor(const Term *term, bool divides, Product &product) {
    return addFactor(Factor{term, divides}, product);
  }
  bool addFactor(Factor factor, Product &product) {
    factor.origin = factor.origin ? factor.origin : origin;
    product.factors.push_back(factor);
    return product.factors.size() <= kMaxParts;
  }

  Terms &terms;
  Levels &levels;
  /// The outermost element that is being written out.
  const Term *origin = nullptr;
  unsigned steps = 0;
};
} // namespace

/// A rounded product is the product of its factors, of which those that stay
/// are rounded.
bool Factorizer::addCast(const Term *term, bool divides, Product &product) {
  Product inner;
  if (!add(term->operands[0], divides, inner))
    return false;
  product.isNegative ^= inner.isNegative;
  for (Factor &factor : inner.factors) {
    if (levels.carries(factor.term) && !factor.clears)
      factor.term = terms.operation(*term->name, term->attributes, factor.term,
                                    term->type);
    if (!addFactor(factor, product))
      return false;
  }
  return true;
}

/// The divisor of `product` that is what `term` is, or the only one if it is
/// null.
static Factor *findDivisor(Terms &terms, Product &product, const Term *term) {
  Factor *found = nullptr;
  for (Factor &factor : product.factors) {
    if (!factor.divides || (term && terms.inlined(factor.term) != term))
      continue;
    if (found)
      return nullptr;
    found = &factor;
  }
  return found;
}

/// Whether `product` is an element divided by the sum of all such.
bool Factorizer::isSumOfNumerators(const Factor &divisor,
                                   const Product &product) {
  EinsumOp sum = terms.einsum(terms.inlined(divisor.term));
  const Term *summand =
      sum && sum.getMonoid() == Monoid::Add ? terms.point(sum) : nullptr;
  return summand && product.factors.size() == 2 && !product.isNegative &&
         llvm::any_of(product.factors, [&](const Factor &factor) {
           return !factor.divides && !factor.clears &&
                  terms.inlined(factor.term) == terms.inlined(summand);
         });
}

/// `condition ? 0 : rest`: a guard of a divisor in `rest`, against 0 or against
/// what makes the quotient NaN, or a condition of its own.
bool Factorizer::addCleared(const Term *condition, const Term *rest,
                            Product &product) {
  Product inner;
  if (!add(rest, /*divides=*/false, inner))
    return false;
  const Term *written = asCondition(terms.inlined(condition));
  if (const Term *zero = comparedWith(written, 0.0)) {
    Factor *divisor = findDivisor(terms, inner, zero);
    if (divisor)
      divisor->empty = 0.0;
    else
      condition = nullptr;
  } else if (isUnordered(written, terms.inlined(rest))) {
    // A quotient of an element by the sum of all is NaN with the sum, or with
    // a sum of 0.
    Factor *divisor = findDivisor(terms, inner, nullptr);
    if (divisor && isSumOfNumerators(*divisor, inner)) {
      divisor->empty = 0.0;
      const Term *isNaN =
          terms.operation(*written->name, written->attributes,
                          {divisor->term, divisor->term}, written->type);
      inner.factors.push_back(Factor{isNaN, false, /*clears=*/true});
    } else {
      condition = nullptr;
    }
  } else if (!levels.mixes(condition)) {
    inner.factors.push_back(Factor{condition, false, /*clears=*/true});
  } else {
    condition = nullptr;
  }
  if (!condition)
    return false;
  return append(inner, product);
}

bool Factorizer::addSelect(const Term *term, bool divides, Product &product) {
  auto isZero = [&](unsigned i) {
    return asConstant(terms.inlined(term->operands[i])) == 0.0;
  };
  const Term *condition = term->operands[0];
  Product inner;
  if (!divides && isZero(1)) {
    if (addCleared(condition, term->operands[2], inner))
      return append(inner, product);
  } else if (!divides && isZero(2)) {
    MLIRContext *context = terms.getCascade().getContext();
    const Term *always = terms.constant(BoolAttr::get(context, true));
    condition =
        terms.operation<arith::XOrIOp>({condition, always}, condition->type);
    if (addCleared(condition, term->operands[1], inner))
      return append(inner, product);
  }
  return addFactor(term, divides, product);
}

bool Factorizer::add(const Term *term, bool divides, Product &product) {
  if (++steps > kMaxSteps)
    return false;
  // What leaves the sum as a whole, or stays as it is, needs no look inside.
  if (!levels.mixes(term))
    return addFactor(term, divides, product);
  if (EinsumOp map = terms.producer(term)) {
    const Term *value = terms.point(map);
    if (!value || !isProduct(value))
      return addFactor(term, divides, product);
    llvm::SaveAndRestore<const Term *> within(origin, origin ? origin : term);
    return add(value, divides, product);
  }
  if (term->isa<arith::MulFOp>())
    return add(term->operands[0], divides, product) &&
           add(term->operands[1], divides, product);
  if (term->isa<arith::DivFOp>())
    return add(term->operands[0], divides, product) &&
           add(term->operands[1], !divides, product);
  if (term->isa<DivideOp>() && !divides) {
    auto empty = cast<FloatAttr>(term->attributes.get("empty"));
    return add(term->operands[0], false, product) &&
           addFactor(Factor{term->operands[1], /*divides=*/true,
                            /*clears=*/false, empty.getValueAsDouble()},
                     product);
  }
  if (term->isa<arith::NegFOp>()) {
    product.isNegative ^= true;
    return add(term->operands[0], divides, product);
  }
  if (term->isa<arith::ExtFOp, arith::TruncFOp>())
    return addCast(term, divides, product);
  if (term->isa<arith::SelectOp>())
    return addSelect(term, divides, product);
  return addFactor(term, divides, product);
}

std::optional<Product> lutra::cascade::factorize(Terms &terms, Levels &levels,
                                                 const Term *term) {
  Product product;
  if (!Factorizer(terms, levels).add(term, /*divides=*/false, product))
    return std::nullopt;
  return product;
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

/// Adds a summand, or takes away its opposite.
static bool addSummand(Summand summand, SmallVectorImpl<Summand> &sum) {
  auto *opposite = llvm::find(sum, Summand{summand.term, !summand.isNegative});
  if (opposite != sum.end())
    sum.erase(opposite);
  else
    sum.push_back(summand);
  return sum.size() <= kMaxParts;
}

/// Goes down through additions as long as `step` says what is to be looked at
/// in the place of a term.
static bool addTerm(const Term *term, bool isNegative,
                    function_ref<const Term *(const Term *)> step,
                    SmallVectorImpl<Summand> &sum, unsigned &steps) {
  if (++steps > kMaxSteps)
    return false;
  const Term *inner = step(term);
  if (!inner)
    return addSummand({term, isNegative}, sum);
  if (inner->isa<arith::AddFOp, arith::SubFOp>())
    return addTerm(inner->operands[0], isNegative, step, sum, steps) &&
           addTerm(inner->operands[1], isNegative ^ inner->isa<arith::SubFOp>(),
                   step, sum, steps);
  if (inner->isa<arith::NegFOp>())
    return addTerm(inner->operands[0], !isNegative, step, sum, steps);
  if (inner->isa<arith::ExtFOp>())
    return addTerm(inner->operands[0], isNegative, step, sum, steps);
  return addSummand({term, isNegative}, sum);
}

std::optional<SmallVector<Summand>>
lutra::cascade::linearize(Terms &terms, Levels &levels, const Term *term) {
  auto step = [&](const Term *part) -> const Term * {
    if (!levels.mixes(part))
      return nullptr;
    EinsumOp map = terms.producer(part);
    return map ? terms.point(map) : part;
  };
  SmallVector<Summand> sum;
  unsigned steps = 0;
  if (!addTerm(term, false, step, sum, steps))
    return std::nullopt;
  return sum;
}

std::optional<SmallVector<Summand>>
lutra::cascade::linearize(const Term *inlined) {
  SmallVector<Summand> sum;
  unsigned steps = 0;
  if (!addTerm(
          inlined, false, [](const Term *part) { return part; }, sum, steps))
    return std::nullopt;
  return sum;
}

bool lutra::cascade::isSameSum(ArrayRef<Summand> a, ArrayRef<Summand> b) {
  if (a.size() != b.size())
    return false;
  SmallVector<Summand> rest(b);
  for (const Summand &summand : a) {
    auto *same = llvm::find(rest, summand);
    if (same == rest.end())
      return false;
    rest.erase(same);
  }
  return true;
}
