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
#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;
using namespace mlir::lutra;

/// Adds the products of pairs of bf16 to the sums of their lanes.
Value Nest::addDots(Value sum, Value x, Value y) {
  if (!isAArch64(targetOf(op)))
    return x86vector::DotBF16Op::create(b, loc, sum, x, y);
  // Registers of four lanes.
  constexpr int64_t kLanes = 4;
  auto slice = [&](Value vector, int64_t first, int64_t size) -> Value {
    return vector::ExtractStridedSliceOp::create(
        b, loc, vector, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{size},
        ArrayRef<int64_t>{1});
  };
  Value result = sum;
  int64_t lanes = cast<VectorType>(sum.getType()).getNumElements();
  for (int64_t at = 0; at < lanes; at += kLanes) {
    Value part = slice(sum, at, kLanes);
    part = LLVM::CallIntrinsicOp::create(
               b, loc, part.getType(),
               b.getStringAttr("llvm.aarch64.neon.bfdot.v4f32.v8bf16"),
               ValueRange{part, slice(x, 2 * at, 2 * kLanes),
                          slice(y, 2 * at, 2 * kLanes)})
               .getResult(0);
    result = vector::InsertStridedSliceOp::create(
        b, loc, part, result, ArrayRef<int64_t>{at}, ArrayRef<int64_t>{1});
  }
  return result;
}

/// Adds the products of groups to all sums of a tile, each by one instruction.
/// Groups that do not lie side by side are put there.
Values Nest::emitDots(int64_t rows, const Piece &piece,
                      const VectorBuilder &builder, ValueRange sums) {
  auto contraction = *matchContraction(op);
  auto indices = [&](OpOperand *operand, int64_t row, int64_t vector) {
    return builder.index(op.getMatchingIndexingMap(operand),
                         at(row, vector * piece.lanes), plan.loop);
  };
  auto loadColumn = [&](int64_t vector) -> Value {
    Value memref = contraction.b->get();
    if (plan.group)
      return builder.loadGroups(memref, indices(contraction.b, 0, vector),
                                plan.groupSize);
    Index &step = position[plan.reductions.back()];
    Index first = step;
    Values elements;
    for (int64_t i = 0; i < plan.groupSize; ++i) {
      step = first.plus(i);
      elements.push_back(
          builder.load(memref, indices(contraction.b, 0, vector)).value);
    }
    step = first;
    return vector::InterleaveOp::create(b, loc, elements[0], elements[1]);
  };
  Values columns, next;
  for (int64_t vector = 0; vector < piece.vectors; ++vector)
    columns.push_back(loadColumn(vector));
  for (int64_t row = 0; row < rows; ++row) {
    Value factor = builder.broadcastGroup(
        contraction.a->get(), indices(contraction.a, row, 0), plan.groupSize);
    for (Value column : columns)
      next.push_back(addDots(sums[next.size()], factor, column));
  }
  return next;
}

/// Reductions of which the innermost goes on by a group in each step, and one
/// by one behind the last.
Values Nest::emitGroupedReductions(int64_t rows, const Piece &piece,
                                   const VectorBuilder &builder,
                                   ValueRange sums,
                                   function_ref<Values(ValueRange)> step) {
  ArrayRef<unsigned> loops = plan.reductions;
  unsigned loop = loops.back();
  return emitReductions(loops.drop_back(), sums, [&](ValueRange outer) {
    return coverLoop(b, loc, extents[loop],
                     piecesOfRows(extents[loop], plan.groupSize), outer,
                     [&](const Piece &part, Index index, ValueRange inner) {
                       Values next(inner);
                       for (int64_t i = 0; i < part.vectors; ++i) {
                         position[loop] = index.plus(i);
                         if (part.vectors < plan.groupSize)
                           next = step(next);
                         else
                           emitPrefetch(rows, piece);
                       }
                       position[loop] = index;
                       return part.vectors < plan.groupSize
                                  ? next
                                  : emitDots(rows, piece, builder, inner);
                     });
  });
}

/// The same for lanes along the reduction, which hold groups of both factors.
/// What lies behind the last group is read as 0.
Values Nest::emitLaneDots(int64_t rows, int64_t columns, const Piece &piece,
                          const VectorBuilder &builder, ValueRange sums) {
  auto contraction = *matchContraction(op);
  Values next(sums);
  auto load = [&](OpOperand *operand, int64_t row, int64_t column,
                  int64_t vector) {
    SmallVector<Index> loops = at(row, vector * piece.lanes, column);
    return builder.materialize(builder.load(
        operand->get(),
        builder.index(op.getMatchingIndexingMap(operand), loops, plan.loop)));
  };
  for (int64_t vector = 0; vector < piece.vectors; ++vector) {
    Values factors;
    for (int64_t column = 0; column < columns; ++column)
      factors.push_back(load(contraction.a, 0, column, vector));
    for (int64_t row = 0; row < rows; ++row) {
      Value other = load(contraction.b, row, 0, vector);
      for (int64_t column = 0; column < columns; ++column) {
        Value &sum = next[(row * columns + column) * plan.vectors + vector];
        sum = addDots(sum, factors[column], other);
      }
    }
  }
  return next;
}

/// Computes the elements of each group one after the other, which are added to
/// the sums, and stores what is stored of them interleaved.
Values Nest::emitGroups(int64_t rows, const Piece &piece,
                        const VectorBuilder &builder, ValueRange sums) {
  unsigned outputs = op.getNumDpsInits();
  bool reduces = op.getNumReductionLoops() != 0;
  auto isStored = [&](unsigned i) { return !reduces || isStream(i); };
  Values next(sums);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t vector = 0; vector < piece.vectors; ++vector) {
      SmallVector<Values> groups(outputs);
      for (int64_t member = 0; member < plan.groupSize; ++member) {
        SmallVector<Index> loops = at(row, vector * piece.lanes);
        loops[*plan.group] = Index{Value(), 0, member};
        SmallVector<Lanes> current(outputs);
        SmallVector<Value *> places(outputs);
        int64_t slot = row * piece.vectors + vector;
        for (unsigned i = 0; i < outputs; ++i)
          if (!isStored(i)) {
            places[i] = &next[slot];
            current[i].value = next[slot];
            slot += rows * piece.vectors;
          }
        body.restart();
        auto yielded = body.clone(builder, {row, 0, vector}, loops, current);
        for (unsigned i = 0; i < outputs; ++i) {
          Value value = builder.materialize(yielded[i]);
          if (isStored(i))
            groups[i].push_back(value);
          else
            *places[i] = value;
        }
      }
      for (unsigned i = 0; i < outputs; ++i)
        if (isStored(i))
          builder.storeGroups(
              vector::InterleaveOp::create(b, loc, groups[i][0], groups[i][1]),
              output(i), outputIndex(builder, i, row, vector * piece.lanes),
              plan.groupSize);
    }
  return next;
}
