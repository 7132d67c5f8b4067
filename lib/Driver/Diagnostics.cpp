//===- Diagnostics.cpp - Diagnostics as lines for a person ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Formats MLIR diagnostics as `model.onnx: node 'conv1': what is wrong`.
//
//===----------------------------------------------------------------------===//

#include "Diagnostics.h"

#include "lutra/Frontend/ONNX/Import.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::lutra;

/// Where a diagnostic is, in the words of the model: the file, and the node
/// where the message does not name it already.
static std::string place(Location loc, StringRef model, StringRef message) {
  if (auto name = loc->findInstanceOf<NameLoc>()) {
    StringRef node = name.getName().getValue();
    if (node == model || message.contains(("'" + node + "'").str()))
      return (model + ": ").str();
    return (model + ": node '" + node + "': ").str();
  }
  auto file = loc->findInstanceOf<FileLineColLoc>();
  if (!file || file.getLine() == 0)
    return (model + ": ").str();
  return llvm::formatv("{0}:{1}:{2}: ", file.getFilename().getValue(),
                       file.getLine(), file.getColumn())
      .str();
}

DiagnosticLines::DiagnosticLines(MLIRContext *context, StringRef model,
                                 Result &result)
    : ScopedDiagnosticHandler(context), model(model), result(result) {
  setHandler([this](Diagnostic &diagnostic) { report(diagnostic); });
}

void DiagnosticLines::report(Diagnostic &diagnostic) {
  // A handler may quote what the model says.
  std::string text = printable(diagnostic.str());
  StringRef message = text;
  message.consume_front(model + ": ");
  DiagnosticSeverity severity = diagnostic.getSeverity();
  if (severity == DiagnosticSeverity::Note ||
      severity == DiagnosticSeverity::Remark)
    return;
  std::lock_guard<std::mutex> lock(mutex);
  auto &lines =
      severity == DiagnosticSeverity::Error ? result.errors : result.warnings;
  lines.push_back(place(diagnostic.getLocation(), model, message) +
                  message.str());
}
