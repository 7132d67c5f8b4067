//===- TilePanel.h - Codes decoded for matrix tiles -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TILEPANEL_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TILEPANEL_H

#include "Codes.h"
#include "IndexBuilder.h"
#include "Numbers.h"
#include "dialects/Lutra/CodePlanes.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/IR/Builders.h"

namespace mlir::lutra {

/// Some quads of a tile of columns, or of 32 of them, as bytes, on the stack:
/// those of 16 columns are a row of a matrix tile.
class TilePanel : IndexBuilder {
public:
  /// Columns of a matrix tile.
  static constexpr int64_t kLanes = 16;
  /// Quads of a panel: two matrix tiles of columns take 16 KiB.
  static constexpr int64_t kQuads = 128;

  TilePanel(OpBuilder &b, mpgemm::MatmulOp op);

  /// Matrix tiles of columns of a panel, one or two, and those of all columns.
  int64_t parts() const { return numParts; }
  int64_t allParts() const { return planes.rows / kLanes; }
  /// Goes on to the matrix tiles from `part` of all on, at first from 0.
  void goTo(int64_t part) { firstPart = part; }
  /// Whether numbers fit signed bytes: then the panel has codes minus the zero
  /// points of integers, and else codes, unsigned.
  bool hasNumbers();
  /// Decodes `count` quads from `first` on of tile `tile` of columns, both
  /// whole units, which groups are too. Those of a trellis are decoded one
  /// after the other, from the first quad of the tile on.
  void fill(Value tile, Value first, Value count);
  /// The matrix tile of 16 columns that begins at quad `quad` of the panel.
  Value load(int64_t part, Value quad);

private:
  SmallVector<Value> zerosOf(Value tile, Value group);
  void fillChunk(Value tile, Value quad, Value place,
                 MutableArrayRef<Value> history);
  SmallVector<Value> loadHistory(Value first);
  void storeHistory(ValueRange values);

  mpgemm::MatmulOp op;
  CodePlanes planes;
  /// What is decoded together, a chunk from here on.
  CodeUnit unit;
  /// Matrix tiles of columns, where they begin, and quads of a group.
  int64_t numParts, firstPart = 0, quads;
  /// [parts, kQuads, 4 * kLanes]
  Value bytes;
  /// Where codes are not multiplied as they are.
  std::optional<NumberDecoder> decoder;
  /// What that knows of the codes before the next quad, [.., kLanes], if it is
  /// anything.
  Value past;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_TILEPANEL_H
