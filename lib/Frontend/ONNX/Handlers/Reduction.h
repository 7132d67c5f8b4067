//===- Reduction.h - Pieces of reductions -----------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_REDUCTION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_REDUCTION_H

#include "Elementwise.h"

namespace mlir::lutra {

enum class Monoid { Sum, Product, Max, Min };

/// Reduces `axes` of `x`, which vanish, in `type`, a computeType. `map`, where
/// there is one, is applied to each element first.
Tensor accumulate(Lowering &lowering, const Tensor &x, ArrayRef<int64_t> axes,
                  Monoid monoid, DType type, BodyRef map = {});

/// The position along `axes` (in row-major order) of the first, or the last,
/// extreme element. NaN is the most extreme of all.
Tensor argExtreme(Lowering &lowering, const Tensor &x, ArrayRef<int64_t> axes,
                  bool isMax, bool last);

/// The dimensions below `rank` that are not among `axes`.
SmallVector<int64_t> otherAxes(int64_t rank, ArrayRef<int64_t> axes);

/// (d0, .., d[rank-1]) -> (the loops `dims`).
AffineMap selectDims(Lowering &lowering, int64_t rank, ArrayRef<int64_t> dims);

/// The number of elements along `axes`.
AffineExpr countOf(Lowering &lowering, const Tensor &x, ArrayRef<int64_t> axes);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_REDUCTION_H
