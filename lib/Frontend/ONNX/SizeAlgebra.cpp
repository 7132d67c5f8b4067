//===- SizeAlgebra.cpp - Arithmetic on symbolic sizes ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sizes are taken for polynomials; where one overflows, the expression is left
// as it was.
//
//===----------------------------------------------------------------------===//

#include "SizeAlgebra.h"

#include "SizePolynomial.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

AffineExpr lutra::canonicalSize(AffineExpr size) {
  MaybePolynomial p = toPolynomial(size);
  return p ? toExpr(*p, size.getContext()) : size;
}

AffineExpr lutra::multiplySizes(ArrayRef<AffineExpr> sizes,
                                MLIRContext *context) {
  Polynomial product = constantPolynomial(1);
  AffineExpr fallback = getAffineConstantExpr(1, context);
  bool exact = true, isStatic = true;
  for (AffineExpr size : sizes) {
    isStatic &= isa<AffineConstantExpr>(size);
    MaybePolynomial factor = toPolynomial(size);
    MaybePolynomial next =
        exact && factor ? multiply(product, *factor) : std::nullopt;
    exact = next.has_value();
    if (exact)
      product = std::move(*next);
    else if (isStatic)
      return {};
  }
  if (exact)
    return toExpr(product, context);
  for (AffineExpr size : sizes)
    fallback = fallback * size;
  return fallback;
}

std::optional<AffineExpr> lutra::divideSize(AffineExpr dividend,
                                            AffineExpr divisor) {
  MaybePolynomial p = toPolynomial(dividend), q = toPolynomial(divisor);
  MaybePolynomial quotient = p && q ? divideExactly(*p, *q) : std::nullopt;
  if (!quotient)
    return std::nullopt;
  return toExpr(*quotient, dividend.getContext());
}

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

static std::optional<int64_t> polynomialBound(const Polynomial &p,
                                              ArrayRef<SizeRange> ranges);

/// The range of an atom; an end that was not found is the widest possible, and
/// nothing where that is the lower end.
static std::optional<SizeRange> atomRange(AffineExpr atom,
                                          ArrayRef<SizeRange> ranges) {
  if (auto symbol = dyn_cast<AffineSymbolExpr>(atom))
    return symbol.getPosition() < ranges.size() ? ranges[symbol.getPosition()]
                                                : SizeRange();
  auto division = dyn_cast<AffineBinaryOpExpr>(atom);
  auto divisor = division ? dyn_cast<AffineConstantExpr>(division.getRHS())
                          : AffineConstantExpr();
  MaybePolynomial p = divisor ? toPolynomial(division.getLHS()) : std::nullopt;
  Polynomial negated;
  if (!p || divisor.getValue() < 1 || !addScaled(negated, *p, -1))
    return std::nullopt;
  std::optional<int64_t> low = polynomialBound(*p, ranges);
  std::optional<int64_t> negatedHigh = polynomialBound(negated, ranges);
  if (!low)
    return std::nullopt;
  return SizeRange{
      llvm::divideFloorSigned(*low, divisor.getValue()),
      negatedHigh && *negatedHigh != INT64_MIN
          ? llvm::divideFloorSigned(-*negatedHigh, divisor.getValue())
          : INT64_MAX};
}

/// Rewrites p with each atom as its least value plus a number from zero, which
/// takes the atom's place; then only negative terms lower the sum.
static std::optional<int64_t> shiftedBound(const Polynomial &p,
                                           ArrayRef<SizeRange> ranges) {
  Polynomial shifted;
  std::map<Monomial, int64_t, MonomialLess> greatest;
  for (const auto &[atoms, coefficient] : p) {
    Polynomial product = constantPolynomial(coefficient);
    for (AffineExpr atom : atoms) {
      std::optional<SizeRange> range = atomRange(atom, ranges);
      Polynomial factor{{Monomial{atom}, 1}};
      if (!range || !addScaled(factor, constantPolynomial(1), range->min))
        return std::nullopt;
      MaybePolynomial next = multiply(product, factor);
      int64_t span = INT64_MAX;
      if (range->max != INT64_MAX &&
          llvm::SubOverflow(range->max, range->min, span))
        return std::nullopt;
      greatest[Monomial{atom}] = span;
      if (!next)
        return std::nullopt;
      product = std::move(*next);
    }
    if (!addScaled(shifted, product, 1))
      return std::nullopt;
  }
  int64_t bound = constantTerm(shifted);
  for (const auto &[atoms, coefficient] : shifted) {
    if (atoms.empty() || coefficient > 0)
      continue;
    int64_t least = coefficient;
    for (AffineExpr atom : atoms) {
      int64_t span = greatest[Monomial{atom}];
      if (span == INT64_MAX || llvm::MulOverflow(least, span, least))
        return std::nullopt;
    }
    if (llvm::AddOverflow(bound, least, bound))
      return std::nullopt;
  }
  return bound;
}

/// Replaces one linear floor division f = floor(x / c) of c * p by the bound
/// of c * f that makes c * p smaller: x where f is subtracted, x - c + 1 where
/// it is added. Gives the factor c, or 0 where no division is linear.
static int64_t relaxDivision(const Polynomial &p, Polynomial &relaxed) {
  for (const auto &[atoms, coefficient] : p) {
    auto division = atoms.size() == 1
                        ? dyn_cast<AffineBinaryOpExpr>(atoms.front())
                        : AffineBinaryOpExpr(nullptr);
    auto divisor = division ? dyn_cast<AffineConstantExpr>(division.getRHS())
                            : AffineConstantExpr();
    if (!divisor || divisor.getValue() < 1)
      continue;
    int64_t c = divisor.getValue();
    MaybePolynomial x = toPolynomial(division.getLHS());
    Polynomial rest(p);
    rest.erase(atoms);
    if (!x || !addScaled(relaxed, rest, c) ||
        (coefficient > 0 && !addScaled(*x, constantPolynomial(1), 1 - c)) ||
        !addScaled(relaxed, *x, coefficient))
      return 0;
    return c;
  }
  return 0;
}

static std::optional<int64_t> polynomialBound(const Polynomial &p,
                                              ArrayRef<SizeRange> ranges) {
  if (std::optional<int64_t> bound = shiftedBound(p, ranges))
    return bound;
  Polynomial relaxed;
  int64_t factor = relaxDivision(p, relaxed);
  if (!factor)
    return std::nullopt;
  std::optional<int64_t> bound = polynomialBound(relaxed, ranges);
  if (!bound)
    return std::nullopt;
  return -llvm::divideFloorSigned(-*bound, factor);
}

std::optional<int64_t> lutra::lowerBound(AffineExpr size,
                                         ArrayRef<SizeRange> ranges) {
  MaybePolynomial p = toPolynomial(size);
  return p ? polynomialBound(*p, ranges) : std::nullopt;
}
