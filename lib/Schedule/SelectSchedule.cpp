//===- SelectSchedule.cpp - Choose the tiles of a kernel ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A contraction gets register tiles from the target's registers (or from the
// layout that its operands already have) and parallel tiles that keep one block
// of `a` in half of the second-level cache. Anything else is cut into chunks
// of a fixed amount of work. Sizes that are not known count as kUnknownSize.
//
//===----------------------------------------------------------------------===//

#include "BlockSchedule.h"
#include "CascadeSchedule.h"
#include "KernelLoops.h"
#include "ProductSchedule.h"
#include "Tasks.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Schedule/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

namespace mlir::lutra {
#define GEN_PASS_DEF_SELECTSCHEDULE
#include "lutra/Schedule/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// What a size that is known only at run time is taken for.
static constexpr int64_t kUnknownSize = 64;
/// Elements of a tile whose intermediate results lie on the stack.
static constexpr int64_t kMaxStackTile = 1 << 12;
/// Rows that are computed together: of more, a cache line of statistics is
/// enough.
static constexpr int64_t kMaxRows = 64;

/// Bytes that a tile of rows from memory reads and writes.
static constexpr int64_t kStreamedTile = 4096;

/// Steps of a loop that are taken together where an operand lies along it, and
/// not along the innermost: whole tiles that are transposed in registers.
static constexpr int64_t kTurned = 64;

static int64_t known(int64_t size) {
  return ShapedType::isDynamic(size) ? kUnknownSize : size;
}

/// Work that is repeated `size` times, for costs to divide by: not nothing, and
/// no more than is far more than is worth a task, since the extents of three
/// loops may have no product in 64 bits.
static int64_t timesKnown(uint64_t work, int64_t size) {
  uint64_t times = std::max<int64_t>(1, known(size));
  return std::min(llvm::SaturatingMultiply(work, times), uint64_t(1) << 40);
}

/// What the tiles of a loop must be multiples of.
static int64_t packedUnit(linalg::GenericOp op, unsigned loop) {
  int64_t unit = 1;
  for (AffineMap map : op.getIndexingMapsArray())
    unit = std::lcm(unit, packedTile(map, loop).value_or(1));
  return unit;
}

/// Whether a slice that begins at a multiple of `tile` is read by the same map:
/// groups of `loop floordiv c` are whole tiles, or whole in a tile.
static bool keepsGroups(linalg::GenericOp op, unsigned loop, int64_t tile) {
  auto isKept = [&](AffineExpr expr) {
    auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
    if (!binary || binary.getKind() == AffineExprKind::Add ||
        binary.getKind() == AffineExprKind::Mul ||
        !binary.isFunctionOfDim(loop))
      return true;
    auto group = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (!group || !isa<AffineDimExpr>(binary.getLHS()))
      return false;
    int64_t size = group.getValue();
    return tile % size == 0 ||
           (expr.getKind() == AffineExprKind::FloorDiv && size % tile == 0);
  };
  return llvm::all_of(op.getIndexingMapsArray(), [&](AffineMap map) {
    bool kept = true;
    map.walkExprs([&](AffineExpr expr) { kept &= isKept(expr); });
    return kept;
  });
}

/// The largest tile of a loop of about `limit` that can be cut out, or 0.
static int64_t tileUpTo(linalg::GenericOp op, unsigned loop, int64_t limit) {
  int64_t unit = packedUnit(op, loop), tile = llvm::alignTo(limit, unit);
  while (tile > 0 && !keepsGroups(op, loop, tile))
    tile -= unit;
  return tile;
}

/// Multiples of `unit` up to `limit` elements, at least one.
static int64_t blockOf(int64_t unit, int64_t limit, int64_t extent) {
  int64_t block = std::max<int64_t>(1, limit / unit) * unit;
  if (!ShapedType::isDynamic(extent) && block >= extent)
    return llvm::alignTo(extent, unit);
  return block;
}

/// Whether matrix tiles will multiply: groups that are a loop of their own, for
/// enough rows.
static bool multipliesTiles(linalg::GenericOp op,
                            const Contraction &contraction, TargetAttr target) {
  if (!contraction.m || contraction.reductions.size() < 2 ||
      !hasBF16Tiles(target))
    return false;
  int64_t group = dotGroup(target, getElementTypeOrSelf(contraction.a->get()),
                           getElementTypeOrSelf(op.getResult(0)));
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  int64_t rows = ranges[*contraction.m];
  return group > 1 && ranges[contraction.reductions.back()] == group &&
         (ShapedType::isDynamic(rows) || rows >= kRowsOfMatrixTiles / 2);
}

static ScheduleAttr contractionSchedule(KernelLoops &kernel,
                                        const Contraction &contraction,
                                        TargetAttr target) {
  linalg::GenericOp op = kernel.reduction, root = kernel.root;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  int64_t extentM = contraction.m ? ranges[*contraction.m] : 1;
  int64_t extentN = ranges[contraction.n];
  Type element = getElementTypeOrSelf(op.getResult(0));
  RegisterTile tile = registerTile(target, element, extentM, extentN);
  if (contraction.m)
    tile.m =
        packedTile(op.getMatchingIndexingMap(contraction.a), *contraction.m)
            .value_or(tile.m);
  tile.n = packedTile(op.getMatchingIndexingMap(contraction.b), contraction.n)
               .value_or(tile.n);
  if (multipliesTiles(op, contraction, target))
    tile.m = kRowsOfMatrixTiles;

  unsigned loops = root.getNumLoops();
  SmallVector<int64_t> distribute(loops, 0), inner(loops, 0), order;
  unsigned n = *kernel.rootLoop(contraction.n);
  std::optional<unsigned> m =
      contraction.m ? kernel.rootLoop(*contraction.m) : std::nullopt;

  int64_t depth = 1, work = 1;
  for (unsigned loop : contraction.reductions)
    depth = timesKnown(depth, ranges[loop]);
  for (int64_t range : ranges)
    work = timesKnown(work, range);
  // The other loops run outermost, one at a time.
  for (unsigned loop : contraction.batch)
    if (std::optional<unsigned> position = kernel.rootLoop(loop)) {
      distribute[*position] = inner[*position] = 1;
      order.push_back(*position);
    }
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  int64_t blockM =
      m ? blockOf(
              tile.m,
              std::min(16 * tile.m, target.getL2() / 2 /
                                        std::max<int64_t>(1, depth * bytes)),
              extentM)
        : 1;
  // Few columns are cut into enough tasks for a few rows to keep threads busy,
  // as long as a task is worth it.
  int64_t limitN = 8 * tile.n;
  if (!ShapedType::isDynamic(extentN)) {
    int64_t columns = std::max(
        llvm::divideCeil(extentN, kMinTasks),
        llvm::divideCeil(kMinTaskWork, blockM * std::max<int64_t>(1, depth)));
    limitN = std::min<int64_t>(limitN, llvm::alignTo(columns, tile.n));
  }
  int64_t blockN = blockOf(tile.n, limitN, extentN);
  if (m)
    distribute[*m] = blockM;
  distribute[n] = blockN;
  inner[n] = tile.n;
  order.push_back(n);
  if (m) {
    inner[*m] = tile.m;
    order.push_back(*m);
  }
  if (work < kMinTaskWork)
    distribute.assign(loops, 0);
  return ScheduleAttr::get(root.getContext(), distribute, inner, order,
                           kernel.lanes(target));
}

/// Whether an operand that is read or written along `loop` lies along `outer`.
static bool isTurned(linalg::GenericOp op, unsigned loop, unsigned outer) {
  return llvm::any_of(op.getIndexingMapsArray(), [&](AffineMap map) {
    return map.isFunctionOfDim(loop) &&
           map.getResults().back() == getAffineDimExpr(outer, op.getContext());
  });
}

/// What chunks of rows leave of the steps in a task to the loops outside of
/// `loop`.
static int64_t stepsOutside(KernelLoops &kernel, unsigned loop) {
  int64_t steps = 1;
  if (kernel.reduction)
    return steps;
  SmallVector<int64_t> ranges = kernel.root.getStaticLoopRanges();
  for (unsigned outer = 0; outer < loop; ++outer)
    if (isTurned(kernel.root, loop, outer))
      steps *= std::min(known(ranges[outer]), kTurned);
  return steps;
}

/// Chunks of rows: whole inner dimensions as long as they are small, and ones
/// outside.
static ScheduleAttr chunkSchedule(KernelLoops &kernel, TargetAttr target) {
  linalg::GenericOp root = kernel.root;
  SmallVector<int64_t> ranges = root.getStaticLoopRanges();
  SmallVector<utils::IteratorType> iterators = root.getIteratorTypesArray();
  SmallVector<int64_t> distribute(ranges.size(), 0);
  bool fused = kernel.reduction && kernel.reduction != root;
  int64_t work = 1;
  if (kernel.reduction)
    for (auto [range, iterator] :
         llvm::zip_equal(kernel.reduction.getStaticLoopRanges(),
                         kernel.reduction.getIteratorTypesArray()))
      if (iterator == utils::IteratorType::reduction)
        work = timesKnown(work, range);
  int64_t goal = kMinTaskWork, elements = 1;
  for (int64_t loop = ranges.size() - 1; loop >= 0; --loop) {
    if (iterators[loop] != utils::IteratorType::parallel)
      continue;
    int64_t limit =
        std::max<int64_t>(1, goal / (work * stepsOutside(kernel, loop)));
    if (fused)
      limit = std::min(limit, std::max<int64_t>(1, kMaxStackTile / elements));
    limit = tileUpTo(root, loop, limit);
    bool fits = !ShapedType::isDynamic(ranges[loop]) && ranges[loop] <= limit;
    if (!fits || (fused && ShapedType::isDynamic(ranges[loop])))
      distribute[loop] = limit;
    int64_t taken = fits ? ranges[loop] : limit;
    work *= std::max<int64_t>(1, taken);
    elements *= std::max<int64_t>(1, taken);
  }
  return ScheduleAttr::get(root.getContext(), distribute, {}, {},
                           kernel.lanes(target));
}

/// How many rows of `length` elements a tile has: as many as take half of the
/// first-level cache with what is read and what is written, and whole register
/// tiles. Where all rows are more than the second-level cache holds, a tile is
/// small, so that its first pass, which waits for memory, and the others, which
/// compute, are at work together.
static int64_t rowsOfTile(linalg::GenericOp root, ArrayRef<int64_t> ranges,
                          int64_t length, TargetAttr target) {
  int64_t bits =
      getElementTypeOrSelf(root.getResult(0)).getIntOrFloatBitWidth();
  int64_t ofRow = 2 * length * std::max<int64_t>(1, bits / 8);
  int64_t fit = std::clamp<int64_t>(target.getL1() / 2 / ofRow, 1, kMaxRows);
  bool isKnown = !llvm::is_contained(ranges, ShapedType::kDynamic);
  if (isKnown &&
      ShapedType::getNumElements(ranges) > target.getL2() / ofRow * length)
    fit = std::min(fit, std::max(kRowsOfSums, kStreamedTile / ofRow));
  return fit < kRowsOfSums ? llvm::bit_floor<uint64_t>(fit)
                           : llvm::alignDown(fit, kRowsOfSums);
}

/// Whole rows, tiles of them, and as many tiles in a chunk as are worth a
/// thread.
static ScheduleAttr rowSchedule(KernelLoops &kernel, ArrayRef<int64_t> rows,
                                TargetAttr target) {
  linalg::GenericOp root = kernel.root;
  SmallVector<int64_t> ranges = root.getStaticLoopRanges();
  SmallVector<int64_t> distribute(ranges.size(), 0), tile(ranges.size(), 0);
  int64_t length = 1;
  for (auto [loop, range] : llvm::enumerate(ranges))
    if (!llvm::is_contained(rows, loop))
      length = timesKnown(length, range);
  int64_t work = length;
  for (int64_t loop : llvm::reverse(rows)) {
    int64_t limit = std::max<int64_t>(1, kMinTaskWork / work);
    bool fits = !ShapedType::isDynamic(ranges[loop]) && ranges[loop] <= limit;
    if (!fits)
      distribute[loop] = tileUpTo(root, loop, limit);
    work *= fits ? ranges[loop] : limit;
    tile[loop] = 1;
  }
  tile[rows.back()] =
      tileUpTo(root, rows.back(), rowsOfTile(root, ranges, length, target));
  return ScheduleAttr::get(root.getContext(), distribute, tile, rows,
                           kernel.lanes(target));
}

/// Whether `rows` are loops of `root`, each once.
static bool areLoops(ArrayRef<int64_t> rows, linalg::GenericOp root) {
  llvm::SmallDenseSet<int64_t> seen;
  return !rows.empty() && llvm::all_of(rows, [&](int64_t loop) {
    return loop >= 0 && loop < root.getNumLoops() && seen.insert(loop).second;
  });
}

/// The schedule of a kernel that upstream does not tile, since one of its loops
/// never turns.
static ScheduleAttr idleSchedule(KernelLoops &kernel, TargetAttr target) {
  SmallVector<int64_t> distribute(kernel.root.getNumLoops(), 0);
  return ScheduleAttr::get(kernel.root.getContext(), distribute, {}, {},
                           kernel.lanes(target));
}

namespace {
struct SelectSchedule : lutra::impl::SelectScheduleBase<SelectSchedule> {
  using SelectScheduleBase::SelectScheduleBase;

  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    if (!target) {
      getOperation().emitError("expected the attribute '")
          << attr::kTarget << "' on the module";
      return signalPassFailure();
    }
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (!func->hasAttr(attr::kKernel))
        continue;
      bool isCascade = false;
      func.walk([&](cascade::CascadeOp op) {
        ScheduleAttr schedule = selectCascadeSchedule(op, target);
        op->setAttr(attr::kSchedule, schedule);
        // The last version is for any sizes.
        func->setAttr(attr::kSchedule, schedule);
        isCascade = true;
      });
      if (ScheduleAttr schedule = selectProductSchedule(func, target)) {
        func->setAttr(attr::kSchedule, schedule);
        continue;
      }
      std::optional<KernelLoops> kernel;
      if (!isCascade)
        kernel = KernelLoops::of(func);
      if (!kernel)
        continue;
      auto rows = func->getAttrOfType<DenseI64ArrayAttr>(attr::kRows);
      if (rows && !areLoops(rows, kernel->root)) {
        func.emitOpError("expects loops of its last operation as ")
            << attr::kRows << ", got " << rows;
        return signalPassFailure();
      }
      if (llvm::is_contained(kernel->root.getStaticLoopRanges(), 0)) {
        func->setAttr(attr::kSchedule, idleSchedule(*kernel, target));
        continue;
      }
      if (rows) {
        func->setAttr(attr::kSchedule,
                      rowSchedule(*kernel, rows.asArrayRef(), target));
        continue;
      }
      std::optional<Contraction> contraction;
      if (kernel->reduction)
        contraction = matchContraction(kernel->reduction);
      Blocks blocks = contraction
                          ? blocksOf(kernel->reduction, *contraction, target)
                          : Blocks::None;
      ScheduleAttr schedule;
      if (!contraction)
        schedule = chunkSchedule(*kernel, target);
      else if (blocks == Blocks::None)
        schedule = contractionSchedule(*kernel, *contraction, target);
      else
        schedule = selectBlockSchedule(*kernel, *contraction, blocks, target);
      func->setAttr(attr::kSchedule, schedule);
    }
  }
};
} // namespace
