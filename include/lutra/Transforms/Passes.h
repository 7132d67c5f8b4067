//===- Passes.h - Transformations of a module -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_PASSES_H
#define LUTRA_TRANSFORMS_PASSES_H

#include "lutra/Transforms/ActivationRules.h"
#include "lutra/Transforms/QuantizationSpec.h"
#include "mlir/Pass/Pass.h"

namespace mlir::lutra {

#define GEN_PASS_DECL
#include "lutra/Transforms/Passes.h.inc"

/// Asks `measures` where a rule leaves something open, goes by what
/// `calibration` knows, and says in `layers` what became of each product with a
/// weight.
std::unique_ptr<Pass>
createQuantizeContractions(QuantizationSpec spec, Calibration calibration,
                           WeightMeasures measures,
                           std::vector<QuantizedLayer> &layers);

/// Says in `factors` what is observed; the module must be one that
/// `quantize-contractions` gets, so that numbers of products agree.
std::unique_ptr<Pass>
createObserveContractions(QuantizationSpec spec, ArrayRef<size_t> matrices,
                          std::vector<ObservedFactor> &factors);

#define GEN_PASS_REGISTRATION
#include "lutra/Transforms/Passes.h.inc"

} // namespace mlir::lutra

#endif // LUTRA_TRANSFORMS_PASSES_H
