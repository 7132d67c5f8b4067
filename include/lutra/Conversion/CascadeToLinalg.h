//===- CascadeToLinalg.h - Cascades as structured operations ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_CONVERSION_CASCADETOLINALG_H
#define LUTRA_CONVERSION_CASCADETOLINALG_H

#include "dialects/Cascade/Cascade.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::lutra {

/// On a structured operation: the number of an input that is gone over once, so
/// that it comes from far away, and not in an order that hardware foresees.
inline constexpr StringLiteral kStreamAttr = attr::kStream;

/// Builds, before `op`, what it computes as `linalg.generic` on tensors, and
/// gives one tensor per result; `op` is left in place. An iteration becomes a
/// loop over parts of `part` coordinates, or of all of them where that is 0;
/// coordinates outside of what the filters of its Einsums leave are not gone
/// over. Results that an Einsum computes last are written into `destinations`,
/// if there are any, one per result and of its sizes.
SmallVector<Value> lowerCascade(RewriterBase &rewriter, cascade::CascadeOp op,
                                int64_t part, ValueRange destinations = {});

} // namespace mlir::lutra

#endif // LUTRA_CONVERSION_CASCADETOLINALG_H
