//===- MatrixTiles.cpp - Dot products by matrix tiles ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AMX multiplies 16 rows of groups, as they follow each other along the
// reduction, by groups of 16 lanes, one row of a tile for each step: what lies
// ready for dot products by vectors lies ready for tiles. Sums stay in tiles
// along the reduction, two by two, so that each tile of a factor is multiplied
// twice. All tiles have the same shape, since LLVM gives each register but one
// in a function.
//
//===----------------------------------------------------------------------===//

#include "MatrixTileNest.h"

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra;

/// Rows and steps below which vectors have less to do.
static constexpr int64_t kMinRows = 3, kMinSteps = 4;

/// Whether an operand goes on evenly along `loop`, from multiples of a tile on.
static bool isEven(linalg::GenericOp op, OpOperand *operand, unsigned loop) {
  SmallVector<Index> loops(op.getNumLoops(), Index{operand->get(), 1, 0});
  loops[loop].multiple = kTileSize;
  return llvm::all_of(
      op.getMatchingIndexingMap(operand).getResults(), [&](AffineExpr expr) {
        return laneStride(expr, loops, loop, kTileSize).has_value();
      });
}

bool lutra::fillsMatrixTiles(linalg::GenericOp op, const Plan &plan,
                             TargetAttr target) {
  auto contraction = matchContraction(op);
  if (!contraction || !plan.isContraction || !plan.group || !plan.row ||
      plan.reductions.empty() || plan.lanes != kTileSize ||
      !getElementTypeOrSelf(contraction->a->get().getType()).isBF16() ||
      !hasBF16Tiles(target))
    return false;
  unsigned step = plan.reductions.back();
  OpOperand *sums = op.getDpsInitOperand(0);
  auto stride = [&](OpOperand *operand, unsigned loop) {
    return strideAlong(op, *operand, loop, kTileSize);
  };
  SmallVector<int64_t> extents = staticExtents(op);
  auto isShort = [&](unsigned loop, int64_t least) {
    return !ShapedType::isDynamic(extents[loop]) && extents[loop] < least;
  };
  return stride(contraction->a, step) == plan.groupSize &&
         stride(contraction->b, plan.loop) == plan.groupSize &&
         stride(sums, plan.loop) == 1 && isEven(op, contraction->b, step) &&
         isEven(op, contraction->a, *plan.row) && isEven(op, sums, *plan.row) &&
         !isShort(*plan.row, kMinRows) && !isShort(step, kMinSteps);
}

Value MatrixTiles::countOf(const Piece &piece, unsigned loop) {
  if (!piece.isMasked)
    return {};
  OpFoldResult rest = subtract(b, loc, nest.extents[loop],
                               nest.position[loop].materialize(b, loc));
  return getValueOrCreateConstantIndexOp(b, loc, rest);
}

/// The steps of the innermost reduction, by tiles.
SmallVector<Piece> MatrixTiles::piecesOfSteps() const {
  SmallVector<Piece> pieces{{1, kTileSize, false}, {1, kTileSize, true}};
  if (auto steps = getConstantIntValue(nest.extents[plan.reductions.back()]))
    pieces.resize(1 + (*steps % kTileSize != 0));
  return pieces;
}

/// The tile of `operand` at a row and lane, of which the rows go along
/// `rowLoop`.
Value MatrixTiles::load(OpOperand &operand, unsigned rowLoop, int64_t row,
                        int64_t lane, Part part) {
  Type element = getElementTypeOrSelf(operand.get().getType());
  Place place;
  if (Value copy = copies.lookup(&operand)) {
    Index index = nest.position[plan.reductions.back()];
    Value elements = constant(elementsOfTileRow(element));
    place = {
        copy,
        {arith::MulIOp::create(b, loc, index.materialize(b, loc), elements)},
        elements};
  } else if (part.isWhole()) {
    place = placeOf(operand, rowLoop, row, lane);
    if (isFew(&operand == contraction.a ? plan.loop : *plan.row))
      nest.emitPrefetchOfTile(&operand, place.memref, place.index.front(),
                              place.stride);
  } else {
    place = buffer(element);
    copyTile(operand, rowLoop, row, lane, part, place);
  }
  auto type =
      amx::TileType::get({kTileSize, elementsOfTileRow(element)}, element);
  return amx::TileLoadOp::create(b, loc, type, place.memref, place.index,
                                 place.stride);
}

void MatrixTiles::store(Value tile, int64_t row, int64_t lane, Part part) {
  Place place = placeOf(*op.getDpsInitOperand(0), *plan.row, row, lane),
        to = part.isWhole() ? place : buffer(b.getF32Type());
  amx::TileStoreOp::create(b, loc, to.memref, to.index, tile, to.stride);
  if (!part.isWhole())
    copyRows(b.getF32Type(), part, to, place, /*fillsRows=*/false);
}

/// Adds the products of all steps of the innermost reduction to the sums,
/// [rows.vectors, lanes.vectors].
Values MatrixTiles::multiply(ValueRange sums) {
  unsigned step = plan.reductions.back();
  return coverLoop(
      b, loc, nest.extents[step], piecesOfSteps(), sums,
      [&](const Piece &steps, Index index, ValueRange carried) {
        nest.position[step] = index;
        if (ahead)
          nest.fetch(*ahead);
        Value stepCount = countOf(steps, step);
        Values next(carried), factors;
        for (int64_t i = 0; i < rows.vectors; ++i)
          factors.push_back(load(*contraction.a, *plan.row, i * kTileSize, 0,
                                 {rowCount, inGroups(stepCount)}));
        for (int64_t vector = 0; vector < lanes.vectors; ++vector) {
          Value other = load(*contraction.b, step, 0, vector * kTileSize,
                             {stepCount, inGroups(laneCount)});
          for (auto [i, factor] : llvm::enumerate(factors)) {
            Value &sum = next[i * lanes.vectors + vector];
            sum = amx::TileMulFOp::create(b, loc, sum.getType(), factor, other,
                                          sum);
          }
        }
        return next;
      });
}

void MatrixTiles::emitTiles() {
  Part part{rowCount, laneCount};
  auto type = amx::TileType::get({kTileSize, kTileSize}, b.getF32Type());
  auto visit = [&](function_ref<void(int64_t row, int64_t lane)> each) {
    for (int64_t i = 0; i < rows.vectors; ++i)
      for (int64_t vector = 0; vector < lanes.vectors; ++vector)
        each(i * kTileSize, vector * kTileSize);
  };
  Values sums;
  visit([&](int64_t row, int64_t lane) {
    sums.push_back(
        nest.initial[0]
            ? amx::TileZeroOp::create(b, loc, type).getResult()
            : load(*op.getDpsInitOperand(0), *plan.row, row, lane, part));
  });
  ahead = readsLanesOften()
              ? std::nullopt
              : nest.shareOfNextPanel(rows.vectors * kTileSize, kTileSize);
  sums = nest.emitReductions(ArrayRef(plan.reductions).drop_back(), sums,
                             [&](ValueRange inner) { return multiply(inner); });
  const Value *sum = sums.begin();
  visit([&](int64_t row, int64_t lane) { store(*sum++, row, lane, part); });
}

/// Whether the rows are so many more that what lies along the lanes is read
/// again for all of them, rather than they for all lanes.
bool MatrixTiles::readsLanesOften() const {
  auto lanes = getConstantIntValue(nest.extents[plan.loop]),
       rows = getConstantIntValue(nest.extents[*plan.row]);
  return lanes && (!rows || *rows > *lanes);
}

/// Whether a loop does not fill one tile.
bool MatrixTiles::isFew(unsigned loop) const {
  auto extent = getConstantIntValue(nest.extents[loop]);
  return extent && *extent < kTileSize;
}

void MatrixTiles::coverRows(function_ref<void()> inside) {
  OpFoldResult extent = nest.extents[*plan.row];
  SmallVector<Piece> pieces{{2, kTileSize, false}, {1, kTileSize, false}};
  auto known = getConstantIntValue(extent);
  if (!known || *known % kTileSize != 0)
    pieces.push_back({1, kTileSize, true});
  coverLoop(b, loc, extent, pieces, {},
            [&](const Piece &piece, Index index, ValueRange) {
              nest.position[*plan.row] = index;
              rows = piece;
              rowCount = countOf(piece, *plan.row);
              if (isFew(*plan.row))
                copyFactor(*contraction.a, *plan.row);
              inside();
              return Values();
            });
}

void MatrixTiles::coverLanes(function_ref<void()> inside) {
  OpFoldResult extent = nest.extents[plan.loop];
  coverLoop(b, loc, extent,
            piecesOfLanes(extent, kTileSize, plan.vectors, /*keepLanes=*/true),
            {}, [&](const Piece &piece, Index index, ValueRange) {
              nest.position[plan.loop] = index;
              lanes = piece;
              laneCount = countOf(piece, plan.loop);
              if (isFew(plan.loop))
                copyFactor(*contraction.b, plan.reductions.back());
              inside();
              return Values();
            });
}

void MatrixTiles::emit() {
  auto inside = [&] { emitTiles(); };
  if (isFew(*plan.row) || (readsLanesOften() && !isFew(plan.loop)))
    coverRows([&] { coverLanes(inside); });
  else
    coverLanes([&] { coverRows(inside); });
}

void Nest::emitMatrixTiles() { MatrixTiles(*this).emit(); }
