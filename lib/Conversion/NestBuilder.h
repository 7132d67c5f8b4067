//===- NestBuilder.h - Loop nests over tensors ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_NESTBUILDER_H
#define LUTRA_LIB_CONVERSION_NESTBUILDER_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::lutra {

/// Builds linalg.generic operations from what they read and compute.
class NestBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  /// An operand: the loops that it is read along.
  struct Read {
    Value tensor;
    SmallVector<unsigned> loops;
  };
  using Body = function_ref<Value(ImplicitLocOpBuilder &, ValueRange)>;

  /// `sizes` with an element of `body` at each index.
  Value map(ArrayRef<OpFoldResult> sizes, Type element, ArrayRef<Read> reads,
            Body body);
  /// `body` takes the elements, and last what is there already, at first those
  /// of `init`. Loops that are not `written` are reductions.
  Value nest(unsigned numLoops, ArrayRef<Read> reads, Value init,
             ArrayRef<unsigned> written, Body body);
  /// A tensor of zeros.
  Value filled(ArrayRef<OpFoldResult> sizes, Type element);
  /// The sizes of a tensor as values that are there; asked of the tensor itself
  /// only where a function has no dimensions.
  SmallVector<OpFoldResult> sizesOf(Value tensor);
  /// Puts `values`, cast to the types of the results of `op`, in its place.
  void replace(Operation *op, ValueRange values);
};

Value f32Constant(ImplicitLocOpBuilder &b, float value);

/// What numbers of at most `most` in magnitude are divided by to become 8-bit
/// integers: most / 127, and NaN for an infinity or a NaN.
Value byteScale(ImplicitLocOpBuilder &b, Value most);
/// 127 / most, and 0 for 0.
Value inverseByteScale(ImplicitLocOpBuilder &b, Value most);
/// The nearest integer in [-127, 127], ties to even; any for a NaN.
Value roundToByte(ImplicitLocOpBuilder &b, Value number);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_NESTBUILDER_H
