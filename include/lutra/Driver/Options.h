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

/// Reads one flag of lutra-compile, named without its dashes ("mcpu", "O",
/// "dim"), into `options`. The error says what was expected.
llvm::Error readFlag(StringRef flag, StringRef value, CompilerOptions &options);

/// Sets compileTo and artifact from the suffix of options.output; an unknown
/// suffix means a shared library.
void emitBySuffix(CompilerOptions &options);

/// Whether `options.compileTo` leaves IR as text.
inline bool emitsIR(const CompilerOptions &options) {
  return options.compileTo != Phase::Object;
}

} // namespace mlir::lutra

#endif // LUTRA_DRIVER_OPTIONS_H
