//===- ReadWindows.h - Convolutions as products of matrices -----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_READWINDOWS_H
#define LUTRA_LIB_TRANSFORMS_READWINDOWS_H

#include "WeightProduct.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::lutra {

/// Copies what each window of a convolution sees, so that it is a product of
/// matrices.
class WindowReader {
public:
  /// The loops of `product` are sorted; `sizes` are those of its result.
  WindowReader(ImplicitLocOpBuilder &b, WeightProduct &product,
               ArrayRef<OpFoldResult> sizes);

  /// x in f32 with its channels innermost; fails where sizes are not known.
  FailureOr<Value> channelsLast();
  /// What windows see of `tensor`, which is as channelsLast() but for its type
  /// and the size of its last dimension: along the loops m and k.
  Value read(Value tensor);
  /// The sizes of what channelsLast() has made.
  ArrayRef<OpFoldResult> getSizes() const { return xSizes; }

private:
  ImplicitLocOpBuilder &b;
  WeightProduct &product;
  /// How x is read, with channels last, by the loops of what is copied.
  AffineMap map;
  SmallVector<int64_t> order;
  SmallVector<OpFoldResult> shape, xSizes;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_READWINDOWS_H
