//===- ExternalData.h - Where external data may be --------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_EXTERNALDATA_H
#define LUTRA_LIB_FRONTEND_ONNX_EXTERNALDATA_H

#include "lutra/Frontend/ONNX/Import.h"

namespace mlir::lutra {

/// External data that was opened.
struct ExternalFile {
  /// By this name WeightSources knows it.
  std::string source;
  StringRef bytes;
};

/// Opens the file at `location`, a relative path that `model` gives; refuses
/// what is not in the model's folder.
llvm::Expected<ExternalFile>
openExternalData(StringRef model, StringRef location, WeightSources &sources);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_EXTERNALDATA_H
