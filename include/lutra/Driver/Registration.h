//===- Registration.h - Dialects and passes of the tools --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DRIVER_REGISTRATION_H
#define LUTRA_DRIVER_REGISTRATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace mlir::lutra {

/// Registers Lutra's dialects and all of MLIR's, with every interface that is
/// implemented outside of a dialect. Registration is lazy: a context pays for
/// a dialect when it first meets it.
void registerDialects(DialectRegistry &registry);

/// Registers Lutra's passes under their command-line names.
void registerPasses();

} // namespace mlir::lutra

#endif // LUTRA_DRIVER_REGISTRATION_H
