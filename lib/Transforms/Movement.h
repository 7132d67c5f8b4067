//===- Movement.h - What only moves or scales elements ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_MOVEMENT_H
#define LUTRA_LIB_TRANSFORMS_MOVEMENT_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::lutra {

/// Whether an operation only reads elements elsewhere: dimensions of the source
/// are loops or the only index of a dimension of size 1.
bool isMovement(linalg::GenericOp op);

/// The tensor that movement reads to make `tensor`, which is read by `map`;
/// `map` changes with it.
Value readThrough(Value tensor, AffineMap &map);

/// A tensor whose elements are those of `source`, times or divided by a number.
struct Scaled {
  Value source;
  /// A scalar, or a tensor of one element.
  Value factor;
  bool isQuotient;

  /// For doing the same to `tensor`: what is read of, by which maps over its
  /// `rank` dimensions (that of the result is the last), and what becomes of
  /// the elements.
  SmallVector<Value> operands(Value tensor) const;
  SmallVector<AffineMap> maps(OpBuilder &b, unsigned rank) const;
  Value point(OpBuilder &b, Location loc, ValueRange elements) const;
};

/// `tensor` as another one scaled, where an operation scales all of it alike;
/// `map` changes with it.
std::optional<Scaled> scaledSource(Value tensor, AffineMap &map);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_MOVEMENT_H
