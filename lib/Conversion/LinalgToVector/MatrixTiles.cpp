//===- MatrixTiles.cpp - Dot products by matrix tiles ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AMX multiplies 16 rows of groups, as they follow each other along the
// reduction, by groups of 16 lanes, one row of a tile for each step: what lies
// ready for dot products by vectors lies ready for tiles. Sums stay in tiles
// along the reduction, two by two, so that each tile of a factor is multiplied
// twice. Rows and steps that fill no tile are left to vectors.
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"

#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra;

/// Rows and lanes of a matrix tile of sums.
static constexpr int64_t kSize = 16;

/// Whether an operand goes on evenly along `loop`, from multiples of a tile on.
static bool isEven(linalg::GenericOp op, OpOperand *operand, unsigned loop) {
  SmallVector<Index> loops(op.getNumLoops(), Index{operand->get(), 1, 0});
  loops[loop].multiple = kSize;
  return llvm::all_of(
      op.getMatchingIndexingMap(operand).getResults(), [&](AffineExpr expr) {
        return laneStride(expr, loops, loop, kSize).has_value();
      });
}

int64_t lutra::groupsOfTile(linalg::GenericOp op, const Plan &plan,
                            TargetAttr target) {
  auto contraction = matchContraction(op);
  if (!contraction || !plan.isContraction || !plan.group || !plan.row ||
      plan.reductions.empty() || plan.lanes != kSize ||
      !getElementTypeOrSelf(contraction->a->get().getType()).isBF16() ||
      !hasBF16Tiles(target))
    return 0;
  unsigned step = plan.reductions.back();
  OpOperand *sums = op.getDpsInitOperand(0);
  auto stride = [&](OpOperand *operand, unsigned loop) {
    return strideAlong(op, *operand, loop, kSize);
  };
  if (stride(contraction->a, step) != plan.groupSize ||
      stride(contraction->b, plan.loop) != plan.groupSize ||
      stride(sums, plan.loop) != 1 || !isEven(op, contraction->b, step) ||
      !isEven(op, contraction->a, *plan.row) || !isEven(op, sums, *plan.row))
    return 0;
  SmallVector<int64_t> extents = staticExtents(op);
  if (!ShapedType::isDynamic(extents[*plan.row]) && extents[*plan.row] < kSize)
    return 0;
  if (ShapedType::isDynamic(extents[step]))
    return kSize;
  // Of a length that no tile divides, the rest is left to vectors.
  int64_t groups = wordsOfTile(extents[step]);
  if (groups < kSize / 2)
    groups = std::min(kSize, extents[step]);
  return groups < kSize / 4 ? 0 : groups;
}

/// The tile of `operand` at a row and lane of the register tile, of which the
/// rows go along `rowLoop`.
Value Nest::loadTile(OpOperand &operand, unsigned rowLoop, int64_t row,
                     int64_t lane, Type type) {
  auto [view, index, stride] = placeOfTile(operand, rowLoop, row, lane);
  return amx::TileLoadOp::create(b, loc, type, view, ValueRange{index}, stride);
}

Nest::TilePlace Nest::placeOfTile(OpOperand &operand, unsigned rowLoop,
                                  int64_t row, int64_t lane) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  VectorBuilder builder = builderFor({1, kSize, false});
  SmallVector<Index> loops = at(row, lane);
  auto [view, first] = builder.consecutive(
      operand.get(), builder.index(map, loops, plan.loop));
  Value stride = arith::ConstantIndexOp::create(b, loc, 0);
  for (auto [expr, each] : llvm::zip_equal(map.getResults(),
                                           flat.of(b, operand.get()).strides))
    if (int64_t steps = *laneStride(expr, loops, rowLoop, kSize))
      stride = b.createOrFold<arith::AddIOp>(
          loc, stride,
          b.createOrFold<arith::MulIOp>(
              loc, getValueOrCreateConstantIndexOp(b, loc, each),
              arith::ConstantIndexOp::create(b, loc, steps)));
  return {view, first.value, stride};
}

/// Adds the products of all steps of the innermost reduction to the sums of
/// `count` tiles of rows, [count, piece.vectors].
Values Nest::multiplyTiles(int64_t count, const Piece &piece, ValueRange sums) {
  auto contraction = *matchContraction(op);
  unsigned step = plan.reductions.back();
  auto rows = amx::TileType::get({kSize, plan.groupSize * plan.tileGroups},
                                 b.getBF16Type()),
       lanes = amx::TileType::get({plan.tileGroups, plan.groupSize * kSize},
                                  b.getBF16Type());
  return coverLoop(
      b, loc, starts[step], extents[step], {{1, plan.tileGroups, false}}, sums,
      [&](const Piece &, Index index, ValueRange carried) {
        position[step] = index;
        Values next(carried), factors;
        for (int64_t i = 0; i < count; ++i)
          factors.push_back(
              loadTile(*contraction.a, *plan.row, i * kSize, 0, rows));
        for (int64_t vector = 0; vector < piece.vectors; ++vector) {
          Value other =
              loadTile(*contraction.b, step, 0, vector * kSize, lanes);
          for (auto [i, factor] : llvm::enumerate(factors)) {
            Value &sum = next[i * piece.vectors + vector];
            sum = amx::TileMulFOp::create(b, loc, sum.getType(), factor, other,
                                          sum);
          }
        }
        return next;
      });
}

/// `count` tiles of rows by the lanes of `piece`.
void Nest::emitMatrixTiles(int64_t count, const Piece &piece) {
  OpOperand &output = *op.getDpsInitOperand(0);
  auto type = amx::TileType::get({kSize, kSize}, b.getF32Type());
  auto visit = [&](function_ref<void(int64_t row, int64_t lane)> each) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t vector = 0; vector < piece.vectors; ++vector)
        each(i * kSize, vector * kSize);
  };
  Values sums;
  visit([&](int64_t row, int64_t lane) {
    sums.push_back(
        initial[0] ? amx::TileZeroOp::create(b, loc, type).getResult()
                   : loadTile(output, *plan.row, row, lane, type));
  });
  sums = emitReductions(
      ArrayRef(plan.reductions).drop_back(), sums,
      [&](ValueRange inner) { return multiplyTiles(count, piece, inner); });
  const Value *sum = sums.begin();
  visit([&](int64_t row, int64_t lane) {
    auto [view, index, stride] = placeOfTile(output, *plan.row, row, lane);
    amx::TileStoreOp::create(b, loc, view, ValueRange{index}, *sum++, stride);
  });
}

/// All rows by the lanes of `piece`.
void Nest::emitMatrixRows(const Piece &piece) {
  unsigned row = *plan.row, step = plan.reductions.back();
  OpFoldResult rows = extents[row], steps = extents[step],
               begin = b.getIndexAttr(0),
               wholeRows = lastStep(b, loc, begin, rows, kSize),
               wholeSteps = lastStep(b, loc, begin, steps, plan.tileGroups);
  coverLoop(b, loc, begin, rows, {{2, kSize, false}, {1, kSize, false}}, {},
            [&](const Piece &tiles, Index index, ValueRange) {
              position[row] = index;
              emitMatrixTiles(tiles.vectors, piece);
              return Values();
            });
  if (wholeSteps != steps) {
    // Goes on with what tiles have summed.
    Value before = std::exchange(initial[0], Value());
    starts[step] = wholeSteps;
    extents[row] = wholeRows;
    emitVectorRows(piece);
    starts[step] = begin;
    extents[row] = rows;
    initial[0] = before;
  }
  if (wholeRows != rows) {
    starts[row] = wholeRows;
    emitVectorRows(piece);
    starts[row] = begin;
  }
}
