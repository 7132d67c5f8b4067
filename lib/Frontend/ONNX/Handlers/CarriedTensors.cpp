//===- CarriedTensors.cpp - What a loop over time carries -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CarriedTensors.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;

CarriedTensors::CarriedTensors(Lowering &lowering, const Recurrence &net)
    : lowering(lowering), b(lowering.b), net(net) {
  AffineExpr directions = lowering.constant(net.directions);
  AffineExpr hidden = lowering.constant(net.hidden);
  auto add = [&](Shape shape, DType dtype, int64_t axis, bool isKept) {
    tensors.push_back({std::move(shape), dtype, axis, isKept});
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
}

SmallVector<Part> CarriedTensors::partsOf(const RecurrenceTask &task) const {
  OpFoldResult steps = lowering.size(net.steps);
  auto [direction, row, rows] = task;
  SmallVector<Part> parts;
  auto add = [&](Part part, int64_t width) {
    parts.push_back(std::move(part).all(width, b.getContext()));
  };
  if (net.hasOutput)
    add(net.isBatchFirst ? Part()
                               .take(row, rows)
                               .take(b.getIndexAttr(0), steps)
                               .pick(direction)
                         : Part()
                               .take(b.getIndexAttr(0), steps)
                               .pick(direction)
                               .take(row, rows),
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

void CarriedTensors::keepApart(Operation *op, int64_t number) {
  op->setDiscardableAttr("lutra.state",
                         Builder(op->getContext()).getI64IntegerAttr(number));
}

Value CarriedTensors::initialState(unsigned state, const RecurrenceTask &task,
                                   Value destination) const {
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

SmallVector<Value> CarriedTensors::empty(bool onlyKept) const {
  SmallVector<Value> outputs;
  for (const Carried &each : tensors)
    if (each.isKept || !onlyKept)
      outputs.push_back(lowering.empty(each.shape, each.dtype));
  return outputs;
}

SmallVector<Tensor> CarriedTensors::results(ValueRange values,
                                            bool onlyKept) const {
  SmallVector<Tensor> results;
  for (const Carried &each : all().take_front(firstScratch())) {
    if (onlyKept && !each.isKept) {
      results.push_back(Tensor());
      continue;
    }
    results.push_back(lowering.tensor(values.front(), each.shape, each.dtype));
    values = values.drop_front();
  }
  return results;
}
