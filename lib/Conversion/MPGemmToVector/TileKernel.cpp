//===- TileKernel.cpp - Matrix tiles of a product with codes --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A decoded quad of 16 columns is a row of the tile that AMX multiplies by, and
// 16 rows of x are the other as they lie. So codes are decoded into a panel,
// which stays in the first-level cache while a block of rows passes by: for
// each two tiles of rows, the sums of a group are in registers, and are added,
// scaled, to the results from where the machine stores them. Of groups longer
// than a panel sums are in memory too. The last tiles of rows are computed from
// the last 16 rows on, whether others have computed these or not: each has
// results of its own, so that nothing is masked.
//
// Vectors cannot read tiles. At 32 codes of a group, to store sums and scale
// them takes twice as long as to multiply.
//
//===----------------------------------------------------------------------===//

#include "TileKernel.h"

#include "../Frame.h"
#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

/// Rows of x of a matrix tile.
static constexpr int64_t kTileRows = 16;
/// Rows that share a panel, so that decoding is a small part of the work, and
/// that are multiplied together.
static constexpr int64_t kBlockRows = 128;
static constexpr int64_t kLanes = TilePanel::kLanes;

bool TileKernel::supports(mpgemm::MatmulOp op, TargetAttr target) {
  ArrayRef<int64_t> x = op.getXType().getShape();
  int64_t columns = op.getLayoutAttr().getRows(), quads = x[2] / 4,
          ofUnit = unitOf(op).quads;
  return hasByteTiles(target) && op.isInteger() && !op.hasTables() &&
         (columns == kLanes || columns % (2 * kLanes) == 0) &&
         wordsOfTile(quads) >= kLeastWordsOfTile && quads % ofUnit == 0 &&
         std::lcm(wordsOfTile(quads), ofUnit) <= TilePanel::kQuads;
}

TileKernel::TileKernel(OpBuilder &b, mpgemm::MatmulOp op)
    : IndexBuilder(b, op.getLoc()), op(op), groups(op.getCodeGroups()),
      quads(op.getXType().getDimSize(2) / 4), tileQuads(wordsOfTile(quads)),
      panel(b, op), parts(panel.parts()), groupSums(b, op, kLanes, parts) {
  auto allocate = [&](ArrayRef<int64_t> shape, Type element) {
    return allocateOnFrame(b, op, MemRefType::get(shape, element));
  };
  int64_t columns = parts * kLanes;
  sums = allocate({hasLongGroups() ? kBlockRows : 2 * kTileRows, columns},
                  b.getI32Type());
  if (!op.isUnscaled())
    results = allocate({kBlockRows, columns}, b.getF32Type());
  auto x = memref::ExtractStridedMetadataOp::create(b, loc, op.getX());
  stride = x.getStrides()[0];
}

bool TileKernel::hasLongGroups() {
  return op.isUnscaled() || quads > TilePanel::kQuads;
}

//===----------------------------------------------------------------------===//
// Values and loops
//===----------------------------------------------------------------------===//

/// Calls `body` with a slot and the first rows of the tiles from there on, for
/// all slots of the block: two tiles of rows, and one where one is left.
void TileKernel::forTiles(function_ref<void(Value, ArrayRef<Value>)> body) {
  auto emitTiles = [&](Value begin, Value end, int64_t count) {
    loop(begin, end, count * kTileRows, [&](Value slot) {
      Values rows;
      for (int64_t i = 0; i < count; ++i)
        rows.push_back(arith::MinUIOp::create(
            b, loc, plus(add(first, slot), i * kTileRows), last));
      body(slot, rows);
    });
  };
  constexpr int64_t kPair = 2 * kTileRows;
  Value pairs = times(arith::DivUIOp::create(b, loc, plus(slots, kTileRows - 1),
                                             constant(kPair)),
                      kPair);
  emitTiles(constant(0), pairs, 2);
  emitTiles(pairs, slots, 1);
}

/// Calls `body` with the slot and the number of each row of the tiles that
/// begin at `slot` and at `rows`.
void TileKernel::forRows(Value slot, ArrayRef<Value> rows,
                         function_ref<void(Value, Value)> body) {
  for (size_t i = 0; i < rows.size(); ++i)
    for (int64_t at = 0; at < kTileRows; ++at)
      body(plus(slot, i * kTileRows + at), plus(rows[i], at));
}

/// Vectors of a row of `buffer`.
TileKernel::Values TileKernel::load(Value buffer, Value slot) {
  auto type = VectorType::get(
      {kLanes}, cast<MemRefType>(buffer.getType()).getElementType());
  Values row;
  for (int64_t part = 0; part < parts; ++part)
    row.push_back(vector::LoadOp::create(
        b, loc, type, buffer, ValueRange{slot, constant(part * kLanes)}));
  return row;
}

void TileKernel::store(ArrayRef<Value> row, Value buffer, Value slot) {
  for (auto [part, vector] : llvm::enumerate(row))
    vector::StoreOp::create(b, loc, vector, buffer,
                            ValueRange{slot, constant(part * kLanes)});
}

void TileKernel::clear(Value buffer) {
  auto type = VectorType::get(
      {kLanes}, cast<MemRefType>(buffer.getType()).getElementType());
  Values none(parts, arith::ConstantOp::create(b, loc, b.getZeroAttr(type)));
  loop(constant(0), constant(kBlockRows), 1,
       [&](Value slot) { store(none, buffer, slot); });
}

//===----------------------------------------------------------------------===//
// Matrix tiles
//===----------------------------------------------------------------------===//

static amx::TileType sumsType(OpBuilder &b) {
  return amx::TileType::get({kTileRows, kLanes}, b.getI32Type());
}

/// The tiles of sums of some tiles of rows, [rows, parts], with what `steps`
/// tiles of codes of a group add, which are in the panel from `quad` on.
TileKernel::Values TileKernel::multiply(Value group, Value firstStep,
                                        Value steps, Value quad,
                                        ArrayRef<Value> rows, Values tiles) {
  auto type = amx::TileType::get({kTileRows, 4 * tileQuads}, b.getI8Type());
  group = groupOfX(b, op, group);
  auto multiplyStep = [&](Value step, Values tiles) {
    Value number = times(add(firstStep, step), 4 * tileQuads),
          place = add(quad, times(step, tileQuads));
    Values x;
    for (Value row : rows)
      x.push_back(amx::TileLoadOp::create(
          b, loc, type, op.getX(), ValueRange{row, group, number}, stride));
    for (int64_t part = 0; part < parts; ++part) {
      Value codes = panel.load(part, place);
      for (auto [i, factor] : llvm::enumerate(x)) {
        Value &sum = tiles[i * parts + part];
        sum = amx::TileMulIOp::create(b, loc, sum.getType(), factor, codes, sum,
                                      /*isZextLhs=*/false,
                                      /*isZextRhs=*/!panel.hasNumbers());
      }
    }
    return tiles;
  };
  auto loop = scf::ForOp::create(
      b, loc, constant(0), steps, constant(1), tiles,
      [&](OpBuilder &, Location, Value step, ValueRange carried) {
        scf::YieldOp::create(b, loc, multiplyStep(step, Values(carried)));
      });
  return Values(loop.getResults());
}

TileKernel::Values TileKernel::noTiles(int64_t count) {
  Values tiles;
  for (int64_t i = 0; i < count * parts; ++i)
    tiles.push_back(amx::TileZeroOp::create(b, loc, sumsType(b)));
  return tiles;
}

/// The tiles of sums of `count` tiles of rows from `slot` on.
TileKernel::Values TileKernel::loadTiles(Value slot, int64_t count) {
  Values tiles;
  for (int64_t i = 0; i < count * parts; ++i)
    tiles.push_back(amx::TileLoadOp::create(b, loc, sumsType(b), sums,
                                            placeOfTile(slot, i)));
  return tiles;
}

void TileKernel::storeTiles(ArrayRef<Value> tiles, Value slot) {
  for (auto [i, sum] : llvm::enumerate(tiles))
    amx::TileStoreOp::create(b, loc, sums, placeOfTile(slot, i), sum);
}

/// Of tile `i` from `slot` of the sums on.
TileKernel::Values TileKernel::placeOfTile(Value slot, int64_t i) {
  return {plus(slot, i / parts * kTileRows), constant(i % parts * kLanes)};
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

/// Sums of a row without its zero point.
TileKernel::Values TileKernel::loadSums(Value row, Value slot) {
  Values loaded = load(sums, slot);
  if (!panel.hasNumbers())
    for (auto [part, start] : llvm::enumerate(groupSums.start(row)))
      loaded[part] = arith::AddIOp::create(b, loc, loaded[part], start);
  return loaded;
}

/// Adds the sums of tiles of rows, from `slot` of the sums on, to the results.
void TileKernel::flush(Value group, ArrayRef<Value> rows, Value slot,
                       Value resultSlot) {
  groupSums.enter(tile, group);
  groupSums.loadScales();
  Value ahead = arith::SubIOp::create(b, loc, resultSlot, slot);
  forRows(slot, rows, [&](Value slot, Value row) {
    Value place = add(slot, ahead);
    Values added = load(results, place);
    groupSums.add(row, loadSums(row, slot), added);
    store(added, results, place);
  });
}

/// Panels of several groups: sums of a group do not leave the registers.
void TileKernel::emitShortGroups() {
  int64_t perPanel = TilePanel::kQuads / quads;
  clear(results);
  loop(constant(0), constant(groups), perPanel, [&](Value firstGroup) {
    Value count = upTo(perPanel, firstGroup, constant(groups));
    panel.fill(tile, times(firstGroup, quads), times(count, quads));
    forTiles([&](Value slot, ArrayRef<Value> rows) {
      loop(constant(0), count, 1, [&](Value at) {
        Value group = add(firstGroup, at), none = constant(0);
        storeTiles(multiply(group, none, constant(quads / tileQuads),
                            times(at, quads), rows, noTiles(rows.size())),
                   none);
        flush(group, rows, none, slot);
      });
    });
  });
}

/// Groups of several panels: sums of all rows are in memory.
void TileKernel::emitLongGroups() {
  // Whole chunks; half a panel leaves room for sums in the cache.
  int64_t perChunk = unitOf(op).quads,
          unit = perChunk / std::gcd(perChunk, tileQuads),
          half = TilePanel::kQuads / 2 / tileQuads,
          perPanel = std::max(unit, half - half % unit);
  if (results)
    clear(results);
  loop(constant(0), constant(groups), 1, [&](Value group) {
    clear(sums);
    Value steps = constant(quads / tileQuads);
    loop(constant(0), steps, perPanel, [&](Value firstStep) {
      Value count = upTo(perPanel, firstStep, steps),
            quad = add(times(group, quads), times(firstStep, tileQuads));
      panel.fill(tile, quad, times(count, tileQuads));
      forTiles([&](Value slot, ArrayRef<Value> rows) {
        storeTiles(multiply(group, firstStep, count, constant(0), rows,
                            loadTiles(slot, rows.size())),
                   slot);
      });
    });
    if (results)
      forTiles([&](Value slot, ArrayRef<Value> rows) {
        flush(group, rows, slot, slot);
      });
  });
}

//===----------------------------------------------------------------------===//
// All rows
//===----------------------------------------------------------------------===//

void TileKernel::emitRows(Value count, Value column) {
  tile = column;
  last = arith::SubIOp::create(b, loc, count, constant(kTileRows));
  for (int64_t part = 0; part < panel.allParts(); part += parts)
    emitParts(count, part);
}

/// Computes the columns of the matrix tiles that a panel has from `part` on.
void TileKernel::emitParts(Value count, int64_t part) {
  panel.goTo(part);
  groupSums.goTo(part);
  ResultColumns columns(b, op, kLanes, parts, tile, part);
  loop(constant(0), count, kBlockRows, [&](Value block) {
    first = block;
    slots = upTo(kBlockRows, first, count);
    hasLongGroups() ? emitLongGroups() : emitShortGroups();
    if (!results)
      groupSums.enter(tile, constant(0));
    forTiles([&](Value slot, ArrayRef<Value> rows) {
      forRows(slot, rows, [&](Value slot, Value row) {
        columns.store(row, results ? load(results, slot) : loadSums(row, slot));
      });
    });
  });
}

/// Rows that are worth a tile that is not full: short groups are added to the
/// results so often that empty rows cost most.
int64_t TileKernel::leastRows() const {
  return std::clamp<int64_t>(96 / quads, 4, 12);
}

int64_t TileKernel::emit(int64_t count, Value column) {
  int64_t rest = count % kTileRows;
  if (count < kTileRows || rest < leastRows())
    count -= rest;
  if (count > 0)
    emitRows(constant(count), column);
  return count;
}

Value TileKernel::emit(Value count, Value column) {
  Value size = constant(kTileRows),
        rest = arith::RemUIOp::create(b, loc, count, size),
        whole = arith::SubIOp::create(b, loc, count, rest);
  auto atLeast = [&](Value value, Value bound) -> Value {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, value,
                                 bound);
  };
  Value overlaps = arith::AndIOp::create(b, loc, atLeast(count, size),
                                         atLeast(rest, constant(leastRows())));
  Value done = arith::SelectOp::create(b, loc, overlaps, count, whole);
  emitRows(done, column);
  return done;
}
