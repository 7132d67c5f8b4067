//===- AllocateBits.h - Bits within a budget --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_ALLOCATEBITS_H
#define LUTRA_LIB_TRANSFORMS_ALLOCATEBITS_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace mlir::lutra {

/// What a layer may become: the bits that it then takes, and what it loses.
struct BitChoice {
  int64_t bits;
  double error;
};

/// One choice for each layer, such that the sum of errors is least of all whose
/// bits add up to at most `budget`, but for layers' bits being rounded up to
/// 1/32768 of what the budget leaves above the least. Nothing where even the
/// fewest bits are more.
std::optional<SmallVector<unsigned>>
allocateBits(ArrayRef<SmallVector<BitChoice>> layers, int64_t budget);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_ALLOCATEBITS_H
