//===- Sums.cpp - Where sums of a group start, and what becomes of them ---===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Zero points of integers are where sums start, so that they cost nothing in
// the loop. Behind it sums are scaled, and added to the results, of which the
// last tile has only the columns that there are.
//
//===----------------------------------------------------------------------===//

#include "Sums.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

/// Whether a vector is there and its elements are floats.
static bool areFloats(Value vector) {
  return vector &&
         isa<FloatType>(cast<VectorType>(vector.getType()).getElementType());
}

static SmallVector<ReassociationIndices> groupsInOne() { return {{0}, {1, 2}}; }

bool lutra::hasRowsOfX(mpgemm::MatmulOp op) {
  return memref::CollapseShapeOp::isGuaranteedCollapsible(
      cast<MemRefType>(op.getX().getType()), groupsInOne());
}

Value lutra::rowsOfX(OpBuilder &b, mpgemm::MatmulOp op) {
  return memref::CollapseShapeOp::create(b, op.getLoc(), op.getX(),
                                         groupsInOne());
}

Value lutra::groupOfX(OpBuilder &b, mpgemm::MatmulOp op, Value group) {
  int64_t planes = op.getFormat().getPlanes();
  if (planes == 1)
    return group;
  Location loc = op.getLoc();
  return arith::DivUIOp::create(b, loc, group,
                                arith::ConstantIndexOp::create(b, loc, planes));
}

/// What is no integer of the offset of codes that integers are multiplied with.
static float fractionOfOffset(mpgemm::MatmulOp op) {
  double offset = op.getFormat().getOffset().value_or(0);
  return op.isInteger() && !op.hasTables() ? offset - std::floor(offset) : 0;
}

Value GroupSums::splat(Value scalar) {
  return vector::BroadcastOp::create(
      b, loc, VectorType::get({lanes}, scalar.getType()), scalar);
}

/// A vector of floats as f32, of integers as f32.
Value GroupSums::toFloat(Value vector) {
  auto type = VectorType::get({lanes}, b.getF32Type());
  Type element = cast<VectorType>(vector.getType()).getElementType();
  if (element.isF32())
    return vector;
  if (isa<FloatType>(element))
    return arith::ExtFOp::create(b, loc, type, vector);
  return arith::SIToFPOp::create(b, loc, type, vector);
}

/// What `buffer` has of the tile's columns of a vector.
Value GroupSums::loadParameters(Value buffer, Value group, int64_t vector) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  Value column =
      arith::ConstantIndexOp::create(b, loc, (firstVector + vector) * lanes);
  return vector::LoadOp::create(b, loc, VectorType::get({lanes}, element),
                                buffer, ValueRange{tile, group, column});
}

/// The zero points of the group: bytes as i32, floats as f32.
Value GroupSums::loadZeros(int64_t vector) {
  Value zeros = loadParameters(op.getZeros(), group, vector);
  if (areFloats(zeros))
    return toFloat(zeros);
  return arith::ExtUIOp::create(
      b, loc, VectorType::get({lanes}, b.getI32Type()), zeros);
}

void GroupSums::enter(Value column, Value number, bool counts) {
  tile = column;
  group = number;
  countsZeros = counts;
  zeros.assign(vectors, Value());
  if (!countsZeros)
    return;
  if (float fraction = fractionOfOffset(op))
    zeros.assign(vectors, splat(arith::ConstantOp::create(
                              b, loc, b.getF32FloatAttr(fraction))));
  if (!op.getZeros())
    return;
  for (int64_t vector = 0; vector < vectors; ++vector) {
    Value loaded = loadZeros(vector);
    // Tables have sums of x in floats.
    zeros[vector] = op.hasTables() ? toFloat(loaded) : loaded;
  }
}

void GroupSums::loadScales() {
  scales.clear();
  Value superBlock;
  if (op.getSuperScales())
    superBlock = arith::DivUIOp::create(
        b, loc, group,
        arith::ConstantIndexOp::create(b, loc, op.getSuperBlock()));
  for (int64_t vector = 0; vector < vectors; ++vector) {
    Value scale = toFloat(loadParameters(op.getScales(), group, vector));
    if (superBlock)
      scale = arith::MulFOp::create(
          b, loc, scale,
          toFloat(loadParameters(op.getSuperScales(), superBlock, vector)));
    scales.push_back(scale);
  }
}

/// The field of a vector, above those that are counted with it.
int64_t GroupSums::fieldOf(int64_t vector) {
  CodePlanes planes = op.getPlanes();
  return nestsFields ? vector * lanes / planes.quarter() % planes.rowsOfByte()
                     : 0;
}

/// 1 in the field of a vector and in those that are counted with it.
int64_t GroupSums::onesInFields(int64_t vector) {
  int64_t ones = 0;
  for (int64_t field = 0; field <= fieldOf(vector); ++field)
    ones |= int64_t(1) << field * op.getFormat().getBits();
  return ones;
}

/// The same for zero points that are integers.
Value GroupSums::zerosInFields(int64_t vector) {
  int64_t number = fieldOf(vector);
  if (number == 0)
    return zeros[vector];
  auto type = cast<VectorType>(zeros[vector].getType());
  auto by = DenseElementsAttr::get(
      type, b.getI32IntegerAttr(number * op.getFormat().getBits()));
  Value field = arith::ShLIOp::create(b, loc, zeros[vector],
                                      arith::ConstantOp::create(b, loc, by));
  return arith::AddIOp::create(
      b, loc, field, zerosInFields(vector - op.getPlanes().quarter() / lanes));
}

SmallVector<Value> GroupSums::start(Value row) {
  int64_t offset = op.getFormat().getOffset().value_or(0);
  offset -= subtracted;
  bool hasIntegers = zeros[0] && !areFloats(zeros[0]);
  if (!countsZeros || !op.isInteger() || op.hasTables() ||
      (offset == 0 && !hasIntegers))
    return {};
  // - (offset + zero) * (the sum of x).
  Value sum = memref::LoadOp::create(b, loc, op.getXSums(),
                                     ValueRange{row, groupOfX(b, op, group)});
  sum = arith::SubIOp::create(
      b, loc, arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0)), sum);
  SmallVector<Value> starts;
  for (int64_t vector = 0; vector < vectors; ++vector) {
    Value evenly, start;
    if (offset != 0)
      start = evenly = splat(arith::MulIOp::create(
          b, loc, sum,
          arith::ConstantOp::create(
              b, loc, b.getI32IntegerAttr(offset * onesInFields(vector)))));
    if (hasIntegers) {
      start = arith::MulIOp::create(b, loc, zerosInFields(vector), splat(sum));
      if (evenly)
        start = arith::AddIOp::create(b, loc, start, evenly);
    }
    starts.push_back(start);
  }
  return starts;
}

void GroupSums::add(Value row, ArrayRef<Value> sums,
                    MutableArrayRef<Value> results) {
  auto contract = arith::FastMathFlags::contract;
  SmallVector<Value> place = {row, groupOfX(b, op, group)};
  Value scale, sumOfX;
  if (op.getXScales())
    scale = splat(memref::LoadOp::create(b, loc, op.getXScales(), place));
  if (op.isInteger() && areFloats(zeros.front()))
    sumOfX =
        toFloat(splat(memref::LoadOp::create(b, loc, op.getXSums(), place)));
  for (int64_t vector = 0; vector < vectors; ++vector) {
    Value sum = toFloat(sums[vector]), factor = scales[vector];
    if (sumOfX) {
      Value whole =
          arith::MulFOp::create(b, loc, sumOfX, zeros[vector], contract);
      sum = arith::SubFOp::create(b, loc, sum, whole, contract);
    }
    if (scale)
      factor = arith::MulFOp::create(b, loc, factor, scale);
    Value scaled = arith::MulFOp::create(b, loc, sum, factor, contract);
    results[vector] =
        arith::AddFOp::create(b, loc, results[vector], scaled, contract);
  }
}

ResultColumns::ResultColumns(OpBuilder &b, mpgemm::MatmulOp op, int64_t lanes,
                             int64_t vectors, Value tile, int64_t firstVector)
    : b(b), op(op), lanes(lanes) {
  Location loc = op.getLoc();
  auto constant = [&](int64_t i) -> Value {
    return arith::ConstantIndexOp::create(b, loc, i);
  };
  int64_t count = op.getInitType().getDimSize(1),
          width = op.getLayoutAttr().getRows();
  bool isWhole = !ShapedType::isDynamic(count) && count % width == 0;
  auto nsw = arith::IntegerOverflowFlags::nsw;
  Value first = arith::MulIOp::create(b, loc, tile, constant(width), nsw), all;
  if (!isWhole)
    all = memref::DimOp::create(b, loc, op.getInit(), 1);
  auto type = VectorType::get({lanes}, b.getI1Type());
  for (int64_t vector = 0; vector < vectors; ++vector) {
    columns.push_back(arith::AddIOp::create(
        b, loc, first, constant((firstVector + vector) * lanes), nsw));
    if (!isWhole) {
      Value left = arith::SubIOp::create(b, loc, all, columns.back());
      masks.push_back(vector::CreateMaskOp::create(b, loc, type, left));
    }
  }
}

SmallVector<Value> ResultColumns::load(Value row) {
  auto type = VectorType::get({lanes}, op.getInitType().getElementType());
  SmallVector<Value> results;
  for (auto [vector, column] : llvm::enumerate(columns)) {
    SmallVector<Value> place = {row, column};
    if (masks.empty()) {
      results.push_back(
          vector::LoadOp::create(b, op.getLoc(), type, op.getInit(), place));
      continue;
    }
    Value none = arith::ConstantOp::create(b, op.getLoc(), b.getZeroAttr(type));
    results.push_back(vector::MaskedLoadOp::create(
        b, op.getLoc(), type, op.getInit(), place, masks[vector], none));
  }
  return results;
}

void ResultColumns::store(Value row, ArrayRef<Value> results) {
  for (auto [vector, result] : llvm::enumerate(results)) {
    SmallVector<Value> place = {row, columns[vector]};
    if (masks.empty())
      vector::StoreOp::create(b, op.getLoc(), result, op.getInit(), place);
    else
      vector::MaskedStoreOp::create(b, op.getLoc(), op.getInit(), place,
                                    masks[vector], result);
  }
}
