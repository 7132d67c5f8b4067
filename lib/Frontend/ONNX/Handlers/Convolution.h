//===- Convolution.h - Convolutions -----------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONVOLUTION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONVOLUTION_H

#include "Window.h"

namespace mlir::lutra {

/// Checks the attributes of a convolution, and the rank of input 0.
Support supportsConvolution(const Node &node);

/// The same, and that there are an input of floats, weights, and perhaps a
/// bias.
Support supportsFloatConvolution(const Node &node);

/// The window of a convolution of `x`, of rank 3 or more, with `w`, which are
/// checked against each other and the node's attributes. On failure an error
/// was emitted at the node.
FailureOr<Window> convolutionWindow(const Node &node, Lowering &lowering,
                                    const Tensor &x, const Tensor &w);

/// Sums of products [N, features, positions...] in `accumulator`, by the node's
/// attributes; beyond its ends `x`, of rank 3 or more, is 0. On failure an
/// error was emitted at the node.
FailureOr<Tensor> convolution(const Node &node, Lowering &lowering,
                              const Tensor &x, const Tensor &w,
                              DType accumulator);

/// The same of `x` that is padded already, as the window needs, in the type
/// that its products are summed in.
FailureOr<Tensor> convolve(const Node &node, Lowering &lowering,
                           const Tensor &x, const Tensor &w,
                           const Window &window);

/// A vector of one element per feature (or null) in a shape that broadcasts
/// against a convolution's result.
FailureOr<Tensor> alongFeatures(const Node &node, Lowering &lowering,
                                const Tensor &vector, const Tensor &result);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONVOLUTION_H
