//===- LaneReduction.cpp - Lanes along a reduction ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where what is reduced lies side by side in memory, lanes lie along it, and
// the lanes of a sum are reduced in the end: those of several rows together,
// since halves of two vectors fit into one.
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"

#include "lutra/Conversion/CascadeToLinalg.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// Steps along a row that are no loop.
static constexpr int64_t kMaxUnrolled = 16;

/// What a reduction begins with. For the greatest number of several, that is a
/// number, as TileBody wants it, and not NaN.
static TypedAttr neutralOf(Operation *combiner) {
  if (!isa<arith::MaxNumFOp>(combiner))
    return *arith::getNeutralElement(combiner);
  auto type = cast<FloatType>(combiner->getResult(0).getType());
  return FloatAttr::get(
      type, APFloat::getInf(type.getFloatSemantics(), /*Negative=*/true));
}

/// x combined with y as output `number` is.
Value Nest::combine(unsigned number, Value x, Value y) {
  Operation *combiner = plan.combiners[number];
  Operation *both = b.create(loc, combiner->getName().getIdentifier(), {x, y},
                             x.getType(), combiner->getAttrs());
  freeOrder(both);
  return both->getResult(0);
}

/// Reduces the lanes of `rows` vectors, a power of two and no more than they
/// have lanes: lane i of the result is that of vector i. In each step, the
/// halves of what is left of each row are combined with each other.
Value Nest::reduceLanes(unsigned number, ArrayRef<Value> rows) {
  Values vectors(rows);
  int64_t lanes = cast<VectorType>(rows.front().getType()).getNumElements();
  // Lanes of each row in a vector, and the first of its lower or upper half.
  for (int64_t width = lanes; width > 1; width /= 2) {
    auto half = [&](Value x, Value y, int64_t first) -> Value {
      SmallVector<int64_t> from;
      int64_t all =
          cast<VectorType>(x.getType()).getNumElements() * (x == y ? 1 : 2);
      for (int64_t row = 0; row < all; row += width)
        for (int64_t lane = 0; lane < width / 2; ++lane)
          from.push_back(row + first + lane);
      return vector::ShuffleOp::create(b, loc, x, y, from);
    };
    Values next;
    bool isAlone = vectors.size() == 1;
    for (size_t i = 0; i < vectors.size(); i += 2) {
      Value x = vectors[i], y = vectors[isAlone ? i : i + 1];
      next.push_back(combine(number, half(x, y, 0), half(x, y, width / 2)));
    }
    vectors = std::move(next);
  }
  return vectors.front();
}

/// Reduces lanes of the tile's rows into an output at a column.
void Nest::emitReducedRows(unsigned number, int64_t column,
                           ArrayRef<Value> rows) {
  int64_t lanes = cast<VectorType>(rows.front().getType()).getNumElements(),
          together = std::min<int64_t>(lanes, rows.size());
  if (!llvm::isPowerOf2_64(rows.size()))
    together = 1;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(number));
  auto add = [&](VectorBuilder builder, unsigned loop, int64_t row,
                 Value reduced) {
    SmallVector<Lanes> index = builder.index(map, at(row, 0, column), loop);
    Value initial = builder.load(output(number), index).value;
    builder.store(combine(number, initial, reduced), output(number), index);
  };
  for (int64_t row = 0; row < int64_t(rows.size()); row += together) {
    Value reduced = reduceLanes(number, rows.slice(row, together));
    VectorBuilder builder{b, loc, flat, together, Value(), Value()};
    if (together > 1 &&
        isPlain(cast<MemRefType>(output(number).getType()),
                builder.index(map, at(row, 0, column), *plan.row))) {
      add(builder, *plan.row, row, reduced);
      continue;
    }
    for (int64_t i = 0; i < together; ++i)
      add(builder, plan.loop, row + i,
          vector::ExtractOp::create(b, loc, reduced, i));
  }
}

/// Adds all that lies along the lanes' loop to the sums of a tile. Short rows
/// are no loop: then each load goes on by the same distance from tile to tile,
/// which is what hardware foresees. It does not foresee rows side by side, of
/// which a stream has them one after the other.
Values Nest::emitAlongLanes(int64_t rows, int64_t columns, ValueRange sums) {
  if (rows > 1 && plan.isContraction && op->hasAttr(kStreamAttr)) {
    Index first = position[*plan.row];
    Values next;
    for (int64_t row = 0; row < rows; ++row) {
      position[*plan.row] = first.plus(row);
      int64_t each = columns * plan.vectors;
      llvm::append_range(
          next, emitAlongLanes(1, columns, sums.slice(row * each, each)));
    }
    position[*plan.row] = first;
    return next;
  }
  OpFoldResult extent = extents[plan.loop];
  auto add = [&](const Piece &piece, Index index, ValueRange inner) {
    position[plan.loop] = index;
    if (plan.isContraction && plan.row && !piece.isMasked)
      emitPrefetchAhead(*plan.row, rows, piece.step());
    VectorBuilder masked = builderFor(piece);
    if (plan.groupSize > 1)
      return emitLaneDots(rows, columns, piece, masked, inner);
    Values next = emitStep(rows, columns, piece, plan.vectors, masked, inner);
    if (masked.mask)
      for (auto [value, old] : llvm::zip_equal(next, inner))
        if (value != old)
          value = arith::SelectOp::create(b, loc, masked.mask, value, old);
    return next;
  };
  Piece whole{plan.vectors, plan.lanes, false};
  std::optional<int64_t> known = getConstantIntValue(extent);
  if (known && plan.isContraction && *known % whole.step() == 0 &&
      *known <= kMaxUnrolled * whole.step()) {
    Values next(sums);
    for (int64_t at = 0; at < *known; at += whole.step())
      next = add(whole, Index{Value(), 0, at}, next);
    return next;
  }
  return coverLoop(
      b, loc, extent,
      piecesOfLanes(extent, plan.lanes, plan.vectors, /*keepLanes=*/true), sums,
      add);
}

void Nest::emitLaneReduction(int64_t rows, int64_t columns) {
  Values sums;
  for (Operation *combiner : plan.combiners) {
    if (!combiner)
      continue;
    TypedAttr neutral = neutralOf(combiner);
    auto type =
        VectorType::get({plan.lanes / plan.groupSize}, neutral.getType());
    Value vector = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(type, neutral));
    sums.append(rows * columns * plan.vectors, vector);
  }
  sums = emitReductions(plan.reductions, sums, [&](ValueRange outer) {
    return emitAlongLanes(rows, columns, outer);
  });
  ArrayRef<Value> rest = sums;
  for (unsigned i = 0; i < op.getNumDpsInits(); ++i) {
    if (isStream(i))
      continue;
    for (int64_t column = 0; column < columns; ++column) {
      Values ofRows;
      for (int64_t row = 0; row < rows; ++row) {
        ArrayRef<Value> vectors =
            rest.slice((row * columns + column) * plan.vectors, plan.vectors);
        Value all = vectors.front();
        for (Value vector : vectors.drop_front())
          all = combine(i, all, vector);
        ofRows.push_back(all);
      }
      emitReducedRows(i, column, ofRows);
    }
    rest = rest.drop_front(rows * columns * plan.vectors);
  }
}
