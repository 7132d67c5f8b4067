//===- TensorBuilder.h - Tensors of f32 in other shapes ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_TENSORBUILDER_H
#define LUTRA_LIB_TRANSFORMS_TENSORBUILDER_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::lutra {

/// Dimensions [from, from + count).
ReassociationIndices range(int64_t from, int64_t count);

/// What puts one operation in the place of another builds tensors with. Sizes
/// that are no constants are dynamic in types.
class TensorBuilder {
protected:
  explicit TensorBuilder(Operation *op) : b(op->getLoc(), op) {}

  RankedTensorType typeOf(ArrayRef<OpFoldResult> shape, Type element);
  /// Of f32.
  Value empty(ArrayRef<OpFoldResult> shape);
  /// A tensor whose type may know other of its sizes.
  Value withType(Value tensor, RankedTensorType type);
  Value expanded(Value tensor, ArrayRef<ReassociationIndices> groups,
                 ArrayRef<OpFoldResult> shape);
  /// A tensor of dimensions along the loops `from`, of the sizes `shape`, in
  /// f32 with the dimensions of `to`.
  Value moved(Value tensor, ArrayRef<OpFoldResult> shape,
              ArrayRef<unsigned> from, ArrayRef<unsigned> to);
  using Body = function_ref<void(OpBuilder &, Location, ValueRange)>;
  /// An operation over loops of which those that its result lacks are summed.
  Value generic(ValueRange inputs, ArrayRef<SmallVector<AffineExpr, 4>> maps,
                Value init, Body body);

  ImplicitLocOpBuilder b;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_TENSORBUILDER_H
