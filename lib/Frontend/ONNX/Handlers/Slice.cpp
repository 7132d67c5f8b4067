//===- Slice.cpp - Slice and Split ----------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements slices with symbolic bounds. ONNX clamps bounds to the dimension;
// sizes are expressions without a minimum, so a bound must be known to lie on
// one side, by the ranges of the symbolic dimensions. A symbolic bound into a
// dimension of known size, as of a table of positions, is taken to lie inside:
// with less than was asked for the nodes behind it could do nothing.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "Movement.h"
#include "Operands.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

namespace {
/// What a slice takes of each dimension: index i reads offset + i * step.
struct Ranges {
  SmallVector<AffineExpr> offsets, sizes;
  SmallVector<int64_t> steps;
};
} // namespace

static InFlightDiagnostic unknownBound(const Node &node, Lowering &lowering,
                                       AffineExpr bound, AffineExpr size) {
  return node.error() << "expected a bound known to lie inside or outside of "
                         "the dimension of size "
                      << sizeText(lowering, size) << ", got "
                      << sizeText(lowering, bound)
                      << ", whose range does not say";
}

/// Counts a negative bound from the end and clamps it to [least, most].
static FailureOr<AffineExpr> resolveBound(const Node &node, Lowering &lowering,
                                          AffineExpr bound, AffineExpr size,
                                          AffineExpr least, AffineExpr most) {
  if (auto number = dyn_cast<AffineConstantExpr>(bound)) {
    // "To the end" and "from the start", however large the dimension is.
    if (number.getValue() >= kMaxExtent)
      return most;
    if (number.getValue() <= -kMaxExtent)
      return least;
  }
  AffineExpr fromStart = bound;
  if (lowering.isNonNegative(canonicalSize(-bound - 1)))
    fromStart = canonicalSize(bound + size);
  else if (!lowering.isNonNegative(bound))
    return unknownBound(node, lowering, bound, size);
  AffineExpr aboveLeast = canonicalSize(fromStart - least);
  AffineExpr belowMost = canonicalSize(most - fromStart);
  if (lowering.isNonNegative(canonicalSize(-aboveLeast)))
    return least;
  if (lowering.isNonNegative(canonicalSize(-belowMost)))
    return most;
  if (lowering.isNonNegative(aboveLeast) && lowering.isNonNegative(belowMost))
    return fromStart;
  // "To the end", of any size that one would run.
  constexpr int64_t kHuge = 1'000'000'000;
  if (auto number = dyn_cast<AffineConstantExpr>(bound);
      number && number.getValue() >= kHuge &&
      lowering.requireNonNegative(canonicalSize(-belowMost)))
    return most;
  if (isa<AffineConstantExpr>(size) &&
      lowering.requireNonNegative(aboveLeast) &&
      lowering.requireNonNegative(belowMost))
    return fromStart;
  return unknownBound(node, lowering, bound, size);
}

/// Sets the range of dimension `d` of `ranges` to start:end:step.
static LogicalResult resolveRange(const Node &node, Lowering &lowering,
                                  Ranges &ranges, int64_t d, AffineExpr start,
                                  AffineExpr end, int64_t step) {
  if (step == 0)
    return node.error() << "expected steps other than 0, got 0";
  step = std::clamp<int64_t>(step, -kMaxExtent, kMaxExtent);
  AffineExpr size = ranges.sizes[d], zero = lowering.constant(0);
  ranges.steps[d] = step;
  if (size == zero) {
    ranges.steps[d] = 1;
    return success();
  }
  AffineExpr last = canonicalSize(size - 1);
  FailureOr<AffineExpr> from =
      resolveBound(node, lowering, start, size, zero, step > 0 ? size : last);
  FailureOr<AffineExpr> to = resolveBound(
      node, lowering, end, size, step > 0 ? zero : lowering.constant(-1),
      step > 0 ? size : last);
  if (failed(from) || failed(to))
    return failure();
  AffineExpr span = canonicalSize(step > 0 ? *to - *from : *from - *to);
  if (lowering.isNonNegative(span)) {
    ranges.offsets[d] = *from;
    ranges.sizes[d] = canonicalSize(span.ceilDiv(std::abs(step)));
    return success();
  }
  if (!lowering.isNonNegative(canonicalSize(-span)))
    return node.error() << "expected to know which is greater, the start "
                        << sizeText(lowering, *from) << " or the end "
                        << sizeText(lowering, *to);
  ranges.sizes[d] = zero;
  ranges.steps[d] = 1;
  return success();
}

static Ranges wholeOf(Lowering &lowering, const Tensor &tensor) {
  Ranges ranges;
  ranges.offsets.assign(tensor.rank(), lowering.constant(0));
  ranges.sizes = tensor.shape;
  ranges.steps.assign(tensor.rank(), 1);
  return ranges;
}

//===----------------------------------------------------------------------===//
// Taking a range
//===----------------------------------------------------------------------===//

/// The known integers of a range of a rank-1 tensor.
static std::optional<SmallVector<AffineExpr>>
takeInts(Lowering &lowering, const Tensor &tensor, const Ranges &ranges) {
  auto ints = tensor.rank() == 1 ? knownInts(lowering, tensor) : std::nullopt;
  if (!ints)
    return std::nullopt;
  auto offset = dyn_cast<AffineConstantExpr>(ranges.offsets[0]);
  auto size = dyn_cast<AffineConstantExpr>(ranges.sizes[0]);
  if (!offset || !size)
    return std::nullopt;
  SmallVector<AffineExpr> taken;
  for (int64_t i = 0; i < size.getValue(); ++i)
    taken.push_back((*ints)[offset.getValue() + i * ranges.steps[0]]);
  return taken;
}

/// A constant stays one: the same elements forwards, then reversed.
static Tensor takeReversed(Lowering &lowering, const Tensor &tensor,
                           Ranges ranges) {
  SmallVector<int64_t> reversed;
  for (auto [d, step] : llvm::enumerate(ranges.steps)) {
    if (step > 0)
      continue;
    ranges.offsets[d] =
        canonicalSize(ranges.offsets[d] + (ranges.sizes[d] - 1) * step);
    step = -step;
    reversed.push_back(d);
  }
  return lowering.reverse(
      lowering.slice(tensor, ranges.offsets, ranges.sizes, ranges.steps),
      reversed);
}

static Tensor takeBackwards(Lowering &lowering, const Tensor &tensor,
                            const Ranges &ranges) {
  if (matchPattern(tensor.value, m_Constant()))
    return takeReversed(lowering, tensor, ranges);
  return readAt(lowering, tensor, ranges.sizes,
                [&](ImplicitLocOpBuilder &b, ValueRange result) {
                  SmallVector<Value> index;
                  for (auto [d, at] : llvm::enumerate(result)) {
                    Value step =
                        arith::ConstantIndexOp::create(b, ranges.steps[d]);
                    index.push_back(arith::AddIOp::create(
                        b, arith::MulIOp::create(b, at, step),
                        indexIn(b, lowering, ranges.offsets[d])));
                  }
                  return index;
                });
}

static Tensor take(Lowering &lowering, const Tensor &tensor,
                   const Ranges &ranges) {
  if (auto ints = takeInts(lowering, tensor, ranges))
    return lowering.intsTensor(*ints, tensor.dtype);
  if (llvm::all_of(ranges.steps, [](int64_t step) { return step > 0; }))
    return lowering.slice(tensor, ranges.offsets, ranges.sizes, ranges.steps);
  return takeBackwards(lowering, tensor, ranges);
}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

namespace {
/// A Slice node's operands, wherever its version keeps them.
struct SliceOperands {
  SmallVector<AffineExpr> starts, ends;
  SmallVector<int64_t> axes, steps;
};
} // namespace

static Support supportsSlice(const Node &node) {
  unsigned count = node.numInputs();
  if (node.sinceVersion >= 10) {
    if (count < 3 || count > 5)
      return Support::no("expected 3 to 5 inputs, got " + Twine(count));
    constexpr StringLiteral names[] = {"starts", "ends", "axes", "steps"};
    for (unsigned i = 1; i < count; ++i)
      if (Support known = supportsKnown(node, i, names[i - 1]); !known)
        return known;
    return Support::yes();
  }
  if (count != 1)
    return Support::no("expected 1 input, got " + Twine(count));
  for (StringRef name : {"starts", "ends"})
    if (!node.hasAttr(name))
      return Support::no("expected " + name + ", got none");
  return Support::yes();
}

static FailureOr<SliceOperands> sliceOperands(const Node &node,
                                              Lowering &lowering) {
  SliceOperands operands;
  auto toExprs = [&](ArrayRef<int64_t> values) {
    return llvm::map_to_vector(
        values, [&](int64_t value) { return lowering.constant(value); });
  };
  if (node.sinceVersion < 10) {
    operands.starts = toExprs(node.intsAttr("starts"));
    operands.ends = toExprs(node.intsAttr("ends"));
    operands.axes = node.intsAttr("axes");
  } else {
    auto starts = requireInts(node, lowering, 1, "starts");
    auto ends = requireInts(node, lowering, 2, "ends");
    if (failed(starts) || failed(ends))
      return failure();
    operands.starts = *starts;
    operands.ends = *ends;
    for (auto [i, name, values] :
         {std::make_tuple(3u, "axes", &operands.axes),
          std::make_tuple(4u, "steps", &operands.steps)}) {
      if (!node.input(i))
        continue;
      auto constants = requireConstants(node, lowering, i, name);
      if (failed(constants))
        return failure();
      *values = *constants;
    }
  }
  size_t count = operands.starts.size();
  if (operands.axes.empty())
    operands.axes = llvm::to_vector(llvm::seq<int64_t>(0, count));
  if (operands.steps.empty())
    operands.steps.assign(count, 1);
  if (operands.ends.size() != count || operands.axes.size() != count ||
      operands.steps.size() != count)
    return node.error() << "expected as many ends, axes and steps as starts, "
                        << count << ", got " << operands.ends.size() << ", "
                        << operands.axes.size() << " and "
                        << operands.steps.size();
  return operands;
}

static FailureOr<SmallVector<Tensor>> lowerSlice(const Node &node,
                                                 Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  Tensor input = node.input(0);
  FailureOr<SliceOperands> operands = sliceOperands(node, lowering);
  if (failed(operands))
    return failure();
  auto axes = normalizeAxes(node, operands->axes, input.rank());
  if (failed(axes))
    return failure();
  Ranges ranges = wholeOf(lowering, input);
  for (auto [i, axis] : llvm::enumerate(*axes))
    if (failed(resolveRange(node, lowering, ranges, axis, operands->starts[i],
                            operands->ends[i], operands->steps[i])))
      return failure();
  return SmallVector<Tensor>{take(lowering, input, ranges)};
}

//===----------------------------------------------------------------------===//
// Split
//===----------------------------------------------------------------------===//

static Support supportsSplit(const Node &node) {
  unsigned most = node.sinceVersion >= 13 ? 2 : 1;
  if (node.numInputs() < 1 || node.numInputs() > most)
    return Support::no("expected at most " + Twine(most) + " inputs, got " +
                       Twine(node.numInputs()));
  int64_t outputs = node.numOutputs();
  if (int64_t count = node.intAttr("num_outputs", outputs); count != outputs)
    return Support::no("expected num_outputs to be " + Twine(outputs) +
                       ", the number of outputs, got " + Twine(count));
  return supportsKnown(node, 1, "split", true);
}

/// Equal parts; from version 18 on the last may be smaller.
static FailureOr<SmallVector<AffineExpr>>
equalParts(const Node &node, Lowering &lowering, AffineExpr size) {
  int64_t count = node.numOutputs();
  if (auto part = divideSize(size, lowering.constant(count)))
    return SmallVector<AffineExpr>(count, *part);
  AffineExpr part = canonicalSize(size.ceilDiv(count));
  AffineExpr last = canonicalSize(size - part * (count - 1));
  if (node.sinceVersion < 18 || !lowering.isNonNegative(last))
    return node.error() << "expected a size that " << count
                        << " parts divide, got " << sizeText(lowering, size);
  SmallVector<AffineExpr> parts(count, part);
  parts.back() = last;
  return parts;
}

/// The sizes of the outputs along `axis` where all are declared.
static std::optional<SmallVector<AffineExpr>> declaredParts(const Node &node,
                                                            int64_t axis) {
  SmallVector<AffineExpr> parts;
  for (unsigned i = 0; i < node.numOutputs(); ++i) {
    auto shape = declaredShape(node, i);
    if (!shape || int64_t(shape->size()) <= axis)
      return std::nullopt;
    parts.push_back((*shape)[axis]);
  }
  return parts;
}

static FailureOr<SmallVector<AffineExpr>>
splitSizes(const Node &node, Lowering &lowering, int64_t axis) {
  AffineExpr size = node.input(0).shape[axis];
  SmallVector<AffineExpr> sizes;
  auto declared = declaredParts(node, axis);
  if (node.sinceVersion >= 13 && node.input(1) && declared &&
      !knownInts(lowering, node.input(1))) {
    sizes = *declared;
  } else if (node.sinceVersion >= 13 && node.input(1)) {
    auto given = requireInts(node, lowering, 1, "split");
    if (failed(given))
      return failure();
    sizes = *given;
  } else if (node.sinceVersion < 13 && node.hasAttr("split")) {
    for (int64_t part : node.intsAttr("split"))
      sizes.push_back(lowering.constant(part));
  } else {
    return equalParts(node, lowering, size);
  }
  AffineExpr sum = lowering.constant(0);
  for (AffineExpr part : sizes) {
    if (!lowering.isNonNegative(part))
      return node.error() << "expected sizes of 0 or more, got "
                          << lowering.str(sizes);
    sum = canonicalSize(sum + part);
  }
  if (sizes.size() != node.numOutputs() || sum != size)
    return node.error() << "expected " << node.numOutputs()
                        << " sizes with the sum " << sizeText(lowering, size)
                        << ", got " << lowering.str(sizes);
  return sizes;
}

static FailureOr<SmallVector<Tensor>> lowerSplit(const Node &node,
                                                 Lowering &lowering) {
  if (Support support = supportsSplit(node); !support)
    return node.error() << support.reason();
  if (failed(requireRank(node, 0, 1)))
    return failure();
  Tensor input = node.input(0);
  FailureOr<int64_t> axis =
      normalizeAxis(node, node.intAttr("axis", 0), input.rank());
  if (failed(axis))
    return failure();
  auto sizes = splitSizes(node, lowering, *axis);
  if (failed(sizes))
    return failure();
  SmallVector<Tensor> parts;
  Ranges ranges = wholeOf(lowering, input);
  AffineExpr offset = lowering.constant(0);
  for (AffineExpr size : *sizes) {
    ranges.offsets[*axis] = offset;
    ranges.sizes[*axis] = size;
    parts.push_back(take(lowering, input, ranges));
    offset = canonicalSize(offset + size);
  }
  return parts;
}

void lutra::addSliceHandlers(Registry &registry) {
  registry.add({"",
                "Slice",
                {1, 10, 11, 13},
                supportsSlice,
                lowerSlice,
                "starts and ends must be constant or computed from shapes, and "
                "the ranges of dimensions must tell whether they are clamped; "
                "axes and steps must be constant"});
  registry.add({"",
                "Split",
                {2, 11, 13, 18},
                supportsSplit,
                lowerSplit,
                "the sizes must be constant or computed from shapes"});
}
