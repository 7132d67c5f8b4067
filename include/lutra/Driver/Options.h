//===- Options.h - Options as users spell them ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DRIVER_OPTIONS_H
#define LUTRA_DRIVER_OPTIONS_H

#include "lutra/Driver/Compiler.h"

namespace mlir::lutra {

/// Reads one --dim: `name:min..max`, `name:value`, each with an optional
/// `%multiple`, into `dims`. The error says what was expected.
llvm::Error parseDim(StringRef text, std::map<std::string, DimRange> &dims);

/// Reads an --emit (onnx, tensor, llvm-dialect, llvm-ir, asm, obj, lib) into
/// compileTo and artifact.
llvm::Error parseEmit(StringRef text, CompilerOptions &options);

/// Sets compileTo and artifact from the suffix of options.output; an unknown
/// suffix means a shared library.
void emitBySuffix(CompilerOptions &options);

/// Whether `options.compileTo` leaves IR as text.
inline bool emitsIR(const CompilerOptions &options) {
  return options.compileTo != Phase::Object;
}

} // namespace mlir::lutra

#endif // LUTRA_DRIVER_OPTIONS_H
