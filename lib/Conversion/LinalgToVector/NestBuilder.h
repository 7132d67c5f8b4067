//===- NestBuilder.h - The emission of a nest -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What Nest.cpp, LaneReduction.cpp, DotProducts.cpp, MatrixTile*.cpp,
// Transposes.cpp, Prefetch.cpp and PanelAhead.cpp share: the loops of a plan
// around the vectors of a tile.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_LINALGTOVECTOR_NESTBUILDER_H
#define LUTRA_LIB_CONVERSION_LINALGTOVECTOR_NESTBUILDER_H

#include "Loops.h"
#include "Nest.h"
#include <map>

namespace mlir::lutra {

class Nest {
public:
  Nest(OpBuilder &b, linalg::GenericOp op, const Plan &plan,
       ArrayRef<Value> initial);
  void emitOuter(unsigned depth = 0);

private:
  friend class MatrixTiles;
  using Visit = function_ref<void(unsigned output, int64_t row, int64_t vector,
                                  ArrayRef<Lanes> index)>;

  void emitRows(std::optional<unsigned> loop, int64_t rows,
                function_ref<void(int64_t rows)> inside);
  void emitPrefetch(int64_t rows, const Piece &piece);
  void emitPrefetchOfNextTile(int64_t row, int64_t lane);
  std::optional<int64_t> timesRead(AffineMap map);
  void emitPrefetchAhead(unsigned rowLoop, int64_t rows, int64_t columns);
  void emitPrefetchOfGroups(const Piece &piece);
  void emitPrefetchOfTile(OpOperand *operand, Value memref, Value first,
                          Value stride);
  void fetch(OpOperand *operand, ArrayRef<Index> loops);
  /// Of tiles that read the same, which one it is, and of how many.
  struct Turn {
    Value number, count;
    void addLoop(OpBuilder &b, Location loc, Value index, Value steps);
  };
  /// What a tile fetches of the panel of columns that is read next: `lines`
  /// lines of `elements` elements every `steps` steps of the reductions, from
  /// the indices `first` on; where `isWanted`, if there is that.
  struct PanelShare {
    OpOperand *operand;
    Values first;
    int64_t steps, lines, elements;
    Value isWanted;
  };
  Turn turnOfTile(Value panel, int64_t rows);
  Values nextPanel(OpOperand *operand, int64_t columns);
  std::optional<PanelShare> shareOfNextPanel(int64_t rows, int64_t steps);
  void fetch(const PanelShare &share);
  void emitTile(int64_t rows, const Piece &piece);
  void emitMatrixTiles();
  void emitLaneReduction(int64_t rows, int64_t columns);
  Values emitReductions(ArrayRef<unsigned> loops, ValueRange sums,
                        function_ref<Values(ValueRange)> step);
  Values emitSteps(int64_t rows, const Piece &piece, ValueRange sums,
                   function_ref<Values(ValueRange)> step);
  Values emitStep(int64_t rows, int64_t columns, const Piece &piece,
                  int64_t stride, const VectorBuilder &builder,
                  ValueRange sums);
  Values emitGroupedReductions(int64_t rows, const Piece &piece,
                               const VectorBuilder &builder, ValueRange sums,
                               function_ref<Values(ValueRange)> step);
  Value addDots(Value sum, Value x, Value y);
  Values emitDots(int64_t rows, const Piece &piece,
                  const VectorBuilder &builder, ValueRange sums);
  Values emitAlongLanes(int64_t rows, int64_t columns, ValueRange sums);
  Values emitLaneDots(int64_t rows, int64_t columns, const Piece &piece,
                      const VectorBuilder &builder, ValueRange sums);
  Values emitGroups(int64_t rows, const Piece &piece,
                    const VectorBuilder &builder, ValueRange sums);
  Value combine(unsigned output, Value x, Value y);
  Value reduceLanes(unsigned output, ArrayRef<Value> rows);
  void emitReducedRows(unsigned output, int64_t column, ArrayRef<Value> rows);
  bool isTurned(unsigned output, const Piece &piece);
  Values emitTurnedSteps(int64_t rows, const Piece &piece, ValueRange sums,
                         function_ref<Values(ValueRange)> step);
  void storeTurned(int64_t rows, const Piece &piece);
  void emitTransposes();
  void emitTransposedTile(OpFoldResult lanes, OpFoldResult rows);
  Values loadTransposed(OpOperand &operand, OpFoldResult lanes,
                        OpFoldResult rows);
  void storeTransposed(Values vectors, OpOperand &output, OpFoldResult lanes,
                       OpFoldResult rows);
  void storeRows(ArrayRef<Values> vectors, OpOperand &output,
                 OpFoldResult lanes, OpFoldResult rows);
  OpFoldResult stepsOf(const Piece &piece, unsigned loop);
  int64_t boundOf(OpFoldResult steps) const;
  SmallVector<Index> atRow(int64_t row, OpFoldResult rows);
  VectorBuilder builderFor(OpFoldResult size, int64_t step, OpFoldResult steps);

  VectorBuilder builderFor(const Piece &piece);
  /// The position of the first lane of a vector in the tile.
  SmallVector<Index> at(int64_t row, int64_t lane, int64_t column = 0) const;
  SmallVector<Lanes> outputIndex(const VectorBuilder &builder, unsigned output,
                                 int64_t row, int64_t lane);
  Value output(unsigned number) { return op.getDpsInits()[number]; }
  bool isStream(unsigned output) const { return plan.streams.test(output); }

  OpBuilder &b;
  Location loc;
  linalg::GenericOp op;
  const Plan &plan;
  FlatViews flat;
  TileBody body;
  /// What each output begins as, null where that is in memory.
  SmallVector<Value> initial;
  SmallVector<OpFoldResult> extents;
  SmallVector<Index> position;
  /// Of streams that are stored after several steps, by output, what each step
  /// gave, [steps, rows, vectors].
  std::map<unsigned, Values> turned;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_LINALGTOVECTOR_NESTBUILDER_H
