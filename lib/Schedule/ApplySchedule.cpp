//===- ApplySchedule.cpp - Tile a kernel as its schedule says -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The root is tiled twice with upstream's tile-and-fuse: into an scf.forall
// whose iterations run in parallel, and inside it into scf.for loops of
// register tiles. What the root reads from the same kernel is computed tile by
// tile.
//
//===----------------------------------------------------------------------===//

#include "CascadeSchedule.h"
#include "RowTiles.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Schedule/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_APPLYSCHEDULE
#include "lutra/Schedule/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// The offsets and sizes of a slice of a packed tensor, with each position
/// `d mod c` whole; nothing where none is packed. Tiles begin at multiples of
/// c, but upstream takes the remainder of the tile's size for the size.
static bool makeWhole(AffineMap map, RankedTensorType packed,
                      SmallVectorImpl<OpFoldResult> &offsets,
                      SmallVectorImpl<OpFoldResult> &sizes) {
  Builder b(packed.getContext());
  bool changed = false;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (expr.getKind() != AffineExprKind::Mod)
      continue;
    offsets[i] = b.getIndexAttr(0);
    sizes[i] = b.getIndexAttr(packed.getDimSize(i));
    changed = true;
  }
  return changed;
}

/// Replaces the insertion of a result's tile by that of the whole one.
template <typename InsertOp>
static void insertWhole(InsertOp insert, AffineMap map) {
  SmallVector<OpFoldResult> offsets = insert.getMixedOffsets();
  SmallVector<OpFoldResult> sizes = insert.getMixedSizes();
  makeWhole(map, insert.getDestType(), offsets, sizes);
  OpBuilder b(insert);
  auto whole =
      InsertOp::create(b, insert.getLoc(), insert.getSource(), insert.getDest(),
                       offsets, sizes, insert.getMixedStrides());
  insert->replaceAllUsesWith(whole);
  insert->erase();
}

static void keepPackedTilesWhole(linalg::GenericOp op) {
  for (OpOperand &operand : op->getOpOperands()) {
    auto slice = operand.get().getDefiningOp<tensor::ExtractSliceOp>();
    if (!slice || slice.getType().getRank() != slice.getSourceType().getRank())
      continue;
    SmallVector<OpFoldResult> offsets = slice.getMixedOffsets();
    SmallVector<OpFoldResult> sizes = slice.getMixedSizes();
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (!makeWhole(map, slice.getSourceType(), offsets, sizes))
      continue;
    OpBuilder b(slice);
    auto whole =
        tensor::ExtractSliceOp::create(b, slice.getLoc(), slice.getSource(),
                                       offsets, sizes, slice.getMixedStrides());
    operand.set(whole);
    if (!op.isDpsInit(&operand))
      continue;
    OpResult result = op.getTiedOpResult(&operand);
    result.setType(whole.getType());
    for (Operation *user : llvm::make_early_inc_range(result.getUsers()))
      if (auto insert = dyn_cast<tensor::InsertSliceOp>(user))
        insertWhole(insert, map);
      else if (auto insert = dyn_cast<tensor::ParallelInsertSliceOp>(user))
        insertWhole(insert, map);
  }
}

/// Tiles `op` and fuses its producers. Returns the tiled op.
static FailureOr<TilingInterface>
tileAndFuse(IRRewriter &rewriter, TilingInterface op, ArrayRef<int64_t> sizes,
            ArrayRef<int64_t> order, scf::SCFTilingOptions::LoopType loop) {
  scf::SCFTilingOptions tiling;
  tiling.setLoopType(loop);
  tiling.setTileSizes(getAsIndexOpFoldResult(rewriter.getContext(), sizes));
  if (!order.empty())
    tiling.setInterchange(order);
  scf::SCFTileAndFuseOptions options;
  options.setTilingOptions(tiling);
  options.setFusionControlFn(
      [](tensor::ExtractSliceOp, OpResult producer,
         bool) -> std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> {
        // What is already in the loop nest is fused by the outer tiling.
        if (!isa<linalg::LinalgOp, mpgemm::MatmulOp>(producer.getOwner()))
          return std::nullopt;
        return scf::SCFTileAndFuseOptions::ControlFnResult{};
      });
  rewriter.setInsertionPoint(op);
  FailureOr<scf::SCFTileAndFuseResult> result =
      scf::tileConsumerAndFuseProducersUsingSCF(rewriter, op, options);
  if (failed(result))
    return failure();
  for (auto [from, to] : result->replacements)
    rewriter.replaceAllUsesWith(from, to);
  for (Operation *tiled : result->tiledAndFusedOps)
    if (auto generic = dyn_cast<linalg::GenericOp>(tiled))
      keepPackedTilesWhole(generic);
  return cast<TilingInterface>(result->tiledAndFusedOps.front());
}

/// Makes a contraction go over its reduction in blocks of `depth` steps, of
/// which the last may be shorter.
static LogicalResult blockReduction(IRRewriter &rewriter, linalg::GenericOp op,
                                    unsigned loop, int64_t depth) {
  int64_t extent = op.getStaticLoopRanges()[loop];
  if (!ShapedType::isDynamic(extent) && extent <= depth)
    return success();
  SmallVector<int64_t> sizes(op.getNumLoops(), 0);
  sizes[loop] = depth;
  scf::SCFTilingOptions options;
  options.setTileSizes(getAsIndexOpFoldResult(rewriter.getContext(), sizes));
  rewriter.setInsertionPoint(op);
  FailureOr<scf::SCFTilingResult> tiled = scf::tileUsingSCF(
      rewriter, cast<TilingInterface>(op.getOperation()), options);
  if (failed(tiled))
    return op.emitError("expected a contraction whose reduction can be tiled");
  rewriter.replaceOp(op, tiled->replacements);
  keepPackedTilesWhole(cast<linalg::GenericOp>(tiled->tiledOps.front()));
  // Of whole blocks, all sizes are known. There may be no others.
  scf::ForOp last;
  (void)scf::peelForLoopAndSimplifyBounds(
      rewriter, cast<scf::ForOp>(tiled->loops.front()), last);
  return success();
}

/// Does so with the contraction of a kernel, in the block of `root`: what it
/// was tiled from may still be there.
static LogicalResult blockReductions(IRRewriter &rewriter, Operation *root,
                                     int64_t depth) {
  auto ops = llvm::to_vector(root->getBlock()->getOps<linalg::GenericOp>());
  for (linalg::GenericOp op : ops) {
    std::optional<Contraction> contraction = matchContraction(op);
    if (contraction &&
        failed(blockReduction(rewriter, op, contraction->reductions[0], depth)))
      return failure();
  }
  return success();
}

static bool isTiled(ArrayRef<int64_t> sizes) {
  return llvm::any_of(sizes, [](int64_t size) { return size != 0; });
}

/// The order of all loops that begins with the tiled ones as given: the
/// interchange that upstream's tiling expects.
static SmallVector<int64_t> interchange(ArrayRef<int64_t> order,
                                        unsigned loops) {
  SmallVector<int64_t> all(order);
  for (int64_t loop = 0; loop < loops; ++loop)
    if (!llvm::is_contained(order, loop))
      all.push_back(loop);
  return all;
}

namespace {
struct ApplySchedule : lutra::impl::ApplyScheduleBase<ApplySchedule> {
  using ApplyScheduleBase::ApplyScheduleBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    auto schedule = func->getAttrOfType<ScheduleAttr>(attr::kSchedule);
    if (!schedule)
      return;
    IRRewriter rewriter(&getContext());
    SmallVector<cascade::CascadeOp> cascades;
    func.walk([&](cascade::CascadeOp op) { cascades.push_back(op); });
    for (cascade::CascadeOp op : cascades) {
      auto own = op->getAttrOfType<ScheduleAttr>(attr::kSchedule);
      if (failed(applyCascadeSchedule(rewriter, op, own ? own : schedule)))
        return signalPassFailure();
    }
    if (!cascades.empty())
      return;
    TilingInterface root;
    for (Operation &op : func.getBody().front())
      if (isa<linalg::GenericOp, mpgemm::ProductOpInterface>(op))
        root = cast<TilingInterface>(op);
    if (!root)
      return;
    if (func->hasAttr(attr::kRows))
      argumentSizes = sizesOfArguments(func);
    using LoopType = scf::SCFTilingOptions::LoopType;
    if (isTiled(schedule.getDistribute()) &&
        failed(tile(rewriter, root, schedule.getDistribute(), {},
                    LoopType::ForallOp)))
      return signalPassFailure();
    if (schedule.getDepth() > 0) {
      if (failed(blockReductions(rewriter, root, schedule.getDepth())))
        return signalPassFailure();
    } else if (isTiled(schedule.getTile()) &&
               failed(tile(rewriter, root, schedule.getTile(),
                           interchange(schedule.getOrder(),
                                       root.getLoopIteratorTypes().size()),
                           LoopType::ForOp)))
      return signalPassFailure();
    // A tile of an empty tensor is an empty tile: what is computed in passing
    // takes a tile's memory and not a tensor's.
    RewritePatternSet patterns(&getContext());
    tensor::populateFoldTensorEmptyPatterns(patterns);
    if (failed(applyPatternsGreedily(func, std::move(patterns))))
      return signalPassFailure();
    if (!func->hasAttr(attr::kRows))
      return;
    linalg::GenericOp last;
    func.walk([&](linalg::GenericOp op) { last = op; });
    shareDestination(rewriter, last);
    fuseIntoReductions(rewriter, func);
  }

  /// Replaces `root` by its tiled form.
  LogicalResult tile(IRRewriter &rewriter, TilingInterface &root,
                     ArrayRef<int64_t> sizes, ArrayRef<int64_t> order,
                     scf::SCFTilingOptions::LoopType loop) {
    size_t loops = root.getLoopIteratorTypes().size();
    if (sizes.size() != loops)
      return root->emitError("expected a schedule of ")
             << loops << " loops, got " << sizes.size();
    FailureOr<TilingInterface> tiled =
        tileAndFuse(rewriter, root, sizes, order, loop);
    if (failed(tiled))
      return root->emitError("expected a kernel whose root can be tiled");
    root = *tiled;
    // What was fused has left its untiled form behind.
    getOperation().walk<WalkOrder::PostOrder, ReverseIterator>(
        [&](Operation *op) {
          if (isOpTriviallyDead(op))
            rewriter.eraseOp(op);
        });
    // What several operations of a kernel read has been computed for each.
    if (getOperation()->hasAttr(attr::kRows)) {
      unifySizes(rewriter, getOperation(), argumentSizes);
      DominanceInfo dominance;
      eliminateCommonSubExpressions(rewriter, dominance, getOperation());
    }
    return success();
  }

  /// Of a kernel of rows, as they were before it was tiled.
  KnownSizes argumentSizes;
};
} // namespace
