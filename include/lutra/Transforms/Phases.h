//===- Phases.h - The phases of a compilation -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The way of a model, as one enum. --compile-to, --compile-from, IR dumps, the
// documentation and the tests all iterate it. docs/Architecture.md says what
// happens in each phase, VerifyPhase.cpp what the IR may hold after it.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_PHASES_H
#define LUTRA_TRANSFORMS_PHASES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <optional>

namespace mlir::lutra {

enum class Phase {
  Import,
  Tensor,
  Quantize,
  Cascade,
  Encode,
  Form,
  Tile,
  Kernel,
  Plan,
  Target,
  Object
};

/// All phases, in order.
llvm::ArrayRef<Phase> allPhases();

/// The name of a phase as flags and dumps spell it: "import", "tensor", ...
llvm::StringRef phaseName(Phase phase);

/// The phase of that name.
std::optional<Phase> parsePhase(llvm::StringRef name);

} // namespace mlir::lutra

#endif // LUTRA_TRANSFORMS_PHASES_H
