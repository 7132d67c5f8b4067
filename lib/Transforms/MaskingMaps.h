//===- MaskingMaps.h - Masks of a cascade apart from maps -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_MASKINGMAPS_H
#define LUTRA_LIB_TRANSFORMS_MASKINGMAPS_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// The number that `value` is in all cases.
std::optional<double> constantOf(Value value);

/// Whether `op` is a function of its operand `x` that is nowhere decreasing,
/// and gives -inf for -inf.
bool keepsOrder(Operation &op, Value x);

/// Whether `op`, if any, is a map of one tensor, each point of which is read
/// where it is written, and costs little.
bool isCheapMap(cascade::EinsumOp op);

/// Whether `op` is its one input, or -inf where a condition on coordinates does
/// not hold.
bool isMaskingMap(cascade::EinsumOp op);

/// Splits a map that scales, shifts or rounds its input and masks it, by
/// selecting -inf or adding it, into a masking map and what is left: f(x) + m,
/// where m is 0 or -inf, is f of x or of -inf. What is masked is -inf even if x
/// is infinite or NaN, as points that iterations pass over are.
void separateMask(cascade::EinsumOp op);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_MASKINGMAPS_H
