//===- Passes.h - The choice of tiles, and tiling -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_SCHEDULE_PASSES_H
#define LUTRA_SCHEDULE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace mlir::lutra {

#define GEN_PASS_DECL
#include "lutra/Schedule/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "lutra/Schedule/Passes.h.inc"

} // namespace mlir::lutra

#endif // LUTRA_SCHEDULE_PASSES_H
