//===- State.h - Tensors that belong to states ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_STATE_H
#define LUTRA_ANALYSIS_STATE_H

#include "dialects/Lutra/Lutra.h"

namespace mlir::lutra {

/// The state that a chain of insertions on the host begins at, `tensor` being
/// the state or the chain's result; null where it begins elsewhere.
StateOp stateBehind(Value tensor);

/// Whether `tensor` is a slice of a state, as it was or with more appended.
bool isStateSlice(Value tensor);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_STATE_H
