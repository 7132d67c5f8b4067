//===- RecurrenceStep.cpp - One step of a recurrent net -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements what a step is made of: products with the recurrent weights, which
// are contractions like any other, and elementwise operations over rows of the
// batch and hidden units, which update their destinations in place.
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"
#include "Recurrence.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// Columns [index * hidden, ...) of a matrix of gates.
static Part columnsOf(const Step &step, int64_t index) {
  OpBuilder &b = step.b;
  int64_t hidden = step.net.hidden;
  return Part()
      .take(b.getIndexAttr(0), step.rows)
      .take(b.getIndexAttr(index * hidden), b.getIndexAttr(hidden));
}

StepOperand Step::gate(Value matrix, int64_t index) const {
  return whole(columnsOf(*this, index).of(b, matrix));
}

StepOperand Step::whole(Value matrix) const {
  return {matrix, b.getMultiDimIdentityMap(2)};
}

StepOperand Step::shared(const Tensor &parameter, int64_t index) const {
  Value row =
      Part()
          .pick(direction)
          .take(b.getIndexAttr(index * net.hidden), b.getIndexAttr(net.hidden))
          .of(b, parameter.value);
  return {row, AffineMap::get(2, 0, b.getAffineDimExpr(1))};
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value Step::product(Value state, Value weights, Value out) const {
  auto type = cast<RankedTensorType>(out.getType());
  Type sum = type.getElementType();
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(sum));
  Value init = linalg::FillOp::create(b, zero, out).getResult(0);
  AffineExpr m, n, k;
  bindDims(b.getContext(), m, n, k);
  SmallVector<AffineExpr, 4> exprs[] = {{m, k}, {k, n}, {m, n}};
  auto maps = AffineMap::inferFromExprList(exprs, b.getContext());
  utils::IteratorType iterators[] = {utils::IteratorType::parallel,
                                     utils::IteratorType::parallel,
                                     utils::IteratorType::reduction};
  auto widen = [&](ImplicitLocOpBuilder &inner, Value scalar) -> Value {
    return scalar.getType() == sum ? scalar
                                   : arith::ExtFOp::create(inner, sum, scalar);
  };
  return linalg::GenericOp::create(
             b, type, ValueRange{state, weights}, init, maps, iterators,
             [&](OpBuilder &nested, Location loc, ValueRange in) {
               ImplicitLocOpBuilder inner(loc, nested);
               Value each =
                   mulScalars(inner, widen(inner, in[0]), widen(inner, in[1]));
               linalg::YieldOp::create(inner, addScalars(inner, in[2], each));
             })
      .getResult(0);
}

Value Step::multiply(Value state, Value matrix) const {
  Value weights = Part()
                      .pick(direction)
                      .all(net.hidden, b.getContext())
                      .all(net.gates * net.hidden, b.getContext())
                      .of(b, net.weights.value);
  return product(state, weights, matrix);
}

Value Step::multiplyGate(Value state, int64_t index, Value matrix) const {
  Value weights = Part()
                      .pick(direction)
                      .pick(b.getIndexAttr(index))
                      .all(net.hidden, b.getContext())
                      .all(net.hidden, b.getContext())
                      .of(b, net.weights.value);
  Part columns = columnsOf(*this, index);
  return columns.insert(b, product(state, weights, columns.of(b, matrix)),
                        matrix);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

SmallVector<Value> Step::map(ArrayRef<StepOperand> ins, ArrayRef<Value> outs,
                             Body body) const {
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (const StepOperand &operand : ins) {
    inputs.push_back(operand.value);
    maps.push_back(operand.map);
  }
  maps.append(outs.size(), b.getMultiDimIdentityMap(2));
  utils::IteratorType iterators[] = {utils::IteratorType::parallel,
                                     utils::IteratorType::parallel};
  auto op = linalg::GenericOp::create(
      b, TypeRange(ValueRange(outs)), inputs, outs, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange in) {
        ImplicitLocOpBuilder inner(loc, nested);
        Scalars s(inner, computeType(net.dtype));
        SmallVector<Value> operands, results;
        for (Value scalar : in)
          operands.push_back(
              isa<FloatType>(scalar.getType()) && scalar.getType() != s.type()
                  ? arith::ExtFOp::create(inner, s.type(), scalar)
                  : scalar);
        for (auto [value, out] :
             llvm::zip_equal(body(s, operands), in.take_back(outs.size())))
          results.push_back(
              value.getType() == out.getType()
                  ? value
                  : arith::TruncFOp::create(inner, out.getType(), value));
        linalg::YieldOp::create(inner, results);
      });
  return llvm::to_vector_of<Value>(op.getResults());
}

void Step::update(ArrayRef<StepOperand> ins, Body body) {
  SmallVector<StepOperand> operands(ins);
  if (lengths)
    operands.push_back({lengths, AffineMap::get(2, 0, b.getAffineDimExpr(0))});
  SmallVector<Value> outs(states);
  // Without lengths the output is the state, and is copied from there: of two
  // equal results canonicalization would leave one.
  if (output && lengths)
    outs.push_back(output);
  auto bounded = [&](Scalars &s, ValueRange in) {
    ValueRange old = in.drop_front(operands.size());
    SmallVector<Value> all(in.take_front(ins.size()));
    llvm::append_range(all, old);
    SmallVector<Value> next = body(s, all);
    if (!lengths)
      return next;
    if (output)
      next.push_back(next.front());
    Value isAlive = arith::CmpIOp::create(s.b, arith::CmpIPredicate::slt, time,
                                          in[ins.size()]);
    for (auto [i, value] : llvm::enumerate(next))
      value =
          s.select(isAlive, value, i < states.size() ? old[i] : s.constant(0));
    return next;
  };
  SmallVector<Value> results = map(operands, outs, bounded);
  states.assign(results.begin(), results.begin() + states.size());
  if (output)
    output = lengths ? results.back() : states.front();
}
