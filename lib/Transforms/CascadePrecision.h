//===- CascadePrecision.h - Types inside of cascades ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_CASCADEPRECISION_H
#define LUTRA_LIB_TRANSFORMS_CASCADEPRECISION_H

#include "dialects/Cascade/Cascade.h"
#include "dialects/Lutra/Lutra.h"

namespace mlir::lutra {

/// An Einsum over the ranks `iter` that moves a tensor, read by one map and
/// written by another, and widens its elements where `type` says so.
cascade::EinsumOp copyEinsum(OpBuilder &b, Location loc, Value tensor,
                             ArrayRef<Attribute> iter, AffineMap read,
                             AffineMap written, RankedTensorType type);

/// Makes the factors of sums of products bf16 where their values are and the
/// target multiplies pairs of it. Returns the reductions of which that is so.
DenseSet<Operation *> narrowFactors(cascade::IterateOp iterate,
                                    TargetAttr target);

/// Widens what other sums of products than `dots` read before they read it:
/// once for a tile, and not once for each of its products.
void widenFactors(cascade::IterateOp iterate,
                  const DenseSet<Operation *> &dots);

/// Lets exponentials be approximate (`afn`) of which few bits count: factors of
/// `dots` that are rounded to bf16, of which else only divisors are summed.
void approximateExponentials(cascade::IterateOp iterate,
                             const DenseSet<Operation *> &dots);

/// Keeps more of a number than the source asks for: what is rounded to 16 bits
/// and widened again inside of a point is neither.
void dropRoundings(cascade::CascadeOp op);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CASCADEPRECISION_H
