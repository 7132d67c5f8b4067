//===- TopK.h - The best elements of each row -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_TOPK_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_TOPK_H

#include "lutra/Frontend/ONNX/Lowering.h"

namespace mlir::lutra {

/// The `k` largest, or smallest, elements along `axis` from the best on, and
/// their indices in i64; equal ones in order. There are at least `k`.
std::pair<Tensor, Tensor> topK(Lowering &lowering, const Tensor &x,
                               int64_t axis, AffineExpr k, bool largest);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_TOPK_H
