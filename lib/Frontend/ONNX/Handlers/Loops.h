//===- Loops.h - Loops that update tensors in order -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_LOOPS_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_LOOPS_H

#include "lutra/Frontend/ONNX/Lowering.h"

namespace mlir::lutra {

/// The tensors after one step from the tensors before it.
using LoopStep = llvm::function_ref<SmallVector<Value>(
    ImplicitLocOpBuilder &, ValueRange index, ValueRange tensors)>;

/// Takes a step for each index below `loops`, one after the other in row-major
/// order, starting from `inits`. For what has no parallel form: the loops
/// become one kernel, which one thread runs.
SmallVector<Value> loopInOrder(Lowering &lowering, ArrayRef<AffineExpr> loops,
                               ValueRange inits, LoopStep step);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_LOOPS_H
