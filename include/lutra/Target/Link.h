//===- Link.h - ld.lld as a child process -----------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_LINK_H
#define LUTRA_TARGET_LINK_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"
#include <string>

namespace mlir::lutra {

enum class LinkKind { Shared, Relocatable };

/// Finds ld.lld: `requested` where it is not empty, else the environment's
/// LUTRA_LLD, else LLVM 22's own, else what PATH has.
llvm::Expected<std::string> findLinker(StringRef requested);

/// Links `objects` into `output`. What the linker prints is the error's text.
llvm::Error link(StringRef linker, LinkKind kind, ArrayRef<std::string> objects,
                 StringRef output);

} // namespace mlir::lutra

#endif // LUTRA_TARGET_LINK_H
