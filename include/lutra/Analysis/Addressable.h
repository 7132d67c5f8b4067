//===- Addressable.h - How large a tensor can be ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_ADDRESSABLE_H
#define LUTRA_ANALYSIS_ADDRESSABLE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::lutra {

/// Whether a tensor of the sizes that are known, which are not negative, has
/// fewer than 2^57 elements, less than 2^60 bytes, however many of them are 0:
/// offsets into it then fit 64 bits.
inline bool isAddressable(llvm::ArrayRef<int64_t> knownSizes) {
  int64_t elements = 1;
  for (int64_t size : knownSizes)
    if (size < 0 ||
        llvm::MulOverflow(elements, size > 0 ? size : 1, elements) ||
        elements >= int64_t(1) << 57)
      return false;
  return true;
}

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_ADDRESSABLE_H
