//===- TensorSizes.h - Sizes of host tensors as values ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_TENSORSIZES_H
#define LUTRA_ANALYSIS_TENSORSIZES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"

namespace mlir::lutra {

/// The sizes of a tensor of the host function in terms of index values that are
/// already there, followed from the operation that made it, never as a
/// `tensor.dim`. New index arithmetic is built at `b`. Null entries do not
/// occur; fails for a tensor of an operation that the host may not hold.
FailureOr<SmallVector<OpFoldResult>> tensorSizes(OpBuilder &b, Value tensor);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_TENSORSIZES_H
