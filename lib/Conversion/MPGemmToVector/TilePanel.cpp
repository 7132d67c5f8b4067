//===- TilePanel.cpp - Codes decoded for matrix tiles ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TilePanel.h"

#include "../Frame.h"
#include "Sums.h"
#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

TilePanel::TilePanel(OpBuilder &b, mpgemm::MatmulOp op)
    : IndexBuilder(b, op.getLoc()), op(op), planes(op.getPlanes()),
      unit(unitOf(op)), numParts(std::min<int64_t>(2, allParts())),
      quads(op.getXType().getDimSize(2) / 4) {
  auto type = MemRefType::get({numParts, kQuads, 4 * kLanes}, b.getI8Type());
  bytes = allocateOnFrame(b, op, type);
  if (!NumberDecoder::isNeeded(op.getFormat()))
    return;
  decoder.emplace(b, op, kLanes);
  if (int64_t registers = numParts * decoder->start().size())
    past = allocateOnFrame(
        b, op, MemRefType::get({registers, kLanes}, b.getI32Type()));
}

static bool hasIntegerZeros(mpgemm::MatmulOp op) {
  return op.getZeros() &&
         getElementTypeOrSelf(op.getZeros().getType()).isInteger();
}

bool TilePanel::hasNumbers() {
  int64_t most = (1 << op.getFormat().getNumberBits()) - 1,
          offset = op.getFormat().getOffset().value_or(0);
  if (hasIntegerZeros(op))
    return offset == 0 && most <= 127;
  return offset >= 0 && offset <= 128 && most - offset <= 127;
}

/// What is subtracted from the codes of a group, as bytes of each part; nothing
/// where that is 0.
SmallVector<Value> TilePanel::zerosOf(Value tile, Value group) {
  auto type = VectorType::get({4 * kLanes}, b.getI8Type());
  int64_t offset = op.getFormat().getOffset().value_or(0);
  if (!hasNumbers() || (offset == 0 && !hasIntegerZeros(op)))
    return {};
  if (offset != 0) {
    auto evenly = DenseElementsAttr::get(type, b.getI8IntegerAttr(offset));
    return SmallVector<Value>(numParts,
                              arith::ConstantOp::create(b, loc, evenly));
  }
  GroupSums ofGroup(b, op, kLanes, numParts);
  ofGroup.goTo(firstPart);
  ofGroup.enter(tile, group);
  auto lanes = VectorType::get({kLanes}, b.getI32Type());
  Value eachByte = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(lanes, b.getI32IntegerAttr(0x01010101)));
  SmallVector<Value> zeros;
  for (int64_t part = 0; part < numParts; ++part)
    zeros.push_back(vector::BitCastOp::create(
        b, loc, type,
        arith::MulIOp::create(b, loc, ofGroup.zero(part), eachByte)));
  return zeros;
}

/// What the decoder knows of the codes before quad `first`.
SmallVector<Value> TilePanel::loadHistory(Value first) {
  SmallVector<Value> result;
  if (!past)
    return result;
  Value isStart = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, first,
                                        constant(0));
  for (int64_t part = 0; part < numParts; ++part)
    for (Value none : decoder->start()) {
      Value stored = vector::LoadOp::create(
          b, loc, none.getType(), past,
          ValueRange{constant(result.size()), constant(0)});
      result.push_back(arith::SelectOp::create(b, loc, isStart, none, stored));
    }
  return result;
}

void TilePanel::storeHistory(ValueRange values) {
  for (auto [i, value] : llvm::enumerate(values))
    vector::StoreOp::create(b, loc, value, past,
                            ValueRange{constant(i), constant(0)});
}

/// Decodes the chunk from `quad` on to quads `place` and on of the panel.
void TilePanel::fillChunk(Value tile, Value quad, Value place,
                          MutableArrayRef<Value> history) {
  int64_t perChunk = unit.quads;
  int64_t each = history.size() / numParts;
  auto dividedBy = [&](int64_t size) -> Value {
    return arith::DivUIOp::create(b, loc, quad, constant(size));
  };
  SmallVector<Value> zeros = zerosOf(tile, dividedBy(quads));
  CodesOfChunk codes(b, loc, planes, kLanes, op.getCodes(), tile,
                     arith::MulIOp::create(b, loc, dividedBy(perChunk),
                                           constant(unit.chunks)));
  for (int64_t i = 0; i < perChunk; ++i)
    for (int64_t part = 0; part < numParts; ++part) {
      int64_t ofTile = firstPart + part;
      Value number = decoder ? decoder->decode(codes, i, ofTile,
                                               history.slice(part * each, each))
                             : codes.quad(i, ofTile);
      if (!zeros.empty())
        number = arith::SubIOp::create(b, loc, number, zeros[part]);
      Value at = arith::AddIOp::create(b, loc, place, constant(i));
      vector::StoreOp::create(b, loc, number, bytes,
                              ValueRange{constant(part), at, constant(0)});
    }
}

void TilePanel::fill(Value tile, Value first, Value count) {
  auto loop = scf::ForOp::create(
      b, loc, constant(0), count, constant(unit.quads), loadHistory(first),
      [&](OpBuilder &, Location, Value place, ValueRange carried) {
        SmallVector<Value> history(carried);
        Value quad = arith::AddIOp::create(b, loc, first, place);
        fillChunk(tile, quad, place, history);
        scf::YieldOp::create(b, loc, history);
      });
  storeHistory(loop.getResults());
}

Value TilePanel::load(int64_t part, Value quad) {
  auto type =
      amx::TileType::get({wordsOfTile(quads), 4 * kLanes}, b.getI8Type());
  Value first = arith::ConstantIndexOp::create(b, loc, part),
        none = arith::ConstantIndexOp::create(b, loc, 0);
  return amx::TileLoadOp::create(b, loc, type, bytes,
                                 ValueRange{first, quad, none});
}
