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
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

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
/// The direction and rows that one loop over time is for.
struct Task {
  OpFoldResult direction, row, rows;
};

class Runner {
public:
  Runner(Lowering &lowering, const Recurrence &net, StepBody body)
      : lowering(lowering), b(lowering.b), net(net), body(body) {}

  /// One direction with the whole batch, in a loop of its own.
  SmallVector<Tensor> runAlone(int64_t direction);
  /// All directions in one loop.
  SmallVector<Tensor> runTogether();
  /// All directions, and chunks of the batch, as tasks.
  SmallVector<Tensor> runTasks(int64_t chunk);

private:
  struct Carried {
    Shape shape;
    DType dtype;
    /// The dimension of the directions.
    int64_t axis;
    /// Whether it is a result, and not only of use to the loop.
    bool isKept;
  };
  SmallVector<Carried> carried() const;
  SmallVector<Part> partsOf(const Task &task);
  OpFoldResult index(int64_t value) { return b.getIndexAttr(value); }

  Value initialState(unsigned state, const Task &task, Value destination);
  SmallVector<Value> runTask(const Task &task, ValueRange outputs);
  SmallVector<Value> emptyOutputs(bool onlyKept);
  SmallVector<Tensor> results(ValueRange values, bool onlyKept);
  Task taskAt(Value direction, Value number, int64_t chunk);
  SmallVector<Value> overTime(const Task &task, ValueRange inits,
                              int64_t direction);
  Value placeOf(Value time, OpFoldResult direction);
  /// The part at `place` of sequences that begin with row `row`.
  Part elementOf(OpFoldResult place, OpFoldResult row, OpFoldResult rows) const;
  size_t firstState() const { return net.hasOutput ? 1 : 0; }
  size_t firstScratch() const { return firstState() + net.initial.size(); }

  Lowering &lowering;
  ImplicitLocOpBuilder &b;
  const Recurrence &net;
  StepBody body;
};
} // namespace

/// What the loop carries for all directions: Y, the states, the scratch.
SmallVector<Runner::Carried> Runner::carried() const {
  AffineExpr directions = lowering.constant(net.directions);
  AffineExpr hidden = lowering.constant(net.hidden);
  SmallVector<Carried> all;
  auto add = [&](Shape shape, DType dtype, int64_t axis, bool isKept) {
    all.push_back({std::move(shape), dtype, axis, isKept});
  };
  if (net.hasOutput && net.isBatchFirst)
    add({net.batch, net.steps, directions, hidden}, net.dtype, 2, true);
  else if (net.hasOutput)
    add({net.steps, directions, net.batch, hidden}, net.dtype, 1, true);
  for (bool isKept : net.keepsState)
    if (net.isBatchFirst)
      add({net.batch, directions, hidden}, net.dtype, 1, isKept);
    else
      add({directions, net.batch, hidden}, net.dtype, 0, isKept);
  for (auto [width, dtype] : net.scratch)
    add({directions, net.batch, lowering.constant(width)}, dtype, 0, false);
  return all;
}

/// The task's parts of what is carried.
SmallVector<Part> Runner::partsOf(const Task &task) {
  OpFoldResult steps = lowering.size(net.steps);
  auto [direction, row, rows] = task;
  SmallVector<Part> parts;
  auto add = [&](Part part, int64_t width) {
    parts.push_back(std::move(part).all(width, b.getContext()));
  };
  if (net.hasOutput)
    add(net.isBatchFirst
            ? Part().take(row, rows).take(index(0), steps).pick(direction)
            : Part().take(index(0), steps).pick(direction).take(row, rows),
        net.hidden);
  for (size_t i = 0; i < net.initial.size(); ++i)
    add(net.isBatchFirst ? Part().take(row, rows).pick(direction)
                         : Part().pick(direction).take(row, rows),
        net.hidden);
  for (auto [width, dtype] : net.scratch)
    add(Part().pick(direction).take(row, rows), width);
  return parts;
}

/// The scalar that all elements of `value` equal, or null.
static Value uniformScalar(ImplicitLocOpBuilder &b, Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto fill = dyn_cast<linalg::FillOp>(op))
      return fill.value();
    if (!isa<tensor::ExtractSliceOp, tensor::ExpandShapeOp,
             tensor::CollapseShapeOp, tensor::CastOp>(op))
      break;
    value = op->getOperand(0);
  }
  DenseElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) || !elements.isSplat())
    return {};
  return arith::ConstantOp::create(b, elements.getSplatValue<TypedAttr>());
}

/// States that begin as the same are different buffers nonetheless: the loop
/// updates each in place. What tells them apart is of no further meaning.
static void keepApart(Operation *op, int64_t number) {
  op->setDiscardableAttr("lutra.state",
                         Builder(op->getContext()).getI64IntegerAttr(number));
}

/// The first value of a state: in `destination`, or where that is null, in
/// whatever tensor it lies.
Value Runner::initialState(unsigned state, const Task &task,
                           Value destination) {
  Tensor initial = net.initial[state];
  Value scalar =
      initial ? uniformScalar(b, initial.value) : lowering.scalar(net.dtype, 0);
  AffineExpr hidden = lowering.constant(net.hidden);
  if (scalar && !destination)
    return lowering.filled({net.batch, hidden}, net.dtype, scalar);
  if (scalar) {
    auto fill = linalg::FillOp::create(b, scalar, destination);
    keepApart(fill, state);
    return fill.getResult(0);
  }
  Value value = partsOf(task)[firstState() + state].of(b, initial.value);
  if (!destination)
    return value;
  return linalg::CopyOp::create(b, value, destination).getResult(0);
}

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
SmallVector<Value> Runner::overTime(const Task &task, ValueRange inits,
                                    int64_t direction) {
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
  Task task{index(direction), index(0), lowering.size(net.batch)};
  SmallVector<Value> inits;
  SmallVector<Carried> all = carried();
  for (auto [i, each] : llvm::enumerate(all)) {
    each.shape.erase(each.shape.begin() + each.axis);
    bool isState = i >= firstState() && i < firstScratch();
    inits.push_back(isState ? initialState(i - firstState(), task, Value())
                            : lowering.empty(each.shape, each.dtype));
  }
  SmallVector<Value> values = overTime(task, inits, direction);
  SmallVector<Tensor> tensors;
  for (size_t i = 0; i < firstScratch(); ++i)
    tensors.push_back(lowering.unsqueeze(
        lowering.tensor(values[i], all[i].shape, all[i].dtype), all[i].axis));
  return tensors;
}

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

/// Runs a task on its parts of `outputs`. Those may be only what is kept; the
/// rest is the task's own. Returns the parts.
SmallVector<Value> Runner::runTask(const Task &task, ValueRange outputs) {
  SmallVector<Carried> all = carried();
  bool ownsRest = outputs.size() < all.size();
  SmallVector<Value> inits;
  for (auto [each, part] : llvm::zip_equal(all, partsOf(task))) {
    if (each.isKept || !ownsRest) {
      inits.push_back(part.of(b, outputs.front()));
      outputs = outputs.drop_front();
      continue;
    }
    auto empty = tensor::EmptyOp::create(
        b, ArrayRef<OpFoldResult>{task.rows, lowering.size(each.shape.back())},
        storageType(b.getContext(), each.dtype));
    keepApart(empty, inits.size());
    inits.push_back(empty);
  }
  for (unsigned state = 0; state < net.initial.size(); ++state) {
    Value &init = inits[firstState() + state];
    init = initialState(state, task, init);
  }
  return overTime(task, inits, 0);
}

SmallVector<Value> Runner::emptyOutputs(bool onlyKept) {
  SmallVector<Value> outputs;
  for (const Carried &each : carried())
    if (each.isKept || !onlyKept)
      outputs.push_back(lowering.empty(each.shape, each.dtype));
  return outputs;
}

/// The kept among what the loop carries, and null for the other states.
SmallVector<Tensor> Runner::results(ValueRange values, bool onlyKept) {
  SmallVector<Carried> all = carried();
  SmallVector<Tensor> tensors;
  for (const Carried &each : ArrayRef(all).take_front(firstScratch())) {
    if (onlyKept && !each.isKept) {
      tensors.push_back(Tensor());
      continue;
    }
    tensors.push_back(lowering.tensor(values.front(), each.shape, each.dtype));
    values = values.drop_front();
  }
  return tensors;
}

SmallVector<Tensor> Runner::runTogether() {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value end = arith::ConstantIndexOp::create(b, net.directions);
  auto loop =
      scf::ForOp::create(b, zero, end, one, emptyOutputs(/*onlyKept=*/false));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Task task{OpFoldResult(loop.getInductionVar()), index(0),
            lowering.size(net.batch)};
  SmallVector<Value> next = runTask(task, loop.getRegionIterArgs());
  for (auto [place, part, into] :
       llvm::zip_equal(partsOf(task), next, loop.getRegionIterArgs()))
    part = place.insert(b, part, into);
  scf::YieldOp::create(b, next);
  return results(loop.getResults(), /*onlyKept=*/false);
}

Task Runner::taskAt(Value direction, Value number, int64_t chunk) {
  AffineExpr c = b.getAffineSymbolExpr(0), n = b.getAffineSymbolExpr(1);
  Location loc = b.getLoc();
  Task task{direction, index(0), lowering.size(net.batch)};
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
  auto forall = scf::ForallOp::create(b, sizes, emptyOutputs(/*onlyKept=*/true),
                                      std::nullopt);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forall.getBody());
  Task task =
      taskAt(forall.getInductionVar(0), forall.getInductionVar(1), chunk);
  SmallVector<Value> parts = runTask(task, forall.getRegionIterArgs());
  SmallVector<Part> places = partsOf(task);
  SmallVector<Carried> all = carried();
  ArrayRef<BlockArgument> outputs = forall.getRegionIterArgs();
  b.setInsertionPointToStart(forall.getTerminator().getBody());
  for (auto [each, place, part] : llvm::zip_equal(all, places, parts)) {
    if (!each.isKept)
      continue;
    place.insertInParallel(b, part, outputs.front());
    outputs = outputs.drop_front();
  }
  return results(forall.getResults(), /*onlyKept=*/true);
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
