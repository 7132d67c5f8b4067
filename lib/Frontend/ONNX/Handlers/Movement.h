//===- Movement.h - Handlers that move data ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_MOVEMENT_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_MOVEMENT_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// The index in the source of the element at an index of the result.
using IndexBody =
    llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &, ValueRange)>;

/// A tensor of `shape` whose elements are read from `source` where `from` says:
/// what neither a slice nor an indexing map can express.
Tensor readAt(Lowering &lowering, const Tensor &source,
              ArrayRef<AffineExpr> shape, IndexBody from);

void addSliceHandlers(Registry &); // Slice
void addSplitHandlers(Registry &); // Split
void addPadHandlers(Registry &);   // Pad

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_MOVEMENT_H
