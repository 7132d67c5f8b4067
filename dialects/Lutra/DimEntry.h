//===- DimEntry.h - Entries of lutra.dims -----------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_DIMENTRY_H
#define LUTRA_DIALECTS_LUTRA_DIMENTRY_H

#include "dialects/Lutra/Lutra.h"

namespace mlir::lutra {

/// A symbolic dimension as lutra.dims of the host has it: the sizes it can have
/// are multiples of `multiple` from `min` to `max`.
struct DimEntry {
  StringAttr name;
  IntegerAttr min, max, multiple;
};

/// Reads an element of lutra.dims; nothing where one of these is missing.
std::optional<DimEntry> readDim(Attribute element);

} // namespace mlir::lutra

#endif // LUTRA_DIALECTS_LUTRA_DIMENTRY_H
