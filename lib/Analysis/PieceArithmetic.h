//===- PieceArithmetic.h - Operations on what is known ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ANALYSIS_PIECEARITHMETIC_H
#define LUTRA_LIB_ANALYSIS_PIECEARITHMETIC_H

#include "lutra/Analysis/Pieces.h"

namespace mlir::lutra {

/// What the result of `op` is where its operands are `operands`: one piece, or
/// several where coordinates decide between them.
Pieces transfer(Operation &op, ArrayRef<Content> operands);

/// What is known of a constant.
Content contentOf(Attribute constant);

} // namespace mlir::lutra

#endif // LUTRA_LIB_ANALYSIS_PIECEARITHMETIC_H
