//===- MatrixTileCopies.cpp - What does not fill a matrix tile ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What does not fill a tile goes through a buffer, with zeros behind the last
// step. Where all of a factor does not, its tiles are copied once, before the
// loop that multiplies them again and again.
//
//===----------------------------------------------------------------------===//

#include "../Frame.h"
#include "MatrixTileNest.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra;

/// Steps of a factor that is copied as a whole: 32 KiB.
static constexpr int64_t kMostCopiedSteps = 512;

int64_t lutra::elementsOfTileRow(Type element) {
  return kTileSize * 32 / element.getIntOrFloatBitWidth();
}

MatrixTiles::Place MatrixTiles::placeOf(OpOperand &operand, unsigned rowLoop,
                                        int64_t row, int64_t lane) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  VectorBuilder builder = nest.builderFor({1, kTileSize, false});
  SmallVector<Index> loops = nest.at(row, lane);
  auto [view, first] =
      builder.consecutive(operand.get(), builder.index(map, loops, plan.loop));
  Value stride = constant(0);
  for (auto [expr, each] : llvm::zip_equal(
           map.getResults(), nest.flat.of(b, operand.get()).strides))
    if (int64_t steps = *laneStride(expr, loops, rowLoop, kTileSize))
      stride = b.createOrFold<arith::AddIOp>(
          loc, stride,
          b.createOrFold<arith::MulIOp>(
              loc, getValueOrCreateConstantIndexOp(b, loc, each),
              constant(steps)));
  return {view, {first.value}, stride};
}

MatrixTiles::Place MatrixTiles::buffer(Type element) {
  Value &memref = buffers[element];
  int64_t elements = elementsOfTileRow(element);
  if (!memref)
    memref = allocateOnFrame(b, op,
                             MemRefType::get({kTileSize * elements}, element));
  return {memref, {constant(0)}, constant(elements)};
}

/// Copies the part of a tile that exists. Where it fills rows, zeros are behind
/// their last element.
void MatrixTiles::copyRows(Type element, Part part, const Place &from,
                           const Place &to, bool fillsRows) {
  auto type = VectorType::get({elementsOfTileRow(element)}, element);
  Value rows = part.rows ? part.rows : constant(kTileSize), mask;
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
    auto type = VectorType::get({elementsOfTileRow(element)}, element);
    Value zeros = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
    for (int64_t i = 0; i < kTileSize; ++i)
      vector::StoreOp::create(
          b, loc, zeros, to.memref,
          ValueRange{b.createOrFold<arith::AddIOp>(
              loc, to.index.front(), constant(i * type.getDimSize(0)))});
  }
  copyRows(element, part, placeOf(operand, rowLoop, row, lane), to,
           /*fillsRows=*/true);
}

/// Copies all steps of a factor that does not fill the rows or lanes of a tile,
/// if they are not too many.
void MatrixTiles::copyFactor(OpOperand &operand, unsigned rowLoop) {
  unsigned step = plan.reductions.back();
  auto steps = getConstantIntValue(nest.extents[step]);
  if (!steps || *steps > kMostCopiedSteps || plan.reductions.size() != 1)
    return;
  Type element = getElementTypeOrSelf(operand.get().getType());
  int64_t elements = elementsOfTileRow(element);
  Value copy = allocateOnFrame(
      b, op,
      MemRefType::get({int64_t(llvm::alignTo(*steps, kTileSize)) * elements},
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
