//===- Intervals.cpp - What numbers a term may be -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bounds are proven from the cascade alone: of a tensor from outside nothing is
// known, of what caps it everything. NaN is in every interval, as it reaches
// every result whatever bounds the others. -inf is kept apart, since it is how
// masks are written.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra::cascade;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
static constexpr Interval kAnything{-kInfinity, kInfinity, true};

/// Nothing but -inf.
static bool isEmpty(const Interval &x) { return x.low > x.high; }

/// Of numbers alone, with what is not a number as any.
static Interval numbers(double low, double high) {
  return {std::isnan(low) ? -kInfinity : low,
          std::isnan(high) ? kInfinity : high, false};
}

/// -inf as one of the numbers.
static Interval joined(const Interval &x) {
  return x.mayBeAbsent ? numbers(-kInfinity, isEmpty(x) ? -kInfinity : x.high)
                       : x;
}

static Interval times(Interval x, Interval y) {
  if (y.mayBeAbsent)
    std::swap(x, y);
  // -inf times a positive number is that again.
  bool isAbsent =
      x.mayBeAbsent && !y.mayBeAbsent && y.low > 0 && y.high < kInfinity;
  if (isAbsent && isEmpty(x))
    return x;
  if (!isAbsent) {
    x = joined(x);
    y = joined(y);
  }
  double products[] = {x.low * y.low, x.low * y.high, x.high * y.low,
                       x.high * y.high};
  if (llvm::any_of(products, [](double p) { return std::isnan(p); }))
    return kAnything;
  return {*llvm::min_element(products), *llvm::max_element(products), isAbsent};
}

namespace {
class Bounds {
public:
  explicit Bounds(Terms &terms) : terms(terms) {}
  Interval of(const Term *term);

private:
  Interval compute(const Term *term);
  Interval constant(const Term *term);

  Terms &terms;
  llvm::DenseMap<const Term *, Interval> known;
};
} // namespace

Interval Bounds::constant(const Term *term) {
  std::optional<double> value = asConstant(term);
  if (!value || std::isnan(*value) || *value == kInfinity)
    return kAnything;
  if (*value == -kInfinity)
    return {kInfinity, -kInfinity, true};
  return {*value, *value, false};
}

Interval Bounds::compute(const Term *term) {
  if (term->isElement()) {
    const Term *value = terms.inlined(term);
    return value == term ? kAnything : of(value);
  }
  if (term->isa<arith::ConstantOp>())
    return constant(term);
  SmallVector<Interval> x;
  for (const Term *operand : term->operands)
    x.push_back(of(operand));
  if (term->isa<arith::ExtFOp, arith::TruncFOp>())
    return x[0];
  if (term->isa<math::TanhOp, math::ErfOp, math::SinOp, math::CosOp>())
    return numbers(-1, 1);
  if (term->isa<arith::SelectOp>()) {
    bool isAbsent = x[1].mayBeAbsent || x[2].mayBeAbsent;
    return {std::min(x[1].low, x[2].low), std::max(x[1].high, x[2].high),
            isAbsent};
  }
  if (term->isa<arith::AddFOp>()) {
    if (isEmpty(x[0]) || isEmpty(x[1]))
      return isEmpty(x[0]) ? x[0] : x[1];
    Interval sum = numbers(x[0].low + x[1].low, x[0].high + x[1].high);
    sum.mayBeAbsent = x[0].mayBeAbsent || x[1].mayBeAbsent;
    return sum;
  }
  if (term->isa<arith::MulFOp>())
    return times(x[0], x[1]);
  for (Interval &each : x)
    each = joined(each);
  if (term->isa<arith::SubFOp>())
    return numbers(x[0].low - x[1].high, x[0].high - x[1].low);
  if (term->isa<arith::NegFOp>())
    return numbers(-x[0].high, -x[0].low);
  if (term->isa<arith::DivFOp>() && (x[1].low > 0 || x[1].high < 0))
    return joined(times(x[0], numbers(1 / x[1].high, 1 / x[1].low)));
  if (term->isa<math::ExpOp>())
    return numbers(std::exp(x[0].low), std::exp(x[0].high));
  if (term->isa<math::AbsFOp>())
    return numbers(0, std::max(std::abs(x[0].low), std::abs(x[0].high)));
  if (term->isa<arith::MinimumFOp>())
    return numbers(std::min(x[0].low, x[1].low),
                   std::min(x[0].high, x[1].high));
  if (term->isa<arith::MaximumFOp>())
    return numbers(std::max(x[0].low, x[1].low),
                   std::max(x[0].high, x[1].high));
  return kAnything;
}

Interval Bounds::of(const Term *term) {
  auto it = known.find(term);
  if (it != known.end())
    return it->second;
  Interval result = compute(term);
  return known[term] = result;
}

static bool isWide(Type type) {
  auto real = dyn_cast<FloatType>(getElementTypeOrSelf(type));
  return !real ||
         APFloat::semanticsMaxExponent(real.getFloatSemantics()) >= 127;
}

bool lutra::cascade::isWide(CascadeOp cascade) {
  for (auto op : cascade.getBlock()->getOps<EinsumOp>()) {
    auto isOfWide = [](Operation &inner) {
      return llvm::all_of(inner.getResultTypes(),
                          [](Type type) { return ::isWide(type); });
    };
    if (!::isWide(op.getType()) || !llvm::all_of(*op.getBlock(), isOfWide))
      return false;
  }
  return true;
}

Interval lutra::cascade::intervalOf(Terms &terms, const Term *term) {
  return Bounds(terms).of(term);
}
