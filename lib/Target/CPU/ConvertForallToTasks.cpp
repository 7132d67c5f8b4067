//===- ConvertForallToTasks.cpp - Parallel loops become tasks -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each outermost scf.forall becomes a function over a range of its iterations,
// counted row by row, which the caller's executor runs on as many threads as it
// likes. An scf.forall inside another one becomes sequential loops, and stack
// buffers move to the entry of their function, so that a loop reuses them.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/Passes.h"

#include "Closure.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/RegionUtils.h"
#include "runtime/include/lutra/abi.h"
#include <cstddef>

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTFORALLTOTASKS
#include "lutra/Target/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

static_assert(offsetof(lutra_call, executor) == 0 &&
                  offsetof(lutra_executor, parallel_for) == 0,
              "the executor and its function are loaded without an offset");

namespace {

/// The iteration space of an scf.forall: per dimension where it starts, its
/// step and its number of iterations.
struct Iterations {
  SmallVector<Value> lowerBounds, steps, counts;
  Value total;
};

class TaskOutliner {
public:
  TaskOutliner(func::FuncOp kernel, SymbolTable &symbols)
      : kernel(kernel), last(kernel), symbols(symbols),
        converter(kernel.getContext()),
        pointer(LLVM::LLVMPointerType::get(kernel.getContext())) {}

  LogicalResult outline(scf::ForallOp forall);

private:
  Iterations count(scf::ForallOp forall, OpBuilder &b);
  func::FuncOp createTask(scf::ForallOp forall, const Iterations &iterations,
                          Closure &closure);
  void run(scf::ForallOp forall, Value total, func::FuncOp task, Value closure);

  func::FuncOp kernel, last; ///< the function behind which the next task goes
  SymbolTable &symbols;
  LLVMTypeConverter converter;
  Type pointer;
  unsigned numTasks = 0;
};

} // namespace

Iterations TaskOutliner::count(scf::ForallOp forall, OpBuilder &b) {
  Location loc = forall.getLoc();
  Iterations result;
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  result.total = constant(1);
  for (auto [lower, upper, step] :
       llvm::zip_equal(forall.getMixedLowerBound(), forall.getMixedUpperBound(),
                       forall.getMixedStep())) {
    result.lowerBounds.push_back(
        getValueOrCreateConstantIndexOp(b, loc, lower));
    result.steps.push_back(getValueOrCreateConstantIndexOp(b, loc, step));
    Value start = result.lowerBounds.back(), by = result.steps.back();
    Value end = getValueOrCreateConstantIndexOp(b, loc, upper);
    // max(end - start, 0) divided by the step, rounded up.
    Value span = b.createOrFold<arith::SubIOp>(loc, end, start);
    span = b.createOrFold<arith::MaxSIOp>(loc, span, constant(0));
    Value round = b.createOrFold<arith::SubIOp>(loc, by, constant(1));
    span = b.createOrFold<arith::AddIOp>(loc, span, round);
    result.counts.push_back(b.createOrFold<arith::DivUIOp>(loc, span, by));
    result.total =
        b.createOrFold<arith::MulIOp>(loc, result.total, result.counts.back());
  }
  return result;
}

/// Splits a position in the iteration space into one induction variable per
/// dimension, the last one varying fastest.
static SmallVector<Value> delinearize(OpBuilder &b, Location loc,
                                      Value position,
                                      const Iterations &iterations,
                                      const IRMapping &mapping) {
  unsigned rank = iterations.counts.size();
  SmallVector<Value> variables(rank);
  for (unsigned i = rank; i-- > 0;) {
    Value index = position;
    if (i > 0) {
      Value count = mapping.lookup(iterations.counts[i]);
      index = b.createOrFold<arith::RemUIOp>(loc, position, count);
      position = b.createOrFold<arith::DivUIOp>(loc, position, count);
    }
    index = b.createOrFold<arith::MulIOp>(loc, index,
                                          mapping.lookup(iterations.steps[i]));
    variables[i] = b.createOrFold<arith::AddIOp>(
        loc, index, mapping.lookup(iterations.lowerBounds[i]));
  }
  return variables;
}

func::FuncOp TaskOutliner::createTask(scf::ForallOp forall,
                                      const Iterations &iterations,
                                      Closure &closure) {
  Location loc = forall.getLoc();
  OpBuilder b(kernel.getContext());
  b.setInsertionPointAfter(last);
  Type i64 = b.getI64Type();
  auto type = b.getFunctionType({pointer, i64, i64, i64}, {});
  auto task = func::FuncOp::create(
      b, loc, (kernel.getName() + "_task" + Twine(numTasks++)).str(), type);
  task.setPrivate();
  symbols.insert(task);
  last = task;

  b.setInsertionPointToStart(task.addEntryBlock());
  IRMapping mapping;
  closure.unpack(b, loc, task.getArgument(0), mapping);
  Type index = b.getIndexType();
  Value begin = arith::IndexCastOp::create(b, loc, index, task.getArgument(1));
  Value end = arith::IndexCastOp::create(b, loc, index, task.getArgument(2));
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  auto loop = scf::ForOp::create(b, loc, begin, end, one);
  func::ReturnOp::create(b, loc);

  b.setInsertionPointToStart(loop.getBody());
  mapping.map(forall.getInductionVars(),
              delinearize(b, loc, loop.getInductionVar(), iterations, mapping));
  for (Operation &op : forall.getBody()->without_terminator())
    b.clone(op, mapping);
  return task;
}

/// Calls the executor in the place of the loop, unless there is nothing to do.
/// One iteration is called directly.
void TaskOutliner::run(scf::ForallOp forall, Value total, func::FuncOp task,
                       Value closure) {
  Location loc = forall.getLoc();
  OpBuilder b(forall);
  std::optional<int64_t> known = getConstantIntValue(total);
  if (known == 0)
    return;
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(b, loc, b.getI64Type(), value);
  };
  if (known == 1) {
    func::CallOp::create(b, loc, task,
                         ValueRange{closure, number(0), number(1), number(0)});
    return;
  }
  if (!known) {
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value any =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, total, zero);
    auto guard = scf::IfOp::create(b, loc, any, /*withElseRegion=*/false);
    b.setInsertionPointToStart(guard.thenBlock());
  }
  Value count = arith::IndexCastOp::create(b, loc, b.getI64Type(), total);
  Value executor = LLVM::LoadOp::create(b, loc, pointer, kernel.getArgument(0));
  Value parallelFor = LLVM::LoadOp::create(b, loc, pointer, executor);
  Value address = castTo(
      b, loc, pointer,
      func::ConstantOp::create(b, loc, task.getFunctionType(), task.getName()));
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                  {pointer, b.getI64Type(), pointer, pointer});
  LLVM::CallOp::create(
      b, loc, type, ValueRange{parallelFor, executor, count, address, closure});
}

LogicalResult TaskOutliner::outline(scf::ForallOp forall) {
  if (!forall.getOutputs().empty())
    return forall.emitOpError("expects no shared_outs after bufferization");
  if (kernel.getNumArguments() == 0 ||
      kernel.getArgument(0).getType() != pointer)
    return kernel.emitOpError(
        "expects the call's context, an !llvm.ptr, as its first argument");

  OpBuilder b(forall);
  Iterations iterations = count(forall, b);
  SetVector<Value> used;
  used.insert_range(iterations.lowerBounds);
  used.insert_range(iterations.steps);
  for (unsigned i = 1; i < iterations.counts.size(); ++i)
    used.insert(iterations.counts[i]);
  getUsedValuesDefinedAbove(forall->getRegions(), used);
  Closure closure(converter);
  for (Value value : used)
    if (failed(closure.capture(value)))
      return forall.emitOpError("cannot pass a value of type ")
             << value.getType() << " to a task";

  func::FuncOp task = createTask(forall, iterations, closure);
  Value address = closure.pack(b, forall.getLoc(), &kernel.getBody().front());
  run(forall, iterations.total, task, address);
  forall.erase();
  return success();
}

/// Moves buffers on the stack to the entry of `function`. A buffer in a loop
/// would otherwise grow the stack with each iteration.
static LogicalResult hoistAllocas(func::FuncOp function) {
  if (function.isExternal())
    return success();
  SmallVector<memref::AllocaOp> allocas;
  function.walk([&](memref::AllocaOp op) { allocas.push_back(op); });
  Block &entry = function.getBody().front();
  for (memref::AllocaOp op : llvm::reverse(allocas)) {
    if (!op.getType().hasStaticShape() || op->getNumOperands() != 0)
      return op.emitOpError("expects a static size in a kernel, got ")
             << op.getType();
    op->moveBefore(&entry, entry.begin());
  }
  return success();
}

namespace {

struct ConvertForallToTasks
    : lutra::impl::ConvertForallToTasksBase<ConvertForallToTasks> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : functions)
      if (failed(convert(function, symbols)))
        return signalPassFailure();
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>())
      if (failed(hoistAllocas(function)))
        return signalPassFailure();
  }

  LogicalResult convert(func::FuncOp function, SymbolTable &symbols) {
    SmallVector<scf::ForallOp> outer, inner;
    function.walk([&](scf::ForallOp forall) {
      bool nested = forall->getParentOfType<scf::ForallOp>() != nullptr;
      (nested ? inner : outer).push_back(forall);
    });
    IRRewriter rewriter(&getContext());
    for (scf::ForallOp forall : inner) {
      rewriter.setInsertionPoint(forall);
      if (failed(scf::forallToForLoop(rewriter, forall)))
        return forall.emitOpError("cannot become sequential loops");
    }
    TaskOutliner outliner(function, symbols);
    for (scf::ForallOp forall : outer)
      if (failed(outliner.outline(forall)))
        return failure();
    return success();
  }
};

} // namespace
