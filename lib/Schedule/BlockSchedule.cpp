//===- BlockSchedule.cpp - Blocks of a product ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A product whose columns are no weight reads them as they lie in memory. A
// piece of a row is a stream that hardware foresees only behind its first
// lines, and a page of its own where rows are long: long pieces are read up to
// three times as fast as single lines. What a task reads in one go is therefore
// wide, and as deep as the caches leave room for.
//
//===----------------------------------------------------------------------===//

#include "BlockSchedule.h"

#include "KernelLoops.h"
#include "Tasks.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// Columns of a row that are read at once, a page of bf16: more are no faster.
static constexpr int64_t kMaxColumns = 2048;
/// Bytes of a row, fewer of which are slower than threads beyond so many make
/// up for.
static constexpr int64_t kMinRowBytes = 1024, kFewTasks = 4;
/// Rows of columns that few rows are multiplied with at once, between which
/// sums rest in the first-level cache.
static constexpr int64_t kFewSteps = 16;

/// Columns that are copied for rows: at least, where threads want fewer; and at
/// least, where more are too many sums.
static constexpr int64_t kLeastColumns = 64, kColumns = 256;
/// Sums of rows that share a copy, as long as that leaves enough columns.
static constexpr int64_t kSums = 1 << 14;
/// Rows that share a copy. More leave the sets of a cache that rows a power of
/// two apart share; for fewer, copying takes too long. What is not copied is
/// fetched ahead for fewer.
static constexpr int64_t kMaxRows = 256, kMaxRowsOfPacked = 128;
/// Bytes of a copy: there may be two, since the last block is shorter.
static constexpr int64_t kMaxCopyBytes = 1 << 18;
/// Steps of a copy are whole matrix tiles; more than the most save little.
static constexpr int64_t kStepsOfMatrixTile = 32, kMaxDepth = 512;

/// A multiple of `unit` that cuts `extent` into equal blocks of about `limit`.
static int64_t evenBlock(int64_t unit, int64_t limit, int64_t extent) {
  limit = std::max(unit, limit);
  if (!ShapedType::isDynamic(extent) && extent > 0)
    limit = llvm::divideCeil(extent, llvm::divideCeil(extent, limit));
  return llvm::alignTo(limit, unit);
}

/// What the rows of a block are a multiple of.
static int64_t unitOfRows(linalg::GenericOp op, const Contraction &contraction,
                          RegisterTile tile, TargetAttr target) {
  Type factor = getElementTypeOrSelf(contraction.a->get().getType());
  if (dotGroup(target, factor, getElementTypeOrSelf(op.getResult(0))) > 1 &&
      hasBF16Tiles(target))
    return kRowsOfMatrixTiles;
  return packedTile(op.getMatchingIndexingMap(contraction.a), *contraction.m)
      .value_or(tile.m);
}

/// The most rows of a block that shares panels of columns.
static int64_t mostRows(linalg::GenericOp op, const Contraction &contraction,
                        Blocks blocks, TargetAttr target) {
  if (blocks == Blocks::Packed)
    return kMaxRowsOfPacked;
  Type factor = getElementTypeOrSelf(contraction.a->get().getType());
  int64_t bytes = llvm::divideCeil(factor.getIntOrFloatBitWidth(), 8),
          rows = std::min(target.getL2() / 4 / (kMaxDepth * bytes), kMaxRows);
  // Groups that lie apart are copied, too.
  AffineExpr step =
      getAffineDimExpr(contraction.reductions[0], op.getContext());
  if (dotGroup(target, factor, getElementTypeOrSelf(op.getResult(0))) > 1 &&
      op.getMatchingIndexingMap(contraction.a).getResults().back() != step)
    rows = std::min(rows, kMaxCopy / kMaxDepth);
  return rows;
}

namespace {
/// What a task computes of a product, and how many steps of the reduction it
/// goes at once. Of a strip of rows the sums fit the first-level cache.
struct ProductBlock {
  int64_t rows, columns, depth, strip;
};

/// Extents of a contraction's loops; what is not known counts as one.
struct Extents {
  Extents(linalg::GenericOp op, const Contraction &contraction)
      : ranges(op.getStaticLoopRanges()),
        m(contraction.m ? known(*contraction.m) : 1),
        depth(known(contraction.reductions[0])) {
    for (unsigned loop : contraction.batch)
      batch = std::min(batch, kMinTasks) * std::min(known(loop), kMinTasks);
  }
  int64_t known(unsigned loop) const {
    return ShapedType::isDynamic(ranges[loop])
               ? 1
               : std::max<int64_t>(1, ranges[loop]);
  }

  SmallVector<int64_t> ranges;
  int64_t m, depth;
  /// All that count for tasks.
  int64_t batch = 1;
};
} // namespace

/// The most columns of a task of `rows`, of `n`: as many tasks as keep threads
/// busy, if they are worth it.
static int64_t columnsForThreads(const Extents &extents, int64_t n,
                                 int64_t rows, int64_t least) {
  int64_t tasks = llvm::divideCeil(extents.m, rows) * extents.batch;
  auto share = [&](int64_t most) -> int64_t {
    return llvm::divideCeil(n, llvm::divideCeil(most, tasks));
  };
  int64_t work =
      std::min(extents.m, rows) * std::min(extents.depth, kMinTaskWork);
  return std::max({share(kMinTasks), std::min(least, share(kFewTasks)),
                   int64_t(llvm::divideCeil(kMinTaskWork, work))});
}

/// What a task computes: as much of a row of `b` is read at once as leaves
/// threads and sums enough, and the copy of its columns and the rows that it is
/// multiplied with stay in the second-level cache. Sums and copies lie on the
/// stack.
static ProductBlock selectBlock(linalg::GenericOp op,
                                const Contraction &contraction, Blocks blocks,
                                TargetAttr target) {
  Extents extents(op, contraction);
  int64_t n = extents.ranges[contraction.n];
  RegisterTile tile =
      registerTile(target, getElementTypeOrSelf(op.getResult(0)),
                   contraction.m ? extents.ranges[*contraction.m] : 1, n);
  Type factor = getElementTypeOrSelf(contraction.b->get().getType());
  int64_t bytes = llvm::divideCeil(factor.getIntOrFloatBitWidth(), 8),
          least = kMinRowBytes / bytes;
  bool hasPanels = blocks != Blocks::Rows;
  tile.n = packedTile(op.getMatchingIndexingMap(contraction.b), contraction.n)
               .value_or(tile.n);

  ProductBlock block{extents.m, kMaxColumns, kFewSteps, extents.m};
  if (hasPanels) {
    int64_t unit = unitOfRows(op, contraction, tile, target);
    block.rows = evenBlock(unit, mostRows(op, contraction, blocks, target),
                           extents.ranges[*contraction.m]);
    block.strip = llvm::alignTo(kRowsOfMatrixTiles, unit);
    least = kLeastColumns;
  }
  block.columns = std::clamp(kSums / block.rows, kColumns, kMaxColumns);
  if (!ShapedType::isDynamic(n))
    block.columns = std::min(block.columns,
                             columnsForThreads(extents, n, block.rows, least));
  block.columns = evenBlock(tile.n, block.columns, n);
  if (hasPanels) {
    int64_t most = std::min(kMaxCopy, kMaxCopyBytes / bytes) / block.columns;
    block.depth = evenBlock(
        kStepsOfMatrixTile,
        llvm::alignDown(std::min(most, kMaxDepth), kStepsOfMatrixTile),
        extents.ranges[contraction.reductions[0]]);
  }
  return block;
}

ScheduleAttr lutra::selectBlockSchedule(KernelLoops &kernel,
                                        const Contraction &contraction,
                                        Blocks blocks, TargetAttr target) {
  linalg::GenericOp op = kernel.reduction, root = kernel.root;
  ProductBlock block = selectBlock(op, contraction, blocks, target);
  if (blocks == Blocks::Panels)
    op->setAttr(kPanelsAttr, UnitAttr::get(op.getContext()));
  int64_t work = 1;
  // What is not known may be much: only the sums of a block have a bound.
  for (int64_t range : op.getStaticLoopRanges())
    work = std::min(kMinTaskWork, work * (ShapedType::isDynamic(range)
                                              ? kMinTaskWork
                                              : std::min(range, kMinTaskWork)));
  SmallVector<int64_t> distribute(root.getNumLoops(), 0);
  auto set = [&](unsigned loop, int64_t size) {
    std::optional<unsigned> position = kernel.rootLoop(loop);
    if (position && work >= kMinTaskWork)
      distribute[*position] = size;
  };
  for (unsigned loop : contraction.batch)
    set(loop, 1);
  if (contraction.m)
    set(*contraction.m, block.rows);
  set(contraction.n, block.columns);
  // Sums that are complete are passed on from the first-level cache.
  int64_t depth = op.getStaticLoopRanges()[contraction.reductions[0]];
  if (blocks == Blocks::Panels && op != root && !ShapedType::isDynamic(depth) &&
      depth <= block.depth) {
    unsigned m = *kernel.rootLoop(*contraction.m);
    SmallVector<int64_t> tile(root.getNumLoops(), 0);
    tile[m] = block.strip;
    return ScheduleAttr::get(root.getContext(), distribute, tile, m,
                             kernel.lanes(target));
  }
  return ScheduleAttr::get(root.getContext(), distribute, {}, {},
                           kernel.lanes(target), block.depth);
}
