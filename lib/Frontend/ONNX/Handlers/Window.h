//===- Window.h - Sliding windows of Conv and pooling -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_WINDOW_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_WINDOW_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// A window over the spatial dimensions (all but the first two) of a tensor.
/// Output o reads the padded input at o * stride + k * dilation.
struct Window {
  SmallVector<int64_t> kernel, strides, dilations;
  /// Padding that the node asks for, before and after.
  Shape low, high;
  /// What ceil_mode's last window needs beyond `high`, 0 or more.
  Shape extra;
  /// Numbers of positions.
  Shape output;

  int64_t rank() const { return kernel.size(); }
  /// True where some window may read padding.
  bool padded() const;
  /// The input's index expression of spatial dimension i.
  AffineExpr index(unsigned i, AffineExpr o, AffineExpr k) const {
    return o * strides[i] + k * dilations[i];
  }
};

/// Checks the attributes kernel_shape, strides, dilations, pads, auto_pad and
/// ceil_mode against each other and against the spatial rank where it is known.
Support checkWindow(const Node &node, std::optional<int64_t> spatialRank);

/// The window of a node over `input` of rank 3 or more. On failure an error was
/// emitted at the node.
FailureOr<Window> makeWindow(const Node &node, Lowering &lowering,
                             const Tensor &input, ArrayRef<int64_t> kernel);

/// `input` padded with `value` as far as the window reads.
Tensor padForWindow(Lowering &lowering, const Tensor &input,
                    const Window &window, Value value);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_WINDOW_H
