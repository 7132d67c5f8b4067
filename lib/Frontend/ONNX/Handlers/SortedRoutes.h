//===- SortedRoutes.h - Tokens in the order of their experts ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What of a mixture of experts does not depend on their weights. T tokens
// choose `k` of E experts each; a route is a token with one of them.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SORTEDROUTES_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SORTEDROUTES_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// The experts that tokens chose, [T, k] in i64, all below E, and how much each
/// counts, [T, k] in f32.
struct Routes {
  Tensor experts, shares;
};

/// The S = T * k routes in the order of their experts; where a route then is,
/// is its place.
struct SortedRoutes {
  /// Blocks of places that share an expert, as mpgemm.gather_matmul takes them:
  /// experts [B] and offsets [B + 1].
  Tensor blockExperts, offsets;
  /// The token and the expert of the route at each place, [S].
  Tensor tokens, experts;
  /// The place of each route, [T, k].
  Tensor places;
};

/// Sorts routes to `experts` experts. Those to the same keep their order.
FailureOr<SortedRoutes> sortRoutes(Lowering &lowering, const Routes &routes,
                                   int64_t experts);

/// x [T, K] of the token at each place, [S, K].
Tensor rowsOfTokens(Lowering &lowering, const Tensor &x,
                    const SortedRoutes &routes);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SORTEDROUTES_H
