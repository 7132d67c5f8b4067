//===- PanelKernel.cpp - Many rows of floats by codes ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// To make a number of a code takes as long as to multiply it with two or three
// rows, and a register tile has no more than eight. So numbers, scaled, of some
// codes of a tile of columns are put into a panel, which stays in the
// first-level cache while all rows pass by. Sums are where results will be from
// one panel to the next.
//
//===----------------------------------------------------------------------===//

#include "PanelKernel.h"

#include "../Frame.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

/// Codes of a panel: 16 KiB with two registers of 512 bits.
static constexpr int64_t kPanelCodes = 128;
/// Rows from which on a panel is faster.
static constexpr int64_t kLeastRows = 16;
/// Codes that are multiplied without a branch.
static constexpr int64_t kUnrolledCodes = 4;

/// The dimensions of x as rows and codes of a row.
static const SmallVector<ReassociationIndices> kRowsOfX = {{0}, {1, 2}};

bool PanelKernel::supports(mpgemm::MatmulOp op) {
  auto x = cast<MemRefType>(op.getX().getType());
  int64_t chunk = op.getPlanes().depth * unitOf(op).quads,
          rows = x.getDimSize(0);
  mpgemm::FormatInterface format = op.getFormat();
  return !op.isInteger() && op.getGroupSize() % chunk == 0 &&
         chunk <= kPanelCodes && format.getPlanes() == 1 &&
         format.getWindow() == format.getBits() &&
         (ShapedType::isDynamic(rows) || rows >= kLeastRows) &&
         memref::CollapseShapeOp::isGuaranteedCollapsible(x, kRowsOfX);
}

PanelKernel::PanelKernel(OpBuilder &b, mpgemm::MatmulOp op, TargetAttr target,
                         Value table)
    : IndexBuilder(b, op.getLoc()), op(op), planes(op.getPlanes()),
      unit(unitOf(op)), lanes(lanesOf(target, planes)),
      parts(planes.rows / lanes), dot(createDot(b, op, lanes, target, table)),
      groupSums(b, op, lanes, parts) {
  mpgemm::FormatInterface format = op.getFormat();
  if (NumberDecoder::isNeeded(format) && !dot->takesCodes())
    decoder.emplace(b, op, lanes);
  int64_t chunk = planes.depth * unit.quads;
  ofGroup = op.getGroupSize() / chunk;
  ofRow = op.getXType().getDimSize(1) * ofGroup;
  ofPanel = kPanelCodes / chunk;
  // Sums, a row of the panel, and an element of x.
  rows =
      std::clamp<int64_t>((vectorRegisters(target) - parts - 1) / parts, 1, 8);
  x = memref::CollapseShapeOp::create(b, loc, op.getX(), kRowsOfX);
  panel = allocateOnFrame(
      b, op, MemRefType::get({kPanelCodes, planes.rows}, b.getF32Type()));
}

//===----------------------------------------------------------------------===//
// The panel
//===----------------------------------------------------------------------===//

/// Puts the numbers of quad `quad` of a chunk into the panel from `place` on.
void PanelKernel::decode(CodesOfChunk &codes, Value place, int64_t quad) {
  for (int64_t part = 0; part < parts; ++part) {
    Value bytes, zero = groupSums.zero(part);
    if (decoder)
      bytes = decoder->decode(codes, quad, part, {});
    for (unsigned step = 0; step < dot->steps(); ++step) {
      Value number = bytes ? dot->codes(bytes, step, zero)
                           : dot->codesOfQuad(codes, quad, part, step, zero);
      number = arith::MulFOp::create(b, loc, number, groupSums.scale(part));
      Value at = add(place, constant(quad * planes.depth + step));
      vector::StoreOp::create(b, loc, number, panel,
                              ValueRange{at, constant(part * lanes)});
    }
  }
}

/// Fills the panel from `count` chunks of a row, from the chunk `first` on.
void PanelKernel::fill(Value first, Value count) {
  int64_t perChunk = unit.quads;
  loop(constant(0), count, 1, [&](Value i) {
    Value chunk = add(first, i);
    groupSums.enter(tile,
                    arith::DivUIOp::create(b, loc, chunk, constant(ofGroup)));
    groupSums.loadScales();
    CodesOfChunk codes(b, loc, planes, lanes, op.getCodes(), tile,
                       times(chunk, unit.chunks));
    for (int64_t quad = 0; quad < perChunk; ++quad)
      decode(codes, times(i, perChunk * planes.depth), quad);
  });
}

/// Adds what `count` chunks from `first` on, which are in the panel, give to
/// the results of a tile of rows from `row` on.
void PanelKernel::multiply(Value row, Value first, Value count,
                           ResultColumns &columns) {
  int64_t chunk = planes.depth * unit.quads;
  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, first,
                                        constant(0)),
        begin = times(first, chunk);
  Values rowIndex, sums;
  for (int64_t i = 0; i < rows; ++i) {
    rowIndex.push_back(add(row, constant(i)));
    for (Value sum : columns.load(rowIndex.back())) {
      Value none =
          arith::ConstantOp::create(b, loc, b.getZeroAttr(sum.getType()));
      sums.push_back(arith::SelectOp::create(b, loc, isFirst, none, sum));
    }
  }
  auto type = VectorType::get({lanes}, b.getF32Type());
  auto multiplyCode = [&](Value code, unsigned step,
                          MutableArrayRef<Value> sums) {
    Values numbers;
    for (int64_t part = 0; part < parts; ++part)
      numbers.push_back(vector::LoadOp::create(
          b, loc, type, panel,
          ValueRange{add(code, constant(step)), constant(part * lanes)}));
    for (int64_t i = 0; i < rows; ++i) {
      Value factor = dot->factor(x, {rowIndex[i], add(begin, code)}, step);
      for (int64_t part = 0; part < parts; ++part) {
        Value &sum = sums[i * parts + part];
        sum = dot->add(sum, numbers[part], factor);
      }
    }
  };
  auto codes = scf::ForOp::create(
      b, loc, constant(0), times(count, chunk), constant(kUnrolledCodes), sums,
      [&](OpBuilder &, Location, Value code, ValueRange carried) {
        Values next(carried);
        for (unsigned step = 0; step < kUnrolledCodes; ++step)
          multiplyCode(code, step, next);
        scf::YieldOp::create(b, loc, next);
      });
  Values results(codes.getResults());
  for (int64_t i = 0; i < rows; ++i)
    columns.store(rowIndex[i], ArrayRef(results).slice(i * parts, parts));
}

//===----------------------------------------------------------------------===//
// All rows
//===----------------------------------------------------------------------===//

/// Computes `count` rows, whole tiles, from `chunks` chunks.
void PanelKernel::emitRows(Value count, Value chunks, Value column) {
  tile = column;
  ResultColumns columns(b, op, lanes, parts, tile);
  loop(constant(0), chunks, ofPanel, [&](Value first) {
    Value left = arith::SubIOp::create(b, loc, chunks, first),
          here = arith::MinUIOp::create(b, loc, left, constant(ofPanel));
    fill(first, here);
    loop(constant(0), count, rows,
         [&](Value row) { multiply(row, first, here, columns); });
  });
}

int64_t PanelKernel::emit(int64_t count, Value column) {
  count -= count % rows;
  emitRows(constant(count), constant(ofRow), column);
  return count;
}

Value PanelKernel::emit(Value count, Value column) {
  Value none = constant(0),
        rest = arith::RemUIOp::create(b, loc, count, constant(rows)),
        areMany = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge,
                                        count, constant(kLeastRows));
  auto ifMany = [&](Value value) -> Value {
    return arith::SelectOp::create(b, loc, areMany, value, none);
  };
  Value done = ifMany(arith::SubIOp::create(b, loc, count, rest));
  emitRows(done, ifMany(constant(ofRow)), column);
  return done;
}
