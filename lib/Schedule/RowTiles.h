//===- RowTiles.h - Tiles of a kernel of rows -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_SCHEDULE_ROWTILES_H
#define LUTRA_LIB_SCHEDULE_ROWTILES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::lutra {

/// The index arguments that are sizes of the kernel's tensors, by these and the
/// dimension: those that a loop over both has.
using KnownSizes = DenseMap<std::pair<Value, int64_t>, Value>;

/// To be asked before the kernel `func` is tiled.
KnownSizes sizesOfArguments(func::FuncOp func);

/// Says sizes as they were said before, so that what is computed of the same
/// elements is seen to be the same.
void unifySizes(IRRewriter &rewriter, func::FuncOp func,
                const KnownSizes &sizes);

/// Makes the tensors of whole rows that lead to `root` be computed where its
/// result will be: each is read element by element by the next.
void shareDestination(IRRewriter &rewriter, linalg::GenericOp root);

/// Computes what is both summed and kept in the loops of the sum: it is stored
/// on the way and need not be read for it.
void fuseIntoReductions(IRRewriter &rewriter, func::FuncOp func);

} // namespace mlir::lutra

#endif // LUTRA_LIB_SCHEDULE_ROWTILES_H
