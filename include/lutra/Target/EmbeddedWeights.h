//===- EmbeddedWeights.h - Weights as a relocatable object ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_EMBEDDEDWEIGHTS_H
#define LUTRA_TARGET_EMBEDDEDWEIGHTS_H

#include "lutra/Target/WeightImage.h"

namespace mlir::lutra {

/// Streams an ELF relocatable object whose only symbol, hidden, is
/// `lutra_weights_<name>`, 64-byte aligned. Images may exceed 2 GiB: on x86-64
/// they lie in .lrodata, a large section, which only 64-bit relocations reach.
llvm::Expected<ImageSummary>
writeWeightsObject(ModuleOp module, OpenSource open, llvm::raw_ostream &os);

} // namespace mlir::lutra

#endif // LUTRA_TARGET_EMBEDDEDWEIGHTS_H
