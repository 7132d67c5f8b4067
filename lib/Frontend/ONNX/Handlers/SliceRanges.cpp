//===- SliceRanges.cpp - What a slice takes of a tensor -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Bounds may be symbolic. ONNX clamps bounds to the dimension; sizes are
// expressions without a minimum, so a bound must be known to lie on one side,
// by the ranges of the symbolic dimensions. A symbolic bound into a dimension
// of known size, as of a table of positions, is taken to lie inside: with less
// than was asked for the nodes behind it could do nothing.
//
//===----------------------------------------------------------------------===//

#include "SliceRanges.h"

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

LogicalResult lutra::resolveRange(const Node &node, Lowering &lowering,
                                  SliceRanges &ranges, int64_t d,
                                  AffineExpr start, AffineExpr end,
                                  int64_t step) {
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

SliceRanges lutra::wholeOf(Lowering &lowering, const Tensor &tensor) {
  SliceRanges ranges;
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
takeInts(Lowering &lowering, const Tensor &tensor, const SliceRanges &ranges) {
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
                           SliceRanges ranges) {
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
                            const SliceRanges &ranges) {
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

Tensor lutra::take(Lowering &lowering, const Tensor &tensor,
                   const SliceRanges &ranges) {
  if (auto ints = takeInts(lowering, tensor, ranges))
    return lowering.intsTensor(*ints, tensor.dtype);
  if (llvm::all_of(ranges.steps, [](int64_t step) { return step > 0; }))
    return lowering.slice(tensor, ranges.offsets, ranges.sizes, ranges.steps);
  return takeBackwards(lowering, tensor, ranges);
}
