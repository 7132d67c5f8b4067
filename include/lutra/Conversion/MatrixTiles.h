//===- MatrixTiles.h - What is said of matrix tiles -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_CONVERSION_MATRIXTILES_H
#define LUTRA_CONVERSION_MATRIXTILES_H

#include "llvm/ADT/StringRef.h"

namespace mlir::lutra {

/// Of an `amx.tile_load`: what is read will not be read again before other
/// things need its place in the first-level cache.
inline constexpr llvm::StringLiteral kNontemporal = "lutra.nontemporal";

} // namespace mlir::lutra

#endif // LUTRA_CONVERSION_MATRIXTILES_H
