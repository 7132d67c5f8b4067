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
// (On a Xeon of the fourth generation, benchmarks/mpgemm.py --kind prefill:
// what takes longest is storing the sums of tiles, which vectors cannot read.)
//
//===----------------------------------------------------------------------===//

#include "TileKernel.h"

#include "Codes.h"
#include "Frame.h"
#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

/// Lanes of a vector, and columns of a matrix tile.
static constexpr int64_t kLanes = 16;
/// Quads of codes of a panel: two tiles beside each other take 16 KiB.
static constexpr int64_t kPanelQuads = 128;
/// Rows that share a panel, so that decoding is a small part of the work, and
/// that are multiplied together.
static constexpr int64_t kBlockRows = 128, kTilesOfStep = 2;
/// Quads below which most of a matrix tile would be empty.
static constexpr int64_t kLeastQuads = 4;

bool TileKernel::supports(mpgemm::MatmulOp op, TargetAttr target) {
  ArrayRef<int64_t> x = op.getXType().getShape();
  int64_t columns = op.getLayoutAttr().getRows();
  return hasByteTiles(target) && op.isInteger() && !op.hasTables() &&
         (columns == kLanes || columns == 2 * kLanes) &&
         (ShapedType::isDynamic(x[0]) || x[0] >= kTileRows) &&
         quadsOfTile(x[2] / 4) >= kLeastQuads;
}

TileKernel::TileKernel(OpBuilder &b, mpgemm::MatmulOp op)
    : b(b), loc(op.getLoc()), op(op),
      planes{op.getFormat().getBits(), op.getLayoutAttr().getRows()},
      parts(planes.rows / kLanes), groups(op.getXType().getDimSize(1)),
      quads(op.getXType().getDimSize(2) / 4), tileQuads(quadsOfTile(quads)),
      groupSums(b, op, kLanes, parts) {
  auto allocate = [&](ArrayRef<int64_t> shape, Type element) {
    return allocateOnFrame(b, op, MemRefType::get(shape, element));
  };
  panel = allocate({parts, kPanelQuads, 4 * kLanes}, b.getI8Type());
  sums = allocate(
      {hasLongGroups() ? kBlockRows : kTilesOfStep * kTileRows, planes.rows},
      b.getI32Type());
  if (!op.isUnscaled())
    results = allocate({kBlockRows, planes.rows}, b.getF32Type());
  auto x = memref::ExtractStridedMetadataOp::create(b, loc, op.getX());
  stride = x.getStrides()[0];
}

bool TileKernel::hasLongGroups() {
  return op.isUnscaled() || quads > kPanelQuads;
}

//===----------------------------------------------------------------------===//
// Values and loops
//===----------------------------------------------------------------------===//

Value TileKernel::constant(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value TileKernel::add(Value lhs, Value rhs) {
  return arith::AddIOp::create(b, loc, lhs, rhs,
                               arith::IntegerOverflowFlags::nsw);
}

Value TileKernel::plus(Value index, int64_t by) {
  return by == 0 ? index : add(index, constant(by));
}

Value TileKernel::times(Value index, int64_t by) {
  return arith::MulIOp::create(b, loc, index, constant(by),
                               arith::IntegerOverflowFlags::nsw);
}

Value TileKernel::upTo(Value most, Value begin, Value end) {
  return arith::MinUIOp::create(b, loc, most,
                                arith::SubIOp::create(b, loc, end, begin));
}

void TileKernel::loop(Value end, int64_t step, function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(b, loc, constant(0), end, constant(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

/// Calls `body` with a slot and the first rows of the `count` tiles from there
/// on, for all slots of the block.
void TileKernel::forTiles(int64_t count,
                          function_ref<void(Value, ArrayRef<Value>)> body) {
  loop(slots, count * kTileRows, [&](Value slot) {
    Values rows;
    for (int64_t i = 0; i < count; ++i)
      rows.push_back(arith::MinUIOp::create(
          b, loc, plus(add(first, slot), i * kTileRows), last));
    body(slot, rows);
  });
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
  loop(constant(kBlockRows), 1, [&](Value slot) { store(none, buffer, slot); });
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// The element type of zero points; null where there are none.
static Type zeroType(mpgemm::MatmulOp op) {
  return op.getZeros() ? getElementTypeOrSelf(op.getZeros().getType()) : Type();
}

/// Whether codes minus zero points are signed bytes: then a panel has these,
/// and nothing is left to be done about zero points of integers.
bool TileKernel::subtractsZeros() {
  int64_t most = (1 << planes.bits) - 1,
          offset = op.getFormat().getOffset().value_or(0);
  if (Type zero = zeroType(op); zero && zero.isInteger())
    return offset == 0 && most <= 127;
  return offset <= 128 && most - offset <= 127;
}

/// The zero points of the group that has quad `quad` of a chunk as bytes, for
/// each part; nothing where these are not subtracted.
TileKernel::Values TileKernel::zerosOfQuad(Value chunk, int64_t quad) {
  auto bytes = VectorType::get({4 * kLanes}, b.getI8Type());
  int64_t offset = op.getFormat().getOffset().value_or(0);
  if (!subtractsZeros())
    return {};
  if (offset != 0) {
    auto evenly = DenseElementsAttr::get(bytes, b.getI8IntegerAttr(offset));
    return Values(parts, arith::ConstantOp::create(b, loc, evenly));
  }
  if (Type zero = zeroType(op); !zero || !zero.isInteger())
    return {};
  // The last chunk may have quads beyond the last group.
  Value number = plus(times(chunk, planes.quadsPerChunk()), quad);
  Value group = arith::MinUIOp::create(
      b, loc, arith::DivUIOp::create(b, loc, number, constant(quads)),
      constant(groups - 1));
  groupSums.enter(tile, group);
  auto lanes = VectorType::get({kLanes}, b.getI32Type());
  Value eachByte = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(lanes, b.getI32IntegerAttr(0x01010101)));
  Values zeros;
  for (int64_t part = 0; part < parts; ++part)
    zeros.push_back(vector::BitCastOp::create(
        b, loc, bytes,
        arith::MulIOp::create(b, loc, groupSums.zero(part), eachByte)));
  return zeros;
}

/// Fills the panel with `count` chunks.
void TileKernel::decode(Value firstChunk, Value count) {
  int64_t perChunk = planes.quadsPerChunk();
  loop(count, 1, [&](Value at) {
    Value chunk = add(firstChunk, at), place = times(at, perChunk);
    CodesOfChunk codes(b, loc, planes, kLanes, op.getCodes(), tile, chunk);
    Values zeros;
    for (int64_t quad = 0; quad < perChunk; ++quad) {
      if (quad % quads == 0)
        zeros = zerosOfQuad(chunk, quad);
      for (int64_t part = 0; part < parts; ++part) {
        Value bytes = codes.quad(quad, part);
        if (!zeros.empty())
          bytes = arith::SubIOp::create(b, loc, bytes, zeros[part]);
        vector::StoreOp::create(
            b, loc, bytes, panel,
            ValueRange{constant(part), plus(place, quad), constant(0)});
      }
    }
  });
}

//===----------------------------------------------------------------------===//
// Matrix tiles
//===----------------------------------------------------------------------===//

/// The tiles of sums of two tiles of rows, [2, parts], with what `steps` tiles
/// of codes of a group add, which are in the panel from `quad` on.
TileKernel::Values TileKernel::multiply(Value group, Value firstStep,
                                        Value steps, Value quad,
                                        ArrayRef<Value> rows, Values tiles) {
  auto ofX = amx::TileType::get({kTileRows, 4 * tileQuads}, b.getI8Type()),
       ofCodes = amx::TileType::get({tileQuads, 4 * kLanes}, b.getI8Type());
  auto multiplyStep = [&](Value step, Values tiles) {
    Value number = times(add(firstStep, step), 4 * tileQuads),
          place = add(quad, times(step, tileQuads));
    Values x;
    for (Value row : rows)
      x.push_back(amx::TileLoadOp::create(
          b, loc, ofX, op.getX(), ValueRange{row, group, number}, stride));
    for (int64_t part = 0; part < parts; ++part) {
      Value codes = amx::TileLoadOp::create(
          b, loc, ofCodes, panel,
          ValueRange{constant(part), place, constant(0)});
      for (auto [i, factor] : llvm::enumerate(x)) {
        Value &sum = tiles[i * parts + part];
        sum = amx::TileMulIOp::create(b, loc, sum.getType(), factor, codes, sum,
                                      /*isZextLhs=*/false,
                                      /*isZextRhs=*/!subtractsZeros());
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

/// Calls `body` with the place in `sums` and number of each of the tiles of
/// sums from `slot` on.
void TileKernel::forTilesOfSums(Value slot,
                                function_ref<void(ValueRange, int64_t)> body) {
  for (int64_t i = 0; i < kTilesOfStep; ++i)
    for (int64_t part = 0; part < parts; ++part)
      body({plus(slot, i * kTileRows), constant(part * kLanes)},
           i * parts + part);
}

static amx::TileType sumsType(OpBuilder &b) {
  return amx::TileType::get({TileKernel::kTileRows, kLanes}, b.getI32Type());
}

TileKernel::Values TileKernel::noTiles() {
  Values tiles;
  for (int64_t i = 0; i < kTilesOfStep * parts; ++i)
    tiles.push_back(amx::TileZeroOp::create(b, loc, sumsType(b)));
  return tiles;
}

TileKernel::Values TileKernel::loadTiles(Value slot) {
  Values tiles;
  forTilesOfSums(slot, [&](ValueRange place, int64_t) {
    tiles.push_back(amx::TileLoadOp::create(b, loc, sumsType(b), sums, place));
  });
  return tiles;
}

void TileKernel::storeTiles(ArrayRef<Value> tiles, Value slot) {
  forTilesOfSums(slot, [&](ValueRange place, int64_t i) {
    amx::TileStoreOp::create(b, loc, sums, place, tiles[i]);
  });
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

/// Sums of a row without its zero point.
TileKernel::Values TileKernel::loadSums(Value row, Value slot) {
  Values loaded = load(sums, slot);
  if (!subtractsZeros())
    for (auto [part, start] : llvm::enumerate(groupSums.start(row)))
      loaded[part] = arith::AddIOp::create(b, loc, loaded[part], start);
  return loaded;
}

/// Adds the sums of tiles of rows, from `slot` of the sums on, to the results.
void TileKernel::flush(Value group, ArrayRef<Value> rows, Value slot,
                       Value resultSlot) {
  groupSums.enter(tile, group);
  groupSums.loadScales();
  for (size_t i = 0; i < rows.size(); ++i)
    loop(constant(kTileRows), 1, [&](Value at) {
      Value row = add(rows[i], at), tileSlot = plus(at, i * kTileRows),
            place = add(resultSlot, tileSlot);
      Values added = load(results, place);
      groupSums.add(row, loadSums(row, add(slot, tileSlot)), added);
      store(added, results, place);
    });
}

/// Panels of several groups: sums of a group do not leave the registers.
void TileKernel::emitShortGroups() {
  int64_t perPanel = kPanelQuads / quads, perChunk = planes.quadsPerChunk();
  if (quads % perChunk != 0)
    perPanel -= perPanel % (perChunk / quads);
  clear(results);
  loop(constant(groups), perPanel, [&](Value firstGroup) {
    Value count = upTo(constant(perPanel), firstGroup, constant(groups));
    decode(arith::DivUIOp::create(b, loc, times(firstGroup, quads),
                                  constant(perChunk)),
           arith::CeilDivUIOp::create(b, loc, times(count, quads),
                                      constant(perChunk)));
    forTiles(kTilesOfStep, [&](Value slot, ArrayRef<Value> rows) {
      loop(count, 1, [&](Value at) {
        Value group = add(firstGroup, at), none = constant(0);
        storeTiles(multiply(group, none, constant(quads / tileQuads),
                            times(at, quads), rows, noTiles()),
                   none);
        flush(group, rows, none, slot);
      });
    });
  });
}

/// Groups of several panels: sums of all rows are in memory.
void TileKernel::emitLongGroups() {
  int64_t perChunk = planes.quadsPerChunk(), perPanel = kPanelQuads / tileQuads;
  perPanel -= perPanel % (perChunk / std::gcd(perChunk, tileQuads));
  if (results)
    clear(results);
  loop(constant(groups), 1, [&](Value group) {
    clear(sums);
    Value steps = constant(quads / tileQuads);
    loop(steps, perPanel, [&](Value firstStep) {
      Value count = upTo(constant(perPanel), firstStep, steps),
            quad = add(times(group, quads), times(firstStep, tileQuads));
      auto chunks = [&](Value quads) -> Value {
        return arith::DivUIOp::create(b, loc, quads, constant(perChunk));
      };
      decode(chunks(quad), chunks(times(count, tileQuads)));
      forTiles(kTilesOfStep, [&](Value slot, ArrayRef<Value> rows) {
        storeTiles(multiply(group, firstStep, count, constant(0), rows,
                            loadTiles(slot)),
                   slot);
      });
    });
    if (results)
      forTiles(kTilesOfStep, [&](Value slot, ArrayRef<Value> rows) {
        flush(group, rows, slot, slot);
      });
  });
}

void TileKernel::emit(Value column) {
  tile = column;
  ResultColumns columns(b, op, kLanes, parts, tile);
  Value count = memref::DimOp::create(b, loc, op.getX(), constant(0));
  last = arith::SubIOp::create(b, loc, count, constant(kTileRows));
  loop(count, kBlockRows, [&](Value block) {
    first = block;
    slots = upTo(constant(kBlockRows), first, count);
    hasLongGroups() ? emitLongGroups() : emitShortGroups();
    if (!results)
      groupSums.enter(tile, constant(0));
    forTiles(1, [&](Value slot, ArrayRef<Value> rows) {
      loop(constant(kTileRows), 1, [&](Value at) {
        Value row = add(rows[0], at), place = add(slot, at);
        columns.store(row,
                      results ? load(results, place) : loadSums(row, place));
      });
    });
  });
}
