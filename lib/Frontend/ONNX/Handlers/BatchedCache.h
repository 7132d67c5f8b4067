//===- BatchedCache.h - Caches of keys and values ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BATCHEDCACHE_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BATCHEDCACHE_H

#include "Attend.h"

namespace mlir::lutra {

/// A cache of `present` keys or values: those of `past`, `first` of each batch,
/// then those of `x`. Where there is no `past` it has only the latter, and is
/// null where it is not `wanted`. What is behind them nobody may read.
FailureOr<Tensor> extendCache(Lowering &lowering, const Ranked &x,
                              const Tensor &past, const BatchNumber &first,
                              AffineExpr present, bool wanted);

/// The first `count` keys or values of a cache.
Tensor firstKeys(Lowering &lowering, const Tensor &cache, AffineExpr count);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BATCHEDCACHE_H
