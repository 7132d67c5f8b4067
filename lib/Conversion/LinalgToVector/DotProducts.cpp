//===- DotProducts.cpp - Lanes that hold groups of elements --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An instruction that multiplies groups of narrow numbers and adds them to one
// wide sum wants each group in one lane: it is read so, broadcast or side by
// side with others, and a copy that prepares it is written so.
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"

#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;
using namespace mlir::lutra;

/// Adds the products of groups to all sums of a tile, each by one instruction.
Values Nest::emitDots(int64_t rows, const Piece &piece,
                      const VectorBuilder &builder, ValueRange sums) {
  auto contraction = *matchContraction(op);
  auto indices = [&](OpOperand *operand, int64_t row, int64_t vector) {
    return builder.index(op.getMatchingIndexingMap(operand),
                         at(row, vector * piece.lanes), plan.loop);
  };
  Values columns, next;
  for (int64_t vector = 0; vector < piece.vectors; ++vector)
    columns.push_back(builder.loadGroups(contraction.b->get(),
                                         indices(contraction.b, 0, vector),
                                         plan.groupSize));
  for (int64_t row = 0; row < rows; ++row) {
    Value factor = builder.broadcastGroup(
        contraction.a->get(), indices(contraction.a, row, 0), plan.groupSize);
    for (Value column : columns)
      next.push_back(x86vector::DotBF16Op::create(b, loc, sums[next.size()],
                                                  factor, column));
  }
  return next;
}

/// Computes the elements of each group one after the other, and stores them
/// interleaved.
void Nest::emitGroups(int64_t rows, const Piece &piece,
                      const VectorBuilder &builder) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t vector = 0; vector < piece.vectors; ++vector) {
      Values elements;
      for (int64_t i = 0; i < plan.groupSize; ++i) {
        body.restart();
        SmallVector<Index> loops = at(row, vector * piece.lanes);
        loops[*plan.group] = Index{Value(), 0, i};
        elements.push_back(builder.materialize(
            body.clone(builder, row, vector, loops, {Lanes()}).front()));
      }
      builder.storeGroups(
          vector::InterleaveOp::create(b, loc, elements[0], elements[1]),
          output(0), outputIndex(builder, 0, row, vector * piece.lanes),
          plan.groupSize);
    }
}
