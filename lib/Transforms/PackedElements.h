//===- PackedElements.h - Elements that hold several ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_PACKEDELEMENTS_H
#define LUTRA_LIB_TRANSFORMS_PACKEDELEMENTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::lutra {

/// Makes what joins several functions of the same small integers, such as the
/// low and the high halves of bytes, one operation with a dimension that counts
/// them, which the reshapes that are returned merge with the joined one.
SmallVector<tensor::CollapseShapeOp> unpackElements(func::FuncOp func);

/// Whether `tensor` is made, element by element, of such an operation.
bool isUnpacked(Value tensor);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_PACKEDELEMENTS_H
