//===- IntegerContraction.h - Products of quantized tensors -----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONTRACTION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONTRACTION_H

#include "QuantizedOperands.h"

namespace mlir::lutra {

/// numpy's matrix product in i32, of operands of rank 1 or more. The zero point
/// of `a` is one number or one per row, that of `b` one or one per column. On
/// failure an error was emitted.
FailureOr<Tensor> centeredMatMul(const Node &node, Lowering &lowering,
                                 const Centered &a, const Centered &b);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_INTEGERCONTRACTION_H
