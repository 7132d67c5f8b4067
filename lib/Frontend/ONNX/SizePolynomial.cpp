//===- SizePolynomial.cpp - Sizes as polynomials --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SizePolynomial.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

/// A total order of atoms that does not depend on addresses.
static int compare(AffineExpr a, AffineExpr b) {
  if (a == b)
    return 0;
  if (a.getKind() != b.getKind())
    return a.getKind() < b.getKind() ? -1 : 1;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(a))
    return symbol.getPosition() < cast<AffineSymbolExpr>(b).getPosition() ? -1
                                                                          : 1;
  if (auto dim = dyn_cast<AffineDimExpr>(a))
    return dim.getPosition() < cast<AffineDimExpr>(b).getPosition() ? -1 : 1;
  if (auto number = dyn_cast<AffineConstantExpr>(a))
    return number.getValue() < cast<AffineConstantExpr>(b).getValue() ? -1 : 1;
  auto x = cast<AffineBinaryOpExpr>(a), y = cast<AffineBinaryOpExpr>(b);
  int first = compare(x.getLHS(), y.getLHS());
  return first ? first : compare(x.getRHS(), y.getRHS());
}

bool MonomialLess::operator()(const Monomial &a, const Monomial &b) const {
  if (a.size() != b.size())
    return a.size() < b.size();
  for (auto [x, y] : llvm::zip(a, b))
    if (int order = compare(x, y))
      return order < 0;
  return false;
}

Polynomial lutra::constantPolynomial(int64_t value) {
  return value ? Polynomial{{Monomial(), value}} : Polynomial();
}

int64_t lutra::constantTerm(const Polynomial &p) {
  auto it = p.find(Monomial());
  return it == p.end() ? 0 : it->second;
}

/// More terms than any real shape has: products of sums grow fast.
static constexpr size_t kMaxTerms = 64;

static bool isConstant(const Polynomial &p) {
  return p.empty() || (p.size() == 1 && p.begin()->first.empty());
}

bool lutra::addScaled(Polynomial &p, const Polynomial &q, int64_t factor,
                      ArrayRef<AffineExpr> monomial) {
  for (const auto &[atoms, coefficient] : q) {
    Monomial product(atoms);
    llvm::append_range(product, monomial);
    llvm::sort(product,
               [](AffineExpr a, AffineExpr b) { return compare(a, b) < 0; });
    int64_t scaled;
    int64_t &entry = p[product];
    if (llvm::MulOverflow(coefficient, factor, scaled) ||
        llvm::AddOverflow(entry, scaled, entry))
      return false;
    if (entry == 0)
      p.erase(product);
  }
  return p.size() <= kMaxTerms;
}

MaybePolynomial lutra::multiply(const Polynomial &p, const Polynomial &q) {
  Polynomial result;
  for (const auto &[atoms, coefficient] : q)
    if (!addScaled(result, p, coefficient, atoms))
      return std::nullopt;
  return result;
}

AffineExpr lutra::toExpr(const Polynomial &p, MLIRContext *context) {
  AffineExpr sum;
  for (const auto &[atoms, coefficient] : llvm::reverse(p)) {
    AffineExpr term;
    for (AffineExpr atom : atoms)
      term = term ? term * atom : atom;
    if (!term)
      term = getAffineConstantExpr(coefficient, context);
    else if (coefficient != 1)
      term = term * coefficient;
    sum = sum ? sum + term : term;
  }
  return sum ? sum : getAffineConstantExpr(0, context);
}

/// What remains of `from` without the atoms of `take`, where it has them all.
static std::optional<Monomial> without(const Monomial &from,
                                       const Monomial &take) {
  Monomial rest(from);
  for (AffineExpr atom : take) {
    auto it = llvm::find(rest, atom);
    if (it == rest.end())
      return std::nullopt;
    rest.erase(it);
  }
  return rest;
}

MaybePolynomial lutra::divideExactly(Polynomial p, const Polynomial &q) {
  if (q.empty())
    return std::nullopt;
  const auto &[leadAtoms, lead] = *q.rbegin();
  Polynomial quotient;
  // Each step removes the greatest monomial of p; the bound is for hostile
  // input only.
  for (size_t step = 0; !p.empty(); ++step) {
    auto [atoms, coefficient] = *p.rbegin();
    std::optional<Monomial> rest = without(atoms, leadAtoms);
    if (!rest || lead == -1 || coefficient % lead || step > 4 * kMaxTerms)
      return std::nullopt;
    quotient[*rest] = coefficient / lead;
    if (!addScaled(p, q, -(coefficient / lead), *rest))
      return std::nullopt;
  }
  return quotient;
}

//===----------------------------------------------------------------------===//
// Floor division
//===----------------------------------------------------------------------===//

static MaybePolynomial floorDivide(const Polynomial &p, int64_t divisor,
                                   MLIRContext *context);

static Polynomial floorAtom(AffineExpr lhs, AffineExpr rhs) {
  return Polynomial{{Monomial{lhs.floorDiv(rhs)}, 1}};
}

/// The division of a division, floor((floor(x / c) + k) / d), as one.
static MaybePolynomial mergeDivisions(const Polynomial &p, int64_t divisor,
                                      MLIRContext *context) {
  const auto &[atoms, coefficient] = *p.rbegin();
  bool isAtom = atoms.size() == 1 && coefficient == 1 &&
                p.size() == 1 + size_t(constantTerm(p) != 0);
  auto inner = isAtom ? dyn_cast<AffineBinaryOpExpr>(atoms.front())
                      : AffineBinaryOpExpr(nullptr);
  auto c = inner ? dyn_cast<AffineConstantExpr>(inner.getRHS())
                 : AffineConstantExpr();
  int64_t product, shift;
  if (!c || c.getValue() < 1 ||
      llvm::MulOverflow(c.getValue(), divisor, product) ||
      llvm::MulOverflow(c.getValue(), constantTerm(p), shift))
    return std::nullopt;
  MaybePolynomial x = toPolynomial(inner.getLHS());
  if (!x || !addScaled(*x, constantPolynomial(shift), 1))
    return std::nullopt;
  return floorDivide(*x, product, context);
}

/// floor(p / divisor) for a positive constant divisor, in the form whole +
/// floor(rest / divisor) with coefficients of rest in [0, divisor) that have
/// no factor in common with it.
static MaybePolynomial floorDivide(const Polynomial &p, int64_t divisor,
                                   MLIRContext *context) {
  Polynomial whole, rest, reduced;
  int64_t common = divisor;
  for (const auto &[atoms, coefficient] : p) {
    int64_t quotient = llvm::divideFloorSigned(coefficient, divisor);
    int64_t remainder = coefficient - quotient * divisor;
    if (quotient)
      whole[atoms] = quotient;
    if (remainder)
      rest[atoms] = remainder;
    if (!atoms.empty())
      common = std::gcd(common, remainder);
  }
  if (isConstant(rest))
    return whole;
  for (const auto &[atoms, coefficient] : rest)
    if (coefficient / common)
      reduced[atoms] = coefficient / common;
  divisor /= common;
  MaybePolynomial result = mergeDivisions(reduced, divisor, context);
  if (!result)
    result = floorAtom(toExpr(reduced, context),
                       getAffineConstantExpr(divisor, context));
  if (!addScaled(*result, whole, 1))
    return std::nullopt;
  return result;
}

static MaybePolynomial floorDivide(const Polynomial &p, const Polynomial &q,
                                   MLIRContext *context) {
  if (isConstant(q) && constantTerm(q) > 0)
    return floorDivide(p, constantTerm(q), context);
  if (MaybePolynomial exact = divideExactly(p, q))
    return exact;
  if (isConstant(q))
    return std::nullopt;
  return floorAtom(toExpr(p, context), toExpr(q, context));
}

MaybePolynomial lutra::toPolynomial(AffineExpr expr) {
  MLIRContext *context = expr.getContext();
  if (auto number = dyn_cast<AffineConstantExpr>(expr))
    return constantPolynomial(number.getValue());
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return Polynomial{{Monomial{expr}, 1}};
  MaybePolynomial lhs = toPolynomial(binary.getLHS());
  MaybePolynomial rhs = toPolynomial(binary.getRHS());
  if (!lhs || !rhs)
    return std::nullopt;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return addScaled(*lhs, *rhs, 1) ? lhs : std::nullopt;
  case AffineExprKind::Mul:
    return multiply(*lhs, *rhs);
  case AffineExprKind::FloorDiv:
    return floorDivide(*lhs, *rhs, context);
  case AffineExprKind::CeilDiv:
    // ceil(p / q) = floor((p + q - 1) / q)
    if (!addScaled(*lhs, *rhs, 1) ||
        !addScaled(*lhs, constantPolynomial(1), -1))
      return std::nullopt;
    return floorDivide(*lhs, *rhs, context);
  case AffineExprKind::Mod: {
    MaybePolynomial quotient = floorDivide(*lhs, *rhs, context);
    MaybePolynomial product =
        quotient ? multiply(*quotient, *rhs) : std::nullopt;
    if (!product || !addScaled(*lhs, *product, -1))
      return std::nullopt;
    return lhs;
  }
  default:
    return std::nullopt;
  }
}
