//===- Resize.h - The coordinates of Resize ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_RESIZE_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_RESIZE_H

#include "Elementwise.h"

namespace mlir::lutra {

/// One dimension that is resized.
struct ResizeAxis {
  int64_t dim;
  AffineExpr in, out;
  /// The place of its number among the scales or sizes.
  int64_t place;
  /// Where it is known at compile time.
  std::optional<float> scale;
};

/// A node's attributes and operands, with the defaults of its version.
struct Resize {
  StringRef mode, coordinates, nearest, policy;
  float cubicA, extrapolation;
  bool excludeOutside, antialias;
  /// Null where absent. The number of axes is that of `scales` or `sizes`.
  Tensor roi, scales, sizes;
  SmallVector<ResizeAxis> axes;

  bool crops() const { return coordinates == "tf_crop_and_resize"; }
  /// How many elements of the input an element of the output is made from; 0
  /// where that is not known.
  int64_t taps(const ResizeAxis &axis) const;
};

/// A table [taps, out] of the elements that output o is made from, of type
/// INT64: inside of the input, or -1 for all taps of a position outside of a
/// crop.
Tensor resizeTaps(Lowering &lowering, const Resize &resize,
                  const ResizeAxis &axis);

/// A table [taps, out] of FLOAT that says with what weights.
Tensor resizeWeights(Lowering &lowering, const Resize &resize,
                     const ResizeAxis &axis);

/// Where every element is repeated a number of times, that number.
std::optional<int64_t> repeatCount(const Resize &resize,
                                   const ResizeAxis &axis);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_RESIZE_H
