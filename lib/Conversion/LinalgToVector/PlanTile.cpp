//===- PlanTile.cpp - The register tile of a loop nest --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operations that reduce get a register tile: several rows and vectors of the
// output are summed at once, so that operands are loaded once for all and the
// sums do not wait for each other. Lanes hold groups where some instruction
// multiplies several steps at once, or where groups are stored.
//
//===----------------------------------------------------------------------===//

#include "Planner.h"

#include "lutra/Analysis/TargetFeatures.h"
#include "lutra/Conversion/CascadeToLinalg.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// Vectors of the tile of a reduction that is not a contraction: for as many
/// sums as hide the latency of an addition.
static constexpr int64_t kSums = 8;

/// A tile that reads what is streamed in the order in which it lies, for all
/// rows or half of them, if so many sums fit the registers.
RegisterTile Planner::wholeRows(RegisterTile tile, int64_t m,
                                const Plan &plan) const {
  int64_t n = extents[plan.loop];
  if (ShapedType::isDynamic(m) || ShapedType::isDynamic(n) || n <= tile.n)
    return tile;
  int64_t registers = vectorRegisters(target),
          vectors = llvm::divideCeil(n, plan.lanes),
          rows = std::min(m, (registers - 1) / vectors - 1);
  if (rows < 1 || 2 * rows < m)
    return tile;
  return {rows, vectors * plan.lanes};
}

/// Sizes the tile of a contraction: as scheduled, where that fits the
/// registers.
void Planner::fillContraction(Plan &plan) const {
  Type type = op.getBlock()->getArguments().back().getType();
  int64_t m = contraction->m ? extents[*contraction->m] : 1;
  RegisterTile tile = registerTile(target, type, m, extents[plan.loop]);
  if (schedule && schedule.getTile().size() == op.getNumLoops()) {
    int64_t registers = vectorRegisters(target);
    int64_t n = schedule.getTile()[plan.loop];
    int64_t rows = contraction->m ? schedule.getTile()[*contraction->m] : 1;
    int64_t vectors = llvm::divideCeil(n, plan.lanes);
    if (n > 0 && rows > 0 && rows * vectors + vectors + 1 <= registers)
      tile = {rows, vectors * plan.lanes};
  }
  if (op->hasAttr(kStreamAttr))
    tile = wholeRows(tile, m, plan);
  plan.isContraction = true;
  plan.row = contraction->m;
  plan.rows = plan.row ? tile.m : 1;
  plan.vectors = std::max<int64_t>(1, tile.n / plan.lanes);
}

/// Sizes the tile of a contraction whose lanes lie along the reduction: each
/// vector of a factor is multiplied with several of the other, and as many rows
/// as there are sums in a tree of lanes are reduced together.
void Planner::fillInnerProducts(Plan &plan) const {
  int64_t registers = vectorRegisters(target);
  auto isWithin = [&](unsigned loop, int64_t most) {
    return !ShapedType::isDynamic(extents[loop]) && extents[loop] <= most;
  };
  plan.isContraction = true;
  plan.row = contraction->n;
  plan.column = contraction->m;
  int64_t columns = registers / 8;
  if (plan.column)
    plan.columns = isWithin(*plan.column, columns)
                       ? std::max<int64_t>(1, extents[*plan.column])
                       : columns;
  plan.rows =
      llvm::bit_floor<uint64_t>(isWithin(*plan.row, kRowsOfSums)
                                    ? std::max<int64_t>(1, extents[*plan.row])
                                    : kRowsOfSums);
  plan.vectors = std::max<int64_t>(1, kSums / (plan.rows * plan.columns));
}

/// Chooses what a register tile spans.
void Planner::fillTile(Plan &plan) const {
  if (op.getNumReductionLoops() == 0) {
    plan.vectors = 1;
    return;
  }
  if (contraction && plan.loop == contraction->n) {
    fillContraction(plan);
    return;
  }
  if (contraction && !isParallel(plan.loop) &&
      contraction->reductions.size() == 1)
    return fillInnerProducts(plan);
  plan.isContraction = contraction.has_value();
  // What stores vectors on the way has enough to do for a sum not to be waited
  // for. Rows that are short it takes together, to reduce lanes side by side.
  bool hasStreams = plan.streams.any();
  bool isShort = plan.reducesLanes() &&
                 extents[plan.loop] <= kSums * plan.lanes &&
                 !ShapedType::isDynamic(extents[plan.loop]);
  for (unsigned loop : loopsInOutputOrder())
    if (isParallel(loop) && loop != plan.loop && extents[loop] != 1 &&
        inAllOutputs(loop) && (!hasStreams || isShort))
      plan.row = loop;
  if (plan.row) {
    int64_t rows = extents[*plan.row];
    plan.rows =
        ShapedType::isDynamic(rows) ? kRowsOfSums : std::min(rows, kRowsOfSums);
  }
  plan.vectors = !hasStreams           ? kSums / plan.rows
                 : plan.reducesLanes() ? 1
                                       : kSums / 2;
}

/// Whether `type` is known to lie densely in its `dims` innermost dimensions.
static bool isDense(Type type, unsigned dims) {
  auto memref = dyn_cast<MemRefType>(type);
  return memref && memref.getRank() >= dims && memref.isLastDimUnitStride() &&
         memref.areTrailingDimsContiguous(dims);
}

/// Whether rows are so many that it is faster to multiply f32 than pairs of
/// bf16: what is widened once serves all of them. Of two both take as long.
bool Planner::shareWidening() const {
  constexpr int64_t kLeastRows = 3;
  auto isShort = [&](unsigned loop) {
    return !ShapedType::isDynamic(extents[loop]) && extents[loop] < kLeastRows;
  };
  return hasSlowPairs(target) && contraction->m && !isShort(*contraction->m) &&
         !isShort(contraction->n);
}

/// How many steps of the innermost reduction are multiplied at once as the
/// factors lie: side by side in one, and, in the other, either that too or each
/// step a vector.
int64_t Planner::groupOfSteps(const Plan &plan) const {
  unsigned reduction = contraction->reductions.back();
  auto element = [](OpOperand *operand) {
    return getElementTypeOrSelf(operand->get().getType());
  };
  auto isAlong = [&](OpOperand *operand, unsigned loop) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    return isDense(operand->get().getType(), 1) &&
           map.isProjectedPermutation() &&
           map.getResults().back() == getAffineDimExpr(loop, map.getContext());
  };
  if (op.getMatchingIndexingMap(contraction->a)
          .isFunctionOfDim(contraction->n) ||
      element(contraction->a) != element(contraction->b) ||
      !isAlong(contraction->a, reduction) ||
      !isAlong(contraction->b, plan.loop) || shareWidening())
    return 1;
  return dotGroup(target, element(contraction->a),
                  element(op.getDpsInitOperand(0)));
}

/// The output of which each element is stored once, if it is one.
OpOperand *Planner::storedOutput(const Plan &plan) const {
  if (op.getNumReductionLoops() != 0)
    return plan.streams.count() == 1 && !plan.reducesLanes()
               ? op.getDpsInitOperand(plan.streams.find_first())
               : nullptr;
  return op.getNumDpsInits() == 1 && op.getRegionOutputArgs()[0].use_empty()
             ? op.getDpsInitOperand(0)
             : nullptr;
}

/// Whether `expr` is `loop`, or its position in tiles of whole vectors.
static bool isPosition(AffineExpr expr, unsigned loop, int64_t lanes) {
  AffineExpr d = getAffineDimExpr(loop, expr.getContext());
  auto mod = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!mod || mod.getKind() != AffineExprKind::Mod)
    return expr == d;
  auto tile = dyn_cast<AffineConstantExpr>(mod.getRHS());
  return mod.getLHS() == d && tile && tile.getValue() % lanes == 0;
}

/// Finds the groups that lanes hold.
void Planner::fillGroup(Plan &plan) const {
  if (plan.lanes < 4)
    return;
  if (plan.isContraction) {
    auto group = plan.loop == contraction->n ? dotLoop(op, *contraction, target)
                                             : std::nullopt;
    if (group && isDense(contraction->b->get().getType(), 2) &&
        isDense(contraction->a->get().getType(), 1))
      plan.group = *group;
    else
      plan.groupSize = groupOfSteps(plan);
    // Lanes of sums, whose groups are loaded as they lie.
    if (plan.reducesLanes()) {
      plan.lanes *= plan.groupSize;
      if (plan.groupSize > 1 && !ShapedType::isDynamic(extents[plan.loop]))
        plan.lanes = std::min<int64_t>(
            plan.lanes,
            std::max<int64_t>(llvm::PowerOf2Ceil(extents[plan.loop]),
                              4 * plan.groupSize));
    }
  } else if (OpOperand *output = storedOutput(plan)) {
    AffineMap map = op.getMatchingIndexingMap(output);
    unsigned rank = map.getNumResults();
    if (rank >= 2 && isDense(output->get().getType(), 2) &&
        isPosition(map.getResult(rank - 2), plan.loop, plan.lanes)) {
      auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
      if (last && extents[last.getPosition()] == 2)
        plan.group = last.getPosition();
    }
  }
  if (plan.group)
    plan.groupSize = extents[*plan.group];
}
