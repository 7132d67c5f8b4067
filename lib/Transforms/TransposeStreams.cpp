//===- TransposeStreams.cpp - Streams as matrix tiles read them -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix tiles read one factor along the reduction. A stream that an iteration
// sums over its own rank, as the values of attention, lies across it, and each
// tile of rows would turn each part of it around. Where many rows read it, that
// is done once, for all of it.
//
//===----------------------------------------------------------------------===//

#include "MoveLast.h"
#include "dialects/Cascade/Cascade.h"
#include "dialects/Cascade/Parts.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/Caches.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_TRANSPOSESTREAMS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Rows that are worth a copy of what they read, and the least extents of what
/// tiles multiply.
static constexpr int64_t kMinRows = 256, kMinExtent = 16;

/// Whether `reader` sums products of operand `number` with something else over
/// the rank of `dim`, and has all of the operand's other ranks.
static bool isSummedAlong(EinsumOp reader, unsigned number, unsigned dim) {
  AffineMap map = reader.getInputMap(number);
  auto rank = dyn_cast<AffineDimExpr>(map.getResult(dim));
  return rank && reader.getInputs().size() == 2 &&
         map.isProjectedPermutation() && reader.isReduced(rank.getPosition());
}

/// The rows that read the same of a stream; 0 where that is not known.
static int64_t rowsOf(CascadeOp op, IterateOp iterate) {
  int64_t rows = 1;
  for (StringRef rank : rowRanks(op)) {
    if (iterate.streamsAlong(rank) || countsParts(op, rank))
      continue;
    int64_t extent = op.getStaticExtent(rank);
    if (ShapedType::isDynamic(extent))
      return 0;
    rows *= extent;
  }
  return rows;
}

/// Whether all that reads a stream wants it along the iterated rank.
static bool isWorthMoving(IterateOp iterate, unsigned number) {
  auto type = cast<RankedTensorType>(iterate.getStreams()[number].getType());
  unsigned dim = iterate.getDims()[number], rank = type.getRank();
  Value part = iterate.getParts()[number];
  if (!type.getElementType().isBF16() || dim + 1 == rank ||
      !type.hasStaticShape() || type.getDimSize(dim) < kMinExtent ||
      type.getShape().back() < kMinExtent)
    return false;
  return !part.use_empty() && llvm::all_of(part.getUses(), [&](OpOperand &use) {
    auto reader = dyn_cast<EinsumOp>(use.getOwner());
    return reader && use.getOperandNumber() < reader.getInputs().size() &&
           isSummedAlong(reader, use.getOperandNumber(), dim);
  });
}

/// Rows of two matrix tiles, which are read together.
static constexpr int64_t kRowsRead = 32;

/// The result of `op`, with rows that are a line longer in memory where those
/// that are read together would share few sets of the first-level cache.
static Value spreadRows(OpBuilder &b, linalg::TransposeOp op) {
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getInit().getType());
  int64_t bytes = type.getElementTypeBitWidth() / 8;
  if (haveRoom(kRowsRead, type.getShape().back() * bytes))
    return op->getResult(0);
  // Only what is generic is written into its place in what is padded.
  IRRewriter rewriter(b);
  Value tensor = linalg::generalizeNamedOp(rewriter, op)->getResult(0);
  SmallVector<int64_t> shape(type.getShape());
  shape.back() += kCacheLine / bytes;
  SmallVector<OpFoldResult> none(type.getRank(), b.getIndexAttr(0)), high(none),
      ones(type.getRank(), b.getIndexAttr(1));
  high.back() = b.getIndexAttr(kCacheLine / bytes);
  Value zero =
      arith::ConstantOp::create(b, loc, b.getZeroAttr(type.getElementType()));
  Value padded = tensor::PadOp::create(
      b, loc, RankedTensorType::get(shape, type.getElementType()), tensor, none,
      high, zero);
  return tensor::ExtractSliceOp::create(
      b, loc, padded, none,
      getAsIndexOpFoldResult(b.getContext(), type.getShape()), ones);
}

static void moveStream(IterateOp iterate, unsigned number) {
  CascadeOp cascade = iterate->getParentOfType<CascadeOp>();
  OpBuilder b(cascade);
  Value stream = iterate.getStreams()[number];
  auto type = cast<RankedTensorType>(stream.getType());
  unsigned dim = iterate.getDims()[number];
  SmallVector<int64_t> order = orderWithLast(type.getRank(), dim);
  Value to = tensor::EmptyOp::create(b, iterate.getLoc(),
                                     moveLast(type.getShape(), dim),
                                     type.getElementType());
  Value moved = spreadRows(
      b, linalg::TransposeOp::create(b, iterate.getLoc(), stream, to, order));
  iterate.getStreamsMutable()[number].assign(moved);
  SmallVector<int64_t> dims(iterate.getDims());
  dims[number] = type.getRank() - 1;
  iterate.setDims(dims);
  Value part = iterate.getParts()[number];
  part.setType(IterateOp::partType(cast<RankedTensorType>(moved.getType()),
                                   dims[number]));
  for (OpOperand &use : part.getUses()) {
    auto reader = cast<EinsumOp>(use.getOwner());
    SmallVector<AffineMap> maps(
        reader.getMaps().getAsValueRange<AffineMapAttr>());
    AffineMap &map = maps[use.getOperandNumber()];
    map = moveLast(map, dim);
    reader.setMapsAttr(b.getAffineMapArrayAttr(maps));
  }
}

namespace {
struct TransposeStreams : lutra::impl::TransposeStreamsBase<TransposeStreams> {
  using TransposeStreamsBase::TransposeStreamsBase;

  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    if (!hasBF16Tiles(target))
      return;
    getOperation().walk([](CascadeOp op) {
      for (auto iterate : op.getBlock()->getOps<IterateOp>())
        for (auto [number, stream] : llvm::enumerate(iterate.getStreams()))
          if (!op.getBody().isAncestor(stream.getParentRegion()) &&
              isWorthMoving(iterate, number) && rowsOf(op, iterate) >= kMinRows)
            moveStream(iterate, number);
    });
  }
};
} // namespace
