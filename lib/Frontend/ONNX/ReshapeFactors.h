//===- ReshapeFactors.h - What a reshape joins or splits --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_RESHAPEFACTORS_H
#define LUTRA_LIB_FRONTEND_ONNX_RESHAPEFACTORS_H

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace mlir::lutra {

/// A run of source dimensions and a run of target dimensions of equal product.
struct FactorGroup {
  SmallVector<int64_t, 2> source, target;
  AffineExpr size;
};

/// Splits two shapes of rank >= 1 at every place where their prefix products
/// are equal; nothing where the whole products are not.
std::optional<SmallVector<FactorGroup>>
matchFactors(ArrayRef<AffineExpr> source, ArrayRef<AffineExpr> target,
             MLIRContext *context);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_RESHAPEFACTORS_H
