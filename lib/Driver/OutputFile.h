//===- OutputFile.h - Files that appear whole or not at all -----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_DRIVER_OUTPUTFILE_H
#define LUTRA_LIB_DRIVER_OUTPUTFILE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::lutra {

/// Writes `path` through a temporary file beside it, which takes its place when
/// all has been written; "-" is standard output. Unlike llvm::writeToOutput a
/// full disk is an error, and the file is not executable.
llvm::Error writeFile(llvm::StringRef path,
                      llvm::function_ref<void(llvm::raw_ostream &)> write);

/// An error where writeFile would not find a place for `path`, so that it is
/// known before there is something to write.
llvm::Error checkWritable(llvm::StringRef path);

} // namespace mlir::lutra

#endif // LUTRA_LIB_DRIVER_OUTPUTFILE_H
