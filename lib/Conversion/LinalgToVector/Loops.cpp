//===- Loops.cpp - Loops in pieces ----------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cuts a loop into stretches of equal steps and builds an scf.for for each that
// may run more than once.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

SmallVector<Piece> lutra::piecesOfLanes(OpFoldResult extent, int64_t lanes,
                                        int64_t vectors, bool keepLanes) {
  SmallVector<Piece> pieces{{vectors, lanes, false}};
  std::optional<int64_t> known = getConstantIntValue(extent);
  if (!known) {
    if (vectors > 1)
      pieces.push_back({1, lanes, false});
    pieces.push_back({1, lanes, true});
    return pieces;
  }
  int64_t rest = *known % (vectors * lanes);
  if (rest >= lanes)
    pieces.push_back({rest / lanes, lanes, false});
  rest %= lanes;
  int64_t tail = keepLanes ? lanes : int64_t(llvm::PowerOf2Ceil(rest));
  if (rest)
    pieces.push_back({1, tail, tail != rest});
  return pieces;
}

SmallVector<Piece> lutra::piecesOfRows(OpFoldResult extent, int64_t rows) {
  SmallVector<Piece> pieces{{rows, 1, false}};
  std::optional<int64_t> known = getConstantIntValue(extent);
  if (known && *known % rows)
    pieces.push_back({*known % rows, 1, false});
  if (!known && rows > 4)
    pieces.push_back({4, 1, false});
  if (!known && rows > 1)
    pieces.push_back({1, 1, false});
  return pieces;
}

OpFoldResult lutra::subtract(OpBuilder &b, Location loc, OpFoldResult x,
                             OpFoldResult y) {
  auto knownX = getConstantIntValue(x), knownY = getConstantIntValue(y);
  if (knownX && knownY)
    return b.getIndexAttr(*knownX - *knownY);
  return b.createOrFold<arith::SubIOp>(
      loc, getValueOrCreateConstantIndexOp(b, loc, x),
      getValueOrCreateConstantIndexOp(b, loc, y));
}

Values lutra::buildLoop(OpBuilder &b, Location loc, OpFoldResult begin,
                        OpFoldResult end, int64_t step, int64_t multiple,
                        ValueRange carried,
                        function_ref<Values(Index, ValueRange)> inside) {
  auto first = getConstantIntValue(begin), last = getConstantIntValue(end);
  if (first && last && *first >= *last)
    return carried;
  if (first && last && *last - *first <= step)
    return inside({Value(), 0, *first}, carried);
  auto loop =
      scf::ForOp::create(b, loc, getValueOrCreateConstantIndexOp(b, loc, begin),
                         getValueOrCreateConstantIndexOp(b, loc, end),
                         arith::ConstantIndexOp::create(b, loc, step), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Index index{loop.getInductionVar(), std::gcd(multiple, step), 0};
  Values results = inside(index, loop.getRegionIterArgs());
  if (!carried.empty())
    scf::YieldOp::create(b, loc, results);
  return loop.getResults();
}

static OpFoldResult lastStep(OpBuilder &b, Location loc, OpFoldResult begin,
                             OpFoldResult extent, int64_t step) {
  OpFoldResult rest = subtract(b, loc, extent, begin);
  if (auto known = getConstantIntValue(rest))
    rest = b.getIndexAttr(*known % step);
  else
    rest = b.createOrFold<arith::RemUIOp>(
        loc, getValueOrCreateConstantIndexOp(b, loc, rest),
        arith::ConstantIndexOp::create(b, loc, step));
  return subtract(b, loc, extent, rest);
}

Values lutra::coverLoop(OpBuilder &b, Location loc, OpFoldResult extent,
                        ArrayRef<Piece> pieces, ValueRange carried,
                        function_ref<Values(Piece, Index, ValueRange)> inside) {
  Values values(carried);
  OpFoldResult begin = b.getIndexAttr(0);
  int64_t multiple = 0;
  for (const Piece &piece : pieces) {
    OpFoldResult end = piece.isMasked || piece.step() == 1
                           ? extent
                           : lastStep(b, loc, begin, extent, piece.step());
    values = buildLoop(b, loc, begin, end, piece.step(), multiple, values,
                       [&](Index index, ValueRange inner) {
                         return inside(piece, index, inner);
                       });
    begin = end;
    multiple = std::gcd(multiple, piece.step());
  }
  return values;
}
