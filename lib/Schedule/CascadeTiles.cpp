//===- CascadeTiles.cpp - A cascade as loops over its tiles ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tiles of rows become a parallel loop, and parts of the iterated rank a loop
// inside of each. Maps between them are computed where they are read.
//
//===----------------------------------------------------------------------===//

#include "CascadeSchedule.h"

#include "lutra/Analysis/Contraction.h"
#include "lutra/Conversion/CascadeToLinalg.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// The length of the part that a schedule gives to the iterated rank.
static int64_t partOf(CascadeOp op, ScheduleAttr schedule) {
  for (auto iterate : op.getBlock()->getOps<IterateOp>())
    return schedule.getTile()[*op.findRank(iterate.getRank())];
  return 0;
}

namespace {
/// A tile of a cascade: where it stands along each rank, and the tensors that
/// it is a part of, one per result.
struct Tile {
  SmallVector<OpFoldResult> offsets, sizes;
  ValueRange shared;

  LogicalResult place(OpBuilder &b, CascadeOp op, unsigned result,
                      SmallVector<OpFoldResult> &from,
                      SmallVector<OpFoldResult> &size) const {
    return op.getResultTilePosition(b, result, offsets, sizes, from, size);
  }
};
} // namespace

static SmallVector<OpFoldResult> ones(OpBuilder &b, size_t count) {
  return SmallVector<OpFoldResult>(count, b.getIndexAttr(1));
}

/// Lowers a tile of `op`, whose parts have `part` coordinates: a tensor per
/// result, or nothing if it can't be tiled.
static FailureOr<SmallVector<Value>> lowerTile(RewriterBase &b, CascadeOp op,
                                               const Tile &tile, int64_t part) {
  FailureOr<TilingResult> tiled =
      op.getTiledImplementation(b, tile.offsets, tile.sizes);
  if (failed(tiled))
    return failure();
  auto inner = cast<CascadeOp>(tiled->tiledOps.front());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(inner);
  SmallVector<Value> places;
  for (auto [i, shared] : llvm::enumerate(tile.shared)) {
    SmallVector<OpFoldResult> from, size;
    if (failed(tile.place(b, op, i, from, size)))
      return failure();
    places.push_back(tensor::ExtractSliceOp::create(
        b, op.getLoc(), shared, from, size, ones(b, size.size())));
  }
  SmallVector<Value> results = lowerCascade(b, inner, part, places);
  b.eraseOp(inner);
  return results;
}

/// Whether what `op` streams is multiplied in pairs, which are written as such
/// where a tile's size is known, and else copied once more.
static bool multipliesPairs(CascadeOp op) {
  Builder b(op.getContext());
  return dotGroup(targetOf(op), b.getBF16Type(), b.getF32Type()) > 1 &&
         llvm::any_of(op.getBlock()->getOps<IterateOp>(),
                      [&](IterateOp iterate) {
                        return streams(iterate, b.getBF16Type());
                      });
}

/// Lowers a tile whose last rank of rows, `loop`, has `whole` coordinates but
/// for the last tile: once with that size known, and once for the rest.
static FailureOr<SmallVector<Value>>
lowerVersions(RewriterBase &b, CascadeOp op, const Tile &tile, unsigned loop,
              int64_t whole, int64_t part) {
  Location loc = op.getLoc();
  Tile full = tile;
  full.sizes[loop] = b.getIndexAttr(whole);
  SmallVector<Type> types;
  for (auto [i, shared] : llvm::enumerate(tile.shared)) {
    SmallVector<OpFoldResult> from, size;
    if (failed(tile.place(b, op, i, from, size)))
      return failure();
    types.push_back(tensor::ExtractSliceOp::inferResultType(
        cast<RankedTensorType>(shared.getType()), size));
  }
  Value isFull = arith::CmpIOp::create(
      b, loc, arith::CmpIPredicate::eq,
      getValueOrCreateConstantIndexOp(b, loc, tile.sizes[loop]),
      arith::ConstantIndexOp::create(b, loc, whole));
  auto branch =
      scf::IfOp::create(b, loc, types, isFull, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  for (bool isWhole : {true, false}) {
    b.setInsertionPointToEnd(isWhole ? branch.thenBlock() : branch.elseBlock());
    FailureOr<SmallVector<Value>> results =
        lowerTile(b, op, isWhole ? full : tile, part);
    if (failed(results))
      return failure();
    for (auto [result, type] : llvm::zip_equal(*results, types))
      if (result.getType() != type)
        result = tensor::CastOp::create(b, loc, type, result);
    scf::YieldOp::create(b, loc, *results);
  }
  return SmallVector<Value>(branch.getResults());
}

/// Replaces `op` by a parallel loop over its tiles, each lowered.
static LogicalResult distribute(RewriterBase &b, CascadeOp op,
                                ScheduleAttr schedule, ValueRange outputs) {
  Location loc = op.getLoc();
  SmallVector<OpFoldResult> extents = op.getMixedExtents(), lower, upper, steps;
  SmallVector<unsigned> loops;
  for (auto [loop, size] : llvm::enumerate(schedule.getDistribute())) {
    if (size == 0)
      continue;
    loops.push_back(loop);
    lower.push_back(b.getIndexAttr(0));
    upper.push_back(extents[loop]);
    steps.push_back(b.getIndexAttr(size));
  }
  b.setInsertionPoint(op);
  auto forall = scf::ForallOp::create(b, loc, lower, upper, steps, outputs,
                                      /*mapping=*/std::nullopt);
  b.setInsertionPoint(forall.getTerminator());
  Tile tile{SmallVector<OpFoldResult>(extents.size(), b.getIndexAttr(0)),
            extents, forall.getRegionIterArgs()};
  AffineExpr s0 = b.getAffineSymbolExpr(0), s1 = b.getAffineSymbolExpr(1);
  for (auto [loop, at] : llvm::zip_equal(loops, forall.getInductionVars())) {
    tile.offsets[loop] = at;
    int64_t size = schedule.getDistribute()[loop];
    std::optional<int64_t> extent = getConstantIntValue(extents[loop]);
    tile.sizes[loop] =
        size == 1 || (extent && *extent % size == 0)
            ? OpFoldResult(b.getIndexAttr(size))
            : affine::makeComposedFoldedAffineMin(
                  b, loc,
                  AffineMap::get(0, 2, {s1 - s0, b.getAffineConstantExpr(size)},
                                 b.getContext()),
                  {at, extents[loop]});
  }
  int64_t part = partOf(op, schedule);
  std::optional<unsigned> last =
      rowRanks(op).empty() ? std::nullopt : op.findRank(rowRanks(op).back());
  FailureOr<SmallVector<Value>> results =
      last && !getConstantIntValue(tile.sizes[*last]) && multipliesPairs(op)
          ? lowerVersions(b, op, tile, *last, schedule.getDistribute()[*last],
                          part)
          : lowerTile(b, op, tile, part);
  if (failed(results))
    return op.emitError("expected a cascade that can be tiled along its rows");
  b.setInsertionPointToEnd(forall.getTerminator().getBody());
  for (auto [i, result, shared] :
       llvm::enumerate(*results, forall.getRegionIterArgs())) {
    SmallVector<OpFoldResult> from, size;
    if (failed(tile.place(b, op, i, from, size)))
      return failure();
    tensor::ParallelInsertSliceOp::create(b, loc, result, shared, from, size,
                                          ones(b, size.size()));
  }
  b.replaceOp(op, forall.getResults());
  return success();
}

/// Whether an element of `op` is better computed again where `reader` reads it
/// than stored in a pass of its own over the tile. Movement is not: it puts a
/// tile where it is read in order.
static bool isWorthRepeating(linalg::GenericOp op, linalg::GenericOp reader) {
  auto isCheap = [](Operation &inner) {
    return isa<linalg::IndexOp, linalg::YieldOp>(inner) ||
           (isa<arith::ArithDialect>(inner.getDialect()) &&
            !isa<arith::DivFOp>(inner));
  };
  return op.getBlock()->getOperations().size() > 1 &&
         ((op->hasOneUse() && reader.getNumLoops() <= op.getNumLoops()) ||
          llvm::all_of(*op.getBlock(), isCheap));
}

/// Computes maps where they are read, in place: upstream's patterns would take
/// away destinations that are not read.
static void fuseMaps(RewriterBase &rewriter, func::FuncOp func) {
  SmallVector<linalg::GenericOp> ops;
  func.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  for (linalg::GenericOp op : ops) {
    // What a product reads is read for many products.
    if (matchContraction(op))
      continue;
    for (bool hasFused = true; hasFused;) {
      hasFused = false;
      for (OpOperand *operand : op.getDpsInputOperands()) {
        auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
        if (!producer || producer->getBlock() != op->getBlock() ||
            !isWorthRepeating(producer, op) ||
            !linalg::areElementwiseOpsFusable(operand))
          continue;
        rewriter.setInsertionPoint(op);
        // A producer of one reader leaves nothing behind.
        Operation *own = rewriter.clone(*producer);
        operand->set(own->getResult(0));
        auto fused = linalg::fuseElementwiseOps(rewriter, operand);
        if (failed(fused)) {
          operand->set(producer.getResult(0));
          rewriter.eraseOp(own);
          continue;
        }
        Operation *before = op;
        op = cast<linalg::GenericOp>(fused->fusedOp);
        for (auto [from, to] : fused->replacements)
          from.replaceUsesWithIf(
              to, [&](OpOperand &use) { return use.getOwner() != producer; });
        rewriter.eraseOp(before);
        if (isOpTriviallyDead(producer))
          rewriter.eraseOp(producer);
        hasFused = true;
        break;
      }
    }
  }
}

LogicalResult lutra::applyCascadeSchedule(RewriterBase &rewriter, CascadeOp op,
                                          ScheduleAttr schedule) {
  OpBuilder::InsertionGuard guard(rewriter);
  auto func = op->getParentOfType<func::FuncOp>();
  size_t ranks = op.getRanks().size();
  if (schedule.getDistribute().size() != ranks ||
      schedule.getTile().size() != ranks)
    return op.emitError("expected a schedule of ")
           << ranks << " loops, got " << schedule.getDistribute().size();
  SmallVector<Value> outputs(
      func.getArguments().take_back(func.getNumResults()));
  rewriter.setInsertionPoint(op);
  for (auto [output, type] : llvm::zip_equal(outputs, op.getResultTypes()))
    if (output.getType() != type)
      output = tensor::CastOp::create(rewriter, op.getLoc(), type, output);
  if (llvm::any_of(schedule.getDistribute(),
                   [](int64_t size) { return size != 0; })) {
    if (failed(distribute(rewriter, op, schedule, outputs)))
      return failure();
  } else {
    rewriter.replaceOp(
        op, lowerCascade(rewriter, op, partOf(op, schedule), outputs));
  }
  fuseMaps(rewriter, func);
  return success();
}
