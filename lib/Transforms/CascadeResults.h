//===- CascadeResults.h - What follows cascades, in them --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_CASCADERESULTS_H
#define LUTRA_LIB_TRANSFORMS_CASCADERESULTS_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// Takes conversions of results, which nothing else reads, into the cascade:
/// what is rounded to 16 bits is then written once, and half as wide.
void takeConversions(cascade::CascadeOp op);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CASCADERESULTS_H
