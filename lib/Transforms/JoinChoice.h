//===- JoinChoice.h - A choice joins its producer ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_JOINCHOICE_H
#define LUTRA_LIB_TRANSFORMS_JOINCHOICE_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// Puts `choice`, which is all that its cascade does, at the end of the cascade
/// that computes its points, where nothing else reads these.
void joinProducer(cascade::TopKOp choice);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_JOINCHOICE_H
