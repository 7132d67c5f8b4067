//===- KernelBuilder.h - Outlining of one kernel ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_KERNELBUILDER_H
#define LUTRA_LIB_TRANSFORMS_KERNELBUILDER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Support/LLVM.h"

namespace mlir::lutra {

/// Moves `group`, operations of one block in order whose last is the only one
/// with readers outside, into a new function `name` and puts a lutra.dispatch
/// of it in the place of the last. Returns the function. Emits an error where
/// the group depends on something that a kernel cannot be given.
FailureOr<func::FuncOp> outlineKernel(ArrayRef<Operation *> group,
                                      StringRef name, StringRef nodes);

/// `destination` with the elements of `source`, of the same shape. An operation
/// that is tiled like any other, unlike linalg.copy.
Value copyInto(OpBuilder &b, Location loc, Value source, Value destination);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_KERNELBUILDER_H
