//===- ControlFlow.cpp - If, Loop, Scan -----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements control flow that is decided at compile time: an If becomes the
// branch that its condition takes, a Loop or a Scan as many copies of its body
// as it has iterations or, where those are many or symbolic in number, a loop.
//
//===----------------------------------------------------------------------===//

#include "Iteration.h"
#include "Operands.h"

#include "lutra/Frontend/ONNX/Registry.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

/// Iterations that are unrolled: more would make more code than it is worth,
/// and become a loop.
static constexpr int64_t kMaxIterations = 64;

/// The subgraph that attribute `name` stands for, or null.
static Region *subgraph(const Node &node, StringRef name) {
  int64_t index = node.intAttr(name, -1);
  if (index < 0 || index >= int64_t(node.op.getGraphs().size()))
    return nullptr;
  return &node.op.getGraphs()[index];
}

static Support supportsBody(const Node &node, StringRef name) {
  return subgraph(node, name) ? Support::yes()
                              : Support::no("expected subgraph " + name);
}

/// The one known integer or truth value of a tensor.
static std::optional<int64_t> knownScalar(const Tensor &tensor) {
  if (!tensor.ints || tensor.ints->size() != 1)
    return std::nullopt;
  auto number = dyn_cast<AffineConstantExpr>(tensor.ints->front());
  return number ? std::optional<int64_t>(number.getValue()) : std::nullopt;
}

/// What a subgraph yields, which are `expected` tensors.
static Results runGraph(const Node &node, Lowering &lowering, Region &graph,
                        ArrayRef<Tensor> arguments, size_t expected) {
  if (graph.getNumArguments() != arguments.size())
    return node.error() << "expected a subgraph of " << arguments.size()
                        << " inputs, got " << graph.getNumArguments();
  Results results = lowering.lowerGraph(graph, arguments);
  if (succeeded(results) && results->size() != expected)
    return node.error() << "expected a subgraph of " << expected
                        << " outputs, got " << results->size();
  return results;
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

static Support supportsIf(const Node &node) {
  if (node.input(0) && isModelInput(node.input(0).value))
    return Support::no("expected a condition known at compile time, got an "
                       "input of the model");
  Support then = supportsBody(node, "then_branch");
  return then ? supportsBody(node, "else_branch") : then;
}

static Results lowerIf(const Node &node, Lowering &lowering) {
  if (Support support = supportsIf(node); !support)
    return node.error() << support.reason();
  std::optional<int64_t> condition = knownScalar(node.input(0));
  if (!condition)
    return node.error() << "expected a condition known at compile time, got "
                           "one known only at run time";
  Region *taken = subgraph(node, *condition ? "then_branch" : "else_branch");
  return runGraph(node, lowering, *taken, {}, node.numOutputs());
}

//===----------------------------------------------------------------------===//
// Outputs of an element per iteration
//===----------------------------------------------------------------------===//

/// The elements along `axis` of a new dimension; a negative axis counts from
/// the end of the result.
static FailureOr<Tensor> stack(const Node &node, Lowering &lowering,
                               ArrayRef<Tensor> elements, int64_t axis) {
  auto normal = normalizeAxis(node, axis, elements.front().rank() + 1);
  if (failed(normal))
    return failure();
  SmallVector<Tensor> parts;
  for (const Tensor &element : elements) {
    if (element.dtype != elements.front().dtype ||
        element.shape != elements.front().shape)
      return node.error() << "expected one shape in all iterations, got "
                          << lowering.str(elements.front().shape) << " and "
                          << lowering.str(element.shape);
    parts.push_back(lowering.unsqueeze(element, *normal));
  }
  return lowering.concat(parts, *normal);
}

namespace {
/// What the iterations of a node have yielded.
struct Iterations {
  /// What the next iteration gets, and at last the node's results.
  SmallVector<Tensor> state;
  /// Per output, an element for each iteration.
  SmallVector<SmallVector<Tensor>> outputs;

  void add(ArrayRef<Tensor> results) {
    size_t count = state.size();
    state.assign(results.begin(), results.begin() + count);
    for (auto [output, element] :
         llvm::zip_equal(outputs, results.drop_front(count)))
      output.push_back(element);
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

static Support supportsLoop(const Node &node) {
  if (node.numInputs() < 2)
    return Support::no("expected two inputs or more");
  if (node.numOutputs() + 2 < node.numInputs())
    return Support::no("expected an output for each of " +
                       Twine(node.numInputs() - 2) + " states, got " +
                       Twine(node.numOutputs()));
  for (unsigned i : {0, 1})
    if (node.input(i) && isModelInput(node.input(i).value))
      return Support::no("expected a trip count and a condition known at "
                         "compile time, got an input of the model");
  return supportsBody(node, "body");
}

/// The trip count where a loop is to have it: symbolic, or large.
static std::optional<AffineExpr> loopTrips(const Tensor &count,
                                           const Tensor &condition) {
  if (!count || !count.ints || count.ints->size() != 1 ||
      (condition && knownScalar(condition) != 1))
    return std::nullopt;
  std::optional<int64_t> known = knownScalar(count);
  if (known && *known <= kMaxIterations)
    return std::nullopt;
  return count.ints->front();
}

static Results lowerLoop(const Node &node, Lowering &lowering) {
  if (Support support = supportsLoop(node); !support)
    return node.error() << support.reason();
  Tensor count = node.input(0), condition = node.input(1);
  if (auto trips = loopTrips(count, condition)) {
    Iteration loop{
        *subgraph(node, "body"), *trips, /*isLoop=*/true, {}, {}, {}, {}};
    loop.states.assign(node.inputs().begin() + 2, node.inputs().end());
    loop.outputWalks.resize(node.numOutputs() - loop.states.size());
    return iterate(node, lowering, loop);
  }
  std::optional<int64_t> trips =
      count ? knownScalar(count) : std::optional<int64_t>(INT64_MAX);
  Iterations all;
  all.state.assign(node.inputs().begin() + 2, node.inputs().end());
  all.outputs.resize(node.numOutputs() - all.state.size());
  for (int64_t i = 0;; ++i) {
    std::optional<int64_t> goesOn =
        condition ? knownScalar(condition) : std::optional<int64_t>(1);
    if (!trips || !goesOn)
      return node.error() << "expected a trip count and a condition known at "
                             "compile time, got values known only at run time";
    if (i >= *trips || !*goesOn)
      break;
    if (i == kMaxIterations)
      return node.error() << "expected at most " << kMaxIterations
                          << " iterations to unroll";
    SmallVector<Tensor> arguments = {
        lowering.intsTensor(lowering.constant(i), DType::Int64, true),
        lowering.cast(lowering.intsTensor(lowering.constant(1), DType::Int64,
                                          /*isScalar=*/true),
                      DType::Bool)};
    llvm::append_range(arguments, all.state);
    Results results = runGraph(node, lowering, *subgraph(node, "body"),
                               arguments, node.numOutputs() + 1);
    if (failed(results))
      return failure();
    condition = results->front();
    all.add(ArrayRef(*results).drop_front());
  }
  for (ArrayRef<Tensor> elements : all.outputs) {
    if (elements.empty())
      return node.error() << "expected an iteration at least, got none";
    FailureOr<Tensor> output = stack(node, lowering, elements, 0);
    if (failed(output))
      return failure();
    all.state.push_back(*output);
  }
  return all.state;
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

static Support supportsScan(const Node &node) {
  int64_t scanned = node.intAttr("num_scan_inputs", 0);
  if (scanned < 1 || scanned > node.numInputs())
    return Support::no("expected num_scan_inputs in [1, " +
                       Twine(node.numInputs()) + "], got " + Twine(scanned));
  int64_t states = node.numInputs() - scanned;
  if (node.numOutputs() < states)
    return Support::no("expected an output for each of " + Twine(states) +
                       " states, got " + Twine(node.numOutputs()));
  return supportsBody(node, "body");
}

/// The i-th of a list attribute whose elements are 0 where it is left out.
static int64_t listElement(ArrayRef<int64_t> list, size_t i) {
  return i < list.size() ? list[i] : 0;
}

static SmallVector<Iteration::Walk> walksOf(const Node &node, StringRef what,
                                            size_t count) {
  SmallVector<int64_t> axes = node.intsAttr(("scan_" + what + "_axes").str());
  SmallVector<int64_t> backward =
      node.intsAttr(("scan_" + what + "_directions").str());
  SmallVector<Iteration::Walk> walks;
  for (size_t i = 0; i < count; ++i)
    walks.push_back({listElement(axes, i), listElement(backward, i) != 0});
  return walks;
}

/// What a Scan takes apart and puts together, and how often.
static FailureOr<Iteration> readScan(const Node &node, Lowering &lowering) {
  size_t scanned = node.intAttr("num_scan_inputs", 0);
  Iteration scan{
      *subgraph(node, "body"), AffineExpr(), /*isLoop=*/false, {}, {}, {}, {}};
  scan.states.assign(node.inputs().begin(), node.inputs().end() - scanned);
  scan.inputs.assign(node.inputs().end() - scanned, node.inputs().end());
  scan.inputWalks = walksOf(node, "input", scanned);
  scan.outputWalks =
      walksOf(node, "output", node.numOutputs() - scan.states.size());
  for (auto [input, walk] : llvm::zip_equal(scan.inputs, scan.inputWalks)) {
    auto axis = normalizeAxis(node, walk.axis, input.rank());
    if (failed(axis))
      return failure();
    walk.axis = *axis;
    AffineExpr length = input.shape[*axis];
    if (scan.trips && length != scan.trips)
      return node.error() << "expected one length to scan, got "
                          << sizeText(lowering, scan.trips) << " and "
                          << sizeText(lowering, length);
    scan.trips = length;
  }
  return scan;
}

/// Element `at` of an axis, without the axis.
static FailureOr<Tensor> takeElement(Lowering &lowering, const Tensor &input,
                                     int64_t axis, int64_t at) {
  Shape offsets(input.rank(), lowering.constant(0)), sizes = input.shape;
  offsets[axis] = lowering.constant(at);
  sizes[axis] = lowering.constant(1);
  Shape rest = input.shape;
  rest.erase(rest.begin() + axis);
  return lowering.reshape(lowering.slice(input, offsets, sizes,
                                         SmallVector<int64_t>(input.rank(), 1)),
                          rest);
}

/// A copy of the body for each of `trips` iterations.
static Results unrollScan(const Node &node, Lowering &lowering,
                          const Iteration &scan, int64_t trips) {
  Iterations all;
  all.state = scan.states;
  all.outputs.resize(scan.outputWalks.size());
  for (int64_t i = 0; i < trips; ++i) {
    SmallVector<Tensor> arguments = all.state;
    for (auto [input, walk] : llvm::zip_equal(scan.inputs, scan.inputWalks)) {
      auto element = takeElement(lowering, input, walk.axis,
                                 walk.isBackward ? trips - 1 - i : i);
      if (failed(element))
        return failure();
      arguments.push_back(*element);
    }
    Results results =
        runGraph(node, lowering, scan.body, arguments, node.numOutputs());
    if (failed(results))
      return failure();
    all.add(*results);
  }
  for (auto [elements, walk] : llvm::zip_equal(all.outputs, scan.outputWalks)) {
    if (walk.isBackward)
      std::reverse(elements.begin(), elements.end());
    auto output = stack(node, lowering, elements, walk.axis);
    if (failed(output))
      return failure();
    all.state.push_back(*output);
  }
  return all.state;
}

static Results lowerScan(const Node &node, Lowering &lowering) {
  if (Support support = supportsScan(node); !support)
    return node.error() << support.reason();
  FailureOr<Iteration> scan = readScan(node, lowering);
  if (failed(scan))
    return failure();
  auto known = dyn_cast<AffineConstantExpr>(scan->trips);
  if (known && known.getValue() >= 1 && known.getValue() <= kMaxIterations)
    return unrollScan(node, lowering, *scan, known.getValue());
  return iterate(node, lowering, *scan);
}

void lutra::addControlFlowHandlers(Registry &registry) {
  registry.add({"",
                "If",
                {1, 11, 13, 16, 19, 21, 23, 24, 25},
                supportsIf,
                lowerIf,
                "a condition that depends on data"});
  registry.add({"",
                "Loop",
                {1, 11, 13, 16, 19, 21, 23, 24, 25},
                supportsLoop,
                lowerLoop,
                "a number of iterations that depends on data; more than 64, or "
                "a symbolic number, of a body with large tensors"});
  registry.add({"",
                "Scan",
                {9, 11, 16, 19, 21, 23, 24, 25},
                supportsScan,
                lowerScan,
                "more than 64 iterations, or a symbolic number, of a body with "
                "large tensors"});
}
