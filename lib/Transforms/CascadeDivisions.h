//===- CascadeDivisions.h - Divisions once a row ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_CASCADEDIVISIONS_H
#define LUTRA_LIB_TRANSFORMS_CASCADEDIVISIONS_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// Multiplies by the reciprocal of a sum of exponentials where maps behind
/// `iterate` divide many elements by the same one: x / t becomes x * (1 / t),
/// with one rounding more. Such a sum, under a reference that is no greater
/// than one of its exponents, is 1 or more, or 0 where it has no points, so
/// that its reciprocal does not leave its range where the quotient is a number.
void divideOnceARow(cascade::IterateOp iterate);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CASCADEDIVISIONS_H
