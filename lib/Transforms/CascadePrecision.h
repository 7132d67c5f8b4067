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

/// Gives the factors of sums of products the type in which they are multiplied:
/// bf16 where their values are and the target multiplies pairs of it, else what
/// the source widens them to, for a part at once.
void fitFactors(cascade::IterateOp iterate, TargetAttr target);

/// Keeps more of a number than the source asks for: what is rounded to 16 bits
/// and widened again inside of a point is neither.
void dropRoundings(cascade::CascadeOp op);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CASCADEPRECISION_H
