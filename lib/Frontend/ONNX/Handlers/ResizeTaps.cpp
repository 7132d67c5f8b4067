//===- ResizeTaps.cpp - The coordinates and weights of Resize -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Resizing is separable: along one dimension an element is the weighted sum of
// a few neighbors, which are the same for all others. The tables of both are as
// small as the output is long. Coordinates are computed in f32, as exporters
// expect, since floors of quotients depend on it.
//
//===----------------------------------------------------------------------===//

#include "Resize.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

int64_t Resize::taps(const ResizeAxis &axis) const {
  if (mode == "nearest")
    return 1;
  int64_t reach = mode == "cubic" ? 2 : 1;
  if (!antialias)
    return 2 * reach;
  if (!axis.scale)
    return 0;
  return 2 * static_cast<int64_t>(
                 std::ceil(reach / std::min(double(*axis.scale), 1.0)));
}

namespace {
/// Emits the coordinates of one axis inside of the body of an operation.
class Coordinates {
public:
  Coordinates(ImplicitLocOpBuilder &b, Lowering &lowering, const Resize &resize,
              const ResizeAxis &axis)
      : b(b), lowering(lowering), resize(resize), axis(axis),
        s(b, DType::Float) {}

  /// The place in the input that output `o`, an index, comes from.
  Value original(Value o);
  Value isOutside(Value x);
  /// The element that is nearest to `x`, as a whole number.
  Value nearest(Value x);
  /// The whole number at or before `x`, then that of tap `t` (an f32).
  Value tap(Value x, Value t);
  Value weight(Value x, Value tap);
  Value isInside(Value tap);
  Value clamp(Value tap);
  Value number(Value index);

  ImplicitLocOpBuilder &b;
  Lowering &lowering;
  const Resize &resize;
  const ResizeAxis &axis;
  Scalars s;

private:
  Value c(double value) { return s.constant(value); }
  Value size(AffineExpr size) { return sizeScalar(lowering, s, size); }
  Value element(const Tensor &list, int64_t place);
  Value ratio(const ResizeAxis &of);
  Value scale();
  Value stretched(Value o, Value from, Value to);
  Value filter(Value distance);
};
} // namespace

Value Coordinates::number(Value index) {
  return arith::SIToFPOp::create(
      b, s.type(), arith::IndexCastOp::create(b, b.getI64Type(), index));
}

Value Coordinates::element(const Tensor &list, int64_t place) {
  Value at = arith::ConstantIndexOp::create(b, place);
  Value value = tensor::ExtractOp::create(b, list.value, at);
  return Lowering::castScalar(b, value, list.dtype, DType::Float);
}

/// The size that was asked for over that of the input.
Value Coordinates::ratio(const ResizeAxis &of) {
  Value wanted = resize.policy == "stretch" ? size(of.out)
                                            : element(resize.sizes, of.place);
  return s.div(wanted, size(of.in));
}

Value Coordinates::scale() {
  if (axis.scale)
    return c(*axis.scale);
  if (resize.scales)
    return element(resize.scales, axis.place);
  if (resize.policy == "stretch")
    return ratio(axis);
  Value common;
  for (const ResizeAxis &other : resize.axes) {
    Value each = ratio(other);
    common = !common                         ? each
             : resize.policy == "not_larger" ? s.min(common, each)
                                             : s.max(common, each);
  }
  return common;
}

/// o in [0, out - 1] to `from` + o * (to - from) / (out - 1) elements.
Value Coordinates::stretched(Value o, Value from, Value to) {
  Value length = s.sub(size(axis.in), c(1)), last = s.sub(size(axis.out), c(1));
  Value step = s.div(s.mul(s.sub(to, from), length), last);
  Value spread = s.add(s.mul(from, length), s.mul(o, step));
  Value middle = s.mul(s.mul(c(0.5), s.add(from, to)), length);
  return s.select(s.gt(last, c(0)), spread, middle);
}

Value Coordinates::original(Value index) {
  Value o = number(index);
  StringRef kind = resize.coordinates;
  if (resize.crops())
    return stretched(
        o, element(resize.roi, axis.place),
        element(resize.roi, axis.place + resize.roi.staticSize(0) / 2));
  Value by = scale();
  if (kind == "align_corners") {
    // The output's length before it is rounded down to a whole number.
    Value last = s.sub(s.mul(by, size(axis.in)), c(1));
    Value x = s.div(s.mul(o, s.sub(size(axis.in), c(1))), last);
    return s.select(s.gt(size(axis.out), c(1)), x, c(0));
  }
  if (kind == "asymmetric")
    return s.div(o, by);
  Value center = s.div(s.add(o, c(0.5)), by);
  if (kind == "tf_half_pixel_for_nn")
    return center;
  if (kind == "half_pixel_symmetric") {
    Value length = size(axis.in);
    Value kept = s.div(size(axis.out), s.mul(by, length));
    Value cut = s.mul(s.mul(length, c(0.5)), s.sub(c(1), kept));
    return s.sub(s.add(cut, center), c(0.5));
  }
  Value x = s.sub(center, c(0.5));
  if (kind == "pytorch_half_pixel")
    return s.select(s.gt(size(axis.out), c(1)), x, c(0));
  return x;
}

Value Coordinates::isOutside(Value x) {
  return arith::OrIOp::create(b, s.lt(x, c(0)),
                              s.gt(x, s.sub(size(axis.in), c(1))));
}

Value Coordinates::nearest(Value x) {
  StringRef kind = resize.nearest;
  Value floor = math::FloorOp::create(b, x);
  if (kind == "floor")
    return floor;
  if (kind == "ceil")
    return math::CeilOp::create(b, x);
  // Before version 11.
  if (kind == "simple")
    return s.select(s.lt(scale(), c(1)), math::CeilOp::create(b, x), floor);
  // The rest is exact, which x + 0.5 is not.
  Value rest = s.sub(x, floor);
  Value rounded =
      kind == "round_prefer_ceil" ? s.ge(rest, c(0.5)) : s.gt(rest, c(0.5));
  return s.select(rounded, s.add(floor, c(1)), floor);
}

Value Coordinates::tap(Value x, Value t) {
  Value before = c(double(1 - resize.taps(axis) / 2));
  return s.add(s.add(math::FloorOp::create(b, x), before), t);
}

Value Coordinates::isInside(Value tap) {
  return arith::AndIOp::create(b, s.ge(tap, c(0)), s.lt(tap, size(axis.in)));
}

Value Coordinates::clamp(Value tap) {
  return s.max(s.min(tap, s.sub(size(axis.in), c(1))), c(0));
}

/// A triangle, or the cubic of Keys with the node's coefficient.
Value Coordinates::filter(Value distance) {
  Value d = s.abs(distance);
  if (resize.mode != "cubic")
    return s.max(s.sub(c(1), d), c(0));
  double a = resize.cubicA;
  auto polynomial = [&](double c3, double c2, double c1, double c0) {
    Value sum = s.add(s.mul(c(c3), d), c(c2));
    return s.add(s.mul(s.add(s.mul(sum, d), c(c1)), d), c(c0));
  };
  Value near = polynomial(a + 2, -a - 3, 0, 1);
  Value far = polynomial(a, -5 * a, 8 * a, -4 * a);
  return s.select(s.lt(d, c(1)), near, s.select(s.lt(d, c(2)), far, c(0)));
}

Value Coordinates::weight(Value x, Value tap) {
  Value distance = s.sub(tap, x);
  if (resize.antialias)
    distance = s.mul(distance, s.min(scale(), c(1)));
  Value weight = filter(distance);
  if (!resize.excludeOutside)
    return weight;
  return s.select(isInside(tap), weight, c(0));
}

/// A table over (tap, output).
static Tensor table(Lowering &lowering, const Resize &resize,
                    const ResizeAxis &axis, DType dtype,
                    function_ref<Value(Coordinates &, Value tap, Value o)> of) {
  Shape shape = {lowering.constant(resize.taps(axis)), axis.out};
  return lowering.generic(
      {}, lowering.b.getMultiDimIdentityMap(2),
      {utils::IteratorType::parallel, utils::IteratorType::parallel},
      lowering.empty(shape, dtype), shape, dtype,
      [&](ImplicitLocOpBuilder &b, ValueRange) {
        Coordinates at(b, lowering, resize, axis);
        return of(at, linalg::IndexOp::create(b, 0),
                  linalg::IndexOp::create(b, 1));
      });
}

Tensor lutra::resizeTaps(Lowering &lowering, const Resize &resize,
                         const ResizeAxis &axis) {
  return table(
      lowering, resize, axis, DType::Int64,
      [&](Coordinates &at, Value tap, Value o) {
        Value x = at.original(o);
        Value found = resize.mode == "nearest" ? at.nearest(x)
                                               : at.tap(x, at.number(tap));
        found = at.clamp(found);
        if (resize.crops())
          found = at.s.select(at.isOutside(x), at.s.constant(-1), found);
        return Lowering::castScalar(at.b, found, DType::Float, DType::Int64);
      });
}

Tensor lutra::resizeWeights(Lowering &lowering, const Resize &resize,
                            const ResizeAxis &axis) {
  return table(lowering, resize, axis, DType::Float,
               [&](Coordinates &at, Value tap, Value o) {
                 Value x = at.original(o);
                 Value weight = at.weight(x, at.tap(x, at.number(tap)));
                 if (!resize.antialias && !resize.excludeOutside)
                   return weight;
                 Value sum = at.s.constant(0);
                 for (int64_t t = 0; t < resize.taps(axis); ++t)
                   sum = at.s.add(
                       sum, at.weight(x, at.tap(x, at.s.constant(double(t)))));
                 return at.s.div(weight, sum);
               });
}

std::optional<int64_t> lutra::repeatCount(const Resize &resize,
                                          const ResizeAxis &axis) {
  constexpr int64_t kMost = 256;
  if (resize.mode != "nearest" || !axis.scale || *axis.scale < 1 ||
      *axis.scale > kMost || std::trunc(*axis.scale) != *axis.scale)
    return std::nullopt;
  int64_t count = static_cast<int64_t>(*axis.scale);
  if (axis.out != axis.in * count && count != 1)
    return std::nullopt;
  double shift = resize.coordinates == "asymmetric"   ? 0
                 : resize.coordinates == "half_pixel" ? 0.5
                                                      : -1;
  if (shift < 0)
    return std::nullopt;
  for (int64_t i = 0; i < count; ++i) {
    double x = (i + shift) / count - shift;
    StringRef kind = resize.nearest;
    double found = kind == "floor" || kind == "simple" ? std::floor(x)
                   : kind == "ceil"                    ? std::ceil(x)
                   : kind == "round_prefer_ceil"       ? std::floor(x + 0.5)
                                                       : std::ceil(x - 0.5);
    if (found != 0)
      return std::nullopt;
  }
  return count;
}
