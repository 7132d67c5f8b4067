//===- Experts.h - Layers of which rows choose their weights ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a mixture of experts is made of. T tokens choose `k` of E experts each;
// a route is a token with one of them.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_EXPERTS_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_EXPERTS_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// The experts that tokens chose, [T, k] in i64, all below E, and how much each
/// counts, [T, k] in f32.
struct Routes {
  Tensor experts, shares;
};

/// Routes by logits [T, E] to those with the largest. Shares are the softmax of
/// all logits or, where `given` [T, E] is there, its elements; with `normalize`
/// they are divided by the sum of a token's.
FailureOr<Routes> route(Lowering &lowering, const Tensor &logits,
                        const Tensor &given, int64_t k, bool normalize);

/// One linear layer of all experts. Weights are floats [E, N, K], or where
/// `bits` is not 0, codes of that many bits, 8 / bits to a byte, in blocks of
/// `block` codes of a row: [E, N, K / block] are scales, and zero points packed
/// alike, which may be null. A bias [E, N] may be null.
struct ExpertLayer {
  Tensor weights, bias, scales, zeros;
  unsigned bits = 0;
  int64_t block = 0;
};

/// The sums [T, k, N] in f32 of x, [T, K] or one row for each route [T, k, K],
/// and the weights of the routes' experts, of which no others are read.
FailureOr<Tensor> expertProduct(Lowering &lowering, const Tensor &x,
                                const Routes &routes, const ExpertLayer &layer);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_EXPERTS_H
