//===- GroupCost.h - Whether a group is one kernel --------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_GROUPCOST_H
#define LUTRA_LIB_TRANSFORMS_GROUPCOST_H

#include "CascadeGroup.h"

namespace mlir::lutra {

/// Whether a group of which no pass needs another computes in less time than
/// its reductions apart: what is between them is long, nothing else reads it,
/// and what they go over is no weight.
bool isCheaperTogether(const CascadeGroup &group);

/// Whether `value` is a weight or a constant, or a few operations lead to it
/// from such alone.
bool isComputedOfConstants(Value value);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_GROUPCOST_H
