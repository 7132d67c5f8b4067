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

bool PanelKernel::supports(mpgemm::MatmulOp op) {
  int64_t rows = op.getXType().getDimSize(0);
  return !op.isInteger() && ScaledNumbers::supports(op) &&
         ScaledNumbers::chunkOf(op) <= kPanelCodes &&
         (ShapedType::isDynamic(rows) || rows >= kLeastRows) && hasRowsOfX(op);
}

PanelKernel::PanelKernel(OpBuilder &b, mpgemm::MatmulOp op, TargetAttr target,
                         Value table)
    : IndexBuilder(b, op.getLoc()), op(op), numbers(b, op, target, table),
      lanes(numbers.lanes()), parts(numbers.parts()),
      chunk(ScaledNumbers::chunkOf(op)),
      ofRow(op.getXType().getDimSize(1) * op.getGroupSize() / chunk),
      ofPanel(kPanelCodes / chunk),
      dot(createDot(b, op, lanes, target, table)) {
  // Sums, a row of the panel, and an element of x.
  rows =
      std::clamp<int64_t>((vectorRegisters(target) - parts - 1) / parts, 1, 8);
  x = rowsOfX(b, op);
  panel = allocateOnFrame(
      b, op, MemRefType::get({kPanelCodes, parts * lanes}, b.getF32Type()));
}

//===----------------------------------------------------------------------===//
// The panel
//===----------------------------------------------------------------------===//

/// Fills the panel from `count` chunks of a row, from the chunk `first` on.
void PanelKernel::fill(Value first, Value count) {
  auto store = [&](Value code, int64_t part, ArrayRef<Value> four) {
    for (auto [step, number] : llvm::enumerate(four))
      vector::StoreOp::create(
          b, loc, number, panel,
          ValueRange{plus(code, step), constant(part * lanes)});
  };
  numbers.decode(tile, /*firstPart=*/0, parts, first, count, store);
}

/// Adds what `count` chunks from `first` on, which are in the panel, give to
/// the results of a tile of rows from `row` on.
void PanelKernel::multiply(Value row, Value first, Value count,
                           ResultColumns &columns) {
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
    Values factors;
    for (int64_t part = 0; part < parts; ++part)
      factors.push_back(vector::LoadOp::create(
          b, loc, type, panel,
          ValueRange{add(code, constant(step)), constant(part * lanes)}));
    for (int64_t i = 0; i < rows; ++i) {
      Value factor = dot->factor(x, {rowIndex[i], add(begin, code)}, step);
      for (int64_t part = 0; part < parts; ++part) {
        Value &sum = sums[i * parts + part];
        sum = dot->add(sum, factors[part], factor);
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
    Value here = upTo(ofPanel, first, chunks);
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
