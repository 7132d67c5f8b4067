//===- ByteConvolution.h - Convolutions as products of bytes ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BYTECONVOLUTION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BYTECONVOLUTION_H

#include "Window.h"

namespace mlir::lutra {

/// x [N, C, sizes...], bytes less `xZero`, one, convolved with a constant
/// `w` [F, C, kernel...] of bytes less `zero`, one or a constant per feature,
/// as sums [N, F, positions...] in i32; zero points may be null. Beyond its
/// ends x is its zero point. Nothing where weights are no such constant, there
/// are groups of channels, or sums might not fit.
std::optional<FailureOr<Tensor>>
byteConvolution(Lowering &lowering, const Tensor &x, const Tensor &xZero,
                const Tensor &w, const Tensor &zero, const Window &window);

/// Whether weights [F, 1, kernel...] are of one feature for each channel of x.
bool isByChannel(const Tensor &x, const Tensor &w);

/// Integers x [N, C, sizes...], 0 beyond their ends, of which each channel is
/// convolved with its own of the weights w [C, 1, kernel...], as sums [N, C,
/// positions...] in i32.
FailureOr<Tensor> channelConvolution(Lowering &lowering, const Tensor &x,
                                     const Tensor &w, const Window &window);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BYTECONVOLUTION_H
