//===- Gather.h - Tensors that are read at indices of data ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The body of an Einsum may extract an element of a tensor from outside, at
// indices that it computes of other elements: a cache that lies in blocks, and
// a table that says which are whose. Along a rank, such an Einsum reads whole
// blocks as they lie.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_GATHER_H
#define LUTRA_DIALECTS_CASCADE_GATHER_H

#include "dialects/Cascade/Cascade.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::lutra::cascade {

/// Whether the body of `op` extracts elements of tensors.
bool gathers(EinsumOp op);

/// The ranks of `op` that the indices of an element depend on.
SmallVector<StringRef> ranksOfElement(tensor::ExtractOp element, EinsumOp op);

/// Blocks that an Einsum which is nothing but an element of a tensor reads.
struct GatheredBlocks {
  tensor::ExtractOp element;
  /// How many coordinates of the rank are sure to lie in one block, from each
  /// multiple of that on.
  int64_t length;
  /// For each index of the element, the rank of the Einsum that it goes along
  /// in a block; nothing where it is the same in all of it.
  SmallVector<std::optional<unsigned>> ranks;
};

/// The blocks along `rank`, where the ranks that `isSingle` have one coordinate
/// each; nothing where other indices change along it.
std::optional<GatheredBlocks>
matchBlocks(EinsumOp op, StringRef rank,
            function_ref<bool(StringRef)> isSingle);

} // namespace mlir::lutra::cascade

#endif // LUTRA_DIALECTS_CASCADE_GATHER_H
