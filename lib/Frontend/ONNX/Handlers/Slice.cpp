//===- Slice.cpp - Slice --------------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Movement.h"
#include "Operands.h"
#include "SliceRanges.h"

using namespace mlir;
using namespace mlir::lutra;

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
  SliceRanges ranges = wholeOf(lowering, input);
  for (auto [i, axis] : llvm::enumerate(*axes))
    if (failed(resolveRange(node, lowering, ranges, axis, operands->starts[i],
                            operands->ends[i], operands->steps[i])))
      return failure();
  return SmallVector<Tensor>{take(lowering, input, ranges)};
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
}
