//===- Frame.h - Buffers of a kernel on the stack ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_FRAME_H
#define LUTRA_LIB_CONVERSION_FRAME_H

#include "lutra/Analysis/Caches.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::lutra {

/// A buffer on the stack of the task of which `op` is a part, allocated once
/// and aligned to a cache line.
inline Value allocateOnFrame(OpBuilder &b, Operation *op, MemRefType type) {
  OpBuilder::InsertionGuard guard(b);
  Operation *frame = op;
  while (!isa<scf::ForallOp, func::FuncOp>(frame))
    frame = frame->getParentOp();
  b.setInsertionPointToStart(&frame->getRegion(0).front());
  return memref::AllocaOp::create(b, op->getLoc(), type, ValueRange{},
                                  b.getI64IntegerAttr(kTensorAlignment));
}

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_FRAME_H
