//===- PanelAhead.cpp - The panel of columns that is read next ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All tiles of rows read the same panel of packed columns. The first of them
// would wait for it, since it comes from memory, and the others leave memory
// idle. Each tile therefore fetches a part of the panel that is read next, into
// the second-level cache: a few lines every few steps.
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"

#include "lutra/Analysis/Caches.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "lutra/Conversion/CascadeToLinalg.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace mlir::lutra;

/// Tiles that fetch a panel where their number is not known.
static constexpr int64_t kUnknownTiles = 8;

/// Whether `value` is computed from `source`, in the body of its loop.
static bool isComputedFrom(Value value, Value source) {
  if (value == source)
    return true;
  Operation *op = value.getDefiningOp();
  return op && source.getParentBlock()->findAncestorOpInBlock(*op) &&
         llvm::any_of(op->getOperands(), [&](Value operand) {
           return isComputedFrom(operand, source);
         });
}

/// Whether a view is one of what a kernel is given, which is more than the
/// second-level cache keeps beside rows.
static bool comesFromMemory(Value memref, TargetAttr target) {
  while (auto view = memref.getDefiningOp<ViewLikeOpInterface>())
    memref = view.getViewSource();
  auto argument = dyn_cast<BlockArgument>(memref);
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (!argument || !type ||
      !isa<func::FuncOp>(argument.getOwner()->getParentOp()))
    return false;
  return !type.hasStaticShape() ||
         type.getNumElements() * type.getElementTypeBitWidth() / 8 >
             target.getL2() / 2;
}

/// Adds a loop of `steps` steps, which stands at `index`, inside of the others.
void Nest::Turn::addLoop(OpBuilder &b, Location loc, Value index, Value steps) {
  number = b.createOrFold<arith::AddIOp>(
      loc, b.createOrFold<arith::MulIOp>(loc, number, steps), index);
  count = b.createOrFold<arith::MulIOp>(loc, count, steps);
}

/// Which of the tiles of `rows` rows that read `panel` the nest stands at.
Nest::Turn Nest::turnOfTile(Value panel, int64_t rows) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Turn turn{constant(0), constant(1)};
  auto loop = dyn_cast<scf::ForOp>(op->getParentOp());
  if (loop && !isComputedFrom(panel, loop.getInductionVar())) {
    Value begin = loop.getLowerBound(), step = loop.getStep();
    auto steps = [&](Value end) {
      return b.createOrFold<arith::SubIOp>(loc, end, begin);
    };
    turn.addLoop(b, loc,
                 b.createOrFold<arith::DivUIOp>(
                     loc, steps(loop.getInductionVar()), step),
                 b.createOrFold<arith::CeilDivUIOp>(
                     loc, steps(loop.getUpperBound()), step));
  }
  if (plan.row) {
    Value tile = constant(rows);
    turn.addLoop(
        b, loc,
        b.createOrFold<arith::DivUIOp>(
            loc, position[*plan.row].materialize(b, loc), tile),
        b.createOrFold<arith::CeilDivUIOp>(
            loc, getValueOrCreateConstantIndexOp(b, loc, extents[*plan.row]),
            tile));
  }
  return turn;
}

/// The outermost dimension that is walked along a loop.
static unsigned firstResult(AffineMap map, unsigned loop) {
  auto isAlong = [&](AffineExpr expr) { return expr.isFunctionOfDim(loop); };
  return llvm::find_if(map.getResults(), isAlong) - map.getResults().begin();
}

/// Where the panel begins that is read behind the one that the nest is at: the
/// next columns, and behind the last of them the first, further along the
/// reduction. A panel of all of a reduction ends where the next one begins.
Values Nest::nextPanel(OpOperand *operand, int64_t columns) {
  AffineMap map = op.getMatchingIndexingMap(operand);
  unsigned n = plan.loop;
  // The one that goes over a panel most slowly.
  unsigned step = *llvm::min_element(plan.reductions, [&](auto x, auto y) {
    return firstResult(map, x) < firstResult(map, y);
  });
  SmallVector<Index> loops = position;
  for (unsigned reduction : plan.reductions)
    loops[reduction] = {Value(), 0, 0};
  if (plan.group)
    loops[*plan.group] = {Value(), 0, 0};
  AffineExpr column = b.getAffineDimExpr(n);
  Value next = evaluate(b, loc, (column.floorDiv(columns) + 1) * columns, loops)
                   .materialize(b, loc);
  Value isLast = b.createOrFold<arith::CmpIOp>(
      loc, arith::CmpIPredicate::uge, next,
      getValueOrCreateConstantIndexOp(b, loc, extents[n]));
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  loops[n] = {b.createOrFold<arith::SelectOp>(loc, isLast, zero, next), columns,
              0};
  loops[step] = {b.createOrFold<arith::SelectOp>(
                     loc, isLast,
                     getValueOrCreateConstantIndexOp(b, loc, extents[step]),
                     zero),
                 1, 0};
  Values indices;
  for (AffineExpr expr : map.getResults())
    indices.push_back(evaluate(b, loc, expr, loops).materialize(b, loc));
  return indices;
}

std::optional<Nest::PanelShare> Nest::shareOfNextPanel(int64_t rows,
                                                       int64_t steps) {
  std::optional<Contraction> contraction = matchContraction(op);
  if (!contraction || !plan.isContraction || op->hasAttr(kStreamAttr) ||
      plan.loop != contraction->n || plan.reductions.empty() ||
      (plan.groupSize > 1 && !plan.group))
    return std::nullopt;
  Value panel = contraction->b->get();
  auto type = dyn_cast<MemRefType>(panel.getType());
  auto columns =
      packedTile(op.getMatchingIndexingMap(contraction->b), plan.loop);
  TargetAttr target = targetOf(op);
  if (!type || !type.getElementType().isIntOrFloat() || !columns || !target ||
      !comesFromMemory(panel, target))
    return std::nullopt;
  int64_t ofStep = *columns * (plan.group ? plan.groupSize : 1) *
                   type.getElementTypeBitWidth() / 8,
          all = 1;
  for (unsigned loop : plan.reductions) {
    std::optional<int64_t> extent = getConstantIntValue(extents[loop]);
    if (!extent)
      return std::nullopt;
    all *= *extent;
  }
  if (all * ofStep > target.getL2() / 4)
    return std::nullopt;
  Turn turn = turnOfTile(panel, rows);
  std::optional<int64_t> count = getConstantIntValue(turn.count);
  // What is read once, hardware foresees.
  if (count && *count < 2)
    return std::nullopt;
  PanelShare share{
      contraction->b,
      nextPanel(contraction->b, *columns),
      steps,
      int64_t(llvm::divideCeil(steps * ofStep,
                               kCacheLine * count.value_or(kUnknownTiles))),
      kCacheLine * 8 / type.getElementTypeBitWidth(),
      Value()};
  int64_t ofTile = llvm::divideCeil(all, steps) * share.lines;
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  if (!count)
    share.isWanted = arith::CmpIOp::create(
        b, loc, arith::CmpIPredicate::ult, turn.number,
        constant(llvm::divideCeil(all * ofStep, kCacheLine * ofTile)));
  share.first.back() = b.createOrFold<arith::AddIOp>(
      loc, share.first.back(),
      b.createOrFold<arith::MulIOp>(loc, turn.number,
                                    constant(ofTile * share.elements)));
  return share;
}

void Nest::fetch(const PanelShare &share) {
  AffineExpr step = b.getAffineConstantExpr(0);
  for (unsigned loop : plan.reductions)
    step =
        step * *getConstantIntValue(extents[loop]) + b.getAffineDimExpr(loop);
  Value line =
      evaluate(b, loc,
               step.floorDiv(share.steps) * (share.lines * share.elements),
               position)
          .materialize(b, loc);
  auto emit = [&](OpBuilder &b) {
    for (int64_t i = 0; i < share.lines; ++i) {
      Values indices = share.first;
      Value behind = b.createOrFold<arith::AddIOp>(
          loc, line,
          arith::ConstantIndexOp::create(b, loc, i * share.elements));
      indices.back() =
          b.createOrFold<arith::AddIOp>(loc, indices.back(), behind);
      memref::PrefetchOp::create(b, loc, share.operand->get(), indices,
                                 /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
    }
  };
  if (!share.isWanted)
    return emit(b);
  scf::IfOp::create(b, loc, share.isWanted, [&](OpBuilder &inside, Location) {
    emit(inside);
    scf::YieldOp::create(inside, loc);
  });
}
