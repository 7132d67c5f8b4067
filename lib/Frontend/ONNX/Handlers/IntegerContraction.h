//===- IntegerContraction.h - Products of quantized tensors -----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONTRACTION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONTRACTION_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// Bytes less a zero point of their type, which is null for 0.
struct Centered {
  Tensor value, zero;
};

/// numpy's matrix product in i32, of operands of rank 1 or more. The zero point
/// of `a` is one number or one per row, that of `b` one or one per column. On
/// failure an error was emitted.
FailureOr<Tensor> centeredMatMul(const Node &node, Lowering &lowering,
                                 const Centered &a, const Centered &b);

/// The convolution in i32, by the node's attributes, of operands of rank 3 or
/// more. The zero point of `x`, which it is beyond its ends, is one number,
/// that of `w` one or one per feature. On failure an error was emitted.
FailureOr<Tensor> centeredConvolution(const Node &node, Lowering &lowering,
                                      const Centered &x, const Centered &w);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONTRACTION_H
