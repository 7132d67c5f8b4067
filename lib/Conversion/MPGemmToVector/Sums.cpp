//===- Sums.cpp - Where sums of a group start, and what becomes of them ---===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Zero points of integers are where sums start, so that they cost nothing in
// the loop. Behind it sums are joined, scaled, and added to the results.
//
//===----------------------------------------------------------------------===//

#include "MicroKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::lutra;

/// Whether a vector is there and its elements are floats.
static bool areFloats(Value vector) {
  return vector &&
         isa<FloatType>(cast<VectorType>(vector.getType()).getElementType());
}

void MicroKernel::loadZeros(Value group) {
  zeros.assign(vectors, Value());
  if (!op.getZeros())
    return;
  for (int64_t vector = 0; vector < vectors; ++vector) {
    Value loaded = loadParameters(op.getZeros(), group, vector);
    // Tables have sums of x in floats.
    zeros[vector] = looksUp ? toFloat(loaded) : loaded;
  }
}

/// Sums [chains, rows, parts, ..] to which so much is added.
MicroKernel::Values MicroKernel::startSums(Value group, int64_t adds) {
  Type element = dot->sumType();
  auto type =
      VectorType::get({32 * lanes / element.getIntOrFloatBitWidth()}, element);
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  Values sums(chains() * numSums(), none);
  if (Values start = dot->start(adds); !start.empty())
    for (int64_t at = 0; at < numSums(); ++at)
      sums[at] = start[at % start.size()];
  if (looksUp)
    return sums;
  int64_t offset = op.getFormat().getOffset().value_or(0);
  bool hasIntegers = zeros[0] && !areFloats(zeros[0]);
  if (!op.isInteger() || (offset == 0 && !hasIntegers))
    return sums;
  // - (offset + zero) * (the sum of x).
  for (int64_t row = 0; row < rows; ++row) {
    Value sum = memref::LoadOp::create(b, loc, op.getXSums(),
                                       ValueRange{rowIndex[row], group});
    sum = arith::SubIOp::create(
        b, loc, arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0)), sum);
    Value evenly;
    if (offset != 0)
      evenly = splatScalar(arith::MulIOp::create(
          b, loc, sum,
          arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(offset))));
    for (int64_t part = 0; part < parts; ++part) {
      Value start = evenly;
      if (hasIntegers) {
        start = arith::MulIOp::create(b, loc, zeros[part], splatScalar(sum));
        if (evenly)
          start = arith::AddIOp::create(b, loc, start, evenly);
      }
      sums[row * parts + part] = start;
    }
  }
  return sums;
}

/// The sum of what the chains of register `at` have, of `sums` [chains, ..].
Value MicroKernel::joinChains(ArrayRef<Value> sums, int64_t at) {
  Value total = sums[at];
  int64_t width = keepsFields() ? planes.bits : 0;
  for (int64_t chain = 1; chain * numSums() < int64_t(sums.size()); ++chain) {
    Value sum = sums[chain * numSums() + at];
    if (width != 0) {
      auto type = cast<VectorType>(sum.getType());
      auto by =
          DenseElementsAttr::get(type, b.getI32IntegerAttr(chain * width));
      sum = arith::ShRSIOp::create(b, loc, sum,
                                   arith::ConstantOp::create(b, loc, by));
    }
    total = op.isInteger()
                ? arith::AddIOp::create(b, loc, total, sum).getResult()
                : arith::AddFOp::create(b, loc, total, sum).getResult();
  }
  return total;
}

/// The sums of a row, of 32 bits, [vectors].
MicroKernel::Values MicroKernel::sumsOfRow(ArrayRef<Value> sums, int64_t row) {
  Values result;
  for (int64_t part = 0; part < parts; ++part) {
    Values joined;
    for (int64_t i = 0; i < dot->sums(); ++i)
      joined.push_back(
          joinChains(sums, (row * parts + part) * dot->sums() + i));
    llvm::append_range(result, dot->widened(joined));
  }
  return result;
}

/// Adds the sums of a group, scaled, to the results.
void MicroKernel::flush(Value group, ArrayRef<Value> sums,
                        MutableArrayRef<Value> results) {
  if (op.isUnscaled()) {
    for (int64_t row = 0; row < rows; ++row)
      llvm::copy(sumsOfRow(sums, row), results.begin() + row * vectors);
    return;
  }
  Values scales;
  for (int64_t vector = 0; vector < vectors; ++vector)
    scales.push_back(loadParameters(op.getScales(), group, vector));
  for (int64_t row = 0; row < rows; ++row)
    flushRow(row, group, scales, sums, results);
}

void MicroKernel::flushRow(int64_t row, Value group, ArrayRef<Value> scales,
                           ArrayRef<Value> sums,
                           MutableArrayRef<Value> results) {
  auto contract = arith::FastMathFlags::contract;
  SmallVector<Value> place = {rowIndex[row], group};
  Value scale, sumOfX;
  if (op.isInteger())
    scale = splatScalar(memref::LoadOp::create(b, loc, op.getXScales(), place));
  if (op.isInteger() && areFloats(zeros.front()))
    sumOfX = toFloat(
        splatScalar(memref::LoadOp::create(b, loc, op.getXSums(), place)));
  for (auto [vector, sumOfCodes] : llvm::enumerate(sumsOfRow(sums, row))) {
    int64_t at = row * vectors + vector;
    Value sum = toFloat(sumOfCodes), factor = scales[vector];
    if (sumOfX) {
      Value whole =
          arith::MulFOp::create(b, loc, sumOfX, zeros[vector], contract);
      sum = arith::SubFOp::create(b, loc, sum, whole, contract);
    }
    if (scale)
      factor = arith::MulFOp::create(b, loc, factor, scale);
    Value scaled = arith::MulFOp::create(b, loc, sum, factor, contract);
    results[at] = arith::AddFOp::create(b, loc, results[at], scaled, contract);
  }
}
