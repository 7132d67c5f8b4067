//===- HostLowering.h - Lowers the nodes of a function ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HOSTLOWERING_H
#define LUTRA_LIB_FRONTEND_ONNX_HOSTLOWERING_H

#include "lutra/Frontend/ONNX/Lowering.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::lutra {

/// Lowers the nodes of `func` in order, in place. On failure an error was
/// emitted; `missing` is then what a dimension must equal for lowering to
/// succeed, if anything.
LogicalResult lowerNodes(func::FuncOp func, WeightSources &sources,
                         std::optional<Lowering::Relation> &missing);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HOSTLOWERING_H
