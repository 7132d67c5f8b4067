//===- SizePolynomial.h - Sizes as polynomials ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Polynomials have integer coefficients. An atom is a symbol or a floor
// division; ceiling divisions and remainders are written with floor divisions.
// Every operation returns nothing on overflow.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_SIZEPOLYNOMIAL_H
#define LUTRA_LIB_FRONTEND_ONNX_SIZEPOLYNOMIAL_H

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <map>
#include <optional>

namespace mlir::lutra {

/// A product of atoms, sorted.
using Monomial = SmallVector<AffineExpr, 2>;

/// Orders by degree, then by atoms: an order that multiplication keeps, as
/// long division needs.
struct MonomialLess {
  bool operator()(const Monomial &a, const Monomial &b) const;
};

/// Coefficients by monomial; none is zero.
using Polynomial = std::map<Monomial, int64_t, MonomialLess>;
/// Nothing on overflow, or of very many terms.
using MaybePolynomial = std::optional<Polynomial>;

Polynomial constantPolynomial(int64_t value);
int64_t constantTerm(const Polynomial &p);

/// An expression over symbols as a polynomial, and back.
MaybePolynomial toPolynomial(AffineExpr expr);
AffineExpr toExpr(const Polynomial &p, MLIRContext *context);

/// p += factor * monomial * q; false on overflow.
bool addScaled(Polynomial &p, const Polynomial &q, int64_t factor,
               ArrayRef<AffineExpr> monomial = {});
MaybePolynomial multiply(const Polynomial &p, const Polynomial &q);
/// The quotient where the division leaves no remainder.
MaybePolynomial divideExactly(Polynomial p, const Polynomial &q);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_SIZEPOLYNOMIAL_H
