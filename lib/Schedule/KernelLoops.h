//===- KernelLoops.h - The loops that a schedule is about -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_SCHEDULE_KERNELLOOPS_H
#define LUTRA_LIB_SCHEDULE_KERNELLOOPS_H

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::lutra {

/// The operations of a kernel that a schedule is about: the root, whose loops
/// are tiled, and the reduction that is fused into it, if any.
struct KernelLoops {
  linalg::GenericOp root;
  linalg::GenericOp reduction;

  /// Nothing where the kernel has no such operation.
  static std::optional<KernelLoops> of(func::FuncOp func);

  /// The root's loop that writes what loop `loop` of the reduction computes.
  std::optional<unsigned> rootLoop(unsigned loop);

  /// Lanes of a vector of the widest element that is computed with.
  int64_t lanes(TargetAttr target);
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_SCHEDULE_KERNELLOOPS_H
