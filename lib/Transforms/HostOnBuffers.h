//===- HostOnBuffers.h - The host program on buffers ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_HOSTONBUFFERS_H
#define LUTRA_LIB_TRANSFORMS_HOSTONBUFFERS_H

#include "MemoryLayout.h"

namespace mlir::lutra {

/// Replaces the host function on tensors by one on buffers that `layout`
/// places. Its arguments, whose lutra.role says which they are: the call's
/// context, the inputs, outputs, states and dimensions, the workspace, and the
/// weights.
void putHostOnBuffers(func::FuncOp host, const HostProgram &program,
                      const MemoryLayout &layout);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_HOSTONBUFFERS_H
