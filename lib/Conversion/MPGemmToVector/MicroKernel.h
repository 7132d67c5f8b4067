//===- MicroKernel.h - Register tiles of a product with codes ---*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_MICROKERNEL_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_MICROKERNEL_H

#include "Codes.h"
#include "Dots.h"

namespace mlir::lutra {

/// Emits register tiles of a product on buffers that has a layout: some rows of
/// x by the columns of one tile of codes. Sums of a group are in registers, and
/// so are the rows' results until the last group is done.
class MicroKernel {
public:
  MicroKernel(OpBuilder &b, mpgemm::MatmulOp op, TargetAttr target,
              Value table);

  /// The most rows of x that a tile takes without spilling.
  int64_t maxRows() const;
  /// Computes `rows` rows from `row` on of tile `tile` of columns.
  void emit(Value row, int64_t rows, Value tile);

private:
  using Values = SmallVector<Value>;

  /// A rectangle of registers, [rows, parts].
  int64_t numSums() const { return rows * parts; }
  int64_t freeRegisters() const;
  bool keepsFields() const;
  bool prefetches() const;
  int64_t chains() const;
  bool isSingleGroup() const { return groups == 1; }

  Values emitGroups();
  Values emitGroup(Value group, ValueRange results);
  Values emitChunksOfGroup(Value group, Values sums);
  void emitQuads(Value chunk, int64_t first, int64_t count, Value group,
                 Value at, MutableArrayRef<Value> sums);
  Values startSums(Value group);
  void loadZeros(Value group);
  Value joinChains(ArrayRef<Value> sums, int64_t at);
  void flush(Value group, ArrayRef<Value> sums, MutableArrayRef<Value> results);
  void flushRow(int64_t row, Value group, ArrayRef<Value> scales,
                ArrayRef<Value> sums, MutableArrayRef<Value> results);
  void store(ArrayRef<Value> results);

  Value loadParameters(Value buffer, Value group, int64_t part);
  Value constant(int64_t value);
  Value add(Value lhs, Value rhs);
  Value plus(Value index, int64_t by);
  Value times(Value index, int64_t by);
  Value splatScalar(Value scalar);
  Value toFloat(Value vector);

  OpBuilder &b;
  Location loc;
  mpgemm::MatmulOp op;
  CodePlanes planes;
  int64_t lanes, parts, registers;
  /// Of x: groups of a row, and quads of a group.
  int64_t groups, quads;
  std::unique_ptr<Dot> dot;

  /// What is being emitted.
  Value tile;
  SmallVector<Value> rowIndex;
  int64_t rows = 0;
  /// Zero points of the group, one vector for each part, or none.
  Values zeros;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_MICROKERNEL_H
