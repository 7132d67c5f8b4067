//===- ProductCost.h - What products with codes cost ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_PRODUCTCOST_H
#define LUTRA_ANALYSIS_PRODUCTCOST_H

#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include <optional>

namespace mlir::lutra {

/// A product of x, quantized to bytes, [rows, ..], with codes of `bits` bits,
/// [columns, ..]. The number of rows may be unknown.
struct CodedProduct {
  unsigned bits;
  int64_t rows, columns;
};

/// How keys are looked up.
struct LookupForm {
  /// Codes of a row that lie side by side (`dialects/Lutra/CodePlanes.h`).
  int64_t depth;
};

/// How a machine looks sums up in tables rather than multiplying; nothing where
/// it has no instruction for that, or codes make no whole keys.
std::optional<LookupForm> lookupForm(const CodedProduct &product,
                                     TargetAttr target);

/// What each number of x takes, in instructions on full registers: to round it
/// to a byte and multiply it with the codes of all columns, or to make tables
/// of it and look sums up, with the margin by which that must win. Where there
/// is nothing to look up with, or that is much less exact, it has no costs.
struct ProductCosts {
  double multiply;
  std::optional<double> lookUp;
};

ProductCosts productCosts(const CodedProduct &product, TargetAttr target);

/// The costs that one was chosen by; nothing where x is not rounded for this
/// product alone, so that there was no choice. The product may be of tables
/// already.
std::optional<ProductCosts> costsOfChoice(mpgemm::ProductOpInterface product,
                                          TargetAttr target);

/// Whether looking up is faster than multiplying, and as exact, or nearly so.
bool isLookupFaster(const CodedProduct &product, TargetAttr target);

/// Whether many rows of `product`, of integers with a scale for each group, are
/// computed in matrix tiles of bf16. That is less exact than by tiles of bytes,
/// though codes of so few bits lost far more when they were made: sums of bytes
/// leave tiles after each group to be scaled, which for short groups takes
/// longer than to multiply. Rows are many, or their number is unknown.
bool areFloatTilesFaster(mpgemm::ProductOpInterface product, TargetAttr target);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_PRODUCTCOST_H
