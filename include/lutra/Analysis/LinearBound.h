//===- LinearBound.h - Linear bounds of affine expressions ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_LINEARBOUND_H
#define LUTRA_ANALYSIS_LINEARBOUND_H

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace mlir::lutra {

/// A linear expression that is not negative where `expr` is not, as the factors
/// of the dimensions, then those of the symbols, then a constant. Where `expr`
/// is linear that holds the other way round, too; otherwise quotients and
/// remainders by constants are bounded by what they are quotients of. Nothing
/// where `expr` is not affine or a factor leaves 64 bits.
std::optional<SmallVector<int64_t>>
linearBound(AffineExpr expr, unsigned numDims, unsigned numSymbols);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_LINEARBOUND_H
