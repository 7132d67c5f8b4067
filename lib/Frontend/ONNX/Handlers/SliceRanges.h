//===- SliceRanges.h - What a slice takes of a tensor -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SLICERANGES_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SLICERANGES_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// What a slice takes of each dimension: index i reads offset + i * step.
struct SliceRanges {
  SmallVector<AffineExpr> offsets, sizes;
  SmallVector<int64_t> steps;
};

/// All of `tensor`.
SliceRanges wholeOf(Lowering &lowering, const Tensor &tensor);

/// Sets the range of dimension `d` of `ranges`, which is whole, to
/// start:end:step as ONNX has it. On failure an error was emitted.
LogicalResult resolveRange(const Node &node, Lowering &lowering,
                           SliceRanges &ranges, int64_t d, AffineExpr start,
                           AffineExpr end, int64_t step);

/// The elements of `tensor` that are in `ranges`; integers that are known stay
/// known.
Tensor take(Lowering &lowering, const Tensor &tensor,
            const SliceRanges &ranges);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SLICERANGES_H
