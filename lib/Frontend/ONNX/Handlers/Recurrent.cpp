//===- Recurrent.cpp - LSTM, GRU and RNN ----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the operands that the three operators share, projects the inputs of all
// steps at once, and says for each operator what one step computes.
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"
#include "Elementwise.h"
#include "GateActivation.h"
#include "Operands.h"
#include "Recurrence.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// What tells the operators apart before a step is taken.
struct Kind {
  int64_t gates;
  unsigned numInputs, numStates;
  SmallVector<StringRef> activations;
};
} // namespace

static Kind kindOf(const Node &node) {
  StringRef name = node.op.getOpType();
  if (name == "LSTM")
    return {4, 8, 2, {"Sigmoid", "Tanh", "Tanh"}};
  if (name == "GRU")
    return {3, 6, 1, {"Sigmoid", "Tanh"}};
  return {1, 6, 1, {"Tanh"}};
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static int64_t numDirections(const Node &node) {
  return node.stringAttr("direction", "forward") == "bidirectional" ? 2 : 1;
}

static Support supportsRecurrent(const Node &node) {
  Kind kind = kindOf(node);
  if (node.numInputs() < 3 || node.numInputs() > kind.numInputs)
    return Support::no("expected 3 to " + Twine(kind.numInputs) +
                       " inputs, got " + Twine(node.numInputs()));
  DType dtype = node.input(0).dtype;
  if (dtype != DType::Undefined && !isFloat(dtype))
    return Support::no("expected a float type, got " + dtypeName(dtype));
  for (unsigned i = 1; i < node.numInputs(); ++i) {
    DType wanted = i == 4 ? DType::Int32 : dtype, got = node.input(i).dtype;
    if (node.input(i) && got != DType::Undefined &&
        wanted != DType::Undefined && got != wanted)
      return Support::no("expected input " + Twine(i) + " of type " +
                         dtypeName(wanted) + ", got " + dtypeName(got));
  }
  StringRef direction = node.stringAttr("direction", "forward");
  if (direction != "forward" && direction != "reverse" &&
      direction != "bidirectional")
    return Support::no("unknown direction '" + direction + "'");
  if (node.hasAttr("clip") && !(node.floatAttr("clip", 0) > 0))
    return Support::no("expected clip above 0, got " +
                       std::to_string(node.floatAttr("clip", 0)));
  Support activations = Support::yes();
  gateActivations(node, numDirections(node), kind.activations, activations);
  return activations;
}

static LogicalResult expectShape(const Node &node, Lowering &lowering,
                                 unsigned i, ArrayRef<AffineExpr> shape) {
  if (!node.input(i) || ArrayRef<AffineExpr>(node.input(i).shape) == shape)
    return success();
  return node.error() << "expected input " << i << " of shape "
                      << lowering.str(shape) << ", got "
                      << lowering.str(node.input(i).shape);
}

/// Reads the sizes and checks every operand against them.
static FailureOr<Recurrence> readNet(const Node &node, Lowering &lowering,
                                     const Kind &kind) {
  if (Support support = supportsRecurrent(node); !support)
    return node.error() << support.reason();
  for (unsigned i : {0u, 1u, 2u})
    if (!node.input(i) || node.input(i).rank() != 3)
      return node.error() << "expected input " << i << " of rank 3, got "
                          << lowering.str(node.input(i).shape);
  Recurrence net;
  net.dtype = node.input(0).dtype;
  net.directions = numDirections(node);
  net.isReverse = node.stringAttr("direction", "forward") == "reverse";
  net.isBatchFirst = node.intAttr("layout", 0) == 1;
  net.gates = kind.gates;
  net.hidden = node.input(2).staticSize(2);
  int64_t wanted = node.intAttr("hidden_size", net.hidden);
  if (ShapedType::isDynamic(net.hidden) || net.hidden < 1 ||
      net.hidden > kMaxExtent || net.hidden != wanted)
    return node.error() << "expected R for hidden_size, got "
                        << lowering.str(node.input(2).shape);
  Shape x = node.input(0).shape;
  net.steps = x[net.isBatchFirst ? 1 : 0];
  net.batch = x[net.isBatchFirst ? 0 : 1];
  if (net.batch == lowering.constant(0))
    return node.error() << "expected a batch of sequences, got none";
  AffineExpr directions = lowering.constant(net.directions);
  AffineExpr hidden = lowering.constant(net.hidden);
  AffineExpr width = lowering.constant(kind.gates * net.hidden);
  Shape state = net.isBatchFirst ? Shape{net.batch, directions, hidden}
                                 : Shape{directions, net.batch, hidden};
  if (failed(expectShape(node, lowering, 1, {directions, width, x[2]})) ||
      failed(expectShape(node, lowering, 2, {directions, width, hidden})) ||
      failed(expectShape(node, lowering, 3, {directions, width * 2})) ||
      failed(expectShape(node, lowering, 4, {net.batch})) ||
      failed(expectShape(node, lowering, 5, state)) ||
      failed(expectShape(node, lowering, 6, state)) ||
      failed(expectShape(node, lowering, 7, {directions, hidden * 3})))
    return failure();
  net.lengths = node.input(4);
  for (unsigned i = 0; i < kind.numStates; ++i)
    net.initial.push_back(node.input(5 + i));
  for (unsigned i = 0; i < kind.numStates; ++i)
    net.keepsState.push_back(node.usesOutput(1 + i));
  net.hasOutput = node.usesOutput(0);
  return net;
}

//===----------------------------------------------------------------------===//
// Weights and projection
//===----------------------------------------------------------------------===//

/// Columns [first, first + count) of B.
static Tensor biasPart(Lowering &lowering, const Tensor &bias, int64_t first,
                       int64_t count) {
  AffineExpr zero = lowering.constant(0);
  return lowering.slice(bias, {zero, lowering.constant(first)},
                        {bias.shape[0], lowering.constant(count)}, {1, 1});
}

/// X * W + Wb for all steps and directions, and Rb where a step does not add
/// it.
static FailureOr<Tensor> project(const Node &node, Lowering &lowering,
                                 const Recurrence &net, bool addsRecurrent) {
  Tensor x = node.input(0), w = node.input(1), bias = node.input(3);
  int64_t width = net.gates * net.hidden;
  AffineExpr columns = lowering.constant(net.directions * width);
  AffineExpr depth = x.shape[2];
  FailureOr<Tensor> rows =
      lowering.reshape(x, {x.shape[0] * x.shape[1], depth});
  FailureOr<Tensor> merged = lowering.reshape(w, {columns, depth});
  if (failed(rows) || failed(merged))
    return failure();
  Tensor weights = lowering.transpose(*merged, {1, 0});
  DType sum = accumulatorType(net.dtype);
  FailureOr<Tensor> product = matMul(node, lowering, *rows, weights, sum);
  if (failed(product))
    return failure();
  if (bias) {
    Tensor all = biasPart(lowering, bias, 0, width);
    if (addsRecurrent) {
      FailureOr<Tensor> both = compute(
          lowering, {all, biasPart(lowering, bias, width, width)}, net.dtype,
          [](Scalars &s, ValueRange in) { return s.add(in[0], in[1]); });
      if (failed(both))
        return failure();
      all = *both;
    }
    FailureOr<Tensor> flat = lowering.reshape(all, {columns});
    if (failed(flat))
      return failure();
    product =
        compute(lowering, {*product, *flat}, sum,
                [](Scalars &s, ValueRange in) { return s.add(in[0], in[1]); });
  }
  if (failed(product))
    return failure();
  return lowering.reshape(*product, {x.shape[0], x.shape[1], columns});
}

/// R as it multiplies rows, with the gates side by side or apart.
static FailureOr<Tensor> recurrentWeights(const Node &node, Lowering &lowering,
                                          const Recurrence &net, bool apart) {
  Tensor r = node.input(2);
  if (!apart)
    return lowering.transpose(r, {0, 2, 1});
  AffineExpr hidden = lowering.constant(net.hidden);
  FailureOr<Tensor> split = lowering.reshape(
      r, {r.shape[0], lowering.constant(net.gates), hidden, hidden});
  if (failed(split))
    return failure();
  return lowering.transpose(*split, {0, 1, 3, 2});
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

namespace {
/// What the bodies of steps read of a node.
struct Gates {
  GateActivations activations;
  std::optional<double> clip;

  /// Activation `which` of the bounded value.
  Value operator()(Scalars &s, unsigned which, Value x) const {
    if (clip)
      x = s.max(s.min(x, s.constant(*clip)), s.constant(-*clip));
    return activations[which](s, x);
  }
};
} // namespace

static void stepRNN(Step &step, const Gates &gates) {
  Value sums = step.scratch[0] = step.multiply(step.states[0], step.scratch[0]);
  step.update({step.whole(step.inputs), step.whole(sums)},
              [&](Scalars &s, ValueRange in) -> SmallVector<Value> {
                return {gates(s, 0, s.add(in[0], in[1]))};
              });
}

/// h = (1 - z) * candidate + z * h.
static Value mix(Scalars &s, Value z, Value candidate, Value h) {
  return s.add(s.mul(s.sub(s.constant(1), z), candidate), s.mul(z, h));
}

/// The reset gate applies to the product of the state: one product a step.
/// `bias` is B, whose recurrent half the step adds, or null.
static void stepGRUAfter(Step &step, const Gates &gates, const Tensor &bias) {
  Value sums = step.scratch[0] = step.multiply(step.states[0], step.scratch[0]);
  SmallVector<StepOperand> ins;
  for (int64_t gate : {0, 1, 2})
    ins.push_back(step.gate(step.inputs, gate));
  for (int64_t gate : {0, 1, 2})
    ins.push_back(step.gate(sums, gate));
  for (int64_t gate : {3, 4, 5})
    if (bias)
      ins.push_back(step.shared(bias, gate));
  step.update(ins, [&](Scalars &s, ValueRange in) -> SmallVector<Value> {
    auto sum = [&](unsigned gate) {
      return bias ? s.add(in[3 + gate], in[6 + gate]) : in[3 + gate];
    };
    Value z = gates(s, 0, s.add(in[0], sum(0)));
    Value r = gates(s, 0, s.add(in[1], sum(1)));
    Value candidate = gates(s, 1, s.add(in[2], s.mul(r, sum(2))));
    return {mix(s, z, candidate, in[ins.size()])};
  });
}

/// The reset gate applies to the state: two products, the second of r * h.
static void stepGRUBefore(Step &step, const Gates &gates) {
  Value h = step.states[0], &sums = step.scratch[0], &reset = step.scratch[1];
  sums = step.multiplyGate(h, 0, sums);
  sums = step.multiplyGate(h, 1, sums);
  reset =
      step.map({step.gate(step.inputs, 1), step.gate(sums, 1), step.whole(h)},
               reset, [&](Scalars &s, ValueRange in) -> SmallVector<Value> {
                 return {s.mul(gates(s, 0, s.add(in[0], in[1])), in[2])};
               })[0];
  sums = step.multiplyGate(reset, 2, sums);
  step.update({step.gate(step.inputs, 0), step.gate(step.inputs, 2),
               step.gate(sums, 0), step.gate(sums, 2)},
              [&](Scalars &s, ValueRange in) -> SmallVector<Value> {
                Value z = gates(s, 0, s.add(in[0], in[2]));
                Value candidate = gates(s, 1, s.add(in[1], in[3]));
                return {mix(s, z, candidate, in[4])};
              });
}

/// Gates i, o, f, c; `peepholes` are those of i, o, f, or null.
static void stepLSTM(Step &step, const Gates &gates, const Tensor &peepholes,
                     bool couplesForget) {
  Value sums = step.scratch[0] = step.multiply(step.states[0], step.scratch[0]);
  SmallVector<StepOperand> ins;
  for (int64_t gate : {0, 1, 2, 3})
    ins.push_back(step.gate(step.inputs, gate));
  for (int64_t gate : {0, 1, 2, 3})
    ins.push_back(step.gate(sums, gate));
  for (int64_t gate : {0, 1, 2})
    if (peepholes)
      ins.push_back(step.shared(peepholes, gate));
  step.update(ins, [&](Scalars &s, ValueRange in) -> SmallVector<Value> {
    Value cell = in[ins.size() + 1];
    auto gate = [&](unsigned index, Value seen) {
      Value sum = s.add(in[index], in[4 + index]);
      return peepholes ? s.add(sum, s.mul(in[8 + index], seen)) : sum;
    };
    Value i = gates(s, 0, gate(0, cell));
    Value f =
        couplesForget ? s.sub(s.constant(1), i) : gates(s, 0, gate(2, cell));
    Value candidate = gates(s, 1, s.add(in[3], in[7]));
    Value next = s.add(s.mul(f, cell), s.mul(i, candidate));
    Value o = gates(s, 0, gate(1, next));
    return {s.mul(o, gates.activations[2](s, next)), next};
  });
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

static FailureOr<SmallVector<Tensor>> lowerRecurrent(const Node &node,
                                                     Lowering &lowering) {
  Kind kind = kindOf(node);
  FailureOr<Recurrence> net = readNet(node, lowering, kind);
  if (failed(net))
    return failure();
  if (!net->hasOutput && !llvm::is_contained(net->keepsState, true))
    return SmallVector<Tensor>();
  bool isGRU = kind.gates == 3;
  bool resetsAfter = isGRU && node.intAttr("linear_before_reset", 0) != 0;
  bool resetsBefore = isGRU && !resetsAfter;
  DType sum = accumulatorType(net->dtype);
  net->scratch.push_back({kind.gates * net->hidden, sum});
  if (resetsBefore)
    net->scratch.push_back({net->hidden, net->dtype});
  FailureOr<Tensor> projected = project(node, lowering, *net, !resetsAfter);
  FailureOr<Tensor> weights =
      recurrentWeights(node, lowering, *net, resetsBefore);
  if (failed(projected) || failed(weights))
    return failure();
  net->projected = *projected;
  net->weights = *weights;

  Support refusal = Support::yes();
  GateActivations all =
      gateActivations(node, net->directions, kind.activations, refusal);
  auto activationsOf = [&](int64_t direction) {
    return ArrayRef(all).slice(direction * kind.activations.size(),
                               kind.activations.size());
  };
  bool alike = net->directions == 1 || activationsOf(0) == activationsOf(1);
  auto body = [&](Step &step, int64_t direction) {
    Gates gates{GateActivations(activationsOf(direction)), std::nullopt};
    if (node.hasAttr("clip"))
      gates.clip = node.floatAttr("clip", 0);
    if (kind.gates == 4)
      stepLSTM(step, gates, node.input(7),
               node.intAttr("input_forget", 0) != 0);
    else if (resetsAfter)
      stepGRUAfter(step, gates, node.input(3));
    else if (resetsBefore)
      stepGRUBefore(step, gates);
    else
      stepRNN(step, gates);
  };
  return runRecurrence(lowering, *net, alike, body);
}

void lutra::addRecurrentHandlers(Registry &registry) {
  StringRef limits = "the hidden size must be known";
  registry.add(
      {"", "LSTM", {1, 7, 14, 22}, supportsRecurrent, lowerRecurrent, limits});
  registry.add({"",
                "GRU",
                {1, 3, 7, 14, 22},
                supportsRecurrent,
                lowerRecurrent,
                limits});
  registry.add(
      {"", "RNN", {1, 7, 14, 22}, supportsRecurrent, lowerRecurrent, limits});
}
