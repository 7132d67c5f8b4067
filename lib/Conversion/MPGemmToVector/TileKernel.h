//===- TileKernel.h - Matrix tiles of a product with codes ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TILEKERNEL_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TILEKERNEL_H

#include "IndexBuilder.h"
#include "Sums.h"
#include "TilePanel.h"
#include "dialects/Lutra/CodePlanes.h"
#include "dialects/Lutra/Lutra.h"

namespace mlir::lutra {

/// Emits a product of integers with codes, on buffers, by matrix tiles of bytes
/// (AMX): many rows of x by the columns of one tile of codes.
class TileKernel : IndexBuilder {
public:
  /// Whether the target has such tiles, and groups fill them.
  static bool supports(mpgemm::MatmulOp op, TargetAttr target);
  /// `op` must be supported.
  TileKernel(OpBuilder &b, mpgemm::MatmulOp op);

  /// Computes, of tile `tile` of columns, rows of x from the first on, of which
  /// there are `count`. Returns how many: all but those too few for a tile.
  int64_t emit(int64_t count, Value tile);
  Value emit(Value count, Value tile);

private:
  using Values = SmallVector<Value>;

  int64_t leastRows() const;
  void emitRows(Value count, Value column);
  void emitParts(Value count, int64_t part);
  /// Whether a group is longer than a panel.
  bool hasLongGroups();
  void emitShortGroups();
  void emitLongGroups();

  Values multiply(Value group, Value firstStep, Value steps, Value quad,
                  ArrayRef<Value> rows, Values tiles);
  Values noTiles(int64_t count);
  Values loadTiles(Value slot, int64_t count);
  void storeTiles(ArrayRef<Value> tiles, Value slot);
  Values placeOfTile(Value slot, int64_t i);
  Values loadSums(Value row, Value slot);
  void flush(Value group, ArrayRef<Value> rows, Value slot, Value resultSlot);

  void forTiles(function_ref<void(Value, ArrayRef<Value>)> body);
  void forRows(Value slot, ArrayRef<Value> rows,
               function_ref<void(Value, Value)> body);
  Values load(Value buffer, Value slot);
  void store(ArrayRef<Value> row, Value buffer, Value slot);
  void clear(Value buffer);

  mpgemm::MatmulOp op;
  /// Of x: groups of a row, quads of a group, and quads of a matrix tile.
  int64_t groups, quads, tileQuads;
  TilePanel panel;
  /// Vectors and matrix tiles of columns of a panel.
  int64_t parts;
  GroupSums groupSums;
  /// Elements from a row of x to the next.
  Value stride;
  /// On the stack: sums of groups [slots, columns] and results [slots,
  /// columns], which are null without scales.
  Value sums, results;

  /// What is being emitted: a tile of columns, and as many rows as there are
  /// slots. The tile of rows of slot s begins at row min(first + s, last).
  Value tile, first, slots, last;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TILEKERNEL_H
