//===- Arena.h - Slots of the host program's tensors ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_ARENA_H
#define LUTRA_LIB_TRANSFORMS_ARENA_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace mlir::lutra {

/// A buffer that is alive from dispatch `first` to dispatch `last`, inclusive.
/// Its size in bytes is `fixed`, or, where that is kDynamic, a function of
/// `key`: buffers with the same key have the same size.
struct Lifetime {
  int64_t first, last;
  int64_t fixed;
  std::string key;
};

/// Gives each buffer a slot, so that no slot is used twice at a time. A free
/// slot that already has the buffer's size is preferred, then the one that
/// wastes least. `buffers` must be sorted by `first`. Returns the slots.
SmallVector<unsigned> assignSlots(ArrayRef<Lifetime> buffers);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_ARENA_H
