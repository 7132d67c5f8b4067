//===- BaseTwo.h - Exponentials to base 2 -----------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_BASETWO_H
#define LUTRA_LIB_TRANSFORMS_BASETWO_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// Takes exponentials of differences to the running references of `iterate` to
/// base 2, where that takes no more than one factor.
void takeBaseTwo(cascade::IterateOp iterate);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_BASETWO_H
