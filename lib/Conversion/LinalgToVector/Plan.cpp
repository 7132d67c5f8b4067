//===- Plan.cpp - The choice of a loop nest -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Estimates, for each loop that vectors could run along, what the loads and
// stores of one element cost, and takes the cheapest. Operations that reduce
// get a register tile: several rows and vectors of the output are summed at
// once, so that operands are loaded once for all and the sums do not wait for
// each other.
//
//===----------------------------------------------------------------------===//

#include "Nest.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "lutra/Conversion/CascadeToLinalg.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {

/// Vectors of the tile of a reduction that is not a contraction: for as many
/// sums as hide the latency of an addition.
constexpr int64_t kSums = 8;

class Planner {
public:
  Planner(linalg::GenericOp op, TargetAttr target, ScheduleAttr schedule);
  std::optional<Plan> run();

private:
  /// How vectors lie along `loop`: of as many lanes as it has, or of `lanes`.
  std::optional<Plan> planAlong(unsigned loop) const;
  std::optional<Plan> planAlong(unsigned loop, int64_t lanes) const;
  void fillTile(Plan &plan) const;
  RegisterTile wholeRows(RegisterTile tile, int64_t m, const Plan &plan) const;
  void fillContraction(Plan &plan) const;
  void fillInnerProducts(Plan &plan) const;
  void fillGroup(Plan &plan) const;
  OpOperand *storedOutput(const Plan &plan) const;
  int64_t groupOfSteps(const Plan &plan) const;
  double cost(const Plan &plan) const;
  double accessCost(OpOperand &operand, const Plan &plan) const;
  bool inAllOutputs(unsigned loop) const;
  bool isParallel(unsigned loop) const {
    return op.getIteratorTypesArray()[loop] == utils::IteratorType::parallel;
  }
  /// The loops in the order in which the output lies in memory.
  SmallVector<unsigned> loopsInOutputOrder() const;

  mutable linalg::GenericOp op;
  TargetAttr target;
  ScheduleAttr schedule;
  SmallVector<int64_t> extents;
  std::optional<Contraction> contraction;
  int64_t maxLanes;
};

} // namespace

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
  if (!memref || memref.getRank() < dims)
    return false;
  if (memref.getLayout().isIdentity())
    return true;
  auto [strides, offset] = memref.getStridesAndOffset();
  int64_t expected = 1;
  for (unsigned i = 0; i < dims; ++i) {
    if (strides[memref.getRank() - 1 - i] != expected)
      return false;
    int64_t size = memref.getDimSize(memref.getRank() - 1 - i);
    // Strides of what is outside of it are not known.
    if (ShapedType::isDynamic(size))
      return i + 1 == dims;
    expected *= size;
  }
  return true;
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
      !isAlong(contraction->b, plan.loop))
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
