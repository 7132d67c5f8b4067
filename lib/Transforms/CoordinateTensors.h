//===- CoordinateTensors.h - Tensors that coordinates tell ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_COORDINATETENSORS_H
#define LUTRA_LIB_TRANSFORMS_COORDINATETENSORS_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"
#include <optional>

namespace mlir::lutra {

/// Whether the elements of `tensor` follow from their coordinates and from
/// scalars by a few elementwise operations, as those of causal masks do.
bool isToldByCoordinates(Value tensor);

/// A tensor that is read at some coordinates.
struct Leaf {
  Value tensor;
  AffineMap read;
};

/// The same of the elements of `tensor` that `read` says, where some tensors
/// have a part in it that `isLeaf` allows: then these, to be read. They are few
/// operations that cost little.
std::optional<SmallVector<Leaf>>
toldElements(Value tensor, AffineMap read,
             function_ref<bool(const Leaf &)> isLeaf);

/// Builds the element of such a tensor at `coordinates`, index values, of those
/// that were read from its leaves.
Value elementAt(OpBuilder &b, Location loc, Value tensor,
                ValueRange coordinates, ArrayRef<Value> leaves);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_COORDINATETENSORS_H
