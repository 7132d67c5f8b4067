//===- MemoryLayout.h - Where the host's tensors lie ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_MEMORYLAYOUT_H
#define LUTRA_LIB_TRANSFORMS_MEMORYLAYOUT_H

#include "HostProgram.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::lutra {

/// The layout of a run, whose dimensions have some values.
struct MemoryValues {
  /// The host's index arithmetic.
  IRMapping map;
  /// In bytes: where each slot of the arena begins, and the arena's size.
  SmallVector<Value> offsets;
  Value total;
};

/// Where the tensors of a host program lie that are neither its inputs nor its
/// results: weights in the weight image, and the others in slots of the arena.
class MemoryLayout {
public:
  MemoryLayout(func::FuncOp host, const HostProgram &program);

  /// The slot of a tensor that a dispatch writes; nothing for a result.
  std::optional<unsigned> slotOf(tensor::EmptyOp empty) const;
  /// Where a weight begins in the image, in bytes.
  int64_t imageOffset(WeightOp weight) const {
    return imageOffsets.lookup(weight);
  }
  /// What lutra.image holds.
  ArrayAttr getImage() const { return image; }

  /// Computes the layout at `b`, where the host's lutra.dims are `dims`.
  MemoryValues emit(OpBuilder &b, func::FuncOp host, ValueRange dims) const;

private:
  void assign(const HostProgram &program);
  void layOutImage(func::FuncOp host);

  /// The arena's buffers in order of their first use, and their slots.
  llvm::MapVector<Operation *, unsigned> slots;
  llvm::DenseMap<Operation *, int64_t> imageOffsets;
  ArrayAttr image;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_MEMORYLAYOUT_H
