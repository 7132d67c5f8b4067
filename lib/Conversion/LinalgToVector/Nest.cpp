//===- Nest.cpp - Loops around a register tile ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builds the loops of a plan around the vectors of a tile. The sums of a tile
// are values that the reduction loops carry, so that they stay in registers
// from the first load to the last store.
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;
using namespace mlir::lutra;

/// Steps that an iteration of a tile's innermost loop takes at most, and
/// products of vectors that it makes.
static constexpr int64_t kMaxSteps = 8, kMaxProducts = 192;

/// The number of iterations of each loop, static where any operand says so.
static SmallVector<OpFoldResult> loopExtents(OpBuilder &b,
                                             linalg::GenericOp op) {
  SmallVector<int64_t> known = staticExtents(op);
  SmallVector<OpFoldResult> extents;
  for (int64_t extent : known)
    extents.push_back(b.getIndexAttr(extent));
  for (OpOperand &operand : op->getOpOperands())
    for (auto [dim, expr] :
         llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults())) {
      auto loop = dyn_cast<AffineDimExpr>(expr);
      if (!loop || !ShapedType::isDynamic(known[loop.getPosition()]))
        continue;
      known[loop.getPosition()] = 0;
      extents[loop.getPosition()] =
          memref::getMixedSize(b, op.getLoc(), operand.get(), dim);
    }
  return extents;
}

Nest::Nest(OpBuilder &b, linalg::GenericOp op, const Plan &plan,
           ArrayRef<Value> initial)
    : b(b), loc(op.getLoc()), op(op), plan(plan), flat(b, loc), body(op, plan),
      initial(initial), extents(loopExtents(b, op)), position(extents.size()) {}

void Nest::emitOuter(unsigned depth) {
  if (depth < plan.outer.size()) {
    unsigned loop = plan.outer[depth];
    buildLoop(b, loc, b.getIndexAttr(0), extents[loop], 1, 0, {},
              [&](Index index, ValueRange) {
                position[loop] = index;
                emitOuter(depth + 1);
                return Values();
              });
    return;
  }
  if (!plan.transposed.empty())
    return emitTransposes();
  if (plan.hasMatrixTiles)
    return emitMatrixTiles();
  // Rows are innermost, since they are what a stream has many of.
  if (plan.reducesLanes())
    return emitRows(plan.column, plan.columns, [&](int64_t columns) {
      emitRows(plan.row, plan.rows,
               [&](int64_t rows) { emitLaneReduction(rows, columns); });
    });
  // Of few lanes there are no dot products.
  bool keepLanes = plan.isContraction && plan.groupSize > 1;
  coverLoop(
      b, loc, extents[plan.loop],
      piecesOfLanes(extents[plan.loop], plan.lanes, plan.vectors, keepLanes),
      {}, [&](const Piece &piece, Index index, ValueRange) {
        position[plan.loop] = index;
        emitRows(plan.row, plan.rows,
                 [&](int64_t rows) { emitTile(rows, piece); });
        return Values();
      });
}

void Nest::emitRows(std::optional<unsigned> loop, int64_t rows,
                    function_ref<void(int64_t rows)> inside) {
  if (!loop)
    return inside(1);
  coverLoop(b, loc, extents[*loop], piecesOfRows(extents[*loop], rows), {},
            [&](const Piece &piece, Index index, ValueRange) {
              position[*loop] = index;
              inside(piece.vectors);
              return Values();
            });
}

VectorBuilder Nest::builderFor(const Piece &piece) {
  Value mask, count;
  if (piece.isMasked) {
    OpFoldResult rest = subtract(b, loc, extents[plan.loop],
                                 position[plan.loop].materialize(b, loc));
    count = getValueOrCreateConstantIndexOp(b, loc, rest);
    mask = vector::CreateMaskOp::create(
        b, loc, VectorType::get({piece.lanes}, b.getI1Type()), count);
  }
  return {b, loc, flat, piece.lanes, mask, count};
}

SmallVector<Index> Nest::at(int64_t row, int64_t lane, int64_t column) const {
  SmallVector<Index> result(position);
  result[plan.loop] = result[plan.loop].plus(lane);
  if (plan.row)
    result[*plan.row] = result[*plan.row].plus(row);
  if (plan.column)
    result[*plan.column] = result[*plan.column].plus(column);
  return result;
}

SmallVector<Lanes> Nest::outputIndex(const VectorBuilder &builder,
                                     unsigned number, int64_t row,
                                     int64_t lane) {
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(number));
  return builder.index(map, at(row, lane), plan.loop);
}

Values Nest::emitReductions(ArrayRef<unsigned> loops, ValueRange sums,
                            function_ref<Values(ValueRange)> step) {
  if (loops.empty())
    return step(sums);
  return buildLoop(b, loc, b.getIndexAttr(0), extents[loops.front()], 1, 0,
                   sums, [&](Index index, ValueRange inner) {
                     position[loops.front()] = index;
                     return emitReductions(loops.drop_front(), inner, step);
                   });
}

/// The reductions of a tile. Of a product, the innermost takes several steps at
/// once, so that counting them takes no time, and between these fetches what is
/// read later.
Values Nest::emitSteps(int64_t rows, const Piece &piece, ValueRange sums,
                       function_ref<Values(ValueRange)> step) {
  ArrayRef<unsigned> loops = plan.reductions;
  int64_t products = rows * piece.vectors, steps = 1;
  std::optional<int64_t> extent;
  if (!loops.empty() && plan.isContraction)
    extent = getConstantIntValue(extents[loops.back()]);
  while (extent && *extent % (2 * steps) == 0 && steps < kMaxSteps &&
         2 * steps * products <= kMaxProducts)
    steps *= 2;
  std::optional<PanelShare> share = shareOfNextPanel(rows, steps);
  if (steps == 1 && !share)
    return emitReductions(loops, sums, step);
  return emitReductions(loops.drop_back(), sums, [&](ValueRange outer) {
    return buildLoop(b, loc, b.getIndexAttr(0), extents[loops.back()], steps, 0,
                     outer, [&](Index index, ValueRange inner) {
                       Index &position = this->position[loops.back()];
                       position = index;
                       if (share)
                         fetch(*share);
                       Values next(inner);
                       for (int64_t i = 0; i < steps; ++i) {
                         position = index.plus(i);
                         next = step(next);
                       }
                       return next;
                     });
  });
}

/// Clones the body for all vectors of a tile. `sums` holds, per output that is
/// not stored on the way, row and column, `stride` vectors, of which the first
/// piece.vectors are updated.
Values Nest::emitStep(int64_t rows, int64_t columns, const Piece &piece,
                      int64_t stride, const VectorBuilder &builder,
                      ValueRange sums) {
  unsigned outputs = op.getNumDpsInits();
  Values next(sums);
  body.restart();
  auto step = [&](Place place) {
    int64_t count = 0, lane = place.vector * piece.lanes;
    SmallVector<int64_t> slots;
    SmallVector<Lanes> current;
    for (unsigned i = 0; i < outputs; ++i) {
      slots.push_back(((count * rows + place.row) * columns + place.column) *
                          stride +
                      place.vector);
      current.push_back({isStream(i) ? Value() : sums[slots[i]]});
      count += !isStream(i);
    }
    if (count < outputs)
      emitPrefetchOfNextTile(place.row, lane);
    auto yielded =
        body.clone(builder, place, at(place.row, lane, place.column), current);
    for (unsigned i = 0; i < outputs; ++i) {
      Value value = builder.materialize(yielded[i]);
      if (!isStream(i))
        next[slots[i]] = value;
      else if (auto later = turned.find(i); later != turned.end())
        later->second.push_back(value);
      else
        builder.store(value, output(i),
                      outputIndex(builder, i, place.row, lane));
    }
  };
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      for (int64_t vector = 0; vector < piece.vectors; ++vector)
        step({row, column, vector});
  return next;
}

void Nest::emitTile(int64_t rows, const Piece &piece) {
  VectorBuilder builder = builderFor(piece);
  auto visit = [&](function_ref<void(unsigned, SmallVector<Lanes>)> each) {
    for (unsigned i = 0; i < op.getNumDpsInits(); ++i)
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t vector = 0; vector < piece.vectors && !isStream(i);
             ++vector)
          each(i, outputIndex(builder, i, row, vector * piece.lanes));
  };
  bool reduces = op.getNumReductionLoops() != 0;
  if (plan.group && !reduces) {
    emitPrefetchOfGroups(piece);
    emitGroups(rows, piece, builder, {});
    return;
  }
  Values sums;
  visit([&](unsigned i, SmallVector<Lanes> index) {
    bool isRead = reduces || !op.getRegionOutputArgs()[i].use_empty();
    sums.push_back(initial[i] ? builder.materialize({initial[i]})
                   : isRead
                       ? builder.materialize(builder.load(output(i), index))
                       : Value());
  });
  auto step = [&](ValueRange inner) {
    emitPrefetch(rows, piece);
    if (plan.group)
      return plan.isContraction ? emitDots(rows, piece, builder, inner)
                                : emitGroups(rows, piece, builder, inner);
    return emitStep(rows, 1, piece, piece.vectors, builder, inner);
  };
  bool turns =
      llvm::any_of(llvm::seq(op.getNumDpsInits()),
                   [&](unsigned output) { return isTurned(output, piece); });
  if (plan.groupSize > 1 && !plan.group)
    sums = emitGroupedReductions(rows, piece, builder, sums, step);
  else if (turns)
    sums = emitTurnedSteps(rows, piece, sums, step);
  else
    sums = emitSteps(rows, piece, sums, step);
  unsigned next = 0;
  visit([&](unsigned i, SmallVector<Lanes> index) {
    builder.store(sums[next++], output(i), index);
  });
}

void lutra::emitNest(OpBuilder &b, linalg::GenericOp op, const Plan &plan,
                     ArrayRef<Value> initial) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op);
  Nest(b, op, plan, initial).emitOuter();
}
