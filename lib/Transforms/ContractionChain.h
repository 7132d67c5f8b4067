//===- ContractionChain.h - Contractions of contractions --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_CONTRACTIONCHAIN_H
#define LUTRA_LIB_TRANSFORMS_CONTRACTIONCHAIN_H

#include "Movement.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::lutra {

/// A factor of a sum of products, and where a point of all ranks reads it.
struct Factor {
  Value tensor;
  AffineMap read;
  /// For each dimension of the tensor the sizes that it is split into before it
  /// is read; empty where none is split.
  SmallVector<SmallVector<int64_t>> split;

  bool has(unsigned rank) const { return read.isFunctionOfDim(rank); }
};

/// The sum of the products of three factors, as two contractions: the second
/// one has the result of the first as a factor. Its ranks are the loops of the
/// second, and those that the first one reduces.
struct ContractionChain {
  linalg::GenericOp first, second;
  /// That which the first one does not have, then its two.
  SmallVector<Factor, 3> factors;
  /// The result of the second.
  AffineMap written;
  /// One for each rank, as it can be evaluated for any size of the model.
  SmallVector<OpFoldResult> extents;
  /// By what the first one's result is scaled before it is read.
  SmallVector<Scaled> scales;
  /// Whether nothing but the second reads what the first computes.
  bool isPrivate = true;
};

/// The chain that `intermediate`, an operand of `second`, is in the middle of.
/// Both sum products of floats, in one type of their own, to which nothing is
/// rounded on the way. What only moves elements between the two is read
/// through. Sizes are built at `b`.
std::optional<ContractionChain> matchContractionChain(OpBuilder &b,
                                                      linalg::GenericOp second,
                                                      OpOperand &intermediate);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CONTRACTIONCHAIN_H
