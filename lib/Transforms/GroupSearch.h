//===- GroupSearch.h - The groups of a function -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_GROUPSEARCH_H
#define LUTRA_LIB_TRANSFORMS_GROUPSEARCH_H

#include "CascadeGroup.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::lutra {

/// A group, and in words what was done to get at it or not done with it.
struct FoundGroup {
  CascadeGroup group;
  std::string rewrite, refusal;
};

/// Finds the groups of a function that are to be cascades. No two have an
/// operation in common: what two would have is there twice then.
SmallVector<FoundGroup> findGroups(func::FuncOp func);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_GROUPSEARCH_H
