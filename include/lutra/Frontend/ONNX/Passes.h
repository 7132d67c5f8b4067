//===- Passes.h - Passes of the ONNX frontend -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_FRONTEND_ONNX_PASSES_H
#define LUTRA_FRONTEND_ONNX_PASSES_H

#include "mlir/Pass/Pass.h"

namespace mlir::lutra {

class WeightSources;

#define GEN_PASS_DECL
#include "lutra/Frontend/ONNX/Passes.h.inc"

/// As createConvertONNXToTensor(), which opens the model's files itself, for
/// sources that are open already.
std::unique_ptr<Pass> createConvertONNXToTensor(WeightSources &sources);

#define GEN_PASS_REGISTRATION
#include "lutra/Frontend/ONNX/Passes.h.inc"

} // namespace mlir::lutra

#endif // LUTRA_FRONTEND_ONNX_PASSES_H
