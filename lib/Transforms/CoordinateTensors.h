//===- CoordinateTensors.h - Tensors that coordinates tell ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_COORDINATETENSORS_H
#define LUTRA_LIB_TRANSFORMS_COORDINATETENSORS_H

#include "mlir/IR/Builders.h"

namespace mlir::lutra {

/// Whether the elements of `tensor` follow from their coordinates and from
/// scalars by a few elementwise operations, as those of causal masks do.
bool isToldByCoordinates(Value tensor);

/// Builds the element of such a tensor at `coordinates`, index values.
Value elementAt(OpBuilder &b, Location loc, Value tensor,
                ValueRange coordinates);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_COORDINATETENSORS_H
