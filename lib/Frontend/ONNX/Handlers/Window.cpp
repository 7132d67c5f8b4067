//===- Window.cpp - Sliding windows of Conv and pooling -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the window arithmetic that convolutions and pooling share, on
// symbolic sizes: padding by auto_pad, rounding by ceil_mode, and the proof
// that no window is larger than its input.
//
//===----------------------------------------------------------------------===//

#include "Window.h"

#include "../SizeAlgebra.h"
#include "Operands.h"

using namespace mlir;
using namespace mlir::lutra;

bool Window::padded() const {
  auto isZero = [](AffineExpr size) {
    auto number = dyn_cast<AffineConstantExpr>(size);
    return number && number.getValue() == 0;
  };
  return !llvm::all_of(low, isZero) || !llvm::all_of(high, isZero) ||
         !llvm::all_of(extra, isZero);
}

static Support checkList(const Node &node, StringRef name, int64_t least,
                         std::optional<int64_t> length) {
  SmallVector<int64_t> values = node.intsAttr(name);
  if (values.empty())
    return Support::yes();
  if (length && int64_t(values.size()) != *length)
    return Support::no("expected " + Twine(*length) + " " + name + ", got " +
                       Twine(values.size()));
  for (int64_t value : values)
    if (value < least || value > kMaxExtent)
      return Support::no("expected " + name + " in [" + Twine(least) + ", " +
                         Twine(kMaxExtent) + "], got " + Twine(value));
  return Support::yes();
}

Support lutra::checkWindow(const Node &node,
                           std::optional<int64_t> spatialRank) {
  std::optional<int64_t> ends;
  if (spatialRank)
    ends = 2 * *spatialRank;
  for (StringRef name : {"kernel_shape", "strides", "dilations"})
    if (Support list = checkList(node, name, 1, spatialRank); !list)
      return list;
  if (Support list = checkList(node, "pads", 0, ends); !list)
    return list;
  StringRef mode = node.stringAttr("auto_pad", "NOTSET");
  if (!llvm::is_contained({"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"},
                          mode))
    return Support::no("expected auto_pad NOTSET, VALID, SAME_UPPER or "
                       "SAME_LOWER, got " +
                       mode);
  return Support::yes();
}

namespace {
/// One spatial dimension of a window while it is made.
struct Axis {
  AffineExpr input;
  int64_t stride;
  /// The kernel's extent with its dilation.
  int64_t extent;
  AffineExpr low, high, extra, output;
};
} // namespace

/// SAME: as many outputs as the stride allows, padding what they lack.
static LogicalResult padSame(const Node &node, Lowering &lowering, Axis &axis,
                             bool moreAtEnd) {
  axis.output = canonicalSize(axis.input.ceilDiv(axis.stride));
  AffineExpr total =
      canonicalSize((axis.output - 1) * axis.stride + axis.extent - axis.input);
  // The last window starts within the input; with an extent of one, or where
  // windows do not touch, the sum may be negative, and nothing is padded.
  if (auto number = dyn_cast<AffineConstantExpr>(total))
    total = lowering.constant(std::max<int64_t>(number.getValue(), 0));
  else if (axis.extent == 1)
    total = lowering.constant(0);
  else if (axis.extent < axis.stride)
    return node.error() << "expected a known size with auto_pad and a stride "
                           "larger than the kernel, got "
                        << sizeText(lowering, axis.input);
  AffineExpr less = canonicalSize(total.floorDiv(2));
  AffineExpr more = canonicalSize(total - less);
  axis.low = moreAtEnd ? less : more;
  axis.high = moreAtEnd ? more : less;
  return success();
}

static LogicalResult padExplicitly(const Node &node, Lowering &lowering,
                                   Axis &axis, bool ceil) {
  AffineExpr padded = axis.input + axis.low + axis.high;
  AffineExpr slack = canonicalSize(padded - axis.extent);
  if (!lowering.requireNonNegative(slack))
    return node.error() << "expected an input of at least " << axis.extent
                        << " with its padding under the window, got "
                        << sizeText(lowering, canonicalSize(padded))
                        << (isa<AffineConstantExpr>(slack)
                                ? ""
                                : ", whose range does not allow that");
  if (!ceil) {
    axis.output = canonicalSize(slack.floorDiv(axis.stride) + 1);
    return success();
  }
  // A last window that would start after the input is dropped: it exists where
  // high + stride > extent.
  auto high = cast<AffineConstantExpr>(axis.high).getValue();
  int64_t beyond = std::min<int64_t>(high + axis.stride - axis.extent, 0);
  axis.output =
      canonicalSize((axis.input + axis.low + beyond).ceilDiv(axis.stride));
  AffineExpr needed =
      canonicalSize((axis.output - 1) * axis.stride + axis.extent - padded);
  // At most stride - 1 more; where that is not known statically the whole of
  // it is padded and what is too much is never read.
  if (auto number = dyn_cast<AffineConstantExpr>(needed))
    axis.extra = lowering.constant(std::max<int64_t>(number.getValue(), 0));
  else
    axis.extra = lowering.constant(axis.stride - 1);
  return success();
}

FailureOr<Window> lutra::makeWindow(const Node &node, Lowering &lowering,
                                    const Tensor &input,
                                    ArrayRef<int64_t> kernel) {
  int64_t rank = input.rank() - 2;
  if (Support support = checkWindow(node, rank); !support)
    return node.error() << support.reason();
  if (int64_t(kernel.size()) != rank)
    return node.error() << "expected a kernel of rank " << rank << ", got rank "
                        << kernel.size();
  SmallVector<int64_t> ones(rank, 1), pads = node.intsAttr("pads");
  StringRef mode = node.stringAttr("auto_pad", "NOTSET");
  if (pads.empty() || mode != "NOTSET")
    pads.assign(2 * rank, 0);
  Window window;
  window.kernel.assign(kernel.begin(), kernel.end());
  window.strides = node.intsAttr("strides", ones);
  window.dilations = node.intsAttr("dilations", ones);
  for (int64_t i = 0; i < rank; ++i) {
    Axis axis;
    axis.input = input.shape[i + 2];
    axis.stride = window.strides[i];
    if (llvm::MulOverflow(kernel[i] - 1, window.dilations[i], axis.extent) ||
        axis.extent > kMaxExtent || kernel[i] < 1)
      return node.error() << "expected a kernel of 1 to " << kMaxExtent
                          << " with its dilation, got " << kernel[i];
    axis.extent += 1;
    axis.low = lowering.constant(pads[i]);
    axis.high = lowering.constant(pads[rank + i]);
    axis.extra = lowering.constant(0);
    LogicalResult made =
        mode.starts_with("SAME")
            ? padSame(node, lowering, axis, mode == "SAME_UPPER")
            : padExplicitly(node, lowering, axis,
                            mode == "NOTSET" &&
                                node.intAttr("ceil_mode", 0) == 1);
    if (failed(made))
      return failure();
    window.low.push_back(axis.low);
    window.high.push_back(axis.high);
    window.extra.push_back(axis.extra);
    window.output.push_back(axis.output);
  }
  return window;
}

Tensor lutra::padForWindow(Lowering &lowering, const Tensor &input,
                           const Window &window, Value value) {
  SmallVector<AffineExpr> low(2, lowering.constant(0)), high = low;
  for (int64_t i = 0; i < window.rank(); ++i) {
    low.push_back(window.low[i]);
    high.push_back(canonicalSize(window.high[i] + window.extra[i]));
  }
  return lowering.pad(input, low, high, value);
}
