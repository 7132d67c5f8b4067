//===- CacheSets.h - Rows that share sets of a cache ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_CACHESETS_H
#define LUTRA_LIB_TRANSFORMS_CACHESETS_H

#include <cstdint>
#include <numeric>

namespace mlir::lutra {

/// Whether `rows` rows that lie `stride` bytes apart find room in the
/// first-level cache beside each other and as much again.
inline bool haveRoom(int64_t rows, int64_t stride) {
  // Rows that lie a multiple of a page apart share sets, which hold kWays.
  constexpr int64_t kCachePage = 4096, kWays = 8;
  int64_t places = kCachePage / std::gcd(stride, kCachePage);
  return places * kWays >= 2 * rows;
}

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CACHESETS_H
