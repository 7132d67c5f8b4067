//===- DumpIR.h - The IR of a phase as text ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_DRIVER_DUMPIR_H
#define LUTRA_LIB_DRIVER_DUMPIR_H

#include "lutra/Driver/Compiler.h"
#include "llvm/Support/Error.h"

namespace mlir::lutra {

/// Prints `module`, which is the IR of `phase`, after a comment that says how
/// to continue from `path`.
void printIR(ModuleOp module, Phase phase, StringRef path,
             const CompilerOptions &options, llvm::raw_ostream &os);

/// Writes the IR of `phase` to its numbered file in options.dumpDir. Of
/// `object` that is LLVM IR, since no MLIR is left.
llvm::Error dumpIR(ModuleOp module, Phase phase,
                   const CompilerOptions &options);

} // namespace mlir::lutra

#endif // LUTRA_LIB_DRIVER_DUMPIR_H
