//===- Pooling.h - Reductions over windows ----------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_POOLING_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_POOLING_H

#include "Window.h"

namespace mlir::lutra {

/// Checks the input and the attributes of pooling over windows.
Support supportsPool(const Node &node);
/// The same of global pooling, which takes floats.
Support supportsGlobalPool(const Node &node);

/// The window of a pooling node that has passed its checks.
FailureOr<Window> poolWindow(const Node &node, Lowering &lowering);

/// Maps of a generic over (n, c, o..., k...): the padded input, the window's
/// shape, which gives the loops over it their sizes, and the result.
SmallVector<AffineMap> windowMaps(const Window &window, MLIRContext *context);
SmallVector<utils::IteratorType> windowIterators(const Window &window);
/// An empty tensor of the window's shape.
Tensor windowShape(Lowering &lowering, const Window &window, DType dtype);

/// Folds the elements under each window into `init`; `combine` gets an element
/// and the accumulator.
Tensor reduceWindow(Lowering &lowering, const Tensor &padded,
                    const Window &window, DType accumulator, Value init,
                    ScalarBody combine);

/// The dimensions behind batch and channels.
SmallVector<int64_t> spatialAxes(const Tensor &x);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_POOLING_H
