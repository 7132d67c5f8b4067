//===- Reports.h - What the registry says, as text --------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DRIVER_REPORTS_H
#define LUTRA_DRIVER_REPORTS_H

#include "lutra/Frontend/ONNX/Import.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::lutra {

/// One line per refused node, `model.onnx: node 'conv1' (Conv v11): why`, or
/// one line saying that there is none.
void printRefusals(StringRef model, ArrayRef<Refusal> refusals,
                   llvm::raw_ostream &os);

/// The same as a JSON object: {"model", "supported", "refusals": [{"node",
/// "domain", "op", "version", "reason"}]}.
void printRefusalsAsJSON(StringRef model, ArrayRef<Refusal> refusals,
                         llvm::raw_ostream &os);

/// docs/SupportedOps.md.
void printSupportedOps(llvm::raw_ostream &os);

} // namespace mlir::lutra

#endif // LUTRA_DRIVER_REPORTS_H
