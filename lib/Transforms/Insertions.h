//===- Insertions.h - Parts that are joined ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_INSERTIONS_H
#define LUTRA_LIB_TRANSFORMS_INSERTIONS_H

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <limits>

namespace mlir::lutra {

/// The insertions that `last` ends, from the first, which is into an empty
/// tensor. None where something else reads what is between, or where there are
/// more than `most`.
SmallVector<tensor::InsertSliceOp>
insertionsIntoEmpty(tensor::InsertSliceOp last,
                    size_t most = std::numeric_limits<size_t>::max());

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_INSERTIONS_H
