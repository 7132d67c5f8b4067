//===- IntegerConvolution.h - Convolutions of bytes -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONVOLUTION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONVOLUTION_H

#include "QuantizedOperands.h"

namespace mlir::lutra {

/// The convolution in i32, by the node's attributes, of operands of rank 3 or
/// more. The zero point of `x`, which it is beyond its ends, is one number,
/// that of `w` one or one per feature. On failure an error was emitted.
FailureOr<Tensor> centeredConvolution(const Node &node, Lowering &lowering,
                                      const Centered &x, const Centered &w);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONVOLUTION_H
