//===- Plan.cpp - The choice of a loop nest -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Estimates, for each loop that vectors could run along, what the loads and
// stores of one element cost, and takes the cheapest. What is computed along it
// is in PlanTile.cpp.
//
//===----------------------------------------------------------------------===//

#include "Planner.h"

#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "lutra/Conversion/CascadeToLinalg.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// The widest element that the operation loads, stores or computes, in bits.
static unsigned widestType(linalg::GenericOp op) {
  unsigned width = 8;
  auto visit = [&](Type type) {
    if (type.isIntOrFloat())
      width = std::max(width, type.getIntOrFloatBitWidth());
  };
  for (BlockArgument argument : op.getBlock()->getArguments())
    visit(argument.getType());
  for (Operation &inner : op.getBlock()->without_terminator())
    // Integers that stand for indices do not narrow the vectors.
    if (!inner.getResult(0).getType().isInteger())
      visit(inner.getResult(0).getType());
  return width;
}

SmallVector<int64_t> lutra::staticExtents(linalg::GenericOp op) {
  SmallVector<int64_t> extents(op.getNumLoops(), ShapedType::kDynamic);
  for (OpOperand &operand : op->getOpOperands())
    for (auto [dim, expr] :
         llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults())) {
      auto loop = dyn_cast<AffineDimExpr>(expr);
      if (!loop)
        continue;
      int64_t size = cast<ShapedType>(operand.get().getType()).getDimSize(dim);
      if (!ShapedType::isDynamic(size))
        extents[loop.getPosition()] = size;
    }
  return extents;
}

Planner::Planner(linalg::GenericOp op, TargetAttr target, ScheduleAttr schedule)
    : op(op), target(target), schedule(schedule), extents(staticExtents(op)),
      contraction(matchContraction(op)) {
  maxLanes = vectorBits(target) / widestType(op);
  if (schedule && schedule.getVector() > 0)
    maxLanes = llvm::bit_floor(uint64_t(schedule.getVector()));
  maxLanes = std::max<int64_t>(1, maxLanes);
}

/// Whether an output of a reduction has all loops, and nothing is read of it.
static bool isStreamOf(linalg::GenericOp op, unsigned output) {
  return op.getNumReductionLoops() != 0 &&
         op.getRegionOutputArgs()[output].use_empty() &&
         op.getMatchingIndexingMap(op.getDpsInitOperand(output))
             .isPermutation();
}

bool Planner::inAllOutputs(unsigned loop) const {
  return llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
    return op.getMatchingIndexingMap(&output).isFunctionOfDim(loop);
  });
}

SmallVector<unsigned> Planner::loopsInOutputOrder() const {
  AffineMap output = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  SmallVector<unsigned> order;
  auto append = [&](unsigned loop) {
    if (!llvm::is_contained(order, loop))
      order.push_back(loop);
  };
  for (AffineExpr result : output.getResults())
    for (unsigned loop : llvm::seq(op.getNumLoops()))
      if (result.isFunctionOfDim(loop))
        append(loop);
  for (unsigned loop : llvm::seq(op.getNumLoops()))
    append(loop);
  return order;
}

std::optional<int64_t> lutra::strideAlong(linalg::GenericOp op,
                                          OpOperand &operand, unsigned loop,
                                          int64_t lanes) {
  auto type = cast<MemRefType>(operand.get().getType());
  AffineMap map = op.getMatchingIndexingMap(&operand);
  auto [strides, offset] = type.getStridesAndOffset();
  // As if the loop stood at some multiple of the lanes.
  SmallVector<Index> loops(op.getNumLoops(), Index{operand.get(), 1, 0});
  loops[loop].multiple = lanes;
  int64_t total = 0;
  for (auto [expr, stride] : llvm::zip_equal(map.getResults(), strides)) {
    auto each = laneStride(expr, loops, loop, lanes);
    if (!each || (*each != 0 && ShapedType::isDynamic(stride)))
      return std::nullopt;
    total += *each == 0 ? 0 : *each * stride;
  }
  return total;
}

/// What one vector access costs, in vector loads from the nearest cache.
double Planner::accessCost(OpOperand &operand, const Plan &plan) const {
  if (!isa<MemRefType>(operand.get().getType()))
    return 0;
  if (llvm::is_contained(plan.transposed, operand.getOperandNumber()))
    return transposeCost(plan, extents[*plan.row]);
  auto stride = strideAlong(op, operand, plan.loop, plan.lanes);
  if (stride && *stride <= 1)
    return *stride == 1 ? 1 : 0.5;
  // Groups are dense as a whole.
  if (plan.group && stride == plan.groupSize)
    return 1;
  bool isOutput = operand.getOperandNumber() >= op.getNumDpsInputs();
  return double(plan.lanes) * (isOutput ? 1.5 : 1);
}

double Planner::cost(const Plan &plan) const {
  double total = 0.5;
  bool reduces = op.getNumReductionLoops() != 0;
  for (OpOperand &operand : op->getOpOperands()) {
    double each = accessCost(operand, plan);
    if (reduces && op.isDpsInit(&operand))
      each *= 0.05; // Once for all reductions.
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (plan.row && !map.isFunctionOfDim(*plan.row))
      each /= plan.rows;
    if (plan.column && !map.isFunctionOfDim(*plan.column))
      each /= plan.columns;
    total += each;
  }
  if (plan.reducesLanes())
    total += 0.1; // The last step, across lanes.
  int64_t extent = extents[plan.loop];
  int64_t useful =
      ShapedType::isDynamic(extent) ? plan.lanes : std::min(extent, plan.lanes);
  return total / double(useful);
}

std::optional<Plan> Planner::planAlong(unsigned loop) const {
  int64_t lanes = maxLanes;
  if (!ShapedType::isDynamic(extents[loop]))
    lanes = std::min<int64_t>(maxLanes, llvm::PowerOf2Ceil(extents[loop]));
  if (lanes < 2)
    return std::nullopt;
  // A matrix tile is worth its time half empty, too.
  if (lanes < maxLanes && 2 * lanes >= maxLanes && hasBF16Tiles(target))
    if (std::optional<Plan> plan = planAlong(loop, maxLanes);
        plan && plan->hasMatrixTiles)
      return plan;
  return planAlong(loop, lanes);
}

std::optional<Plan> Planner::planAlong(unsigned loop, int64_t lanes) const {
  Plan plan;
  plan.loop = loop;
  plan.lanes = lanes;
  if (!foreseesStreams(target))
    plan.fetchAhead = prefetchDistance(target);
  plan.streams.resize(op.getNumDpsInits());
  for (unsigned i : llvm::seq(op.getNumDpsInits())) {
    plan.streams[i] = isStreamOf(op, i);
    if (isParallel(loop))
      continue;
    Operation *combiner = findCombiner(op.getRegionOutputArgs()[i], i);
    if (!combiner && !plan.streams[i])
      return std::nullopt;
    plan.combiners.push_back(combiner);
  }
  fillTile(plan);
  fillGroup(plan);
  if (op.getNumReductionLoops() != 0 && !ShapedType::isDynamic(extents[loop]))
    plan.vectors = std::min<int64_t>(
        plan.vectors, llvm::divideCeil(extents[loop], plan.lanes));
  for (unsigned other : llvm::seq(op.getNumLoops()))
    if (other != loop && other != plan.row && other != plan.column &&
        other != plan.group)
      (isParallel(other) ? plan.outer : plan.reductions).push_back(other);
  plan.hasMatrixTiles = fillsMatrixTiles(op, plan, target);
  if (plan.hasMatrixTiles)
    plan.vectors = std::min<int64_t>(plan.vectors, 2);
  return plan;
}

std::optional<Plan> Planner::run() {
  std::optional<Plan> best;
  double bestCost = 0;
  auto consider = [&](std::optional<Plan> plan) {
    if (!plan)
      return;
    double each = cost(*plan);
    if (best && each >= bestCost)
      return;
    best = std::move(plan);
    bestCost = each;
  };
  SmallVector<unsigned> order = loopsInOutputOrder();
  for (unsigned loop : llvm::reverse(order)) {
    std::optional<Plan> plan = planAlong(loop);
    if (!plan)
      continue;
    consider(plan);
    for (unsigned other : llvm::reverse(order))
      consider(transposeAlong(op, *plan, other, target));
  }
  return best;
}

/// Whether addresses in `type` are linear in the indices.
static bool isStrided(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  SmallVector<int64_t> strides;
  int64_t offset;
  return !memref || succeeded(memref.getStridesAndOffset(strides, offset));
}

std::optional<Plan> lutra::planNest(linalg::GenericOp op, TargetAttr target,
                                    ScheduleAttr schedule) {
  bool loadsStrided = true;
  op.getBlock()->walk([&](memref::LoadOp load) {
    loadsStrided &= isStrided(load.getMemRefType());
  });
  if (!loadsStrided || !isVectorizable(*op.getBlock()) ||
      op.getNumDpsInits() == 0 ||
      !llvm::all_of(op->getOperandTypes(), isStrided) ||
      llvm::is_contained(staticExtents(op), 0))
    return std::nullopt;
  // Parallel loops that an output lacks would store one element more than once;
  // of reductions that it has, only the last element would be stored.
  for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable()))
    for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray()))
      if ((kind == utils::IteratorType::parallel) !=
              op.getMatchingIndexingMap(&output).isFunctionOfDim(loop) &&
          !isStreamOf(op, i))
        return std::nullopt;
  return Planner(op, target, schedule).run();
}
