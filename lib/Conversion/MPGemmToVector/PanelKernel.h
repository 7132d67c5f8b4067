//===- PanelKernel.h - Many rows of floats by codes -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_PANELKERNEL_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_PANELKERNEL_H

#include "Dots.h"
#include "IndexBuilder.h"
#include "ScaledNumbers.h"
#include "Sums.h"

namespace mlir::lutra {

/// Emits a product of floats with codes, on buffers: many rows of x by the
/// columns of one tile of codes.
class PanelKernel : IndexBuilder {
public:
  /// Whether x is floats, and codes become numbers by themselves.
  static bool supports(mpgemm::MatmulOp op);
  /// `op` must be supported.
  PanelKernel(OpBuilder &b, mpgemm::MatmulOp op, TargetAttr target,
              Value table);

  /// Computes, of tile `tile` of columns, rows of x from the first on, of which
  /// there are `count`. Returns how many: none of few, and else all but those
  /// too few for a register tile.
  int64_t emit(int64_t count, Value tile);
  Value emit(Value count, Value tile);

private:
  using Values = SmallVector<Value>;

  void emitRows(Value count, Value chunks, Value column);
  void fill(Value first, Value count);
  void multiply(Value row, Value first, Value count, ResultColumns &columns);

  mpgemm::MatmulOp op;
  ScaledNumbers numbers;
  /// Lanes of a register, registers of a row of the panel, and rows of a tile.
  int64_t lanes, parts, rows;
  /// Codes of a chunk, and chunks of a row of x and of a panel.
  int64_t chunk, ofRow, ofPanel;
  std::unique_ptr<Dot> dot;
  /// [M, groups * codes], and on the stack [codes, columns].
  Value x, panel;
  /// What is being emitted.
  Value tile;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_PANELKERNEL_H
