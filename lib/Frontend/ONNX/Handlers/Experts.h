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

#include "SortedRoutes.h"

namespace mlir::lutra {

/// Routes by logits [T, E] to those with the largest. Shares are the softmax of
/// all logits or, where `given` [T, E] is there, its elements; with `normalize`
/// they are divided by the sum of a token's.
FailureOr<Routes> route(Lowering &lowering, const Tensor &logits,
                        const Tensor &given, int64_t k, bool normalize);

/// One linear layer of all experts. Weights are floats [E, N, K], or where
/// `bits` is not 0, codes of that many bits, 8 / bits to a byte, in blocks of
/// `block` codes of a row: [E, N, K / block] are scales, and zero points packed
/// alike, which may be null. A bias [E, N] may be null. With `integers` x is
/// rounded to bytes, where sums of their products with codes fit.
struct ExpertLayer {
  Tensor weights, bias, scales, zeros;
  unsigned bits = 0;
  int64_t block = 0;
  bool integers = false;
};

/// x [S, K] in f32 times the weights of the expert of each place, [S, N].
FailureOr<Tensor> expertProduct(Lowering &lowering, const Tensor &x,
                                const SortedRoutes &routes,
                                const ExpertLayer &layer);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_EXPERTS_H
