//===- Sums.h - Where sums of a group start and end -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_SUMS_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_SUMS_H

#include "dialects/MPGemm/MPGemm.h"
#include "mlir/IR/Builders.h"

namespace mlir::lutra {

/// x as rows, [M, groups * codes], and whether it lies so that it can be.
bool hasRowsOfX(mpgemm::MatmulOp op);
Value rowsOfX(OpBuilder &b, mpgemm::MatmulOp op);

/// The group of x that a group of codes is multiplied with.
Value groupOfX(OpBuilder &b, mpgemm::MatmulOp op, Value group);

/// The sums of one group in one tile of columns, in some vectors of `lanes`
/// columns for each row: where they start, and what they add to the results.
class GroupSums {
public:
  /// `subtracted` is what codes of integers are multiplied without.
  GroupSums(OpBuilder &b, mpgemm::MatmulOp op, int64_t lanes, int64_t vectors,
            int64_t subtracted = 0)
      : b(b), loc(op.getLoc()), op(op), lanes(lanes), vectors(vectors),
        subtracted(subtracted) {}

  /// Goes on to the vectors from `vector` of a tile on, at first from 0.
  void goTo(int64_t vector) { firstVector = vector; }
  /// Has sums start with what those of the fields below in the same bytes start
  /// with, too, all times 2 to the power of where their fields begin.
  void nestFields() { nestsFields = true; }
  /// Goes on to a group: loads its zero points, unless these count elsewhere.
  void enter(Value tile, Value group, bool countsZeros = true);
  /// The zero points of a vector, in i32 or f32; null where there are none.
  Value zero(int64_t vector) const { return zeros[vector]; }
  /// Where the sums of integers of a row start, [vectors]: minus the zero
  /// points times the sum of x. Nothing where that is 0.
  SmallVector<Value> start(Value row);
  /// Loads the scales, for `add` and for `scale`.
  void loadScales();
  /// The scales of a vector, in f32.
  Value scale(int64_t vector) const { return scales[vector]; }
  /// Adds `sums` of a row, scaled, to `results`, both [vectors].
  void add(Value row, ArrayRef<Value> sums, MutableArrayRef<Value> results);

private:
  Value loadParameters(Value buffer, Value group, int64_t vector);
  Value loadZeros(int64_t vector);
  Value splat(Value scalar);
  Value toFloat(Value vector);
  int64_t fieldOf(int64_t vector);
  int64_t onesInFields(int64_t vector);
  Value zerosInFields(int64_t vector);

  OpBuilder &b;
  Location loc;
  mpgemm::MatmulOp op;
  int64_t lanes, vectors, subtracted, firstVector = 0;
  bool nestsFields = false;
  Value tile, group;
  bool countsZeros = true;
  /// One for each vector.
  SmallVector<Value> zeros, scales;
};

/// The columns of the result that one tile has, in some vectors of `lanes` from
/// `firstVector` on.
class ResultColumns {
public:
  ResultColumns(OpBuilder &b, mpgemm::MatmulOp op, int64_t lanes,
                int64_t vectors, Value tile, int64_t firstVector = 0);
  /// What the result has of a row, [vectors], and 0 where there are no columns.
  SmallVector<Value> load(Value row);
  /// Writes the results of a row, [vectors], as far as there are columns.
  void store(Value row, ArrayRef<Value> results);

private:
  OpBuilder &b;
  mpgemm::MatmulOp op;
  int64_t lanes;
  /// The first columns of vectors, and masks where columns may be missing.
  SmallVector<Value> columns, masks;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_SUMS_H
