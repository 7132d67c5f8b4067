//===- ImportFuzzer.cpp - Hostile models ----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A libFuzzer target: imports any bytes, as a binary model, or as text where
// they start with '<', and lowers what it imports by the handlers. A refusal is
// one error, or one for each node; a module verifies. The node tests of the
// onnx package are a good corpus.
//
//===----------------------------------------------------------------------===//

#include "lutra/Frontend/ONNX/Import.h"
#include "lutra/Frontend/ONNX/Passes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace mlir::lutra;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  unsigned errors = 0;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    errors += diagnostic.getSeverity() == DiagnosticSeverity::Error;
    return success();
  });
  StringRef bytes(reinterpret_cast<const char *>(data), size);
  StringRef path = bytes.starts_with("<") ? "fuzz.onnxtxt" : "fuzz.onnx";
  WeightSources sources;
  sources.provide(path, llvm::MemoryBuffer::getMemBufferCopy(bytes, path));
  OwningOpRef<ModuleOp> module = importONNX(context, path, sources, {});
  if (errors != (module ? 0 : 1))
    __builtin_trap();
  if (!module)
    return 0;
  PassManager passes(&context);
  passes.addPass(createConvertONNXToTensor(sources));
  // The pass manager verifies what the handlers made.
  if (failed(passes.run(*module)) != (errors > 0))
    __builtin_trap();
  return 0;
}
