//===- SplitRun.cpp - A long host program becomes several functions ------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LLVM's time for a function grows with the square of its length where values
// live through all of it, as the buffers of a model do. So lutra_run calls
// parts of a bounded number of calls, each of which takes what it reads: views
// of buffers are made again, numbers are passed.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_SPLITRUN
#include "lutra/Target/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// A call of a kernel, or what tells the hook of it.
static bool isStep(Operation &op) {
  return isa<func::CallOp, scf::IfOp>(op) && op.getNumResults() == 0;
}

namespace {
/// Moves steps of lutra_run to a function of their own.
class Part {
public:
  explicit Part(ArrayRef<Operation *> steps) : steps(steps) {}

  void outline(SymbolTable &symbols);

private:
  void collect(Value value);

  ArrayRef<Operation *> steps;
  /// What the steps read: what is passed, and what is made again, in order.
  llvm::SetVector<Value> arguments;
  llvm::SetVector<Operation *> views;
};
} // namespace

/// Finds what the part needs for `value`.
void Part::collect(Value value) {
  Operation *op = value.getDefiningOp();
  bool isRepeated = op && isPure(op) &&
                    (isa<MemRefType, LLVM::LLVMStructType>(value.getType()) ||
                     matchPattern(op, m_Constant()));
  if (!isRepeated) {
    arguments.insert(value);
    return;
  }
  if (views.contains(op))
    return;
  for (Value operand : op->getOperands())
    collect(operand);
  views.insert(op);
}

void Part::outline(SymbolTable &symbols) {
  for (Operation *step : steps) {
    llvm::SetVector<Value> values(step->operand_begin(), step->operand_end());
    getUsedValuesDefinedAbove(step->getRegions(), values);
    llvm::for_each(values, [&](Value value) { collect(value); });
  }
  // What any of the steps reads is known before the last.
  OpBuilder b(steps.back());
  Location loc = steps.back()->getLoc();
  auto run = steps.back()->getParentOfType<func::FuncOp>();
  auto part = func::FuncOp::create(
      loc, (run.getSymName() + "_part").str(),
      b.getFunctionType(TypeRange(arguments.getArrayRef()), {}));
  part.setPrivate();
  part.setNoInline(true);
  symbols.insert(part);
  func::CallOp::create(b, loc, part, arguments.getArrayRef());

  Block *body = part.addEntryBlock();
  IRMapping map;
  map.map(arguments.getArrayRef(), body->getArguments());
  b.setInsertionPointToStart(body);
  for (Operation *view : views)
    b.clone(*view, map);
  for (Operation *step : steps)
    b.clone(*step, map);
  func::ReturnOp::create(b, loc);
  for (Operation *step : steps)
    step->erase();
}

namespace {
struct SplitRun : lutra::impl::SplitRunBase<SplitRun> {
  using SplitRunBase::SplitRunBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    auto run = symbols.lookup<func::FuncOp>("lutra_run");
    if (!run)
      return;
    // A call and what frames it are three.
    size_t length = 3 * calls;
    if (size_t(llvm::count_if(run.getOps(), isStep)) <= length)
      return;
    SmallVector<SmallVector<Operation *>> parts(1);
    for (Operation &op : run.getBody().front()) {
      // What reads or writes memory itself keeps its place among the steps.
      bool isEnd =
          parts.back().size() == length || !(isStep(op) || isPure(&op));
      if (isEnd && !parts.back().empty())
        parts.emplace_back();
      if (isStep(op))
        parts.back().push_back(&op);
    }
    for (ArrayRef<Operation *> steps : parts)
      if (!steps.empty())
        Part(steps).outline(symbols);
  }
};
} // namespace
