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
  using Pair = std::array<Value, 2>;

  /// Whether the target has such, and groups are whole pairs of quads.
  static bool supports(mpgemm::MatmulOp op, int64_t lanes, TargetAttr target);
  MatrixDot(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  /// What is multiplied of two quads of four columns, in bytes.
  Pair codes(Value first, Value second);
  /// What is multiplied of x: eight bytes of a row from `first` on, and of
  /// another from `second` on.
  Value factor(Value x, ValueRange first, ValueRange second);
  Value add(Value sum, Value codes, Value factor);

  /// Sums of two rows in four columns, as they are added to.
  Pair interleaved(Value first, Value second);
  /// Sums as they were added to, by rows.
  Pair separated(Value first, Value second);

private:
  Value shuffled(Value first, Value second, ArrayRef<int64_t> lanes);

  OpBuilder &b;
  Location loc;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_MATRIXDOT_H
