//===- KernelGroups.h - Groups of operations --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_KERNELGROUPS_H
#define LUTRA_LIB_TRANSFORMS_KERNELGROUPS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::lutra {

/// The operations of one kernel, in order, and what of the last one's loops are
/// rows, if it computes row by row.
struct KernelGroup {
  SmallVector<Operation *> members;
  SmallVector<int64_t> rows;

  /// What the kernel is called after, until a report finds better names.
  StringRef kind() const;
  /// The model's nodes that it came from: "conv1, relu1".
  std::string nodes() const;
};

/// True for an operation that must run in a kernel.
bool isCompute(Operation *op);

/// The groups of a host, in the order of their roots.
SmallVector<KernelGroup> groupOperations(func::FuncOp host);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_KERNELGROUPS_H
