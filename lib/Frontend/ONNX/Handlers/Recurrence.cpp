//===- Recurrence.cpp - The loop of a recurrent net -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps depend on each other, rows of the batch and directions do not: where
// there is enough to do, the loop over time lies inside an scf.forall over
// directions and chunks of rows. A direction that runs backwards walks the
// sequence from its end, so that one with fewer steps than there are begins
// where its first step is and keeps its initial state until then.
//
//===----------------------------------------------------------------------===//

#include "Recurrence.h"

#include "CarriedTensors.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// Rows of the batch that one task steps through: whole register tiles on every
/// target, so that each weight that is loaded serves all of them. Fewer where
/// their scratch would be too much for a stack.
static constexpr int64_t kMaxChunk = 12;
static constexpr int64_t kMaxStackBytes = 1 << 18;
/// Multiply-adds that are worth another thread.
static constexpr double kMinTaskWork = 1 << 15;

namespace {
class Runner {
public:
  Runner(Lowering &lowering, const Recurrence &net, StepBody body)
      : lowering(lowering), b(lowering.b), net(net), carried(lowering, net),
        body(body) {}

  /// One direction with the whole batch, in a loop of its own.
  SmallVector<Tensor> runAlone(int64_t direction);
  /// All directions in one loop.
  SmallVector<Tensor> runTogether();
  /// All directions, and chunks of the batch, as tasks.
  SmallVector<Tensor> runTasks(int64_t chunk);

private:
  OpFoldResult index(int64_t value) { return b.getIndexAttr(value); }

  SmallVector<Value> runTask(const RecurrenceTask &task, ValueRange outputs);
  RecurrenceTask taskAt(Value direction, Value number, int64_t chunk);
  SmallVector<Value> overTime(const RecurrenceTask &task, ValueRange inits,
                              int64_t direction);
  Value placeOf(Value time, OpFoldResult direction);
  /// The part at `place` of sequences that begin with row `row`.
  Part elementOf(OpFoldResult place, OpFoldResult row, OpFoldResult rows) const;

  Lowering &lowering;
  ImplicitLocOpBuilder &b;
  const Recurrence &net;
  CarriedTensors carried;
  StepBody body;
};
} // namespace

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

Part Runner::elementOf(OpFoldResult place, OpFoldResult row,
                       OpFoldResult rows) const {
  return net.isBatchFirst ? Part().take(row, rows).pick(place)
                          : Part().pick(place).take(row, rows);
}

/// The place in the sequence that a direction is at after `time` steps.
Value Runner::placeOf(Value time, OpFoldResult direction) {
  if (net.directions == 1 && !net.isReverse)
    return time;
  std::optional<int64_t> known = getConstantIntValue(direction);
  if (net.directions == 2 && known == 0)
    return time;
  AffineExpr t, n;
  bindSymbols(b.getContext(), t, n);
  Value fromEnd = getValueOrCreateConstantIndexOp(
      b, b.getLoc(),
      affine::makeComposedFoldedAffineApply(
          b, b.getLoc(), AffineMap::get(0, 2, n - 1 - t),
          {OpFoldResult(time), lowering.size(net.steps)}));
  if (net.directions == 1 || known)
    return fromEnd;
  Value isFirst =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, cast<Value>(direction),
                            arith::ConstantIndexOp::create(b, 0));
  return arith::SelectOp::create(b, isFirst, time, fromEnd);
}

/// The loop over time of one task; `inits` are its parts of what is carried.
SmallVector<Value> Runner::overTime(const RecurrenceTask &task,
                                    ValueRange inits, int64_t direction) {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  auto loop =
      scf::ForOp::create(b, zero, lowering.sizeValue(net.steps), one, inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  OpFoldResult place = placeOf(loop.getInductionVar(), task.direction);
  SmallVector<Value> values(loop.getRegionIterArgs());

  int64_t width = net.gates * net.hidden;
  OpFoldResult column = affine::makeComposedFoldedAffineApply(
      b, b.getLoc(), AffineMap::get(0, 1, b.getAffineSymbolExpr(0) * width),
      {task.direction});
  Step step(b, net, task.direction, task.rows);
  step.inputs = elementOf(place, task.row, task.rows)
                    .take(column, index(width))
                    .of(b, net.projected.value);
  ArrayRef<Value> rest = values;
  Part element =
      elementOf(place, index(0), task.rows).all(net.hidden, b.getContext());
  if (net.hasOutput) {
    step.output = element.of(b, rest.front());
    rest = rest.drop_front();
  }
  step.states.assign(rest.begin(), rest.begin() + net.initial.size());
  llvm::append_range(step.scratch, rest.drop_front(net.initial.size()));
  if (net.lengths) {
    step.time =
        arith::IndexCastOp::create(b, b.getI32Type(), cast<Value>(place));
    step.lengths = Part().take(task.row, task.rows).of(b, net.lengths.value);
  }
  body(step, direction);

  SmallVector<Value> next;
  if (net.hasOutput)
    next.push_back(element.insert(b, step.output, values.front()));
  llvm::append_range(next, step.states);
  llvm::append_range(next, step.scratch);
  scf::YieldOp::create(b, next);
  return llvm::to_vector_of<Value>(loop.getResults());
}

SmallVector<Tensor> Runner::runAlone(int64_t direction) {
  RecurrenceTask task{index(direction), index(0), lowering.size(net.batch)};
  SmallVector<Value> inits;
  SmallVector<Carried> all(carried.all());
  for (auto [i, each] : llvm::enumerate(all)) {
    each.shape.erase(each.shape.begin() + each.axis);
    bool isState = i >= carried.firstState() && i < carried.firstScratch();
    inits.push_back(
        isState ? carried.initialState(i - carried.firstState(), task, Value())
                : lowering.empty(each.shape, each.dtype));
  }
  SmallVector<Value> values = overTime(task, inits, direction);
  SmallVector<Tensor> tensors;
  for (size_t i = 0; i < carried.firstScratch(); ++i)
    tensors.push_back(lowering.unsqueeze(
        lowering.tensor(values[i], all[i].shape, all[i].dtype), all[i].axis));
  return tensors;
}

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

/// Runs a task on its parts of `outputs`. Those may be only what is kept; the
/// rest is the task's own. Returns the parts.
SmallVector<Value> Runner::runTask(const RecurrenceTask &task,
                                   ValueRange outputs) {
  ArrayRef<Carried> all = carried.all();
  bool ownsRest = outputs.size() < all.size();
  SmallVector<Value> inits;
  for (auto [each, part] : llvm::zip_equal(all, carried.partsOf(task))) {
    if (each.isKept || !ownsRest) {
      inits.push_back(part.of(b, outputs.front()));
      outputs = outputs.drop_front();
      continue;
    }
    auto empty = tensor::EmptyOp::create(
        b, ArrayRef<OpFoldResult>{task.rows, lowering.size(each.shape.back())},
        storageType(b.getContext(), each.dtype));
    CarriedTensors::keepApart(empty, inits.size());
    inits.push_back(empty);
  }
  for (unsigned state = 0; state < net.initial.size(); ++state) {
    Value &init = inits[carried.firstState() + state];
    init = carried.initialState(state, task, init);
  }
  return overTime(task, inits, 0);
}

SmallVector<Tensor> Runner::runTogether() {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value end = arith::ConstantIndexOp::create(b, net.directions);
  auto loop =
      scf::ForOp::create(b, zero, end, one, carried.empty(/*onlyKept=*/false));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  RecurrenceTask task{OpFoldResult(loop.getInductionVar()), index(0),
                      lowering.size(net.batch)};
  SmallVector<Value> next = runTask(task, loop.getRegionIterArgs());
  for (auto [place, part, into] :
       llvm::zip_equal(carried.partsOf(task), next, loop.getRegionIterArgs()))
    part = place.insert(b, part, into);
  scf::YieldOp::create(b, next);
  return carried.results(loop.getResults(), /*onlyKept=*/false);
}

RecurrenceTask Runner::taskAt(Value direction, Value number, int64_t chunk) {
  AffineExpr c = b.getAffineSymbolExpr(0), n = b.getAffineSymbolExpr(1);
  Location loc = b.getLoc();
  RecurrenceTask task{direction, index(0), lowering.size(net.batch)};
  std::optional<int64_t> batch = getConstantIntValue(task.rows);
  if (batch && *batch <= chunk)
    return task;
  task.row = affine::makeComposedFoldedAffineApply(
      b, loc, AffineMap::get(0, 1, c * chunk), {OpFoldResult(number)});
  if (batch && *batch % chunk == 0) {
    task.rows = index(chunk);
    return task;
  }
  AffineExpr sizes[] = {lowering.constant(chunk), n - c * chunk};
  task.rows = affine::makeComposedFoldedAffineMin(
      b, loc, AffineMap::get(0, 2, sizes, b.getContext()),
      {OpFoldResult(number), lowering.size(net.batch)});
  return task;
}

SmallVector<Tensor> Runner::runTasks(int64_t chunk) {
  OpFoldResult sizes[] = {index(net.directions),
                          lowering.size(net.batch.ceilDiv(chunk))};
  auto forall = scf::ForallOp::create(
      b, sizes, carried.empty(/*onlyKept=*/true), std::nullopt);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forall.getBody());
  RecurrenceTask task =
      taskAt(forall.getInductionVar(0), forall.getInductionVar(1), chunk);
  SmallVector<Value> parts = runTask(task, forall.getRegionIterArgs());
  SmallVector<Part> places = carried.partsOf(task);
  ArrayRef<Carried> all = carried.all();
  ArrayRef<BlockArgument> outputs = forall.getRegionIterArgs();
  b.setInsertionPointToStart(forall.getTerminator().getBody());
  for (auto [each, place, part] : llvm::zip_equal(all, places, parts)) {
    if (!each.isKept)
      continue;
    place.insertInParallel(b, part, outputs.front());
    outputs = outputs.drop_front();
  }
  return carried.results(forall.getResults(), /*onlyKept=*/true);
}

/// Multiply-adds of all steps; a size that is not known counts as 64.
static double workOf(const Recurrence &net) {
  double work = double(net.directions) * net.gates * net.hidden * net.hidden;
  for (AffineExpr size : {net.steps, net.batch}) {
    auto known = dyn_cast<AffineConstantExpr>(size);
    work *= known ? known.getValue() : 64;
  }
  return work;
}

/// Rows of a task, or 0 where tasks do not pay or are not possible.
static int64_t chooseChunk(const Recurrence &net) {
  int64_t bytes = int64_t(net.initial.size()) * net.hidden * 8;
  for (auto [width, dtype] : net.scratch)
    bytes += width * (dtype == DType::Double ? 8 : 4);
  int64_t chunk = std::min(kMaxChunk, kMaxStackBytes / bytes);
  auto batch = dyn_cast<AffineConstantExpr>(net.batch);
  if (chunk == 0 || (batch && batch.getValue() == 0))
    return 0;
  int64_t chunks = batch ? llvm::divideCeil(batch.getValue(), chunk) : 2;
  int64_t tasks = net.directions * chunks;
  return tasks > 1 && workOf(net) / tasks >= kMinTaskWork ? chunk : 0;
}

SmallVector<Tensor> lutra::runRecurrence(Lowering &lowering,
                                         const Recurrence &net, bool alike,
                                         StepBody body) {
  Runner runner(lowering, net, body);
  int64_t chunk = alike ? chooseChunk(net) : 0;
  SmallVector<Tensor> results;
  if (chunk > 0) {
    results = runner.runTasks(chunk);
  } else if (alike && net.directions > 1) {
    results = runner.runTogether();
  } else {
    results = runner.runAlone(0);
    for (int64_t direction = 1; direction < net.directions; ++direction)
      for (auto [i, more] : llvm::enumerate(runner.runAlone(direction))) {
        bool isOutput = net.hasOutput && i == 0;
        int64_t axis = int64_t(net.isBatchFirst) + isOutput;
        results[i] = lowering.concat({results[i], more}, axis);
      }
  }
  if (!net.hasOutput)
    results.insert(results.begin(), Tensor());
  return results;
}
