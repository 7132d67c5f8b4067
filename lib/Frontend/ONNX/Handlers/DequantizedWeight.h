//===- DequantizedWeight.h - Constants dequantized when written -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DEQUANTIZEDWEIGHT_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DEQUANTIZEDWEIGHT_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// Input 0 of a DequantizeLinear with a dequantize step, as numbers of type
/// `to`, where it and its parameters are constants; else a null tensor. A null
/// `scale` is 1.
Tensor dequantizedWeight(const Node &node, Lowering &lowering,
                         const Tensor &scale, DType to);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DEQUANTIZEDWEIGHT_H
