//===- FloatTileKernel.h - Matrix tiles of bf16 and codes -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_FLOATTILEKERNEL_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_FLOATTILEKERNEL_H

#include "IndexBuilder.h"
#include "ScaledNumbers.h"
#include "dialects/Lutra/Lutra.h"

namespace mlir::lutra {

/// Emits a product of integers with codes, on buffers, by matrix tiles of bf16
/// (AMX): all rows by all columns, if rows are many. Both factors are rounded
/// to bf16, and sums are f32.
class FloatTileKernel : IndexBuilder {
public:
  /// Whether the target has such tiles, they are faster than those of bytes,
  /// and there may be enough rows.
  static bool supports(mpgemm::MatmulOp op, TargetAttr target);
  /// `op` must be supported.
  FloatTileKernel(OpBuilder &b, mpgemm::MatmulOp op, TargetAttr target,
                  Value table);

  /// Computes all `count` rows of `tiles` tiles of columns, and returns
  /// `count`, or where these are few none, and returns 0.
  Value emit(Value count, Value tiles);

private:
  void emitBlock(Value tiles);
  void forTiles(function_ref<void(Value, int64_t)> body);
  void clear(Value tiles);
  Value rounded(Value first, Value second);
  void packRow(Value slot, Value first, Value codes);
  void prefetch(Value tile, Value first, Value count);
  void fill(Value tile, int64_t firstPart, Value first, Value count);
  void multiply(Value tile, int64_t firstPart, Value rowTile, int64_t count,
                Value steps);
  Value sumsOf(Value tile, Value rowTile, int64_t part);
  void store(Value tile);

  mpgemm::MatmulOp op;
  ScaledNumbers numbers;
  /// Matrix tiles of columns beside each other; of a row of x: codes of a
  /// chunk, chunks, and chunks that are multiplied with a panel.
  int64_t allParts, parts, chunk, ofRow, ofPanel;
  /// [M, groups * codes]
  Value x;
  /// On the stack, tile by tile: rows of x [row tiles, steps * 16 * 32],
  /// numbers of codes [parts, steps * 16 * 32], and sums [column tiles * row
  /// tiles * parts, 16 * 16].
  Value packed, panel, sums;
  int64_t blockRows, blockColumns, panelCodes;

  /// What is being emitted: rows from `firstRow` on, of which there are `rows`,
  /// by tiles of columns from `firstTile` on.
  Value firstRow, rows, rowTiles, firstTile;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_FLOATTILEKERNEL_H
