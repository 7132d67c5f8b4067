//===- SizeAlgebra.h - Arithmetic on symbolic sizes -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sizes are polynomials over the model's symbolic dimensions and over floor
// divisions of such polynomials. Two sizes are the same expression exactly
// where their polynomials are equal, provided that both went through
// `canonicalSize`; MLIR's own simplification does not give that for products.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_SIZEALGEBRA_H
#define LUTRA_LIB_FRONTEND_ONNX_SIZEALGEBRA_H

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/ArrayRef.h"
#include <optional>

namespace mlir::lutra {

/// The one expression of all those that are equal as polynomials. An expression
/// whose coefficients overflow, or of very many terms, is returned unchanged.
AffineExpr canonicalSize(AffineExpr size);

/// The canonical product; null where a static product overflows.
AffineExpr multiplySizes(ArrayRef<AffineExpr> sizes, MLIRContext *context);

/// The canonical quotient where the division leaves no remainder.
std::optional<AffineExpr> divideSize(AffineExpr dividend, AffineExpr divisor);

/// The values of a symbolic dimension, both ends included.
struct SizeRange {
  int64_t min = 0;
  int64_t max = INT64_MAX;
};

/// A number that `size` is never below, where symbol i is in ranges[i]; nothing
/// where none was found.
std::optional<int64_t> lowerBound(AffineExpr size, ArrayRef<SizeRange> ranges);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_SIZEALGEBRA_H
