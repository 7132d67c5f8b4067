//===- Recomputation.h - What is computed again for others ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_RECOMPUTATION_H
#define LUTRA_LIB_TRANSFORMS_RECOMPUTATION_H

#include "CascadeGroup.h"

namespace mlir::lutra {

/// Computes what a group has along its reduced rank again for those that sum it
/// along its rows, where that is all that others do with it and each such sum
/// is one group with what it reads. Returns those groups. If others read it and
/// nothing is computed again, `refusal` says why.
SmallVector<CascadeGroup>
recomputeForOthers(const CascadeGroup &group,
                   function_ref<bool(Operation *)> isTaken,
                   std::string &refusal);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_RECOMPUTATION_H
