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
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra;

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

Nest::Nest(OpBuilder &b, linalg::GenericOp op, const Plan &plan)
    : b(b), loc(op.getLoc()), op(op), plan(plan), flat(b, loc), body(op, plan),
      extents(loopExtents(b, op)), position(extents.size()) {}

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
  if (plan.reducesLanes())
    return emitRows([&](int64_t rows) { emitLaneReduction(rows); });
  coverLoop(b, loc, extents[plan.loop],
            piecesOfLanes(extents[plan.loop], plan.lanes, plan.vectors,
                          /*keepLanes=*/false),
            {}, [&](const Piece &piece, Index index, ValueRange) {
              position[plan.loop] = index;
              emitRows([&](int64_t rows) { emitTile(rows, piece); });
              return Values();
            });
}

void Nest::emitRows(function_ref<void(int64_t rows)> inside) {
  if (!plan.row)
    return inside(1);
  coverLoop(b, loc, extents[*plan.row],
            piecesOfRows(extents[*plan.row], plan.rows), {},
            [&](const Piece &piece, Index index, ValueRange) {
              position[*plan.row] = index;
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

SmallVector<Index> Nest::at(int64_t row, int64_t lane) const {
  SmallVector<Index> result(position);
  result[plan.loop] = result[plan.loop].plus(lane);
  if (plan.row)
    result[*plan.row] = result[*plan.row].plus(row);
  return result;
}

SmallVector<Lanes> Nest::outputIndex(const VectorBuilder &builder,
                                     unsigned number, int64_t row,
                                     int64_t lane) {
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(number));
  return builder.index(map, at(row, lane), plan.loop);
}

Values Nest::emitReductions(unsigned depth, ValueRange sums,
                            function_ref<Values(ValueRange)> step) {
  if (depth == plan.reductions.size())
    return step(sums);
  unsigned loop = plan.reductions[depth];
  return buildLoop(b, loc, b.getIndexAttr(0), extents[loop], 1, 0, sums,
                   [&](Index index, ValueRange inner) {
                     position[loop] = index;
                     return emitReductions(depth + 1, inner, step);
                   });
}

/// Clones the body for all vectors of a tile. `sums` holds, per output that is
/// not stored on the way, and row, `stride` vectors, of which the first
/// piece.vectors are updated.
Values Nest::emitStep(int64_t rows, const Piece &piece, int64_t stride,
                      const VectorBuilder &builder, ValueRange sums) {
  unsigned outputs = op.getNumDpsInits();
  Values next(sums);
  body.restart();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t vector = 0; vector < piece.vectors; ++vector) {
      int64_t count = 0;
      SmallVector<int64_t> slots;
      SmallVector<Lanes> current;
      for (unsigned i = 0; i < outputs; ++i) {
        slots.push_back((count * rows + row) * stride + vector);
        current.push_back({isStream(i) ? Value() : sums[slots[i]]});
        count += !isStream(i);
      }
      if (count < outputs)
        emitPrefetchOfNextTile(row, vector * piece.lanes);
      auto yielded = body.clone(builder, row, vector,
                                at(row, vector * piece.lanes), current);
      for (unsigned i = 0; i < outputs; ++i) {
        Value value = builder.materialize(yielded[i]);
        if (isStream(i))
          builder.store(value, output(i),
                        outputIndex(builder, i, row, vector * piece.lanes));
        else
          next[slots[i]] = value;
      }
    }
  return next;
}

void Nest::emitTile(int64_t rows, const Piece &piece) {
  VectorBuilder builder = builderFor(piece);
  auto visit = [&](function_ref<void(unsigned, SmallVector<Lanes>)> each) {
    for (unsigned i = 0; i < op.getNumDpsInits(); ++i)
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t vector = 0; vector < piece.vectors; ++vector)
          each(i, outputIndex(builder, i, row, vector * piece.lanes));
  };
  bool reduces = op.getNumReductionLoops() != 0;
  if (plan.group && !reduces)
    return emitGroups(rows, piece, builder);
  Values sums;
  visit([&](unsigned i, SmallVector<Lanes> index) {
    bool isRead = reduces || !op.getRegionOutputArgs()[i].use_empty();
    sums.push_back(isRead ? builder.materialize(builder.load(output(i), index))
                          : Value());
  });
  sums = emitReductions(0, sums, [&](ValueRange inner) {
    emitPrefetch(rows, piece);
    if (plan.group)
      return emitDots(rows, piece, builder, inner);
    return emitStep(rows, piece, piece.vectors, builder, inner);
  });
  unsigned next = 0;
  visit([&](unsigned i, SmallVector<Lanes> index) {
    builder.store(sums[next++], output(i), index);
  });
}

static vector::CombiningKind kindOf(Operation *combiner) {
  using vector::CombiningKind;
  return llvm::TypeSwitch<Operation *, CombiningKind>(combiner)
      .Case<arith::AddFOp, arith::AddIOp>(
          [](auto) { return CombiningKind::ADD; })
      .Case<arith::MulFOp, arith::MulIOp>(
          [](auto) { return CombiningKind::MUL; })
      .Case([](arith::MaximumFOp) { return CombiningKind::MAXIMUMF; })
      .Case([](arith::MinimumFOp) { return CombiningKind::MINIMUMF; })
      .Case([](arith::MaxNumFOp) { return CombiningKind::MAXNUMF; })
      .Case([](arith::MinNumFOp) { return CombiningKind::MINNUMF; })
      .Case([](arith::MaxSIOp) { return CombiningKind::MAXSI; })
      .Case([](arith::MinSIOp) { return CombiningKind::MINSI; })
      .Case([](arith::MaxUIOp) { return CombiningKind::MAXUI; })
      .Case([](arith::MinUIOp) { return CombiningKind::MINUI; })
      .Case([](arith::AndIOp) { return CombiningKind::AND; })
      .Case([](arith::OrIOp) { return CombiningKind::OR; })
      .Case([](arith::XOrIOp) { return CombiningKind::XOR; });
}

Value Nest::reduceLanes(unsigned number, ArrayRef<Value> vectors,
                        Value initial) {
  Operation *combiner = plan.combiners[number];
  auto combine = [&](Value x, Value y) {
    Operation *both = b.create(loc, combiner->getName().getIdentifier(), {x, y},
                               x.getType(), combiner->getAttrs());
    freeOrder(both);
    return both->getResult(0);
  };
  Value all = vectors.front();
  for (Value vector : vectors.drop_front())
    all = combine(all, vector);
  // Without these flags the lanes would be taken one after the other.
  auto order = isa<FloatType>(initial.getType())
                   ? arith::FastMathFlags::reassoc | arith::FastMathFlags::nsz
                   : arith::FastMathFlags::none;
  Value one = vector::ReductionOp::create(b, loc, kindOf(combiner), all, order);
  return combine(initial, one);
}

void Nest::emitLaneReduction(int64_t rows) {
  Piece full{plan.vectors, plan.lanes, false};
  VectorBuilder builder = builderFor(full);
  Values sums;
  for (Operation *combiner : plan.combiners) {
    if (!combiner)
      continue;
    TypedAttr neutral = *arith::getNeutralElement(combiner);
    Value vector = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(builder.vectorOf(neutral.getType()), neutral));
    sums.append(rows * plan.vectors, vector);
  }
  OpFoldResult extent = extents[plan.loop];
  auto pieces =
      piecesOfLanes(extent, plan.lanes, plan.vectors, /*keepLanes=*/true);
  sums = emitReductions(0, sums, [&](ValueRange outer) {
    return coverLoop(b, loc, extent, pieces, outer,
                     [&](const Piece &piece, Index index, ValueRange inner) {
                       position[plan.loop] = index;
                       VectorBuilder masked = builderFor(piece);
                       Values next =
                           emitStep(rows, piece, plan.vectors, masked, inner);
                       if (masked.mask)
                         for (auto [value, old] : llvm::zip_equal(next, inner))
                           if (value != old)
                             value = arith::SelectOp::create(
                                 b, loc, masked.mask, value, old);
                       return next;
                     });
  });
  ArrayRef<Value> rest = sums;
  for (unsigned i = 0; i < op.getNumDpsInits(); ++i)
    for (int64_t row = 0; !isStream(i) && row < rows; ++row) {
      SmallVector<Lanes> index = outputIndex(builder, i, row, 0);
      Value initial = builder.load(output(i), index).value;
      Value result = reduceLanes(i, rest.take_front(plan.vectors), initial);
      builder.store(result, output(i), index);
      rest = rest.drop_front(plan.vectors);
    }
}

void lutra::emitNest(OpBuilder &b, linalg::GenericOp op, const Plan &plan) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op);
  Nest(b, op, plan).emitOuter();
}
