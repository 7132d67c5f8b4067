//===- Caches.h - What caches are made of -----------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_CACHES_H
#define LUTRA_ANALYSIS_CACHES_H

#include <cstdint>
#include <numeric>

namespace mlir::lutra {

/// Bytes of a line of a cache, on all machines that we compile for.
inline constexpr int64_t kCacheLine = 64;

/// What tensors begin at multiples of: on the stack, in a workspace and, by
/// runtime/include/lutra/abi.h, in an image of weights.
inline constexpr int64_t kTensorAlignment = kCacheLine;

/// Whether `rows` rows that lie `stride` bytes apart find room in the
/// first-level cache beside each other and as much again.
inline bool haveRoom(int64_t rows, int64_t stride) {
  // Rows that lie a multiple of a page apart share sets, which hold kWays.
  constexpr int64_t kCachePage = 4096, kWays = 8;
  int64_t places = kCachePage / std::gcd(stride, kCachePage);
  return places * kWays >= 2 * rows;
}

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_CACHES_H
