//===- Convolution.h - Convolutions of padded tensors -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONVOLUTION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONVOLUTION_H

#include "Window.h"

namespace mlir::lutra {

/// Convolves `x`, which is padded as the window needs, with weights of shape
/// [features, channels of a group, taps...], in the groups of the node's
/// attribute. The result are accumulators of shape [batch, features,
/// positions...].
FailureOr<Tensor> convolve(const Node &node, Lowering &lowering,
                           const Tensor &x, const Tensor &w,
                           const Window &window);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONVOLUTION_H
