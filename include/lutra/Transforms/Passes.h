//===- Passes.h - Transformations of a module -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_PASSES_H
#define LUTRA_TRANSFORMS_PASSES_H

#include "lutra/Transforms/QuantizationSpec.h"
#include "mlir/Pass/Pass.h"

namespace mlir::lutra {

#define GEN_PASS_DECL
#include "lutra/Transforms/Passes.h.inc"

/// Asks `measure` where a rule leaves something open, and says in `layers` what
/// became of each product with a weight.
std::unique_ptr<Pass>
createQuantizeContractions(QuantizationSpec spec, MeasureWeight measure,
                           std::vector<QuantizedLayer> &layers);

#define GEN_PASS_REGISTRATION
#include "lutra/Transforms/Passes.h.inc"

} // namespace mlir::lutra

#endif // LUTRA_TRANSFORMS_PASSES_H
