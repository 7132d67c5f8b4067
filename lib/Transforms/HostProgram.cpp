//===- HostProgram.cpp - Buffers of the host and their lives --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostProgram.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace mlir::lutra;

const HostBuffer *HostProgram::find(tensor::EmptyOp empty) const {
  auto it = byEmpty.find(empty);
  return it == byEmpty.end() ? nullptr : &buffers[it->second];
}

bool lutra::isHostView(Operation *op) {
  return isa_and_nonnull<tensor::CollapseShapeOp, tensor::ExpandShapeOp,
                         tensor::CastOp>(op);
}

HostBuffer *HostProgram::behind(Value tensor) {
  while (Operation *op = tensor.getDefiningOp()) {
    if (auto dispatch = dyn_cast<DispatchOp>(op)) {
      tensor = dispatch.getOutputs()[cast<OpResult>(tensor).getResultNumber()];
    } else if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
      auto it = byEmpty.find(empty);
      return it == byEmpty.end() ? nullptr : &buffers[it->second];
    } else if (isHostView(op)) {
      tensor = op->getOperand(0);
    } else {
      return nullptr;
    }
  }
  return nullptr;
}

/// Numbers index values so that equal arithmetic has equal numbers.
void HostProgram::numberValues() {
  llvm::StringMap<unsigned> known;
  for (Operation &op : host.getBody().front()) {
    if (op.getNumResults() != 1 || !op.getResult(0).getType().isIndex())
      continue;
    std::string text;
    llvm::raw_string_ostream os(text);
    os << op.getName() << op.getAttrDictionary();
    for (Value operand : op.getOperands())
      os << ' ' << numbers.lookup(operand);
    numbers[op.getResult(0)] =
        known.try_emplace(text, known.size() + 1).first->second;
  }
}

/// Gives each result of the function a dispatch of its own: copies of one
/// tensor have been merged once their kernels were.
void HostProgram::separateResults() {
  Operation *ret = host.getBody().front().getTerminator();
  llvm::DenseSet<Value> returned;
  for (OpOperand &result : ret->getOpOperands()) {
    SmallVector<Operation *> chain;
    Value base = result.get();
    for (; isHostView(base.getDefiningOp()); base = chain.back()->getOperand(0))
      chain.push_back(base.getDefiningOp());
    auto dispatch = base.getDefiningOp<DispatchOp>();
    if (!dispatch || returned.insert(base).second)
      continue;
    chain.push_back(dispatch);
    OpBuilder b(ret);
    IRMapping map;
    for (Operation *op : llvm::reverse(chain))
      b.clone(*op, map);
    result.set(map.lookup(result.get()));
  }
}

unsigned lutra::numOutputs(func::FuncOp host) {
  unsigned count = host.getNumResults();
  while (count > 0 && host.getResultAttr(count - 1, attr::kState))
    --count;
  return count;
}

static Value behindCasts(Value tensor) {
  while (auto cast = tensor.getDefiningOp<tensor::CastOp>())
    tensor = cast.getSource();
  return tensor;
}

/// Clones what an output begins as: an empty tensor, or what other dispatches
/// have written into one.
static Value cloneOutput(OpBuilder &b, Value tensor) {
  Operation *op = tensor.getDefiningOp();
  if (!isa_and_nonnull<tensor::EmptyOp, tensor::CastOp, DispatchOp>(op))
    return tensor;
  IRMapping map;
  auto dispatch = dyn_cast<DispatchOp>(op);
  for (Value begun : dispatch ? dispatch.getOutputs() : op->getOperands())
    if (isa<TensorType>(begun.getType()))
      map.map(begun, cloneOutput(b, begun));
  b.clone(*op, map);
  return map.lookup(tensor);
}

/// Gives each output a tensor of its own, which nothing else reads: equal ones
/// have been merged.
void HostProgram::separateOutputs() {
  llvm::DenseSet<Value> used;
  for (auto dispatch : host.getOps<DispatchOp>())
    for (OpOperand &output : dispatch.getOutputsMutable()) {
      Value tensor = behindCasts(output.get());
      OpBuilder b(dispatch);
      bool isShared = tensor.getDefiningOp<DispatchOp>()
                          ? !tensor.hasOneUse() || !output.get().hasOneUse()
                          : !used.insert(tensor).second;
      if (isShared)
        output.set(cloneOutput(b, output.get()));
    }
}

LogicalResult HostProgram::analyze() {
  separateResults();
  separateOutputs();
  numberValues();
  int64_t time = 0;
  for (auto dispatch : host.getOps<DispatchOp>()) {
    for (Value begun : dispatch.getOutputs()) {
      Value output = behindCasts(begun);
      if (output.getDefiningOp<StateOp>())
        continue;
      if (output.getDefiningOp<DispatchOp>()) {
        if (!output.hasOneUse() || !begun.hasOneUse())
          return dispatch.emitError("expected to go on with a result that "
                                    "nothing else reads");
        if (HostBuffer *buffer = behind(output))
          buffer->last = time;
        continue;
      }
      auto empty = output.getDefiningOp<tensor::EmptyOp>();
      if (!empty)
        return dispatch.emitError("expected each output to be an empty tensor");
      byEmpty[empty] = buffers.size();
      buffers.push_back({empty, time, time, std::nullopt});
    }
    for (Value input : dispatch.getInputs())
      if (HostBuffer *buffer = behind(input))
        buffer->last = time;
    ++time;
  }
  Operation *ret = host.getBody().front().getTerminator();
  for (auto [i, result] :
       llvm::enumerate(ret->getOperands().take_front(numOutputs(host)))) {
    HostBuffer *buffer = behind(result);
    if (!buffer || buffer->output)
      return ret->emitError("expected result ")
             << i << " to be the output of a dispatch of its own";
    buffer->output = i;
  }
  return success();
}
