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
#include "IndexBuilder.h"
#include "MatrixDot.h"
#include "Numbers.h"
#include "Sums.h"

namespace mlir::lutra {

/// Emits register tiles of a product on buffers that has a layout: some rows of
/// x by the columns of one tile of codes. Sums of a group are in registers, and
/// so are the rows' results until the last group is done.
class MicroKernel : IndexBuilder {
public:
  MicroKernel(OpBuilder &b, mpgemm::MatmulOp op, TargetAttr target,
              Value table);

  /// The most rows of x that a tile takes without spilling.
  int64_t maxRows() const;
  /// Computes `rows` rows from `row` on of tile `tile` of columns.
  void emit(Value row, int64_t rows, Value tile);

private:
  using Values = SmallVector<Value>;

  /// Registers of sums, [rows, parts, dot->sums()].
  int64_t numSums() const { return rows * parts * dot->sums(); }
  /// Results, [rows, vectors].
  int64_t numResults() const { return rows * vectors; }
  int64_t freeRegisters() const;
  /// Quads, and rows of x, that are multiplied by matrices: two, or else one.
  int64_t matrixSize() const { return matrixDot && rows % 2 == 0 ? 2 : 1; }
  /// Whether sums start with zero points, or these are added last: where there
  /// is no register for each of columns, or 16 bits do not hold them.
  bool startsWithZeros() const {
    return dot->sums() == 1 && !dot->sumType().isInteger(16);
  }
  bool keepsFields() const;
  bool nestsFields();
  bool prefetches() const;
  int64_t chains() const;
  int64_t chunksOfBlock() const;
  /// Whether sums become results once.
  bool isSingleFlush() const {
    return groups == 1 && chunksOfBlock() * unit.quads >= quads;
  }

  Values emitGroups();
  Values emitGroup(Value group, ValueRange results);
  Values emitBlock(Value group, Value first, int64_t chunks,
                   ValueRange results);
  Values emitChunks(Value group, Value first, int64_t chunks, Values sums);
  void emitQuads(Value chunk, int64_t first, int64_t count, Value group,
                 Value chunkOfGroup, MutableArrayRef<Value> sums);
  void multiplyRows(ArrayRef<Value> operands, unsigned step,
                    function_ref<SmallVector<Value>(int64_t)> place,
                    MutableArrayRef<Value> sums);
  void decodeQuad(CodesOfChunk &codes, int64_t quad);
  Value operandOf(CodesOfChunk &codes, int64_t quad, int64_t part,
                  unsigned step);
  SmallVector<Value> placeOf(int64_t row, Value group, Value chunkOfGroup,
                             int64_t quad);
  Values loopOver(int64_t count, int64_t step, Values carried,
                  function_ref<Values(Value, Values)> body);
  Values startSums(int64_t adds);
  Value joinChains(ArrayRef<Value> sums, int64_t at);
  void splitFields(MutableArrayRef<Value> sums);
  Values sumsOfRow(ArrayRef<Value> sums, int64_t row);
  void flush(ArrayRef<Value> sums, MutableArrayRef<Value> results);

  mpgemm::MatmulOp op;
  TargetAttr target;
  CodePlanes planes;
  /// What is decoded together, a chunk from here on.
  CodeUnit unit;
  /// Lanes of 32 bits of a register; registers of a vector of codes, and of the
  /// results of a row.
  int64_t lanes, parts, vectors, registers;
  /// Groups of codes of a row, and quads of numbers of a group.
  int64_t groups, quads;
  /// Whether x is tables.
  bool looksUp;
  /// Quads of a key, 1 where codes are multiplied.
  int64_t quadsAtOnce;
  std::unique_ptr<Dot> dot;
  /// For even numbers of rows.
  std::optional<MatrixDot> matrixDot;
  /// Where codes are not multiplied as they are.
  std::optional<NumberDecoder> decoder;
  GroupSums groupSums;

  /// What is being emitted.
  Value tile;
  SmallVector<Value> rowIndex;
  int64_t rows = 0;
  /// What the decoder knows of the codes before, [parts, ..], and what it makes
  /// of a quad, [parts].
  Values history, decoded;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_MICROKERNEL_H
