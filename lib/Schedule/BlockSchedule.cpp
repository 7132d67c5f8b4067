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

#include "Tasks.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// Columns of a row that are read at once, a page of bf16: more are no faster.
static constexpr int64_t kMaxColumns = 2048;
/// Bytes of a row below which so few are slower than threads make up for.
static constexpr int64_t kMinRowBytes = 1024;
/// Rows of columns that few rows are multiplied with at once, between which
/// sums rest in the first-level cache.
static constexpr int64_t kFewSteps = 16;

/// Columns that are copied for rows: at least, where threads want fewer; and at
/// least, where more are too many sums.
static constexpr int64_t kLeastColumns = 64, kColumns = 256;
/// Sums of rows that share a copy, as long as that leaves enough columns.
static constexpr int64_t kSums = 1 << 14;
/// Rows that share a copy. More leave the sets of a cache that rows a power of
/// two apart share; for fewer, copying takes too long.
static constexpr int64_t kMaxRows = 256;
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

/// The most rows of a block that shares the copy of its columns.
static int64_t mostRows(linalg::GenericOp op, const Contraction &contraction,
                        TargetAttr target) {
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

ProductBlock lutra::selectBlock(linalg::GenericOp op,
                                const Contraction &contraction, Blocks blocks,
                                TargetAttr target) {
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  auto known = [&](unsigned loop) {
    return ShapedType::isDynamic(ranges[loop])
               ? 1
               : std::max<int64_t>(1, ranges[loop]);
  };
  int64_t m = contraction.m ? known(*contraction.m) : 1,
          extent = ranges[contraction.n],
          depth = known(contraction.reductions[0]);
  RegisterTile tile =
      registerTile(target, getElementTypeOrSelf(op.getResult(0)),
                   contraction.m ? ranges[*contraction.m] : 1, extent);
  Type factor = getElementTypeOrSelf(contraction.b->get().getType());
  int64_t bytes = llvm::divideCeil(factor.getIntOrFloatBitWidth(), 8);
  bool hasPanels = blocks == Blocks::Panels;

  ProductBlock block{m, kMaxColumns, kFewSteps, m};
  int64_t least = kMinRowBytes / bytes;
  if (hasPanels) {
    int64_t unit = unitOfRows(op, contraction, tile, target);
    block.rows = evenBlock(unit, mostRows(op, contraction, target),
                           ranges[*contraction.m]);
    block.strip = llvm::alignTo(kRowsOfMatrixTiles, unit);
    least = kLeastColumns;
  }
  block.columns = std::clamp(kSums / block.rows, kColumns, kMaxColumns);
  // As many tasks as keep threads busy, if they are worth it.
  int64_t tasks = llvm::divideCeil(m, block.rows);
  for (unsigned loop : contraction.batch)
    tasks *= known(loop);
  least = std::max<int64_t>(
      least, llvm::divideCeil(kMinTaskWork, std::min(m, block.rows) * depth));
  if (!ShapedType::isDynamic(extent))
    block.columns = std::min<int64_t>(
        block.columns,
        std::max<int64_t>(
            least,
            llvm::divideCeil(extent, llvm::divideCeil(kMinTasks, tasks))));
  block.columns = evenBlock(tile.n, block.columns, extent);
  if (hasPanels) {
    int64_t most = std::min(kMaxCopy, kMaxCopyBytes / bytes) / block.columns;
    block.depth = evenBlock(
        kStepsOfMatrixTile,
        llvm::alignDown(std::min(most, kMaxDepth), kStepsOfMatrixTile),
        ranges[contraction.reductions[0]]);
  }
  return block;
}
