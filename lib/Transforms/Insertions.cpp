//===- Insertions.cpp - Parts that are joined -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Insertions.h"

using namespace mlir;

SmallVector<tensor::InsertSliceOp>
lutra::insertionsIntoEmpty(tensor::InsertSliceOp last, size_t most) {
  SmallVector<tensor::InsertSliceOp> insertions = {last};
  while (
      auto before =
          insertions.back().getDest().getDefiningOp<tensor::InsertSliceOp>()) {
    if (!before->hasOneUse() || insertions.size() == most)
      return {};
    insertions.push_back(before);
  }
  if (!insertions.back().getDest().getDefiningOp<tensor::EmptyOp>())
    return {};
  std::reverse(insertions.begin(), insertions.end());
  return insertions;
}
