//===- ContractionOrder.h - What orders of contractions cost ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_CONTRACTIONORDER_H
#define LUTRA_LIB_TRANSFORMS_CONTRACTIONORDER_H

#include "ContractionChain.h"

namespace mlir::lutra {

/// Two of a chain's factors that are contracted first, and the third.
struct ContractionOrder {
  unsigned pair[2], last;
  /// The ranks of what the pair becomes, in their order, and those that it
  /// sums.
  SmallVector<unsigned> kept, summed;
};

/// The order in which the factors `a` and `b` come first; nothing where that
/// sums nothing, or where it leaves nothing to be summed.
std::optional<ContractionOrder> contractionOrder(const ContractionChain &chain,
                                                 unsigned a, unsigned b);

/// Whether `order` is cheaper than `other` at the greatest sizes of the model,
/// and not dearer at any others.
bool isSurelyCheaper(ContractionChain &chain, const ContractionOrder &order,
                     const ContractionOrder &other);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CONTRACTIONORDER_H
