//===- Part.h - A rectangle of a tensor -------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a loop reads of a tensor at one iteration and where it writes, with
// offsets that may be known only inside of the loop.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_PART_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_PART_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::lutra {

/// A rectangle of a tensor, built dimension by dimension: `pick` fixes an index
/// and drops the dimension, `take` keeps a range of it, `all` the whole.
class Part {
public:
  Part pick(OpFoldResult index) &&;
  Part take(OpFoldResult offset, OpFoldResult size) &&;
  Part all(int64_t size, MLIRContext *context) &&;

  Value of(ImplicitLocOpBuilder &b, Value tensor) const;
  Value insert(ImplicitLocOpBuilder &b, Value part, Value into) const;
  void insertInParallel(ImplicitLocOpBuilder &b, Value part, Value into) const;

private:
  RankedTensorType typeIn(Value tensor) const;
  SmallVector<OpFoldResult> strides(OpBuilder &b) const;

  SmallVector<OpFoldResult> offsets, sizes;
  SmallVector<bool> kept;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_PART_H
