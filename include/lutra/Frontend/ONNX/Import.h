//===- Import.h - From ONNX files to the onnx dialect -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_FRONTEND_ONNX_IMPORT_H
#define LUTRA_FRONTEND_ONNX_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <map>

namespace mlir::lutra {

/// What a user says about a symbolic dimension: --dim=batch:1..64%8.
struct DimRange {
  int64_t min = 1;
  int64_t max = INT64_MAX;
  int64_t multiple = 1;
};

/// An input that stays in the program's memory between runs, together with the
/// output that is it with more appended: --state=past:present:max=2048. Both
/// names may hold one '*', which stands for the same text in both.
struct StateOption {
  std::string past, present;
  /// How long it may become.
  int64_t capacity = 0;
};

struct ImportOptions {
  /// By dimension name. A range of one value makes the dimension static. An
  /// unnamed dimension d of input x is called "x.d".
  std::map<std::string, DimRange> dims;
  std::vector<StateOption> states;
};

/// The bytes behind `lutra.weight`s, by source name. A source is opened once
/// and mapped read-only; ONNX text is parsed and held as the binary model.
class WeightSources {
public:
  /// Gives `name` the bytes of `buffer` instead of a file of that name.
  void provide(StringRef name, std::unique_ptr<llvm::MemoryBuffer> buffer);
  /// The bytes of a source, an error where the file cannot be read.
  llvm::Expected<StringRef> open(StringRef name);

private:
  using BufferMap = std::map<std::string, std::unique_ptr<llvm::MemoryBuffer>>;
  /// What was provided and not opened yet, and what `open` answers with.
  BufferMap files, buffers;
};

/// Reads the model `path`: ONNX binary, or ONNX text where the name ends in
/// .onnxtxt. Weights stay in the file. Errors are reported to the context's
/// diagnostic handler, naming the file and, where there is one, the node.
OwningOpRef<ModuleOp> importONNX(MLIRContext &context, StringRef path,
                                 WeightSources &sources,
                                 const ImportOptions &options);

/// A text of the model's as a person and a terminal can take it: UTF-8, without
/// control characters.
std::string printable(StringRef text);

/// One node that --check refuses.
struct Refusal {
  std::string node, domain, op, reason;
  int64_t version;
};

/// Asks the registry about every node of an imported module.
std::vector<Refusal> checkSupport(ModuleOp module);

} // namespace mlir::lutra

#endif // LUTRA_FRONTEND_ONNX_IMPORT_H
