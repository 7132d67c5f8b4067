//===- MatrixTileNest.h - A nest by matrix tiles ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What MatrixTiles.cpp and MatrixTileCopies.cpp share.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_LINALGTOVECTOR_MATRIXTILENEST_H
#define LUTRA_LIB_CONVERSION_LINALGTOVECTOR_MATRIXTILENEST_H

#include "NestBuilder.h"

#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::lutra {

/// Rows of a matrix tile, and 32-bit words of a row.
inline constexpr int64_t kTileSize = 16;

/// Elements of a row of a tile.
int64_t elementsOfTileRow(Type element);

/// Emits tiles of rows by tiles of lanes of a nest.
class MatrixTiles {
public:
  explicit MatrixTiles(Nest &nest)
      : nest(nest), b(nest.b), loc(nest.loc), op(nest.op), plan(nest.plan),
        contraction(*matchContraction(op)) {}
  void emit();

private:
  /// Where the first row of a tile begins, and how far rows are apart.
  struct Place {
    Value memref;
    Values index;
    Value stride;
  };
  /// Of a tile, how many rows and elements of a row exist; null for all.
  struct Part {
    Value rows, elements;
    bool isWhole() const { return !rows && !elements; }
  };

  bool readsLanesOften() const;
  bool isFew(unsigned loop) const;
  SmallVector<Piece> piecesOfSteps() const;
  void coverRows(function_ref<void()> inside);
  void coverLanes(function_ref<void()> inside);
  void emitTiles();
  Values multiply(ValueRange sums);
  Place placeOf(OpOperand &operand, unsigned rowLoop, int64_t row,
                int64_t lane);
  Place buffer(Type element);
  void copyRows(Type element, Part part, const Place &from, const Place &to,
                bool fillsRows);
  void copyTile(OpOperand &operand, unsigned rowLoop, int64_t row, int64_t lane,
                Part part, const Place &to);
  void copyFactor(OpOperand &operand, unsigned rowLoop);
  Value load(OpOperand &operand, unsigned rowLoop, int64_t row, int64_t lane,
             Part part);
  void store(Value tile, int64_t row, int64_t lane, Part part);

  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  /// What is left of a loop where a piece is masked.
  Value countOf(const Piece &piece, unsigned loop);
  Value inGroups(Value count) {
    return count
               ? arith::MulIOp::create(b, loc, count, constant(plan.groupSize))
                     .getResult()
               : Value();
  }

  Nest &nest;
  OpBuilder &b;
  Location loc;
  linalg::GenericOp op;
  const Plan &plan;
  Contraction contraction;
  /// What the loops stand at, and what is left there of rows and lanes; null
  /// for all.
  Piece rows, lanes;
  Value rowCount, laneCount;
  /// What tiles of rows fetch of the next panel, if they do.
  std::optional<Nest::PanelShare> ahead;
  /// [16, elements of a row], for what does not fill a tile.
  llvm::SmallMapVector<Type, Value, 2> buffers;
  /// Of factors that are copied as a whole, tiles one behind the other.
  llvm::SmallMapVector<OpOperand *, Value, 2> copies;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_LINALGTOVECTOR_MATRIXTILENEST_H
