//===- Prefetch.cpp - What is read of memory next ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Streams come from far away, and a nest does not read them in an order that
// hardware foresees. They are fetched ahead in the order in which they lie.
//
//===----------------------------------------------------------------------===//

#include "MatrixTileNest.h"

#include "lutra/Conversion/CascadeToLinalg.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra;

/// A line of a cache.
static constexpr int64_t kLineBits = 512;

/// The operand that is streamed, if one is.
static OpOperand *streamOf(linalg::GenericOp op) {
  auto stream = op->getAttrOfType<IntegerAttr>(kStreamAttr);
  return stream ? op.getDpsInputOperand(stream.getInt()) : nullptr;
}

/// Fetches what the next tile of rows reads where this one stands at `row` and
/// `lane`: while so much is computed, memory has nothing else to do. Addresses
/// may lie behind the operands; nothing is read there.
void Nest::emitPrefetchOfNextTile(int64_t row, int64_t lane) {
  SmallVector<unsigned> rows;
  op.getParallelDims(rows);
  if (rows.empty())
    return;
  SmallVector<Index> next = at(row, lane);
  Index &moved = next[rows.back()];
  if (auto extent = getConstantIntValue(extents[rows.back()]))
    moved = moved.plus(*extent);
  else
    moved = {arith::AddIOp::create(b, loc, moved.materialize(b, loc),
                                   cast<Value>(extents[rows.back()])),
             1, 0};
  for (OpOperand *operand : op.getDpsInputOperands()) {
    auto type = dyn_cast<MemRefType>(operand->get().getType());
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!type || !map.isIdentity() ||
        lane * type.getElementTypeBitWidth() % kLineBits)
      continue;
    fetch(operand, next);
  }
}

/// Fetches what a stream is read of next: the rows of the next tile where the
/// reduction lies along its rows, else the next part of the stream. Either is
/// fetched in the order in which it lies in memory, which is not the order in
/// which it is read, a bit at each step. Addresses may lie behind the stream;
/// nothing is read there.
void Nest::emitPrefetch(int64_t rows, const Piece &piece) {
  OpOperand *operand = streamOf(op);
  if (!operand || !plan.isContraction || plan.reductions.size() != 1)
    return;
  AffineMap map = op.getMatchingIndexingMap(operand);
  unsigned reduction = plan.reductions[0];
  bool isAlongRows = map.getResults().back().isFunctionOfDim(reduction);
  // The loop that is the rows of the stream or the columns, and its tile.
  std::optional<unsigned> other = isAlongRows ? plan.row : plan.loop;
  int64_t tile = isAlongRows ? rows : piece.step();
  std::optional<int64_t> depth = getConstantIntValue(extents[reduction]);
  if (!depth || *depth == 0 || !map.isFunctionOfDim(reduction) || !other ||
      !map.isFunctionOfDim(*other))
    return;
  AffineExpr at = b.getAffineDimExpr(*other),
             step = b.getAffineDimExpr(reduction);
  SmallVector<Index> next = position;
  auto set = [&](unsigned loop, AffineExpr expr) {
    next[loop] = evaluate(b, loc, expr, position);
  };
  if (isAlongRows) {
    set(*other, at + 2 * tile + (step * tile).floorDiv(*depth));
    set(reduction, (step * tile) % *depth);
    return fetch(operand, next);
  }
  std::optional<int64_t> columns = getConstantIntValue(extents[*other]);
  if (!columns)
    return;
  // Whole rows, one after the other.
  if (*columns <= tile)
    return emitPrefetchAhead(reduction, 1, *columns);
  auto type = cast<MemRefType>(operand->get().getType());
  int64_t line = kLineBits / type.getElementTypeBitWidth();
  for (int64_t i = 0; i < tile; i += line) {
    AffineExpr all = at * *depth + step * tile + i;
    set(reduction, all.floorDiv(*columns) + *depth);
    set(*other, all % *columns);
    fetch(operand, next);
  }
}

/// How often the nest goes over an operand that is read through `map`; nothing
/// where sizes are unknown.
std::optional<int64_t> Nest::timesRead(AffineMap map) {
  int64_t times = 1;
  for (unsigned loop : llvm::seq(op.getNumLoops())) {
    if (map.isFunctionOfDim(loop))
      continue;
    std::optional<int64_t> extent = getConstantIntValue(extents[loop]);
    if (!extent)
      return std::nullopt;
    times *=
        llvm::divideCeil(*extent, loop == plan.loop  ? plan.lanes * plan.vectors
                                  : loop == plan.row ? plan.rows
                                  : loop == plan.column ? plan.columns
                                                        : 1);
  }
  return times;
}

/// Fetches what is read some rows later of a stream that is gone over row by
/// row, of which `rows` rows and `columns` columns are read at once. It is told
/// of again wherever it is read, which pays for few times.
void Nest::emitPrefetchAhead(unsigned rowLoop, int64_t rows, int64_t columns) {
  OpOperand *operand = streamOf(op);
  if (!operand || plan.fetchAhead == 0)
    return;
  auto type = dyn_cast<MemRefType>(operand->get().getType());
  AffineMap map = op.getMatchingIndexingMap(operand);
  constexpr int64_t kFewTimes = 2;
  if (!type || map.getNumResults() < 2 ||
      timesRead(map).value_or(kFewTimes + 1) > kFewTimes ||
      map.getResults().back() != b.getAffineDimExpr(plan.loop) ||
      map.getResult(map.getNumResults() - 2) != b.getAffineDimExpr(rowLoop))
    return;
  auto [strides, offset] = type.getStridesAndOffset();
  int64_t bits = type.getElementTypeBitWidth(),
          stride = strides[strides.size() - 2];
  if (ShapedType::isDynamic(stride) || stride <= 0 || strides.back() != 1)
    return;
  int64_t ahead = llvm::divideCeil(8 * plan.fetchAhead, stride * bits),
          line = std::max<int64_t>(1, kLineBits / bits);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; column += line) {
      SmallVector<Index> next(position);
      next[plan.loop] = next[plan.loop].plus(column);
      next[rowLoop] = next[rowLoop].plus(row + ahead);
      fetch(operand, next);
    }
}

/// Fetches what is read some rows later of a stream that is copied into groups
/// of rows.
void Nest::emitPrefetchOfGroups(const Piece &piece) {
  OpOperand *operand = streamOf(op);
  if (!operand || plan.fetchAhead == 0)
    return;
  AffineMap map = op.getMatchingIndexingMap(operand);
  const unsigned *loop = llvm::find_if(plan.outer, [&](unsigned each) {
    return map.getNumResults() >= 2 &&
           map.getResult(map.getNumResults() - 2).isFunctionOfDim(each);
  });
  if (loop == plan.outer.end() ||
      strideAlong(op, *operand, plan.loop, plan.lanes) != 1)
    return;
  std::optional<int64_t> stride = strideAlong(op, *operand, *loop, 1);
  if (!stride || *stride <= 0)
    return;
  int64_t bits = getElementTypeOrSelf(operand->get()).getIntOrFloatBitWidth();
  SmallVector<Index> next(position);
  next[*loop] =
      next[*loop].plus(llvm::divideCeil(8 * plan.fetchAhead, *stride * bits));
  for (int64_t member = 0; member < plan.groupSize; ++member) {
    next[*plan.group] = {Value(), 0, member};
    for (int64_t column = 0; column < piece.step();
         column += kLineBits / bits) {
      next[plan.loop] = position[plan.loop].plus(column);
      fetch(operand, next);
    }
  }
}

/// Fetches a share of the rows of a stream that are read some matrix tiles
/// later, of which the tile at hand begins at `first`, with rows `stride`
/// apart: as much as a tile is, in the order in which it lies, which is not
/// that in which tiles read it.
void Nest::emitPrefetchOfTile(OpOperand *operand, Value memref, Value first,
                              Value stride) {
  std::optional<int64_t> steps =
      getConstantIntValue(extents[plan.reductions.back()]);
  if (streamOf(op) != operand || plan.fetchAhead == 0 || !steps)
    return;
  // A row of a tile is a line.
  int64_t tiles = *steps / kTileSize,
          line =
              kLineBits / getElementTypeOrSelf(memref).getIntOrFloatBitWidth();
  if (tiles == 0 || *steps % kTileSize != 0 || kTileSize % tiles != 0)
    return;
  int64_t ahead = llvm::divideCeil(8 * plan.fetchAhead, tiles * kLineBits);
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  auto sum = [&](Value x, Value y) -> Value {
    return b.createOrFold<arith::AddIOp>(loc, x, y);
  };
  auto product = [&](Value x, Value y) -> Value {
    return b.createOrFold<arith::MulIOp>(loc, x, y);
  };
  Value tile = b.createOrFold<arith::DivUIOp>(
      loc, position[plan.reductions.back()].materialize(b, loc),
      constant(kTileSize));
  Value row = sum(product(tile, constant(kTileSize / tiles)),
                  constant(llvm::alignTo(ahead, kTileSize) + kTileSize));
  Value begin = sum(
      b.createOrFold<arith::SubIOp>(loc, first, product(tile, constant(line))),
      product(row, stride));
  for (int64_t i = 0; i < kTileSize; ++i)
    memref::PrefetchOp::create(
        b, loc, memref,
        sum(begin, sum(product(stride, constant(i / tiles)),
                       constant(i % tiles * line))),
        /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
}

/// Fetches the line of an operand's element where the loops stand at `loops`.
void Nest::fetch(OpOperand *operand, ArrayRef<Index> loops) {
  SmallVector<Value> indices;
  for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
    indices.push_back(evaluate(b, loc, expr, loops).materialize(b, loc));
  memref::PrefetchOp::create(b, loc, operand->get(), indices,
                             /*isWrite=*/false, /*localityHint=*/3,
                             /*isDataCache=*/true);
}
