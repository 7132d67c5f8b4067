//===- ConvTranspose.cpp - ConvTranspose ----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Output position q of one dimension is the sum over i * stride + k = q of
// x[i] * w[k]. Positions of one residue r modulo the stride see only the taps
// of that residue, so that they are an ordinary convolution: with q = o *
// stride + r and k = t * stride + r it is the sum over t of x[o - t] * w[t, r].
// All residues together are one convolution with a feature for each of them,
// whose result is then interleaved. Nothing is multiplied by zero.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "Contraction.h"
#include "Convolution.h"
#include "Operands.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// One spatial dimension.
struct Axis {
  int64_t kernel, stride, dilation;
  /// The kernel with its dilation.
  int64_t extent;
  /// Positions that are cut off at the beginning.
  int64_t low;
  /// The output has input * stride + excess positions.
  int64_t excess;
  AffineExpr input, output;

  /// Taps of one residue: all, as far apart as they are, with a stride of one.
  /// Otherwise there are zeros between them.
  int64_t taps() const {
    return stride == 1 ? kernel : llvm::divideCeil(kernel * dilation, stride);
  }
  int64_t tapDilation() const { return stride == 1 ? dilation : 1; }
  /// Blocks of `stride` positions: the first that is not cut off, and how many
  /// there are more than elements of the input.
  int64_t firstBlock() const { return low / stride; }
  int64_t moreBlocks() const {
    return llvm::divideCeilSigned(low + excess, stride) - firstBlock();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

static Support checkSizes(const Node &node, StringRef name,
                          std::optional<int64_t> rank) {
  SmallVector<int64_t> values = node.intsAttr(name);
  if (values.empty())
    return Support::yes();
  // output_shape may be that of the whole result.
  bool whole =
      rank && name == "output_shape" && int64_t(values.size()) == *rank + 2;
  if (rank && int64_t(values.size()) != *rank && !whole)
    return Support::no("expected " + Twine(*rank) + " values of " + name +
                       ", got " + Twine(values.size()));
  for (int64_t value : values)
    if (value < 0 || value > kMaxExtent)
      return Support::no("expected " + name + " in [0, " + Twine(kMaxExtent) +
                         "], got " + Twine(value));
  return Support::yes();
}

static Support supportsConvTranspose(const Node &node) {
  if (Support convolution = supportsFloatConvolution(node); !convolution)
    return convolution;
  std::optional<int64_t> rank = knownRank(node.input(0));
  if (rank)
    rank = *rank - 2;
  for (StringRef name : {"output_padding", "output_shape"})
    if (Support sizes = checkSizes(node, name, rank); !sizes)
      return sizes;
  return Support::yes();
}

/// Sets what is cut off and the size of the output, from the attributes.
static LogicalResult sizeAxis(const Node &node, Lowering &lowering, Axis &axis,
                              unsigned i, unsigned rank) {
  SmallVector<int64_t> zeros(2 * rank, 0);
  int64_t more = node.intsAttr("output_padding", zeros)[i];
  SmallVector<int64_t> pads = node.intsAttr("pads", zeros);
  SmallVector<int64_t> shape = node.intsAttr("output_shape");
  StringRef mode = node.stringAttr("auto_pad", "NOTSET");
  bool same = mode.starts_with("SAME");
  // All that the taps reach, less input * stride.
  int64_t reach = axis.extent + more - axis.stride;
  if (shape.empty() && !same) {
    axis.low = mode == "VALID" ? 0 : pads[i];
    axis.excess = reach - axis.low - (mode == "VALID" ? 0 : pads[rank + i]);
  } else {
    axis.excess = 0;
    if (!shape.empty()) {
      auto input = dyn_cast<AffineConstantExpr>(axis.input);
      if (!input)
        return node.error() << "expected a known size with output_shape, got "
                            << sizeText(lowering, axis.input);
      axis.excess =
          shape[shape.size() - rank + i] - input.getValue() * axis.stride;
    }
    int64_t total = std::max<int64_t>(reach - axis.excess, 0);
    axis.low = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
  }
  axis.output = canonicalSize(axis.input * axis.stride + axis.excess);
  int64_t front = (axis.taps() - 1) * axis.tapDilation() - axis.firstBlock();
  int64_t back = axis.moreBlocks() + axis.firstBlock();
  AffineExpr read =
      axis.input + std::min<int64_t>(front, 0) + std::min<int64_t>(back, 0);
  if (!lowering.requireNonNegative(axis.output - 1) ||
      !lowering.requireNonNegative(read))
    return node.error() << "expected an output under the kernel, got one of "
                        << sizeText(lowering, axis.output) << " from "
                        << sizeText(lowering, axis.input);
  return success();
}

static FailureOr<SmallVector<Axis>> makeAxes(const Node &node,
                                             Lowering &lowering) {
  Tensor x = node.input(0), w = node.input(1);
  unsigned rank = x.rank() - 2;
  SmallVector<int64_t> ones(rank, 1), kernel;
  for (unsigned i = 0; i < rank; ++i)
    kernel.push_back(w.staticSize(i + 2));
  if (node.intsAttr("kernel_shape", kernel) != kernel)
    return node.error() << "expected kernel_shape to be that of the weights "
                        << lowering.str(w.shape);
  SmallVector<Axis> axes(rank);
  for (auto [i, axis] : llvm::enumerate(axes)) {
    axis.kernel = kernel[i];
    axis.stride = node.intsAttr("strides", ones)[i];
    axis.dilation = node.intsAttr("dilations", ones)[i];
    axis.input = x.shape[i + 2];
    if (axis.kernel < 1 ||
        llvm::MulOverflow(axis.kernel - 1, axis.dilation, axis.extent) ||
        axis.extent >= kMaxExtent || x.staticSize(i + 2) > kMaxExtent)
      return node.error() << "expected a kernel and an input of 1 to "
                          << kMaxExtent << " in dimension " << i + 2;
    axis.extent += 1;
    if (failed(sizeAxis(node, lowering, axis, i, rank)))
      return failure();
  }
  return axes;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// Puts dilation - 1 zeros behind each tap of dimension `dim`.
static FailureOr<Tensor> spreadTaps(Lowering &lowering, const Tensor &w,
                                    unsigned dim, int64_t dilation) {
  Shape shape = w.shape;
  shape.insert(shape.begin() + dim + 1, lowering.constant(1));
  FailureOr<Tensor> apart = lowering.reshape(w, shape);
  if (failed(apart))
    return failure();
  SmallVector<AffineExpr> none(shape.size(), lowering.constant(0)), high(none);
  high[dim + 1] = lowering.constant(dilation - 1);
  Tensor padded =
      lowering.pad(*apart, none, high, lowering.scalar(w.dtype, 0.0));
  shape = w.shape;
  shape[dim] = canonicalSize(shape[dim] * dilation);
  return lowering.reshape(padded, shape);
}

/// The weights [channels, features, taps...] as those of the convolution,
/// [features * residues, channels, taps...].
static FailureOr<Tensor> residueWeights(const Node &node, Lowering &lowering,
                                        ArrayRef<Axis> axes) {
  FailureOr<Tensor> w = node.input(1);
  unsigned rank = axes.size();
  int64_t groups = node.intAttr("group", 1);
  int64_t channels = w->staticSize(0) / groups, features = w->staticSize(1);
  AffineExpr zero = lowering.constant(0);
  SmallVector<AffineExpr> none(rank + 2, zero), high(none);
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (axis.stride == 1)
      continue;
    if (axis.dilation > 1)
      w = spreadTaps(lowering, *w, i + 2, axis.dilation);
    if (failed(w))
      return failure();
    high[i + 2] =
        lowering.constant(axis.taps() * axis.stride - w->staticSize(i + 2));
  }
  Tensor padded = lowering.pad(*w, none, high, lowering.scalar(w->dtype, 0.0));
  // [group, channels, features, (taps, residue)...]
  Shape split = {lowering.constant(groups), lowering.constant(channels),
                 lowering.constant(features)};
  SmallVector<int64_t> tapDims, order = {0, 2};
  int64_t residues = 1;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    tapDims.push_back(split.size());
    order.push_back(split.size() + 1);
    split.push_back(lowering.constant(padded.staticSize(i + 2) / axis.stride));
    split.push_back(lowering.constant(axis.stride));
    residues *= axis.stride;
  }
  order.push_back(1);
  llvm::append_range(order, tapDims);
  FailureOr<Tensor> parts = lowering.reshape(padded, split);
  if (failed(parts))
    return failure();
  Shape shape = {lowering.constant(groups * features * residues),
                 lowering.constant(channels)};
  for (int64_t dim : tapDims)
    shape.push_back(split[dim]);
  return lowering.reshape(
      lowering.transpose(lowering.reverse(*parts, tapDims), order), shape);
}

/// The input without what no output reads, padded as far as the taps read.
static Tensor fitInput(Lowering &lowering, const Tensor &x, ArrayRef<Axis> axes,
                       const Window &window) {
  SmallVector<AffineExpr> offsets(2, lowering.constant(0)),
      sizes(x.shape.begin(), x.shape.begin() + 2);
  Window padding = window;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    auto cut = [&](AffineExpr &pad) {
      int64_t value = cast<AffineConstantExpr>(pad).getValue();
      pad = lowering.constant(std::max<int64_t>(value, 0));
      return std::max<int64_t>(-value, 0);
    };
    int64_t front = cut(padding.low[i]), back = cut(padding.high[i]);
    offsets.push_back(lowering.constant(front));
    sizes.push_back(canonicalSize(axis.input - front - back));
  }
  SmallVector<int64_t> ones(x.rank(), 1);
  return padForWindow(lowering, lowering.slice(x, offsets, sizes, ones),
                      padding, lowering.scalar(x.dtype, 0.0));
}

/// The convolution of stride one whose features are the residues.
static Window residueWindow(Lowering &lowering, ArrayRef<Axis> axes) {
  Window window;
  window.strides.assign(axes.size(), 1);
  window.extra.assign(axes.size(), lowering.constant(0));
  for (const Axis &axis : axes) {
    int64_t taps = axis.taps(), dilation = axis.tapDilation();
    window.kernel.push_back(taps);
    window.dilations.push_back(dilation);
    window.low.push_back(
        lowering.constant((taps - 1) * dilation - axis.firstBlock()));
    window.high.push_back(
        lowering.constant(axis.moreBlocks() + axis.firstBlock()));
    window.output.push_back(canonicalSize(axis.input + axis.moreBlocks()));
  }
  return window;
}

//===----------------------------------------------------------------------===//
// The result
//===----------------------------------------------------------------------===//

/// Puts the residues between each other, adds the bias, and rounds:
/// [n, features * residues, blocks...] to [n, features, positions...].
static FailureOr<Tensor> interleave(Lowering &lowering, const Tensor &sums,
                                    ArrayRef<Axis> axes, AffineExpr features,
                                    const Tensor &bias, DType dtype) {
  unsigned rank = axes.size(), loops = 2 + 2 * rank;
  Shape split = {sums.shape[0], features}, shape = split, joined = split;
  SmallVector<AffineExpr> read = {lowering.b.getAffineDimExpr(0),
                                  lowering.b.getAffineDimExpr(1)};
  for (auto [i, axis] : llvm::enumerate(axes)) {
    AffineExpr stride = lowering.constant(axis.stride);
    split.push_back(stride);
    read.push_back(lowering.b.getAffineDimExpr(3 + 2 * i));
    shape.append({sums.shape[i + 2], stride});
    joined.push_back(canonicalSize(sums.shape[i + 2] * axis.stride));
  }
  for (unsigned i = 0; i < rank; ++i) {
    split.push_back(sums.shape[i + 2]);
    read.push_back(lowering.b.getAffineDimExpr(2 + 2 * i));
  }
  FailureOr<Tensor> parts = lowering.reshape(sums, split);
  if (failed(parts))
    return failure();
  SmallVector<Tensor> operands = {*parts};
  SmallVector<AffineMap> maps = {
      AffineMap::get(loops, 0, read, lowering.context())};
  if (bias) {
    operands.push_back(bias);
    maps.push_back(AffineMap::get(loops, 0, lowering.b.getAffineDimExpr(1)));
  }
  maps.push_back(lowering.b.getMultiDimIdentityMap(loops));
  SmallVector<utils::IteratorType> iterators(loops,
                                             utils::IteratorType::parallel);
  Tensor result = lowering.generic(
      operands, maps, iterators, lowering.empty(shape, dtype), shape, dtype,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Value sum = in[0];
        if (bias)
          sum = addScalars(b, sum, toAccumulator(b, in[1], dtype));
        return fromAccumulator(b, sum, dtype);
      });
  return lowering.reshape(result, joined);
}

static FailureOr<Tensor> finish(Lowering &lowering, const Tensor &sums,
                                ArrayRef<Axis> axes, AffineExpr features,
                                const Tensor &bias, DType dtype) {
  if (llvm::all_of(axes, [](const Axis &axis) { return axis.stride == 1; })) {
    FailureOr<Tensor> column = bias;
    Shape shape(axes.size() + 1, lowering.constant(1));
    shape[0] = features;
    if (bias)
      column = lowering.reshape(bias, shape);
    if (failed(column))
      return failure();
    return addBias(lowering, sums, *column, dtype);
  }
  FailureOr<Tensor> whole =
      interleave(lowering, sums, axes, features, bias, dtype);
  if (failed(whole))
    return failure();
  SmallVector<AffineExpr> offsets(2, lowering.constant(0));
  Shape shape(whole->shape.begin(), whole->shape.begin() + 2);
  for (const Axis &axis : axes) {
    offsets.push_back(lowering.constant(axis.low % axis.stride));
    shape.push_back(axis.output);
  }
  SmallVector<int64_t> ones(shape.size(), 1);
  return lowering.slice(*whole, offsets, shape, ones);
}

static LogicalResult checkOperands(const Node &node, Lowering &lowering) {
  if (failed(requireRank(node, 0, 3)) || failed(requireRank(node, 1, 3)) ||
      failed(requireSameType(node)))
    return failure();
  const Tensor &x = node.input(0), &w = node.input(1), &bias = node.input(2);
  for (int64_t d = 0; d < w.rank(); ++d)
    if (w.staticSize(d) == ShapedType::kDynamic)
      return node.error() << "expected weights of known shape, got "
                          << lowering.str(w.shape);
  int64_t groups = node.intAttr("group", 1), features;
  if (w.rank() != x.rank() || w.shape[0] != x.shape[1] ||
      w.staticSize(0) % groups ||
      llvm::MulOverflow(w.staticSize(1), groups, features))
    return node.error() << "expected weights of rank " << x.rank() << " for "
                        << sizeText(lowering, x.shape[1]) << " channels in "
                        << groups << " groups, got " << lowering.str(w.shape);
  if (bias && (bias.rank() != 1 || bias.staticSize(0) != features))
    return node.error() << "expected a bias of " << features << ", got "
                        << lowering.str(bias.shape);
  return success();
}

static FailureOr<SmallVector<Tensor>> lowerConvTranspose(const Node &node,
                                                         Lowering &lowering) {
  if (Support support = supportsConvTranspose(node); !support)
    return node.error() << support.reason();
  if (failed(checkOperands(node, lowering)))
    return failure();
  Tensor x = node.input(0);
  FailureOr<SmallVector<Axis>> axes = makeAxes(node, lowering);
  if (failed(axes))
    return failure();
  FailureOr<Tensor> w = residueWeights(node, lowering, *axes);
  if (failed(w))
    return failure();
  Window window = residueWindow(lowering, *axes);
  FailureOr<Tensor> sums = convolve(
      node, lowering, fitInput(lowering, x, *axes, window), *w, window);
  if (failed(sums))
    return failure();
  AffineExpr features =
      lowering.constant(node.input(1).staticSize(1) * node.intAttr("group", 1));
  return one(finish(lowering, *sums, *axes, features, node.input(2), x.dtype));
}

void lutra::addConvTransposeHandlers(Registry &registry) {
  registry.add({"",
                "ConvTranspose",
                {1, 11, 22},
                supportsConvTranspose,
                lowerConvTranspose,
                "the shape of the weights must be known"});
}
