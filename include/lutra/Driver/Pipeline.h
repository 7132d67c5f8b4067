//===- Pipeline.h - The passes of each phase --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DRIVER_PIPELINE_H
#define LUTRA_DRIVER_PIPELINE_H

#include "lutra/Transforms/Phases.h"
#include "lutra/Transforms/QuantizationSpec.h"

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace mlir::lutra {

class WeightSources;

/// Under which reference a cascade sums exponentials that it has not all seen:
/// under their maximum so far, but for these.
struct ReferenceOptions {
  /// The maximum may grow by so much before sums move to it; 0 for not at all.
  /// What moves seldom is corrected seldom, and sums have room for e^8.
  double lazy = 8;
  /// A number instead, where exponents are proven no farther from one; 0 for
  /// never.
  double fixed = 0;
};

/// What the pipelines need to know beyond the module.
struct PipelineOptions {
  /// An identifier.
  llvm::StringRef modelName;
  WeightSources *sources = nullptr;
  ReferenceOptions references;
  /// As `encode-mpgemm` takes it.
  llvm::StringRef lookups = "auto";
  /// As `override-activations` takes them; none if empty.
  llvm::StringRef activations;
  QuantizationSpec quantize;
  /// What is known of products from samples.
  Calibration calibration;
  WeightMeasures measures;
  /// Where to say what became of each product with a weight, if `quantize` has
  /// rules.
  std::vector<QuantizedLayer> *layers = nullptr;
};

/// Adds what `quantize` begins with, and then observe-contractions in its
/// place.
void buildObservation(OpPassManager &pm, const QuantizationSpec &quantize,
                      llvm::ArrayRef<size_t> matrices,
                      std::vector<ObservedFactor> &factors);

/// Adds the passes of `phase`, and verify-phase. `import` has no passes, since
/// its module comes from a file, and `object` none, since it leaves no module.
void buildPhase(OpPassManager &pm, Phase phase, const PipelineOptions &options);

/// Adds verify-phase alone.
void verifyPhase(OpPassManager &pm, Phase phase);

/// Adds what a dump is checked by before a phase goes on from it.
void verifyDump(OpPassManager &pm, Phase phase);

} // namespace mlir::lutra

#endif // LUTRA_DRIVER_PIPELINE_H
