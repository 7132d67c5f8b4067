//===- UnitDims.h - Dimensions of size 1 ------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_UNITDIMS_H
#define LUTRA_LIB_TRANSFORMS_UNITDIMS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::lutra {

/// The tensor that `tensor` is an expansion of into dimensions of size 1, where
/// these are just those that `map`, by which it is read, has a constant for;
/// `map` then reads that tensor. Null, and `map` as it was, otherwise.
Value behindUnits(Value tensor, AffineMap &map);

/// The same where `tensor` is no such expansion: reshapes it at `b` to have no
/// dimensions of size 1 that `map` has a constant for.
Value withoutUnits(OpBuilder &b, Location loc, Value tensor, AffineMap &map);

/// Patterns for elementwise operations on what a reduction has left dimensions
/// of size 1 in (ONNX's keepdims): they and their readers do without.
void populateDropUnitDimsPatterns(RewritePatternSet &patterns);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_UNITDIMS_H
