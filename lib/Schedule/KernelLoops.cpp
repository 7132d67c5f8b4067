//===- KernelLoops.cpp - The loops that a schedule is about ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelLoops.h"

using namespace mlir;
using namespace mlir::lutra;

std::optional<KernelLoops> KernelLoops::of(func::FuncOp func) {
  KernelLoops kernel;
  for (auto op : func.getOps<linalg::GenericOp>()) {
    if (kernel.root)
      kernel.reduction = kernel.root;
    kernel.root = op;
  }
  if (!kernel.root)
    return std::nullopt;
  if (!kernel.reduction && kernel.root.getNumReductionLoops() > 0)
    kernel.reduction = kernel.root;
  return kernel;
}

std::optional<unsigned> KernelLoops::rootLoop(unsigned loop) {
  if (root == reduction)
    return loop;
  AffineMap written = reduction.getIndexingMapsArray().back();
  return written.getResultPosition(
      getAffineDimExpr(loop, written.getContext()));
}

int64_t KernelLoops::lanes(TargetAttr target) {
  unsigned bits = 8;
  auto widen = [&](linalg::GenericOp op) {
    op->walk([&](Operation *inner) {
      for (Type type : inner->getResultTypes())
        if (getElementTypeOrSelf(type).isIntOrFloat())
          bits = std::max(bits,
                          getElementTypeOrSelf(type).getIntOrFloatBitWidth());
    });
  };
  widen(root);
  if (reduction)
    widen(reduction);
  return std::max<int64_t>(1, target.getVectorBits() / bits);
}
