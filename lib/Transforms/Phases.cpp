//===- Phases.cpp - The names of the phases -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The phases in order and as text.
//
//===----------------------------------------------------------------------===//

#include "lutra/Transforms/Phases.h"

using namespace mlir::lutra;

llvm::ArrayRef<Phase> mlir::lutra::allPhases() {
  static constexpr Phase phases[] = {
      Phase::Import, Phase::Tensor, Phase::Quantize, Phase::Cascade,
      Phase::Encode, Phase::Form,   Phase::Tile,     Phase::Kernel,
      Phase::Plan,   Phase::Target, Phase::Object};
  return phases;
}

llvm::StringRef mlir::lutra::phaseName(Phase phase) {
  static constexpr llvm::StringLiteral names[] = {
      "import", "tensor", "quantize", "cascade", "encode", "form",
      "tile",   "kernel", "plan",     "target",  "object"};
  return names[static_cast<unsigned>(phase)];
}

std::optional<Phase> mlir::lutra::parsePhase(llvm::StringRef name) {
  for (Phase phase : allPhases())
    if (phaseName(phase) == name)
      return phase;
  return std::nullopt;
}
