//===- Diagnostics.h - Diagnostics as lines for a person --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_DRIVER_DIAGNOSTICS_H
#define LUTRA_LIB_DRIVER_DIAGNOSTICS_H

#include "lutra/Driver/Compiler.h"
#include "mlir/IR/Diagnostics.h"
#include <mutex>

namespace mlir::lutra {

/// Turns what a context reports into lines, while it lives. An error at a node
/// begins with the model's file and the node; an error in IR text has its line
/// and column. Notes are left out: they hold operations, which mean nothing to
/// the user of a model.
class DiagnosticLines : public ScopedDiagnosticHandler {
public:
  DiagnosticLines(MLIRContext *context, StringRef model, Result &result);

private:
  void report(Diagnostic &diagnostic);

  std::string model;
  Result &result;
  std::mutex mutex;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_DRIVER_DIAGNOSTICS_H
