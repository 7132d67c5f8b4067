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
  SmallVector<OpFoldResult> offsets(extents.size(), b.getIndexAttr(0)),
      sizes(extents);
  AffineExpr s0 = b.getAffineSymbolExpr(0), s1 = b.getAffineSymbolExpr(1);
  for (auto [loop, at] : llvm::zip_equal(loops, forall.getInductionVars())) {
    offsets[loop] = at;
    int64_t size = schedule.getDistribute()[loop];
    std::optional<int64_t> extent = getConstantIntValue(extents[loop]);
    sizes[loop] =
        size == 1 || (extent && *extent % size == 0)
            ? OpFoldResult(b.getIndexAttr(size))
            : affine::makeComposedFoldedAffineMin(
                  b, loc,
                  AffineMap::get(0, 2, {s1 - s0, b.getAffineConstantExpr(size)},
                                 b.getContext()),
                  {at, extents[loop]});
  }
  FailureOr<TilingResult> tiled = op.getTiledImplementation(b, offsets, sizes);
  if (failed(tiled))
    return op.emitError("expected a cascade that can be tiled along its rows");
  auto tile = cast<CascadeOp>(tiled->tiledOps.front());
  SmallVector<Value> places;
  struct Place {
    SmallVector<OpFoldResult> offsets, sizes, strides;
  };
  SmallVector<Place> slices;
  b.setInsertionPoint(tile);
  for (auto [i, shared] : llvm::enumerate(forall.getRegionIterArgs())) {
    Place place;
    if (failed(op.getResultTilePosition(b, i, offsets, sizes, place.offsets,
                                        place.sizes)))
      return failure();
    place.strides.assign(place.sizes.size(), b.getIndexAttr(1));
    places.push_back(tensor::ExtractSliceOp::create(
        b, loc, shared, place.offsets, place.sizes, place.strides));
    slices.push_back(std::move(place));
  }
  SmallVector<Value> results =
      lowerCascade(b, tile, partOf(op, schedule), places);
  b.eraseOp(tile);
  b.setInsertionPointToEnd(forall.getTerminator().getBody());
  for (auto [result, shared, place] :
       llvm::zip_equal(results, forall.getRegionIterArgs(), slices))
    tensor::ParallelInsertSliceOp::create(b, loc, result, shared, place.offsets,
                                          place.sizes, place.strides);
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
