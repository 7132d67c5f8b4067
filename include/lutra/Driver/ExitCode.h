//===- ExitCode.h - How a tool ends -----------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DRIVER_EXITCODE_H
#define LUTRA_DRIVER_EXITCODE_H

namespace mlir::lutra {

/// The exit codes of lutra-compile and lutra-run. docs/Errors.md shows an
/// example of each.
enum class ExitCode : int {
  Success = 0,
  /// A fault of the compiler.
  Internal = 1,
  CommandLine = 2,
  /// The model is malformed, or holds something that is not supported.
  InvalidModel = 3,
  /// A file could not be read or written.
  IO = 4,
  /// lutra-run --expect: the outputs differ.
  Mismatch = 5
};

} // namespace mlir::lutra

#endif // LUTRA_DRIVER_EXITCODE_H
