//===- Resize.cpp - Resize and Upsample -----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements interpolation one dimension after the other, from tables of the
// elements to read and of their weights. Repeating each element some number of
// times, the commonest use, is a broadcast and needs no table.
//
//===----------------------------------------------------------------------===//

#include "Resize.h"

#include "../SizeAlgebra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

/// An antialiasing filter reads no more elements for one.
static constexpr int64_t kMaxTaps = 64;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

static Resize readResize(const Node &node) {
  Resize resize;
  bool isUpsample = node.op.getOpType() == "Upsample";
  bool isOld = isUpsample || node.sinceVersion < 11;
  resize.mode = node.stringAttr("mode", "nearest");
  if (resize.mode == "bilinear" || resize.mode == "trilinear")
    resize.mode = "linear";
  resize.coordinates = node.stringAttr("coordinate_transformation_mode",
                                       isOld ? "asymmetric" : "half_pixel");
  resize.nearest =
      node.stringAttr("nearest_mode", isOld ? "simple" : "round_prefer_floor");
  resize.policy = node.stringAttr("keep_aspect_ratio_policy", "stretch");
  resize.cubicA = node.floatAttr("cubic_coeff_a", -0.75);
  resize.extrapolation = node.floatAttr("extrapolation_value", 0);
  resize.antialias = node.intAttr("antialias", 0) && resize.mode != "nearest";
  resize.excludeOutside =
      node.intAttr("exclude_outside", 0) && resize.mode != "nearest";
  auto present = [&](unsigned i) {
    Tensor input = node.input(i);
    return input && !(input.rank() == 1 && input.staticSize(0) == 0) ? input
                                                                     : Tensor();
  };
  if (isOld) {
    resize.scales = present(1);
  } else {
    resize.roi = resize.crops() ? present(1) : Tensor();
    resize.sizes = present(3);
    resize.scales = resize.sizes ? Tensor() : present(2);
  }
  return resize;
}

static Support supportsResize(const Node &node) {
  Resize resize = readResize(node);
  auto check = [](StringRef what, StringRef value,
                  ArrayRef<StringRef> allowed) {
    return llvm::is_contained(allowed, value)
               ? Support::yes()
               : Support::no("expected " + what + " to be one of " +
                             llvm::join(allowed, ", ") + ", got " + value);
  };
  if (Support mode = check("mode", resize.mode, {"nearest", "linear", "cubic"});
      !mode)
    return mode;
  if (Support kind = check("coordinate_transformation_mode", resize.coordinates,
                           {"half_pixel", "half_pixel_symmetric",
                            "pytorch_half_pixel", "align_corners", "asymmetric",
                            "tf_half_pixel_for_nn", "tf_crop_and_resize"});
      !kind)
    return kind;
  if (Support kind = check("nearest_mode", resize.nearest,
                           {"round_prefer_floor", "round_prefer_ceil", "floor",
                            "ceil", "simple"});
      !kind)
    return kind;
  if (Support policy = check("keep_aspect_ratio_policy", resize.policy,
                             {"stretch", "not_larger", "not_smaller"});
      !policy)
    return policy;
  bool fromAttr = node.hasAttr("scales");
  if (!resize.scales && !resize.sizes && !fromAttr)
    return Support::no("expected scales or sizes, got neither");
  if (resize.crops() && !resize.roi)
    return Support::no("expected roi with tf_crop_and_resize, got none");
  if (fromAttr)
    return Support::yes();
  return supportsKnown(node,
                       resize.sizes            ? 3
                       : node.numInputs() == 2 ? 1
                                               : 2,
                       resize.sizes ? "sizes" : "scales", true);
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

/// floor(in * scale) for scales that have few digits; null otherwise.
static AffineExpr scaledSize(AffineExpr in, float scale) {
  if (auto known = dyn_cast<AffineConstantExpr>(in)) {
    double size = std::floor(float(known.getValue()) * scale);
    return getAffineConstantExpr(size < 1e9 ? int64_t(size) : -1,
                                 in.getContext());
  }
  for (int64_t divisor = 1; divisor <= 1024; divisor *= 2)
    if (double times = double(scale) * divisor;
        std::trunc(times) == times && times < 1e6)
      return canonicalSize((in * int64_t(times)).floorDiv(divisor));
  return {};
}

/// Sets scale and size of all axes from constant scales.
static LogicalResult useScales(const Node &node, Lowering &lowering,
                               Resize &resize, ArrayRef<double> scales) {
  std::optional<SmallVector<double>> roi;
  if (resize.roi)
    roi = lowering.constantFloats(resize.roi);
  for (ResizeAxis &axis : resize.axes) {
    double scale = scales[axis.place];
    if (!(scale > 0 && scale < 1e6))
      return node.error() << "expected scales in (0, 1e6), got " << scale;
    axis.scale = float(scale);
    if (resize.crops() && roi)
      scale *= (*roi)[axis.place + resize.axes.size()] - (*roi)[axis.place];
    axis.out = resize.crops() && !roi ? AffineExpr()
                                      : scaledSize(axis.in, float(scale));
  }
  return success();
}

/// Sets the size of all axes from known sizes, and the scale where the policy
/// makes one for all.
static LogicalResult useSizes(const Node &node, Lowering &lowering,
                              Resize &resize, ArrayRef<AffineExpr> sizes) {
  for (ResizeAxis &axis : resize.axes)
    axis.out = sizes[axis.place];
  if (resize.policy == "stretch")
    return success();
  std::optional<double> common;
  for (ResizeAxis &axis : resize.axes) {
    auto in = dyn_cast<AffineConstantExpr>(axis.in);
    auto out = dyn_cast<AffineConstantExpr>(axis.out);
    if (!in || !out || in.getValue() < 1)
      return node.error() << "expected known sizes with "
                             "keep_aspect_ratio_policy, got "
                          << sizeText(lowering, axis.in);
    double each = double(out.getValue()) / double(in.getValue());
    common = !common                         ? each
             : resize.policy == "not_larger" ? std::min(*common, each)
                                             : std::max(*common, each);
  }
  for (ResizeAxis &axis : resize.axes) {
    axis.scale = float(*common);
    double in = cast<AffineConstantExpr>(axis.in).getValue();
    axis.out = lowering.constant(int64_t(std::floor(in * *common + 0.5)));
  }
  return success();
}

/// What constants say of the axes; the sizes are null where there are none.
static LogicalResult readNumbers(const Node &node, Lowering &lowering,
                                 Resize &resize) {
  std::optional<SmallVector<double>> scales;
  if (auto list = dyn_cast_or_null<DenseF32ArrayAttr>(node.attr("scales")))
    scales.emplace(list.asArrayRef().begin(), list.asArrayRef().end());
  else if (resize.scales)
    scales = lowering.constantFloats(resize.scales);
  if (scales) {
    if (scales->size() != resize.axes.size())
      return node.error() << "expected " << resize.axes.size()
                          << " scales, got " << scales->size();
    return useScales(node, lowering, resize, *scales);
  }
  if (!resize.sizes)
    return success();
  auto sizes = knownInts(lowering, resize.sizes);
  if (!sizes)
    return success();
  if (sizes->size() != resize.axes.size())
    return node.error() << "expected " << resize.axes.size() << " sizes, got "
                        << sizes->size();
  return useSizes(node, lowering, resize, *sizes);
}

static LogicalResult makeAxes(const Node &node, Lowering &lowering,
                              Resize &resize) {
  Tensor x = node.input(0);
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  auto dims = normalizeAxes(node, node.intsAttr("axes", all), x.rank());
  if (failed(dims))
    return failure();
  int64_t count = dims->size();
  for (auto [place, dim] : llvm::enumerate(*dims))
    resize.axes.push_back(
        {dim, x.shape[dim], AffineExpr(), int64_t(place), std::nullopt});
  for (auto [list, length] :
       {std::pair(&resize.scales, count), std::pair(&resize.sizes, count),
        std::pair(&resize.roi, 2 * count)})
    if (*list && (list->rank() != 1 || list->staticSize(0) != length))
      return node.error() << "expected " << length
                          << " elements of roi, scales or sizes, got "
                          << lowering.str(list->shape);
  if (failed(readNumbers(node, lowering, resize)))
    return failure();
  std::optional<Shape> declared = declaredShape(node);
  for (ResizeAxis &axis : resize.axes) {
    if (!axis.out && declared && int64_t(declared->size()) == x.rank())
      axis.out = (*declared)[axis.dim];
    if (!axis.out)
      return node.error() << "expected scales or sizes that are constant or "
                             "computed from shapes, for dimension "
                          << axis.dim << " of " << sizeText(lowering, axis.in);
    axis.out = canonicalSize(axis.out);
    if (!lowering.requireNonNegative(axis.out - 1) ||
        !lowering.requireNonNegative(axis.in - 1))
      return node.error() << "expected sizes of at least 1, got "
                          << sizeText(lowering, axis.in) << " to "
                          << sizeText(lowering, axis.out);
    auto in = dyn_cast<AffineConstantExpr>(axis.in);
    auto out = dyn_cast<AffineConstantExpr>(axis.out);
    if (resize.sizes && !axis.scale && resize.policy == "stretch" && in && out)
      axis.scale = float(out.getValue()) / float(in.getValue());
    if (int64_t taps = resize.taps(axis); taps < 1 || taps > kMaxTaps)
      return node.error() << "expected a known scale of 1/16 or more with "
                             "antialias, got "
                          << sizeText(lowering, axis.in) << " to "
                          << sizeText(lowering, axis.out);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Interpolation
//===----------------------------------------------------------------------===//

/// Each element as often as `counts` says of its dimensions.
static Tensor repeat(Lowering &lowering, const Tensor &x,
                     ArrayRef<int64_t> counts) {
  Shape split, joined;
  SmallVector<AffineExpr> read;
  for (auto [size, count] : llvm::zip_equal(x.shape, counts)) {
    read.push_back(lowering.b.getAffineDimExpr(split.size()));
    split.push_back(size);
    if (count != 1)
      split.push_back(lowering.constant(count));
    joined.push_back(canonicalSize(size * count));
  }
  Tensor parts = computeMapped(
      lowering, x, AffineMap::get(split.size(), 0, read, lowering.context()),
      split, x.dtype, [](Scalars &, ValueRange in) { return in[0]; });
  // Sizes that are products of each other always match.
  return *lowering.reshape(parts, joined);
}

/// The weighted sum, or the nearest element, along one dimension, as `result`.
static Tensor interpolate(Lowering &lowering, const Tensor &x,
                          const Resize &resize, const ResizeAxis &axis,
                          DType result) {
  int64_t taps = resize.taps(axis), rank = x.rank();
  bool isSum = resize.mode != "nearest";
  Shape shape = x.shape;
  shape[axis.dim] = axis.out;
  Tensor positions = resizeTaps(lowering, resize, axis);
  SmallVector<Tensor> operands(taps, positions);
  if (isSum)
    operands.append(taps, resizeWeights(lowering, resize, axis));
  SmallVector<AffineMap> maps;
  for (size_t i = 0; i < operands.size(); ++i)
    maps.push_back(AffineMap::get(
        rank, 0,
        {lowering.constant(i % taps), lowering.b.getAffineDimExpr(axis.dim)},
        lowering.context()));
  maps.push_back(lowering.b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  DType type = x.dtype == DType::Double || !isSum ? x.dtype : DType::Float;
  return lowering.generic(
      operands, maps, iterators, lowering.empty(shape, result), shape, result,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Scalars s(b, type), index(b, DType::Int64);
        SmallVector<Value> at;
        for (int64_t i = 0; i < rank; ++i)
          at.push_back(linalg::IndexOp::create(b, i));
        Value sum;
        for (int64_t t = 0; t < taps; ++t) {
          at[axis.dim] = arith::IndexCastOp::create(
              b, b.getIndexType(), index.max(in[t], index.constantInt(0)));
          Value element = Lowering::castScalar(
              b, tensor::ExtractOp::create(b, x.value, at), x.dtype, type);
          if (isSum)
            element = s.mul(element, Lowering::castScalar(b, in[taps + t],
                                                          DType::Float, type));
          sum = sum ? s.add(sum, element) : element;
        }
        Value element = Lowering::castScalar(b, sum, type, result);
        if (!resize.crops())
          return element;
        Value outside = Lowering::castScalar(
            b, Scalars(b, DType::Float).constant(resize.extrapolation),
            DType::Float, result);
        return Value(arith::SelectOp::create(
            b, index.lt(in[0], index.constantInt(0)), outside, element));
      });
}

static Results lowerResize(const Node &node, Lowering &lowering) {
  if (Support support = supportsResize(node); !support)
    return node.error() << support.reason();
  Tensor x = node.input(0);
  Resize resize = readResize(node);
  if (failed(makeAxes(node, lowering, resize)))
    return failure();
  x.ints.reset();
  llvm::erase_if(resize.axes, [&](const ResizeAxis &axis) {
    bool isSame =
        axis.in == axis.out && (axis.scale ? *axis.scale == 1 : !resize.scales);
    return isSame && !resize.crops();
  });
  // Rounding to the type of the result comes last.
  DType dtype = x.dtype, between = dtype;
  if (resize.mode != "nearest" && dtype != DType::Double)
    between = DType::Float;
  SmallVector<int64_t> counts(x.rank(), 1);
  for (const ResizeAxis &axis : resize.axes) {
    std::optional<int64_t> count = repeatCount(resize, axis);
    if (count)
      counts[axis.dim] = *count;
    else
      x = interpolate(lowering, x, resize, axis,
                      &axis == &resize.axes.back() ? dtype : between);
  }
  if (llvm::any_of(counts, [](int64_t count) { return count != 1; }))
    x = repeat(lowering, x, counts);
  return SmallVector<Tensor>{x};
}

void lutra::addResizeHandlers(Registry &r) {
  StringRef limits =
      "scales and sizes must be constant or computed from shapes";
  r.add({"",
         "Resize",
         {10, 11, 13, 18, 19},
         supportsResize,
         lowerResize,
         limits});
  r.add({"", "Upsample", {7, 9, 10}, supportsResize, lowerResize, limits});
}
