//===- CascadeSchedule.cpp - Tiles of a cascade ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is a tile of rows: of the ranks that all states have. The innermost of
// them is the one that vectors lie along, and its tile is one register tile of
// the contractions wide, or as many as leave what the tile keeps at hand (its
// rows of each contraction, over which all parts go) in the first-level cache.
// Where it is shorter, coordinates of other ranks that go over the same join
// it. A part of the iterated rank is as long as its intermediate results stay
// there too.
//
//===----------------------------------------------------------------------===//

#include "CascadeSchedule.h"

#include "dialects/Cascade/Gather.h"
#include "dialects/Cascade/Parts.h"
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
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Coordinates of an iterated rank in a part, if the cache has room for them.
static constexpr int64_t kMaxPart = 128;

/// The same where matrix tiles multiply many rows: sums leave them once a part,
/// and the rest of the work is from the second-level cache. For fewer it is
/// mostly what is copied into pairs, from the first.
static constexpr int64_t kMaxPartOfTiles = 192, kManyRowsOfTiles = 48;

/// Shorter parts are mostly what is done for each of them.
static constexpr int64_t kMinPart = 16;

/// The most bytes that a row has of what stays at hand: of the ranks that a
/// contraction reduces beside the iterated one, the longest static extent.
static int64_t bytesAtHand(CascadeOp op) {
  int64_t bytes = 1;
  op.walk([&](EinsumOp einsum) {
    auto iterate = einsum->getParentOfType<IterateOp>();
    if (!iterate || !einsum.hasReduction())
      return;
    unsigned bits = 8;
    for (Type type : einsum.getInputs().getTypes())
      bits = std::max(bits, getElementTypeOrSelf(type).getIntOrFloatBitWidth());
    for (unsigned rank = 0; rank < einsum.getNumRanks(); ++rank) {
      int64_t extent = op.getStaticExtent(einsum.getRankName(rank));
      if (einsum.isReduced(rank) &&
          einsum.getRankName(rank) != iterate.getRank() &&
          !ShapedType::isDynamic(extent))
        bytes = std::max(bytes, extent * bits / 8);
    }
  });
  return bytes;
}

/// How much of other ranks a step computes for each coordinate of its own, for
/// all rows alike: what it widens.
static int64_t widthOfShared(CascadeOp op, IterateOp iterate,
                             ArrayRef<StringRef> rows) {
  int64_t width = 0;
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>()) {
    SmallVector<StringRef> ranks = *ranksOf(einsum.getResult());
    bool isSummed = llvm::any_of(einsum->getUsers(), [](Operation *user) {
      auto reader = dyn_cast<EinsumOp>(user);
      return reader && reader.hasReduction();
    });
    if (!isSummed || rows.empty() || llvm::is_contained(ranks, rows.back()) ||
        !llvm::is_contained(ranks, iterate.getRank()))
      continue;
    int64_t elements = 1;
    for (StringRef rank : ranks)
      if (int64_t extent = op.getStaticExtent(rank);
          rank != iterate.getRank() && !llvm::is_contained(rows, rank) &&
          !ShapedType::isDynamic(extent))
        elements *= extent;
    width += elements;
  }
  return width;
}

/// The length of a part, `part` at most, so that it has whole blocks of what is
/// gathered along the rank, or blocks have whole parts.
static int64_t fitToBlocks(IterateOp iterate, ArrayRef<StringRef> rows,
                           int64_t part) {
  int64_t whole = part;
  auto isSingle = [&](StringRef rank) {
    return llvm::is_contained(rows.drop_back(), rank);
  };
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>()) {
    auto blocks = rows.empty()
                      ? std::nullopt
                      : matchBlocks(einsum, iterate.getRank(), isSingle);
    if (!blocks)
      continue;
    if (blocks->length <= part)
      part -= part % blocks->length;
    while (blocks->length > part && blocks->length % part != 0)
      --part;
  }
  // Of blocks of no such length, copies are made.
  return part < kMinPart ? whole : part;
}

/// The bytes that a coordinate of the iterated rank has in the longest of the
/// streams.
static int64_t bytesOfStreams(CascadeOp op, IterateOp iterate,
                              ArrayRef<StringRef> rows) {
  int64_t most = 0;
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>())
    for (auto [i, input] : llvm::enumerate(einsum.getInputs())) {
      if (!isStreamed(iterate, input))
        continue;
      int64_t bits =
          cast<RankedTensorType>(input.getType()).getElementTypeBitWidth();
      for (auto rank : op.getRanks().getAsValueRange<StringAttr>())
        if (int64_t extent = op.getStaticExtent(rank);
            einsum.goesAlong(einsum.getInputMap(i), rank) &&
            rank != iterate.getRank() && !llvm::is_contained(rows, rank) &&
            !ShapedType::isDynamic(extent))
          bits *= extent;
      most = std::max(most, bits / 8);
    }
  return most;
}

/// Whether all coordinates of a rank read the same of what is streamed, so that
/// a tile does well to have several. Parts, whose number is a rank, do not.
static bool isShared(CascadeOp op, StringRef rank) {
  auto iterations = op.getBlock()->getOps<IterateOp>();
  return !iterations.empty() && !countsParts(op, rank) &&
         llvm::none_of(iterations, [&](IterateOp iterate) {
           return iterate.streamsAlong(rank);
         });
}

/// The longest tile of a rank, up to `most` and, if tiles shall be whole, one
/// that divides the extent.
static int64_t tileOf(int64_t extent, int64_t most, bool isWhole) {
  if (ShapedType::isDynamic(extent))
    return isWhole ? 1 : most;
  int64_t tile = std::clamp<int64_t>(extent, 1, most);
  while (isWhole && extent % tile != 0)
    --tile;
  return tile;
}

ScheduleAttr lutra::selectCascadeSchedule(CascadeOp op, TargetAttr target) {
  SmallVector<int64_t> distribute(op.getRanks().size(), 0), tile(distribute);
  int64_t lanes = std::max<int64_t>(1, target.getVectorBits() / 32);
  SmallVector<StringRef> rows = rowRanks(op);
  for (StringRef rank : rows)
    distribute[*op.findRank(rank)] = 1;
  // As many columns as a register tile has, and more where they are short.
  int64_t unit = 2 * lanes, bytes = bytesAtHand(op);
  int64_t most =
      unit * std::clamp<int64_t>(target.getL1() / 2 / (bytes * unit), 1, 2);
  int64_t columns = 1;
  for (StringRef rank : llvm::reverse(rows)) {
    if (rank != rows.back() && !isShared(op, rank))
      continue;
    int64_t size = tileOf(op.getStaticExtent(rank), most / columns,
                          /*isWhole=*/rank != rows.back());
    distribute[*op.findRank(rank)] = size;
    columns *= size;
  }
  for (auto iterate : op.getBlock()->getOps<IterateOp>()) {
    bool mayHaveTiles = hasBF16Tiles(target) &&
                        streams(iterate, BFloat16Type::get(op.getContext()));
    bool isFew = columns <= mostFewRows(target, mayHaveTiles);
    int64_t part =
        mayHaveTiles && !isFew
            ? std::clamp<int64_t>(target.getL2() / 16 / (4 * columns), kMinPart,
                                  columns < kManyRowsOfTiles ? kMaxPart
                                                             : kMaxPartOfTiles)
            : std::clamp<int64_t>(target.getL1() / 2 / (4 * columns), kMinPart,
                                  kMaxPart);
    // Few rows do little with what they stream, which must not be fetched for
    // each of them, and use what is widened for them once, right behind.
    if (isFew) {
      int64_t bytes = std::max({int64_t(1), bytesOfStreams(op, iterate, rows),
                                4 * widthOfShared(op, iterate, rows)});
      part = std::clamp<int64_t>(
          llvm::bit_floor<uint64_t>(target.getL1() / 2 / bytes), kMinPart,
          part);
    }
    // One part that is somewhat longer is better than two, if it is all gone
    // over in any case.
    int64_t extent = op.getStaticExtent(iterate.getRank());
    if (!ShapedType::isDynamic(extent) && extent <= part + part / 2 &&
        !iterate.getFilters())
      part = std::max(part, extent);
    tile[*op.findRank(iterate.getRank())] = fitToBlocks(iterate, rows, part);
  }
  return ScheduleAttr::get(op.getContext(), distribute, tile, {}, lanes);
}

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
