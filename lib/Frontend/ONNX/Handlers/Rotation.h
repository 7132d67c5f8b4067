//===- Rotation.h - Rotary position embedding -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ROTATION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ROTATION_H

#include "Attend.h"

namespace mlir::lutra {

/// The angles by which pairs of elements are turned.
struct Rotation {
  /// [batch, sequence, pairs], or [positions, pairs] where `ids` or `first` say
  /// the position of each element of a sequence.
  Tensor cos, sin;
  /// [batch, sequence] integers.
  Tensor ids;
  /// The position of the first element; the others follow. One for each batch,
  /// or one for all.
  std::optional<BatchNumber> first;
  /// Whether the elements of a pair are neighbors, or are half a row apart.
  bool interleaved = false;
};

/// Turns the first elements of the rows of `x`, twice as many as there are
/// angles. `x` is [batch, heads, sequence, size], or has heads and sequence the
/// other way around: `heads` is 1 or 2. The size is static.
FailureOr<Tensor> rotate(Lowering &lowering, const Tensor &x, int64_t heads,
                         const Rotation &rotation);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ROTATION_H
