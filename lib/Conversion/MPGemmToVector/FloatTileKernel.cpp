//===- FloatTileKernel.cpp - Matrix tiles of bf16 and codes ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums of integers leave matrix tiles after each group, and to scale those of
// short groups takes longer than to multiply. Floats are scaled before: rows of
// x, and numbers that codes stand for, become bf16, and sums stay in tiles
// along a panel of codes. A panel for a tile of columns lies in the first-level
// cache and is multiplied with a block of rows from the second-level cache,
// which are read without driving the panel out. Sums of the block wait beside
// it from one panel to the next, tile by tile, since rows of a result are often
// a power of two apart, where a cache has room for few.
//
// x has errors of 2^-8 from its integers, and codes have larger ones; bf16 adds
// 2^-9 to each.
//
//===----------------------------------------------------------------------===//

#include "FloatTileKernel.h"

#include "../Frame.h"
#include "lutra/Analysis/ProductCost.h"
#include "lutra/Conversion/MatrixTiles.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

/// Rows and columns of a tile of sums, and codes of a tile of a factor.
static constexpr int64_t kSize = 16, kDepth = 2 * kSize;
/// Elements of a tile of a factor and of one of sums.
static constexpr int64_t kFactor = kSize * kDepth, kSums = kSize * kSize;
/// Rows and columns of a block, and codes of a panel.
static constexpr int64_t kBlockRows = 256, kBlockColumns = 256,
                         kPanelCodes = 512;
/// Rows of x of which memory is told before they are read.
static constexpr int64_t kRowsAhead = 4;
/// Rows, where their number is not known before, from which on a panel pays.
static constexpr int64_t kLeastRows = 32;

bool FloatTileKernel::supports(mpgemm::MatmulOp op, TargetAttr target) {
  int64_t columns = op.getLayoutAttr().getRows();
  return areFloatTilesFaster(op, target) && ScaledNumbers::supports(op) &&
         kPanelCodes % ScaledNumbers::chunkOf(op) == 0 &&
         (columns == kSize || columns % (2 * kSize) == 0) && hasRowsOfX(op);
}

FloatTileKernel::FloatTileKernel(OpBuilder &b, mpgemm::MatmulOp op,
                                 TargetAttr target, Value table)
    : IndexBuilder(b, op.getLoc()), op(op), numbers(b, op, target, table),
      allParts(numbers.parts()), parts(std::min<int64_t>(2, allParts)),
      chunk(ScaledNumbers::chunkOf(op)) {
  int64_t codes = op.getXType().getDimSize(1) * op.getGroupSize(),
          columns = allParts * kSize;
  // No larger than what there is.
  auto sizeOf = [](int64_t most, int64_t count, int64_t size) {
    return ShapedType::isDynamic(count)
               ? most
               : std::min(most, int64_t(llvm::alignTo(count, size)));
  };
  blockRows = sizeOf(kBlockRows, op.getXType().getDimSize(0), kSize);
  blockColumns = sizeOf(kBlockColumns, op.getInitType().getDimSize(1), columns);
  panelCodes = sizeOf(kPanelCodes, codes, kDepth);
  ofRow = codes / chunk;
  ofPanel = std::min(kPanelCodes, codes) / chunk;
  x = rowsOfX(b, op);
  auto allocate = [&](ArrayRef<int64_t> shape, Type element) {
    return allocateOnFrame(b, op, MemRefType::get(shape, element));
  };
  packed = allocate({blockRows / kSize, panelCodes * kSize}, b.getBF16Type());
  panel = allocate({parts, panelCodes * kSize}, b.getBF16Type());
  sums = allocate({blockColumns / kSize * (blockRows / kSize), kSums},
                  b.getF32Type());
}

/// Calls `body` with the first tiles of rows of the block, two by two, and
/// their number, which is one where one is left.
void FloatTileKernel::forTiles(function_ref<void(Value, int64_t)> body) {
  Value pairs = times(arith::DivUIOp::create(b, loc, rowTiles, constant(2)), 2);
  loop(constant(0), pairs, 2, [&](Value tile) { body(tile, 2); });
  loop(pairs, rowTiles, 1, [&](Value tile) { body(tile, 1); });
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

/// 16 floats and 16 behind them, as bf16. That is one instruction; LLVM makes
/// three of a truncation, of which each takes as long.
Value FloatTileKernel::rounded(Value first, Value second) {
  auto type = VectorType::get({kDepth}, b.getBF16Type());
  return LLVM::CallIntrinsicOp::create(
             b, loc, type,
             b.getStringAttr("llvm.x86.avx512bf16.cvtne2ps2bf16.512"),
             ValueRange{second, first})
      .getResult(0);
}

/// Rounds `codes` numbers of the row of a slot, from `first` on, to bf16. Where
/// the last tile has one half, zeros follow.
void FloatTileKernel::packRow(Value slot, Value first, Value codes) {
  int64_t all = ofRow * chunk;
  bool mayHaveHalf = all % kDepth != 0;
  Value row = add(firstRow, slot),
        tile = arith::DivUIOp::create(b, loc, slot, constant(kSize)),
        inTile = times(arith::RemUIOp::create(b, loc, slot, constant(kSize)),
                       kDepth);
  auto bytes = VectorType::get({kSize}, b.getI8Type()),
       floats = VectorType::get({kSize}, b.getF32Type());
  auto half = [&](Value code) -> Value {
    Value place = add(first, code), last = constant(all - kSize), isThere;
    if (mayHaveHalf) {
      isThere =
          arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ule, place, last);
      place = arith::MinUIOp::create(b, loc, place, last);
    }
    Value group = arith::DivUIOp::create(b, loc, place,
                                         constant(op.getGroupSize())),
          number = arith::SIToFPOp::create(
              b, loc, floats,
              vector::LoadOp::create(b, loc, bytes, x, ValueRange{row, place}));
    Value scale =
        memref::LoadOp::create(b, loc, op.getXScales(), ValueRange{row, group});
    number = arith::MulFOp::create(
        b, loc, number, vector::BroadcastOp::create(b, loc, floats, scale));
    if (isThere)
      number = arith::SelectOp::create(
          b, loc, isThere, number,
          arith::ConstantOp::create(b, loc, b.getZeroAttr(floats)));
    return number;
  };
  loop(constant(0), codes, kDepth, [&](Value code) {
    memref::PrefetchOp::create(
        b, loc, x, ValueRange{plus(row, kRowsAhead), add(first, code)},
        /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
    vector::StoreOp::create(
        b, loc, rounded(half(code), half(plus(code, kSize))), packed,
        ValueRange{tile, add(times(code, kSize), inTile)});
  });
}

/// Fetches `count` chunks of a tile of columns, from chunk `first` on.
void FloatTileKernel::prefetch(Value tile, Value first, Value count) {
  CodePlanes planes = op.getPlanes();
  int64_t chunks = unitOf(op).chunks;
  loop(times(first, chunks), times(add(first, count), chunks), 1,
       [&](Value chunk) {
         CodesOfChunk(b, loc, planes, kSize, op.getCodes(), tile, chunk)
             .prefetch(/*distance=*/0);
       });
}

/// Fills the panel from `count` chunks of some columns of a tile, from chunk
/// `first` on. Pairs of codes of a column lie side by side.
void FloatTileKernel::fill(Value tile, int64_t firstPart, Value first,
                           Value count) {
  // The last tile may be half full.
  if (ofRow * chunk % kDepth != 0) {
    Value codes = times(count, chunk),
          half = times(arith::DivUIOp::create(b, loc, plus(codes, kSize),
                                              constant(kDepth)),
                       kDepth * kSize);
    Value none = arith::ConstantOp::create(
        b, loc, b.getZeroAttr(VectorType::get({kDepth}, b.getBF16Type())));
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t at = 0; at < kFactor / 2; at += kDepth)
        vector::StoreOp::create(
            b, loc, none, panel,
            ValueRange{constant(part), plus(half, at - kFactor / 2)});
  }
  SmallVector<int64_t> pairs;
  for (int64_t i = 0; i < kSize; ++i)
    pairs.append({i, kSize + i});
  auto store = [&](Value code, int64_t part, ArrayRef<Value> four) {
    for (int64_t i = 0; i < 4; i += 2) {
      Value two = rounded(four[i], four[i + 1]);
      vector::StoreOp::create(
          b, loc, vector::ShuffleOp::create(b, loc, two, two, pairs), panel,
          ValueRange{constant(part), plus(times(code, kSize), i * kSize)});
    }
  };
  numbers.decode(tile, firstPart, parts, first, count, store);
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

/// Which tile of sums is that of a tile of columns and one of rows.
Value FloatTileKernel::sumsOf(Value tile, Value rowTile, int64_t part) {
  Value first = add(times(tile, blockRows / kSize), rowTile);
  return plus(times(first, allParts), part);
}

void FloatTileKernel::clear(Value tiles) {
  auto type = VectorType::get({kSize}, b.getF32Type());
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  loop(constant(0), tiles, 1, [&](Value tile) {
    Value begin = sumsOf(tile, constant(0), 0), end = sumsOf(tile, rowTiles, 0);
    loop(begin, end, 1, [&](Value sum) {
      for (int64_t at = 0; at < kSums; at += kSize)
        vector::StoreOp::create(b, loc, none, sums,
                                ValueRange{sum, constant(at)});
    });
  });
}

/// Adds, to the sums of `count` tiles of rows from `rowTile` on, `steps` tiles
/// of rows times those of the panel.
void FloatTileKernel::multiply(Value tile, int64_t firstPart, Value rowTile,
                               int64_t count, Value steps) {
  auto factor = amx::TileType::get({kSize, kDepth}, b.getBF16Type()),
       sum = amx::TileType::get({kSize, kSize}, b.getF32Type());
  Value depth = constant(kDepth), size = constant(kSize), none = constant(0);
  auto forSums = [&](function_ref<void(Value)> body) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t part = 0; part < parts; ++part)
        body(sumsOf(tile, plus(rowTile, i), firstPart + part));
  };
  SmallVector<Value> start;
  forSums([&](Value at) {
    start.push_back(
        amx::TileLoadOp::create(b, loc, sum, sums, ValueRange{at, none}, size));
  });
  auto multiplyStep = [&](OpBuilder &, Location, Value step,
                          ValueRange carried) {
    SmallVector<Value> next(carried), left;
    Value place = times(step, kFactor);
    for (int64_t i = 0; i < count; ++i) {
      auto load = amx::TileLoadOp::create(
          b, loc, factor, packed, ValueRange{plus(rowTile, i), place}, depth);
      load->setAttr(kNontemporal, b.getUnitAttr());
      left.push_back(load);
    }
    for (int64_t part = 0; part < parts; ++part) {
      Value right = amx::TileLoadOp::create(
          b, loc, factor, panel, ValueRange{constant(part), place}, depth);
      for (auto [i, row] : llvm::enumerate(left)) {
        Value &added = next[i * parts + part];
        added = amx::TileMulFOp::create(b, loc, sum, row, right, added);
      }
    }
    scf::YieldOp::create(b, loc, next);
  };
  auto loop =
      scf::ForOp::create(b, loc, none, steps, constant(1), start, multiplyStep);
  auto result = loop.getResults().begin();
  forSums([&](Value at) {
    amx::TileStoreOp::create(b, loc, sums, ValueRange{at, none}, *result++,
                             size);
  });
}

/// Writes what the block has of a tile of columns.
void FloatTileKernel::store(Value tile) {
  ResultColumns columns(b, op, kSize, allParts, add(firstTile, tile));
  auto type = VectorType::get({kSize}, b.getF32Type());
  loop(constant(0), rows, 1, [&](Value slot) {
    Value rowTile = arith::DivUIOp::create(b, loc, slot, constant(kSize)),
          inTile = times(arith::RemUIOp::create(b, loc, slot, constant(kSize)),
                         kSize);
    SmallVector<Value> results;
    for (int64_t part = 0; part < allParts; ++part)
      results.push_back(vector::LoadOp::create(
          b, loc, type, sums, ValueRange{sumsOf(tile, rowTile, part), inTile}));
    columns.store(add(firstRow, slot), results);
  });
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Computes the block of rows and `tiles` tiles of columns.
void FloatTileKernel::emitBlock(Value tiles) {
  rowTiles = arith::CeilDivUIOp::create(b, loc, rows, constant(kSize));
  clear(tiles);
  loop(constant(0), constant(ofRow), ofPanel, [&](Value first) {
    Value count = upTo(ofPanel, first, constant(ofRow)),
          codes = times(count, chunk),
          steps = arith::CeilDivUIOp::create(b, loc, codes, constant(kDepth));
    loop(constant(0), rows, 1,
         [&](Value slot) { packRow(slot, times(first, chunk), codes); });
    loop(constant(0), tiles, 1, [&](Value tile) {
      Value column = add(firstTile, tile);
      prefetch(plus(column, 1), first, count);
      for (int64_t part = 0; part < allParts; part += parts) {
        fill(column, part, first, count);
        forTiles([&](Value rowTile, int64_t count) {
          multiply(tile, part, rowTile, count, steps);
        });
      }
    });
  });
  loop(constant(0), tiles, 1, [&](Value tile) { store(tile); });
}

Value FloatTileKernel::emit(Value count, Value tiles) {
  Value none = constant(0),
        areMany = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge,
                                        count, constant(kLeastRows)),
        done = arith::SelectOp::create(b, loc, areMany, count, none);
  int64_t tilesOfBlock = blockColumns / (allParts * kSize);
  loop(none, tiles, tilesOfBlock, [&](Value tile) {
    firstTile = tile;
    loop(none, done, blockRows, [&](Value row) {
      firstRow = row;
      rows = upTo(blockRows, row, done);
      emitBlock(upTo(tilesOfBlock, tile, tiles));
    });
  });
  return done;
}
