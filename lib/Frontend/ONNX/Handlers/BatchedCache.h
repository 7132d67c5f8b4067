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

/// How many keys a node's caches have, and how many of them its queries may
/// see.
struct CacheForm {
  AffineExpr present, total;
};

/// A cache grows by `keys`, or has room for them: `total`, the number of keys
/// with those that are new, says which, or else the declared size of the result
/// `present`. `past` is null where there was no cache.
FailureOr<CacheForm> cacheForm(const Node &node, Lowering &lowering,
                               const Tensor &past, AffineExpr keys,
                               std::optional<AffineExpr> total,
                               unsigned present);

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
