//===- Iterations.cpp - Iterations as loops over parts --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whole parts have a static size. What is left over behind them is a part of
// its own, which parts at the edges of a mask share the code of.
//
//===----------------------------------------------------------------------===//

#include "CascadeLowering.h"
#include "WholeParts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <numeric>

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

SmallVector<OpFoldResult> CascadeLowering::sizesOfRanks() {
  SmallVector<OpFoldResult> sizes;
  for (StringRef rank : root.getRanks().getAsValueRange<StringAttr>())
    sizes.push_back(extents[rank]);
  return sizes;
}

/// The length of parts at the edges of a mask, which whole parts of `size` and
/// all of a rank are multiples of. 1 if it were less than a third of a part,
/// since shorter ones are mostly what is done for each of them.
static int64_t unitOfEdges(int64_t extent, int64_t size) {
  int64_t unit = std::gcd(extent, size);
  return 3 * unit >= size ? unit : 1;
}

/// From where to where an iteration has to go.
IterationRange CascadeLowering::rangeOf(IterateOp op, Value step) {
  SmallVector<Value> symbols;
  for (Value symbol : op.getSymbols())
    symbols.push_back(lookup(symbol));
  return iterationRange(b, loc, op, *root.findRank(op.getRank()),
                        sizesOfRanks(), symbols, step, unit);
}

/// Cuts what an iteration goes over to the part that begins at `at`.
void CascadeLowering::cutStreams(IterateOp op, Value at, OpFoldResult length) {
  for (auto [part, stream, dim] :
       llvm::zip_equal(op.getParts(), op.getStreams(), op.getDims())) {
    Value tensor = lookup(stream);
    auto type = cast<RankedTensorType>(tensor.getType());
    SmallVector<OpFoldResult> from(type.getRank(), b.getIndexAttr(0)),
        ones(type.getRank(), b.getIndexAttr(1)),
        sizes = tensor::getMixedSizes(b, loc, tensor);
    from[dim] = at;
    sizes[dim] = length;
    map.map(part,
            tensor::ExtractSliceOp::create(b, loc, tensor, from, sizes, ones));
  }
}

/// A loop over the parts of `range` where its variable is in [from, to). All
/// are `step` long, or none is known to be.
ValueRange CascadeLowering::goOver(IterateOp op, const IterationRange &range,
                                   OpFoldResult from, OpFoldResult to,
                                   Value step, bool areWhole,
                                   ValueRange carried) {
  auto loop = scf::ForOp::create(
      b, loc, getValueOrCreateConstantIndexOp(b, loc, from),
      getValueOrCreateConstantIndexOp(b, loc, to), step, carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value at = range.coordinate(b, loc, loop.getInductionVar());
  AffineExpr s0 = b.getAffineSymbolExpr(0), s1 = b.getAffineSymbolExpr(1),
             s2 = b.getAffineSymbolExpr(2);
  OpFoldResult length = getAsOpFoldResult(step);
  if (!areWhole)
    length = affine::makeComposedFoldedAffineMin(
        b, loc, AffineMap::get(0, 3, {s0 - s1, s2}, b.getContext()),
        {range.end, at, length});
  StringRef rank = op.getRank();
  OpFoldResult extent = std::exchange(extents[rank], length);
  offsets[rank] = at;
  cutStreams(op, at, length);
  map.map(op.getCarried(), loop.getRegionIterArgs());
  for (Operation &inner : op.getBlock()->without_terminator())
    lower(inner);
  SmallVector<Value> next;
  for (Value value : op.getBlock()->getTerminator()->getOperands())
    next.push_back(lookup(value));
  scf::YieldOp::create(b, loc, next);
  extents[rank] = extent;
  offsets.erase(rank);
  return loop.getResults();
}

/// Goes over the parts, `size` long, that lie in one filter for all rows, and
/// takes them out of `range`, if there may be such and they are simpler.
bool CascadeLowering::goOverWholeParts(IterateOp op, IterationRange &range,
                                       int64_t size, Value step,
                                       SmallVector<Value> &carried) {
  if (!op.getFilters())
    return false;
  PieceReader reader(root);
  unsigned rank = *root.findRank(op.getRank());
  SmallVector<OpFoldResult> sizes = sizesOfRanks();
  for (IntegerSet filter : op.getFilters()->getAsValueRange<IntegerSetAttr>()) {
    Points points = pointsOf(reader, op, filter);
    if (isShorter(reader, points, rank, sizes, size))
      continue;
    auto simpler = cast<IterateOp>(OpBuilder(op).clone(*op));
    if (simplifyWhere(reader, simpler, points,
                      [&](EinsumOp einsum, AffineExpr constraint) {
                        return isImplied(einsum, constraint);
                      })) {
      IterationRange all = range;
      IterationRange inner =
          innerRange(b, loc, rank, sizes, points, reader.getSymbols());
      auto [from, to] = range.takeOut(b, loc, inner, size);
      findBlocks(simpler, size);
      carried = goOver(simpler, all, from, to, step, true, carried);
      b.eraseOp(simpler);
      return true;
    }
    b.eraseOp(simpler);
  }
  return false;
}

void CascadeLowering::lower(IterateOp op) {
  loc = op.getLoc();
  OpFoldResult extent = extents[op.getRank()];
  std::optional<int64_t> whole = getConstantIntValue(extent);
  // A loop over nothing still has to step.
  OpFoldResult step = part ? b.getIndexAttr(part) : extent;
  if (whole)
    step = b.getIndexAttr(std::clamp<int64_t>(part ? part : *whole, 1,
                                              std::max<int64_t>(1, *whole)));
  std::optional<int64_t> size = getConstantIntValue(step);
  bool isWhole = whole && size && *whole % *size == 0;
  SmallVector<Value> carried;
  for (Value init : op.getInits())
    carried.push_back(lookup(init));
  Value stepValue = getValueOrCreateConstantIndexOp(b, loc, step);
  if (!size)
    stepValue = arith::MaxSIOp::create(
        b, loc, stepValue, arith::ConstantIndexOp::create(b, loc, 1));
  if (size)
    findBlocks(op, *size);
  unit = isWhole                            ? *size
         : !blocks.empty()                  ? blockLength
         : whole && size && op.getFilters() ? unitOfEdges(*whole, *size)
                                            : 1;
  IterationRange range = rangeOf(op, stepValue);
  hasOnePart = whole && whole == size;
  bool hasEdges = size && whole != size &&
                  goOverWholeParts(op, range, *size, stepValue, carried);
  OpFoldResult from = range.begin, to = range.loopEnd(b, loc);
  // Whole parts are told by their type. Those that may be shorter are apart.
  if (size && (isWhole || !hasEdges)) {
    AffineExpr s0 = b.getAffineSymbolExpr(0), s1 = b.getAffineSymbolExpr(1);
    OpFoldResult last = to;
    if (!isWhole)
      last = affine::makeComposedFoldedAffineMax(
          b, loc,
          AffineMap::get(0, 2, {s0, s0 + (s1 - s0).floorDiv(*size) * *size},
                         b.getContext()),
          {from, to});
    carried = goOver(op, range, from, last, stepValue, true, carried);
    from = last;
  }
  if (!isWhole) {
    bool areEven = blocks.empty() && unit > 1;
    Value each =
        areEven ? arith::ConstantIndexOp::create(b, loc, unit) : stepValue;
    carried = goOver(op, range, from, to, each, areEven, carried);
  }
  unit = 1;
  hasOnePart = false;
  blocks.clear();
  map.map(op.getResults(), carried);
}
