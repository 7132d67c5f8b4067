//===- MoveLast.h - Putting a dimension behind all others -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_MOVELAST_H
#define LUTRA_LIB_TRANSFORMS_MOVELAST_H

#include "mlir/IR/AffineMap.h"
#include "llvm/ADT/Sequence.h"

namespace mlir::lutra {

/// `list` with what is at `at` behind all others.
template <typename T>
SmallVector<T> moveLast(ArrayRef<T> list, unsigned at) {
  SmallVector<T> result(list);
  std::rotate(result.begin() + at, result.begin() + at + 1, result.end());
  return result;
}

/// The same of the results of `map`.
inline AffineMap moveLast(AffineMap map, unsigned at) {
  return AffineMap::get(map.getNumDims(), map.getNumSymbols(),
                        moveLast(map.getResults(), at), map.getContext());
}

/// 0 .. `size` - 1, `at` behind all others.
inline SmallVector<int64_t> orderWithLast(int64_t size, unsigned at) {
  return moveLast<int64_t>(llvm::to_vector(llvm::seq(size)), at);
}

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_MOVELAST_H
