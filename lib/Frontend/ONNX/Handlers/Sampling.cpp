//===- Sampling.cpp - GridSample, MaxUnpool -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements operators that read or write images at places that are data.
// Every element of a sampled image is computed by itself, from the neighbors of
// its place in all spatial dimensions.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "Elementwise.h"
#include "Loops.h"
#include "Window.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

//===----------------------------------------------------------------------===//
// GridSample
//===----------------------------------------------------------------------===//

namespace {
/// One neighbor of a place along one dimension: where it is read, its weight,
/// and whether it is inside of the image (null where it always is).
struct Neighbor {
  Value index, weight, inside;
};

struct SampleModes {
  StringRef mode, padding;
  bool alignCorners;
};

/// Emits the neighbors of a place along a dimension of `size` elements.
class Sampler {
public:
  Sampler(Scalars &s, Lowering &lowering, const SampleModes &modes,
          AffineExpr size)
      : s(s), modes(modes), size(sizeScalar(lowering, s, size)) {}

  /// `place` is in [-1, 1] inside of the image.
  SmallVector<Neighbor> neighbors(Value place);

private:
  Value c(double value) { return s.constant(value); }
  Value last() { return s.sub(size, c(1)); }
  Value low() { return c(modes.alignCorners ? 0 : -0.5); }
  Value high() { return s.add(last(), c(modes.alignCorners ? 0 : 0.5)); }
  Value denormalize(Value place);
  Value clamp(Value x) { return s.max(s.min(x, last()), c(0)); }
  Value reflect(Value x);
  Value pad(Value x) {
    return modes.padding == "border" ? clamp(x) : reflect(x);
  }
  Neighbor neighbor(Value tap, Value weight);

  Scalars &s;
  const SampleModes &modes;
  Value size;
};
} // namespace

Value Sampler::denormalize(Value place) {
  Value shifted = s.add(place, c(1));
  if (modes.alignCorners)
    return s.mul(s.mul(shifted, c(0.5)), last());
  return s.mul(s.sub(s.mul(shifted, size), c(1)), c(0.5));
}

/// A triangle wave between the borders.
Value Sampler::reflect(Value x) {
  Value range = s.sub(high(), low());
  // An aligned image of one element has no extent.
  Value period = s.max(s.mul(range, c(2)), c(1e-6));
  Value way = s.abs(s.sub(x, low()));
  Value turns = math::FloorOp::create(s.b, s.div(way, period));
  Value rest = s.sub(way, s.mul(turns, period));
  return s.add(low(), s.min(rest, s.sub(period, rest)));
}

Neighbor Sampler::neighbor(Value tap, Value weight) {
  Value inside;
  if (modes.padding == "zeros")
    inside = arith::AndIOp::create(s.b, s.ge(tap, c(0)), s.le(tap, last()));
  else if (modes.padding == "reflection")
    tap = reflect(tap);
  // What is NaN or far away is read from the border, with whatever weight.
  Value number = Lowering::castScalar(s.b, clamp(tap), s.dtype, DType::Int64);
  Scalars whole(s.b, DType::Int64);
  Value end = Lowering::castScalar(s.b, last(), s.dtype, DType::Int64);
  number = whole.max(whole.min(number, end), whole.constantInt(0));
  return {arith::IndexCastOp::create(s.b, s.b.getIndexType(), number), weight,
          inside};
}

SmallVector<Neighbor> Sampler::neighbors(Value place) {
  Value x = denormalize(place);
  if (modes.mode == "nearest")
    x = math::RoundEvenOp::create(s.b, x);
  // A cubic looks at each neighbor by itself.
  if (modes.padding != "zeros" && modes.mode != "cubic") {
    Value outside = arith::OrIOp::create(s.b, s.lt(x, low()), s.gt(x, high()));
    x = s.select(outside, pad(x), x);
  }
  if (modes.mode == "nearest")
    return {neighbor(x, Value())};
  Value floor = math::FloorOp::create(s.b, x), t = s.sub(x, floor);
  if (modes.mode == "linear")
    return {neighbor(floor, s.sub(c(1), t)), neighbor(s.add(floor, c(1)), t)};
  constexpr double a = -0.75;
  auto cubic = [&](Value d, double c3, double c2, double c1, double c0) {
    Value sum = s.add(s.mul(c(c3), d), c(c2));
    return s.add(s.mul(s.add(s.mul(sum, d), c(c1)), d), c(c0));
  };
  SmallVector<Neighbor> result;
  for (int i = -1; i < 3; ++i) {
    Value d = i <= 0 ? s.add(t, c(-i)) : s.sub(c(i), t);
    Value weight = i == 0 || i == 1 ? cubic(d, a + 2, -a - 3, 0, 1)
                                    : cubic(d, a, -5 * a, 8 * a, -4 * a);
    result.push_back(neighbor(s.add(floor, c(i)), weight));
  }
  return result;
}

static SampleModes sampleModes(const Node &node) {
  StringRef mode =
      node.stringAttr("mode", node.sinceVersion < 20 ? "bilinear" : "linear");
  mode.consume_front("bi");
  return {mode, node.stringAttr("padding_mode", "zeros"),
          node.intAttr("align_corners", 0) != 0};
}

static Support supportsGridSample(const Node &node) {
  if (node.numInputs() != 2)
    return Support::no("expected 2 inputs, got " + Twine(node.numInputs()));
  SampleModes modes = sampleModes(node);
  if (!llvm::is_contained({"linear", "nearest", "cubic"}, modes.mode))
    return Support::no("expected mode linear, nearest or cubic, got " +
                       modes.mode);
  if (!llvm::is_contained({"zeros", "border", "reflection"}, modes.padding))
    return Support::no("expected padding_mode zeros, border or reflection, "
                       "got " +
                       modes.padding);
  auto rank = knownRank(node.input(0));
  if (rank && (*rank < 3 || *rank > 5))
    return Support::no("expected an input of rank 3 to 5, got rank " +
                       Twine(*rank));
  return Support::yes();
}

/// Reads the product of all neighbors, the last dimension innermost.
static Value sample(Scalars &s, const Tensor &x,
                    ArrayRef<SmallVector<Neighbor>> neighbors,
                    SmallVector<Value> &at, Value weight, Value inside) {
  unsigned done = at.size() - 2;
  if (done == neighbors.size()) {
    Value element = Lowering::castScalar(
        s.b, tensor::ExtractOp::create(s.b, x.value, at), x.dtype, s.dtype);
    if (inside)
      element = s.select(inside, element, s.constantInt(0));
    return weight ? s.mul(weight, element) : element;
  }
  Value sum;
  for (const Neighbor &each : neighbors[done]) {
    at.push_back(each.index);
    Value product = weight && each.weight ? s.mul(weight, each.weight)
                    : each.weight         ? each.weight
                                          : weight;
    Value all = inside && each.inside
                    ? Value(arith::AndIOp::create(s.b, inside, each.inside))
                : each.inside ? each.inside
                              : inside;
    Value part = sample(s, x, neighbors, at, product, all);
    sum = sum ? s.add(sum, part) : part;
    at.pop_back();
  }
  return sum;
}

static Results lowerGridSample(const Node &node, Lowering &lowering) {
  if (Support support = supportsGridSample(node); !support)
    return node.error() << support.reason();
  Tensor x = node.input(0), grid = node.input(1);
  SampleModes modes = sampleModes(node);
  int64_t rank = x.rank(), spatial = rank - 2;
  bool isNumber = isFloat(x.dtype) || modes.mode == "nearest";
  if (rank < 3 || rank > 5 || grid.rank() != rank ||
      grid.shape[0] != x.shape[0] || grid.staticSize(rank - 1) != spatial ||
      !isFloat(grid.dtype) || !isNumber)
    return node.error() << "expected an image of floats and a grid of "
                        << "positions in it, got " << lowering.str(x.shape)
                        << " and " << lowering.str(grid.shape);
  Shape shape = {x.shape[0], x.shape[1]};
  shape.append(grid.shape.begin() + 1, grid.shape.end() - 1);
  for (int64_t d = 2; d < rank; ++d)
    if (!lowering.requireNonNegative(x.shape[d] - 1))
      return node.error() << "expected an image with elements, got "
                          << lowering.str(x.shape);
  SmallVector<Tensor> operands(spatial, grid);
  SmallVector<AffineMap> maps;
  for (int64_t i = 0; i < spatial; ++i) {
    SmallVector<AffineExpr> read = {lowering.b.getAffineDimExpr(0)};
    for (int64_t d = 2; d < rank; ++d)
      read.push_back(lowering.b.getAffineDimExpr(d));
    // Positions name the last dimension first.
    read.push_back(lowering.constant(spatial - 1 - i));
    maps.push_back(AffineMap::get(rank, 0, read, lowering.context()));
  }
  maps.push_back(lowering.b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  DType type = x.dtype == DType::Double ? DType::Double : DType::Float;
  return SmallVector<Tensor>{lowering.generic(
      operands, maps, iterators, lowering.empty(shape, x.dtype), shape, x.dtype,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Scalars s(b, type);
        // What is read without weights keeps its type.
        Scalars elements(b,
                         modes.mode == "nearest" ? computeType(x.dtype) : type);
        SmallVector<SmallVector<Neighbor>> neighbors;
        for (int64_t i = 0; i < spatial; ++i)
          neighbors.push_back(
              Sampler(s, lowering, modes, x.shape[i + 2])
                  .neighbors(Lowering::castScalar(b, in[i], grid.dtype, type)));
        SmallVector<Value> at = {linalg::IndexOp::create(b, 0),
                                 linalg::IndexOp::create(b, 1)};
        Value result = sample(elements, x, neighbors, at, Value(), Value());
        return Lowering::castScalar(b, result, elements.dtype, x.dtype);
      })};
}

//===----------------------------------------------------------------------===//
// MaxUnpool
//===----------------------------------------------------------------------===//

static Support supportsMaxUnpool(const Node &node) {
  if (node.numInputs() < 2 || node.numInputs() > 3)
    return Support::no("expected 2 or 3 inputs, got " +
                       Twine(node.numInputs()));
  if (node.intsAttr("kernel_shape").empty())
    return Support::no("expected kernel_shape, got none");
  auto rank = knownRank(node.input(0));
  if (Support window = checkWindow(
          node, rank ? std::optional<int64_t>(*rank - 2) : std::nullopt);
      !window)
    return window;
  return node.numInputs() == 3 ? supportsKnown(node, 2, "output_shape", true)
                               : Support::yes();
}

/// What MaxPool read, as far as its attributes say.
static FailureOr<Shape> unpooledShape(const Node &node, Lowering &lowering) {
  Tensor x = node.input(0);
  int64_t rank = x.rank() - 2;
  SmallVector<int64_t> kernel = node.intsAttr("kernel_shape"), ones(rank, 1),
                       zeros(2 * rank, 0);
  SmallVector<int64_t> strides = node.intsAttr("strides", ones),
                       pads = node.intsAttr("pads", zeros);
  Shape shape = {x.shape[0], x.shape[1]};
  for (int64_t i = 0; i < rank; ++i) {
    shape.push_back(canonicalSize((x.shape[i + 2] - 1) * strides[i] +
                                  kernel[i] - pads[i] - pads[rank + i]));
    if (!lowering.requireNonNegative(shape.back() - 1))
      return node.error() << "expected a result with elements, got "
                          << lowering.str(shape);
  }
  return shape;
}

static Results lowerMaxUnpool(const Node &node, Lowering &lowering) {
  if (Support support = supportsMaxUnpool(node); !support)
    return node.error() << support.reason();
  if (failed(requireRank(node, 0, 3)))
    return failure();
  Tensor x = node.input(0), indices = node.input(1);
  int64_t rank = x.rank();
  if (Support window = checkWindow(node, rank - 2); !window)
    return node.error() << window.reason();
  if (indices.shape != x.shape || indices.dtype != DType::Int64)
    return node.error() << "expected INT64 indices of shape "
                        << lowering.str(x.shape) << ", got "
                        << lowering.str(indices.shape);
  FailureOr<Shape> shape = unpooledShape(node, lowering);
  if (failed(shape))
    return failure();
  AffineExpr count = multiplySizes(*shape, lowering.context());
  if (!count || !lowering.requireNonNegative(count - 1))
    return node.error() << "expected a result with elements, got "
                        << lowering.str(*shape);
  SmallVector<Value> flat = loopInOrder(
      lowering, x.shape,
      lowering.filled(count, x.dtype, lowering.scalarInt(x.dtype, 0)),
      [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange tensors) {
        Value at = tensor::ExtractOp::create(b, indices.value, index);
        Value element = tensor::ExtractOp::create(b, x.value, index);
        Value place = position(lowering, b, at, indices.dtype, count);
        return SmallVector<Value>{
            tensor::InsertOp::create(b, element, tensors[0], place)};
      });
  FailureOr<Tensor> result =
      lowering.reshape(lowering.tensor(flat[0], count, x.dtype), *shape);
  if (failed(result))
    return failure();
  if (node.numInputs() == 2 || !node.input(2))
    return SmallVector<Tensor>{*result};
  std::optional<Shape> wanted = declaredShape(node);
  if (auto ints = knownInts(lowering, node.input(2)))
    wanted = Shape(ints->begin(), ints->end());
  SmallVector<AffineExpr> none(rank, lowering.constant(0)), high;
  for (int64_t i = 0; i < rank && wanted && int64_t(wanted->size()) == rank;
       ++i)
    high.push_back(canonicalSize((*wanted)[i] - (*shape)[i]));
  if (high.empty() || !llvm::all_of(high, [&](AffineExpr more) {
        return lowering.requireNonNegative(more);
      }))
    return node.error() << "expected output_shape to be at least "
                        << lowering.str(*shape);
  return SmallVector<Tensor>{
      lowering.pad(*result, none, high, lowering.scalarInt(x.dtype, 0))};
}

void lutra::addSamplingHandlers(Registry &r) {
  r.add({"", "GridSample", {16, 20, 22}, supportsGridSample, lowerGridSample});
  r.add({"",
         "MaxUnpool",
         {9, 11, 22},
         supportsMaxUnpool,
         lowerMaxUnpool,
         "output_shape must be constant or computed from shapes"});
}
