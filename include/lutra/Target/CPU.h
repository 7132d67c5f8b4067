//===- CPU.h - From planned programs to the LLVM dialect --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_CPU_H
#define LUTRA_TARGET_CPU_H

#include "mlir/Support/LLVM.h"

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace mlir::lutra {

/// The passes of phase `target`: a module after `plan` becomes one of the llvm
/// dialect whose only external definition is `lutra_model_<modelName>`, a
/// lutra_model_desc. The module must have `lutra.target`. `modelName` must be
/// an identifier (isModelName).
void buildTargetPipeline(OpPassManager &pm, StringRef modelName);

/// Whether `name` can end a C symbol: letters, digits and '_'.
bool isModelName(StringRef name);

/// Registers the dialects and the translations that emitObject needs.
void registerTargetDialects(DialectRegistry &registry);

} // namespace mlir::lutra

#endif // LUTRA_TARGET_CPU_H
