//===- MatrixDot.h - Small matrices of codes and numbers --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_MATRIXDOT_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_MATRIXDOT_H

#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/IR/Builders.h"

namespace mlir::lutra {

/// How ARM's i8mm multiplies eight codes of two columns with eight numbers of
/// two rows of x, in registers of four lanes of 32 bits: twice as much at once
/// as a dot product. Two registers that have quads, or sums, of four columns
/// become two that have two columns each, and sums are turned back behind the
/// last product.
class MatrixDot {
public:
  /// Whether the target has such, and groups are whole pairs of quads.
  static bool supports(mpgemm::MatmulOp op, int64_t lanes, TargetAttr target);
  /// For `parts` registers of columns.
  MatrixDot(OpBuilder &b, mpgemm::MatmulOp op, int64_t parts)
      : b(b), loc(op.getLoc()), x(op.getX()), parts(parts) {}

  /// Makes sums of rows, [rows, parts], those that are added to.
  void start(MutableArrayRef<Value> sums);
  /// Adds the products of two quads, each [parts] registers of bytes, with what
  /// x has from `place` of a row on.
  void multiply(ArrayRef<Value> quad, ArrayRef<Value> next,
                function_ref<SmallVector<Value>(int64_t)> place,
                MutableArrayRef<Value> sums);
  /// The sum of row `row` from the two registers that were added to for it and
  /// its neighbour.
  Value finish(Value first, Value second, int64_t row);

private:
  using Pair = std::array<Value, 2>;
  Value shuffled(Value first, Value second, ArrayRef<int64_t> lanes);
  Pair interleaved(Value first, Value second);
  Pair columns(Value first, Value second);
  Value add(Value sum, Value codes, Value factor);

  OpBuilder &b;
  Location loc;
  Value x;
  int64_t parts;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_MATRIXDOT_H
