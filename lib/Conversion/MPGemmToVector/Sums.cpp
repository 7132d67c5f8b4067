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
  zeros.assign(parts, Value());
  if (op.getZeros())
    for (int64_t part = 0; part < parts; ++part)
      zeros[part] = loadParameters(op.getZeros(), group, part);
}

/// [chains, rows, parts].
MicroKernel::Values MicroKernel::startSums(Value group) {
  auto type = VectorType::get({lanes}, dot->sumType());
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  Values sums(chains() * numSums(), none);
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

/// The sum of what the chains of a register have, of `sums` [chains, ..].
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

/// Adds the sums of a group, scaled, to the results.
void MicroKernel::flush(Value group, ArrayRef<Value> sums,
                        MutableArrayRef<Value> results) {
  if (op.isUnscaled()) {
    for (auto [at, result] : llvm::enumerate(results))
      result = joinChains(sums, at);
    return;
  }
  Values scales;
  for (int64_t part = 0; part < parts; ++part)
    scales.push_back(loadParameters(op.getScales(), group, part));
  for (int64_t row = 0; row < rows; ++row)
    flushRow(row, group, scales, sums, results);
}

void MicroKernel::flushRow(int64_t row, Value group, ArrayRef<Value> scales,
                           ArrayRef<Value> sums,
                           MutableArrayRef<Value> results) {
  auto contract = arith::FastMathFlags::contract;
  SmallVector<Value> place = {rowIndex[row], group};
  Value scale, sumOfX;
  if (op.isInteger()) {
    scale = splatScalar(memref::LoadOp::create(b, loc, op.getXScales(), place));
    sumOfX = memref::LoadOp::create(b, loc, op.getXSums(), place);
  }
  for (int64_t part = 0; part < parts; ++part) {
    int64_t at = row * parts + part;
    Value sum = toFloat(joinChains(sums, at)), factor = scales[part];
    if (op.isInteger() && areFloats(zeros[part])) {
      Value whole = arith::MulFOp::create(b, loc, toFloat(splatScalar(sumOfX)),
                                          zeros[part], contract);
      sum = arith::SubFOp::create(b, loc, sum, whole, contract);
    }
    if (scale)
      factor = arith::MulFOp::create(b, loc, factor, scale);
    Value scaled = arith::MulFOp::create(b, loc, sum, factor, contract);
    results[at] = arith::AddFOp::create(b, loc, results[at], scaled, contract);
  }
}
