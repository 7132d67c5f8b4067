//===- Passes.h - Transformations of a module -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_PASSES_H
#define LUTRA_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"
#include <vector>

namespace mlir::lutra {

struct QuantizedLayer;
struct QuantizationSpec;

#define GEN_PASS_DECL
#include "lutra/Transforms/Passes.h.inc"

/// Says in `layers` what became of each product with a weight.
std::unique_ptr<Pass>
createQuantizeContractions(QuantizationSpec spec,
                           std::vector<QuantizedLayer> &layers);

#define GEN_PASS_REGISTRATION
#include "lutra/Transforms/Passes.h.inc"

} // namespace mlir::lutra

#endif // LUTRA_TRANSFORMS_PASSES_H
