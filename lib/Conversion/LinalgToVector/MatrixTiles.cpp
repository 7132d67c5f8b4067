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
// in a function; what does not fill a tile goes through a buffer, with zeros
// behind the last step. Where all of a factor does not, its tiles are copied
// once, before the loop that multiplies them again and again.
//
//===----------------------------------------------------------------------===//

#include "../Frame.h"
#include "NestBuilder.h"

#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra;

/// Rows of a matrix tile, and 32-bit words of a row.
static constexpr int64_t kSize = 16;
/// Rows and steps below which vectors have less to do.
static constexpr int64_t kMinRows = 3, kMinSteps = 4;
/// Steps of a factor that is copied as a whole: 32 KiB.
static constexpr int64_t kMostCopiedSteps = 512;

/// Whether an operand goes on evenly along `loop`, from multiples of a tile on.
static bool isEven(linalg::GenericOp op, OpOperand *operand, unsigned loop) {
  SmallVector<Index> loops(op.getNumLoops(), Index{operand->get(), 1, 0});
  loops[loop].multiple = kSize;
  return llvm::all_of(op.getMatchingIndexingMap(operand).getResults(),
                      [&](AffineExpr expr) {
                        return laneStride(expr, loops, loop, kSize).has_value();
                      });
}

bool lutra::fillsMatrixTiles(linalg::GenericOp op, const Plan &plan,
                             TargetAttr target) {
  auto contraction = matchContraction(op);
  if (!contraction || !plan.isContraction || !plan.group || !plan.row ||
      plan.reductions.empty() || plan.lanes != kSize ||
      !getElementTypeOrSelf(contraction->a->get().getType()).isBF16() ||
      !hasBF16Tiles(target))
    return false;
  unsigned step = plan.reductions.back();
  OpOperand *sums = op.getDpsInitOperand(0);
  auto stride = [&](OpOperand *operand, unsigned loop) {
    return strideAlong(op, *operand, loop, kSize);
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

namespace mlir::lutra {
/// Emits tiles of rows by tiles of lanes of a nest.
class MatrixTiles {
public:
  explicit MatrixTiles(Nest &nest)
      : nest(nest), b(nest.b), loc(nest.loc), op(nest.op), plan(nest.plan),
        contraction(*matchContraction(op)) {}
  void emit();

private:
  /// Where the first row of a tile begins, and how far rows are apart.
  struct Place {
    Value memref;
    Values index;
    Value stride;
  };
  /// Of a tile, how many rows and elements of a row exist; null for all.
  struct Part {
    Value rows, elements;
    bool isWhole() const { return !rows && !elements; }
  };

  bool readsLanesOften() const;
  bool isFew(unsigned loop) const;
  SmallVector<Piece> piecesOfSteps() const;
  void coverRows(function_ref<void()> inside);
  void coverLanes(function_ref<void()> inside);
  void emitTiles();
  Values multiply(ValueRange sums);
  Place placeOf(OpOperand &operand, unsigned rowLoop, int64_t row,
                int64_t lane);
  Place buffer(Type element);
  void copyRows(Type element, Part part, const Place &from, const Place &to,
                bool fillsRows);
  void copyTile(OpOperand &operand, unsigned rowLoop, int64_t row, int64_t lane,
                Part part, const Place &to);
  void copyFactor(OpOperand &operand, unsigned rowLoop);
  Value load(OpOperand &operand, unsigned rowLoop, int64_t row, int64_t lane,
             Part part);
  void store(Value tile, int64_t row, int64_t lane, Part part);

  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  /// What is left of a loop where a piece is masked.
  Value countOf(const Piece &piece, unsigned loop);
  Value inGroups(Value count) {
    return count
               ? arith::MulIOp::create(b, loc, count, constant(plan.groupSize))
                     .getResult()
               : Value();
  }

  Nest &nest;
  OpBuilder &b;
  Location loc;
  linalg::GenericOp op;
  const Plan &plan;
  Contraction contraction;
  /// What the loops stand at, and what is left there of rows and lanes; null
  /// for all.
  Piece rows, lanes;
  Value rowCount, laneCount;
  /// What tiles of rows fetch of the next panel, if they do.
  std::optional<Nest::PanelShare> ahead;
  /// [16, elements of a row], for what does not fill a tile.
  llvm::SmallMapVector<Type, Value, 2> buffers;
  /// Of factors that are copied as a whole, tiles one behind the other.
  llvm::SmallMapVector<OpOperand *, Value, 2> copies;
};
} // namespace mlir::lutra

Value MatrixTiles::countOf(const Piece &piece, unsigned loop) {
  if (!piece.isMasked)
    return {};
  OpFoldResult rest = subtract(b, loc, nest.extents[loop],
                               nest.position[loop].materialize(b, loc));
  return getValueOrCreateConstantIndexOp(b, loc, rest);
}

static int64_t elementsOfRow(Type element) {
  return kSize * 32 / element.getIntOrFloatBitWidth();
}

MatrixTiles::Place MatrixTiles::placeOf(OpOperand &operand, unsigned rowLoop,
                                        int64_t row, int64_t lane) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  VectorBuilder builder = nest.builderFor({1, kSize, false});
  SmallVector<Index> loops = nest.at(row, lane);
  auto [view, first] =
      builder.consecutive(operand.get(), builder.index(map, loops, plan.loop));
  Value stride = constant(0);
  for (auto [expr, each] : llvm::zip_equal(
           map.getResults(), nest.flat.of(b, operand.get()).strides))
    if (int64_t steps = *laneStride(expr, loops, rowLoop, kSize))
      stride = b.createOrFold<arith::AddIOp>(
          loc, stride,
          b.createOrFold<arith::MulIOp>(
              loc, getValueOrCreateConstantIndexOp(b, loc, each),
              constant(steps)));
  return {view, {first.value}, stride};
}

MatrixTiles::Place MatrixTiles::buffer(Type element) {
  Value &memref = buffers[element];
  int64_t elements = elementsOfRow(element);
  if (!memref)
    memref =
        allocateOnFrame(b, op, MemRefType::get({kSize * elements}, element));
  return {memref, {constant(0)}, constant(elements)};
}

/// Copies the part of a tile that exists. Where it fills rows, zeros are behind
/// their last element.
void MatrixTiles::copyRows(Type element, Part part, const Place &from,
                           const Place &to, bool fillsRows) {
  auto type = VectorType::get({elementsOfRow(element)}, element);
  Value rows = part.rows ? part.rows : constant(kSize), mask;
  if (part.elements)
    mask = vector::CreateMaskOp::create(
        b, loc, VectorType::get(type.getShape(), b.getI1Type()), part.elements);
  auto at = [&](const Place &place, Value row) -> Value {
    return arith::AddIOp::create(
        b, loc, place.index.front(),
        arith::MulIOp::create(b, loc, row, place.stride));
  };
  buildLoop(b, loc, b.getIndexAttr(0), rows, 1, 0, {},
            [&](Index index, ValueRange) {
              Value row = index.materialize(b, loc), vector;
              Value source = at(from, row), target = at(to, row);
              if (!mask) {
                vector = vector::LoadOp::create(b, loc, type, from.memref,
                                                ValueRange{source});
                vector::StoreOp::create(b, loc, vector, to.memref,
                                        ValueRange{target});
                return Values();
              }
              vector = vector::MaskedLoadOp::create(
                  b, loc, type, from.memref, ValueRange{source}, mask,
                  arith::ConstantOp::create(b, loc, b.getZeroAttr(type)));
              if (fillsRows)
                vector::StoreOp::create(b, loc, vector, to.memref,
                                        ValueRange{target});
              else
                vector::MaskedStoreOp::create(b, loc, to.memref,
                                              ValueRange{target}, mask, vector);
              return Values();
            });
}

/// Copies the part that exists of the tile of `operand` at a row and lane, of
/// which the rows go along `rowLoop`.
void MatrixTiles::copyTile(OpOperand &operand, unsigned rowLoop, int64_t row,
                           int64_t lane, Part part, const Place &to) {
  Type element = getElementTypeOrSelf(operand.get().getType());
  // Rows that do not exist are not stored, but steps are summed up.
  if (part.rows && rowLoop == plan.reductions.back()) {
    auto type = VectorType::get({elementsOfRow(element)}, element);
    Value zeros = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
    for (int64_t i = 0; i < kSize; ++i)
      vector::StoreOp::create(
          b, loc, zeros, to.memref,
          ValueRange{b.createOrFold<arith::AddIOp>(
              loc, to.index.front(), constant(i * type.getDimSize(0)))});
  }
  copyRows(element, part, placeOf(operand, rowLoop, row, lane), to,
           /*fillsRows=*/true);
}

/// The steps of the innermost reduction, by tiles.
SmallVector<Piece> MatrixTiles::piecesOfSteps() const {
  SmallVector<Piece> pieces{{1, kSize, false}, {1, kSize, true}};
  if (auto steps = getConstantIntValue(nest.extents[plan.reductions.back()]))
    pieces.resize(1 + (*steps % kSize != 0));
  return pieces;
}

/// Copies all steps of a factor that does not fill the rows or lanes of a tile,
/// if they are not too many.
void MatrixTiles::copyFactor(OpOperand &operand, unsigned rowLoop) {
  unsigned step = plan.reductions.back();
  auto steps = getConstantIntValue(nest.extents[step]);
  if (!steps || *steps > kMostCopiedSteps || plan.reductions.size() != 1)
    return;
  Type element = getElementTypeOrSelf(operand.get().getType());
  int64_t elements = elementsOfRow(element);
  Value copy = allocateOnFrame(
      b, op,
      MemRefType::get({int64_t(llvm::alignTo(*steps, kSize)) * elements},
                      element));
  coverLoop(b, loc, nest.extents[step], piecesOfSteps(), {},
            [&](const Piece &piece, Index index, ValueRange) {
              nest.position[step] = index;
              Value place = arith::MulIOp::create(
                        b, loc, index.materialize(b, loc), constant(elements)),
                    count = countOf(piece, step);
              Part part = rowLoop == step ? Part{count, inGroups(laneCount)}
                                          : Part{rowCount, inGroups(count)};
              copyTile(operand, rowLoop, 0, 0, part,
                       {copy, {place}, constant(elements)});
              return Values();
            });
  copies[&operand] = copy;
}

/// The tile of `operand` at a row and lane, of which the rows go along
/// `rowLoop`.
Value MatrixTiles::load(OpOperand &operand, unsigned rowLoop, int64_t row,
                        int64_t lane, Part part) {
  Type element = getElementTypeOrSelf(operand.get().getType());
  Place place;
  if (Value copy = copies.lookup(&operand)) {
    Index index = nest.position[plan.reductions.back()];
    Value elements = constant(elementsOfRow(element));
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
  auto type = amx::TileType::get({kSize, elementsOfRow(element)}, element);
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
          factors.push_back(load(*contraction.a, *plan.row, i * kSize, 0,
                                 {rowCount, inGroups(stepCount)}));
        for (int64_t vector = 0; vector < lanes.vectors; ++vector) {
          Value other = load(*contraction.b, step, 0, vector * kSize,
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
  auto type = amx::TileType::get({kSize, kSize}, b.getF32Type());
  auto visit = [&](function_ref<void(int64_t row, int64_t lane)> each) {
    for (int64_t i = 0; i < rows.vectors; ++i)
      for (int64_t vector = 0; vector < lanes.vectors; ++vector)
        each(i * kSize, vector * kSize);
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
              : nest.shareOfNextPanel(rows.vectors * kSize, kSize);
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
  return extent && *extent < kSize;
}

void MatrixTiles::coverRows(function_ref<void()> inside) {
  OpFoldResult extent = nest.extents[*plan.row];
  SmallVector<Piece> pieces{{2, kSize, false}, {1, kSize, false}};
  auto known = getConstantIntValue(extent);
  if (!known || *known % kSize != 0)
    pieces.push_back({1, kSize, true});
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
            piecesOfLanes(extent, kSize, plan.vectors, /*keepLanes=*/true), {},
            [&](const Piece &piece, Index index, ValueRange) {
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
