//===- SplitIterations.cpp - Parts of an iteration as tasks ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tasks of a cascade are tiles of its rows. Where there are few rows and
// the iterated rank is long, parts of that are tasks too: their states go to
// memory, and a second cascade merges them. How many parts there are follows
// from sizes alone, so that no result depends on the machine or on the number
// of workers.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Gather.h"
#include "dialects/Cascade/Parts.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AffineExpr.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_SPLITITERATIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Rows of the innermost of their ranks that are about one task. The tiles that
/// a target has are chosen later.
static constexpr int64_t kRowsOfTask = 32;

/// More tasks than that are not told apart.
static constexpr int64_t kManyTasks = 1 << 20;

/// How much longer parts are where rows share what they read: more is then
/// copied to and from each.
static constexpr int64_t kSharedFactor = 2;

namespace {
/// What is known of a size.
struct Bounds {
  int64_t least = 0, most = ShapedType::kDynamic;

  static Bounds of(OpFoldResult size);
};
} // namespace

/// The least or the greatest that `map`, over dimensions of the model, can be.
static std::optional<int64_t> boundOf(AffineMap map, ValueRange operands,
                                      bool isUpper) {
  SmallVector<std::optional<int64_t>> least, most;
  for (Value operand : operands) {
    auto dim = operand.getDefiningOp<DimOp>();
    least.push_back(dim ? std::optional<int64_t>(dim.getMin()) : std::nullopt);
    most.push_back(dim ? std::optional<int64_t>(dim.getMax()) : std::nullopt);
  }
  return getBoundForAffineExpr(map.getResult(0), map.getNumDims(),
                               map.getNumSymbols(), least, most, isUpper);
}

Bounds Bounds::of(OpFoldResult size) {
  if (std::optional<int64_t> constant = getConstantIntValue(size))
    return {*constant, *constant};
  auto value = cast<Value>(size);
  if (auto dim = value.getDefiningOp<DimOp>())
    return {int64_t(dim.getMin()), int64_t(dim.getMax())};
  auto apply = value.getDefiningOp<affine::AffineApplyOp>();
  if (!apply)
    return {};
  AffineMap map = apply.getAffineMap();
  return {std::max<int64_t>(
              0, boundOf(map, apply.getMapOperands(), false).value_or(0)),
          boundOf(map, apply.getMapOperands(), true)
              .value_or(ShapedType::kDynamic)};
}

static int64_t times(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) || ShapedType::isDynamic(b)
             ? ShapedType::kDynamic
             : std::min<int64_t>(a, kManyTasks) *
                   std::min<int64_t>(b, kManyTasks);
}

/// The rows of an iteration as tasks.
struct Rows {
  /// How many tasks they are.
  Bounds tasks{1, 1};
  /// Whether there may be several rows to a task.
  bool areShared = false;
};

/// The tasks of a rank of which up to `rest` coordinates are one; `rest`
/// becomes how often a task of so many takes coordinates of other ranks.
static Bounds tasksAlong(Bounds extent, int64_t &rest) {
  // Rows without bound are taken for many: their states, too, would be.
  if (ShapedType::isDynamic(extent.most)) {
    extent.least = kManyTasks;
    rest = 1;
    return extent;
  }
  int64_t each = std::clamp<int64_t>(extent.most, 1, rest);
  rest /= each;
  extent.least = llvm::divideCeil(extent.least, each);
  extent.most = llvm::divideCeil(extent.most, each);
  return extent;
}

/// The ranks that all that is carried has.
static SmallVector<StringRef> rowRanksOf(IterateOp iterate) {
  SmallVector<StringRef> ranks = *ranksOf(iterate.getInits().front());
  for (Value init : iterate.getInits())
    llvm::erase_if(ranks, [&](StringRef rank) {
      return !llvm::is_contained(*ranksOf(init), rank);
    });
  return ranks;
}

/// At least `length`, so that parts begin where blocks do that are gathered.
static int64_t wholeBlocks(IterateOp iterate, int64_t length) {
  SmallVector<StringRef> rows = rowRanksOf(iterate);
  auto isSingle = [&](StringRef rank) {
    return llvm::is_contained(rows, rank);
  };
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>())
    if (auto blocks = matchBlocks(einsum, iterate.getRank(), isSingle))
      if (blocks->length < length)
        length = llvm::alignTo(length, blocks->length);
  return length;
}

/// Rows that read the same of what is streamed are a task together, as many as
/// a tile has; of other ranks, each coordinate is a task.
static Rows rowsOf(CascadeOp op, IterateOp iterate) {
  SmallVector<StringRef> ranks = rowRanksOf(iterate);
  Rows rows;
  int64_t rest = kRowsOfTask;
  SmallVector<OpFoldResult> extents = op.getMixedExtents();
  for (StringRef rank : llvm::reverse(ranks)) {
    Bounds extent = Bounds::of(extents[*op.findRank(rank)]);
    if (extent.most != 1 && !iterate.streamsAlong(rank)) {
      rows.areShared = true;
      extent = tasksAlong(extent, rest);
    }
    rows.tasks = {times(rows.tasks.least, extent.least),
                  times(rows.tasks.most, extent.most)};
  }
  return rows;
}

/// Whether there are too few rows to keep workers busy, and enough to go over
/// that a merge costs nothing beside it. Of sizes that are not known yet that
/// is wanted of the worst that they can be, unless there is so much to go over
/// that splitting is cheap whatever the rows are.
static bool isWorthSplitting(const Bounds &rows, const Bounds &extent,
                             int64_t length, int64_t tasks) {
  if (!ShapedType::isDynamic(extent.most) && extent.most / 2 < length)
    return false;
  if (extent.least / 2 >= length)
    return rows.least < tasks;
  return !ShapedType::isDynamic(rows.most) && rows.most < tasks;
}

static void split(CascadeOp op, int64_t length, int64_t tasks) {
  IterateOp iterate = findDivisibleIteration(op);
  if (!iterate)
    return;
  OpFoldResult extent = op.getMixedExtents()[*op.findRank(iterate.getRank())];
  Rows rows = rowsOf(op, iterate);
  if (rows.areShared)
    length *= kSharedFactor;
  length = wholeBlocks(iterate, length);
  if (!isWorthSplitting(rows.tasks, Bounds::of(extent), length, tasks))
    return;
  OpBuilder b(op);
  AffineExpr d0 = b.getAffineDimExpr(0), s0 = b.getAffineSymbolExpr(0);
  OpFoldResult count = affine::makeComposedFoldedAffineApply(
      b, op.getLoc(), s0.ceilDiv(length), extent);
  CascadeOp parts = buildParts(
      b, op, {count, d0 * length, d0 * length + length, {}, b.getIndexAttr(0)});
  for (StringRef name : {"passes", "rewrites", "refusals"})
    if (Attribute words = op->getAttr(name))
      parts->setAttr(name, words);
  CascadeOp merge = buildMerge(b, op, count, parts.getResults());
  op.replaceAllUsesWith(merge.getResults());
  op.erase();
}

namespace {
struct SplitIterations : lutra::impl::SplitIterationsBase<SplitIterations> {
  using SplitIterationsBase::SplitIterationsBase;

  void runOnOperation() override {
    if (length < 1 || length > kManyTasks || tasks < 1) {
      emitError(getOperation().getLoc(),
                "expected parts of 1 to 2^20 coordinates and tasks, got ")
          << int64_t(length) << " and " << int64_t(tasks);
      return signalPassFailure();
    }
    SmallVector<CascadeOp> cascades;
    getOperation().walk([&](CascadeOp op) { cascades.push_back(op); });
    for (CascadeOp op : cascades)
      split(op, length, tasks);
  }
};
} // namespace
