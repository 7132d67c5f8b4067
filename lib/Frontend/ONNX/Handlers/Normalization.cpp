//===- Normalization.cpp - BatchNorm, InstanceNorm, GroupNorm, LRN, ... ---===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Normalizations over statistics, given or computed. Statistics are in f32, or
// f64 for f64 tensors; the variance is that of the centered elements, so that a
// large mean does not cancel.
//
//===----------------------------------------------------------------------===//

#include "Normalization.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

SmallVector<int64_t> lutra::axesFrom(int64_t first, int64_t rank) {
  return llvm::to_vector(llvm::seq<int64_t>(first, rank));
}

Value lutra::asType(Scalars &s, Value value, const Tensor &from) {
  return Lowering::castScalar(s.b, value, computeType(from.dtype), s.dtype);
}

Tensor lutra::meanOf(Lowering &lowering, const Tensor &x,
                     ArrayRef<int64_t> axes, DType type, BodyRef map) {
  Tensor sum = accumulate(lowering, x, axes, Monoid::Sum, type, map);
  AffineExpr count = countOf(lowering, x, axes);
  return *compute(lowering, sum, type, [&](Scalars &s, ValueRange v) {
    return s.div(v[0], sizeScalar(lowering, s, count));
  });
}

Tensor lutra::centered(Lowering &lowering, const Tensor &x, const Tensor &mean,
                       ArrayRef<int64_t> axes) {
  int64_t rank = x.rank();
  AffineMap maps[] = {lowering.b.getMultiDimIdentityMap(rank),
                      selectDims(lowering, rank, otherAxes(rank, axes))};
  return computeMapped(lowering, {x, mean}, maps, x.shape, mean.dtype,
                       [&](Scalars &s, ValueRange v) {
                         Scalars f(s.b, mean.dtype);
                         return f.sub(asType(f, v[0], x), v[1]);
                       });
}

Value lutra::squareOf(Scalars &s, ValueRange v) { return s.mul(v[0], v[0]); }

Tensor lutra::inverseDeviation(Lowering &lowering, const Tensor &variance,
                               double epsilon) {
  return *compute(lowering, variance, variance.dtype,
                  [&](Scalars &s, ValueRange v) {
                    Value sum = s.add(v[0], s.constant(epsilon));
                    return s.div(s.constant(1), s.sqrt(sum));
                  });
}

//===----------------------------------------------------------------------===//
// Given statistics
//===----------------------------------------------------------------------===//

static Support supportsBatchNorm(const Node &node) {
  if (node.numInputs() != 5)
    return Support::no("expected five inputs");
  if (node.intAttr("training_mode", 0))
    return Support::no("training mode not implemented");
  if (node.sinceVersion < 9 && !node.intAttr("spatial", 1))
    return Support::no("spatial = 0 not implemented");
  for (unsigned i = 1; i < node.numOutputs(); ++i)
    if (node.usesOutput(i))
      return Support::no("outputs of training not implemented");
  for (const Tensor &input : node.inputs())
    if (input.dtype != DType::Undefined && !isFloat(input.dtype))
      return Support::no("expected floats, got " + dtypeName(input.dtype));
  return Support::yes();
}

/// y = x * a + c, with a = scale / sqrt(variance + epsilon) and c = bias - mean
/// * a per channel.
static Results lowerBatchNorm(const Node &node, Lowering &lowering) {
  if (Support support = supportsBatchNorm(node); !support)
    return node.error() << support.reason();
  Tensor x = node.input(0), scale = node.input(1), bias = node.input(2),
         mean = node.input(3), variance = node.input(4);
  DType type = computeType(x.dtype);
  double epsilon = node.floatAttr("epsilon", 1e-5);
  auto factor =
      compute(lowering, {scale, variance}, type, [&](Scalars &s, ValueRange v) {
        Scalars f(s.b, type);
        Value sum = f.add(asType(f, v[1], variance), f.constant(epsilon));
        return f.div(asType(f, v[0], scale), f.sqrt(sum));
      });
  if (failed(factor))
    return failure();
  auto offset = compute(lowering, {*factor, bias, mean}, type,
                        [&](Scalars &s, ValueRange v) {
                          Value shift = s.mul(asType(s, v[2], mean), v[0]);
                          return s.sub(asType(s, v[1], bias), shift);
                        });
  if (failed(offset))
    return failure();
  int64_t rank = x.rank();
  // A tensor of one dimension has one channel.
  AffineMap whole = lowering.b.getMultiDimIdentityMap(rank);
  AffineMap channel = rank > 1 ? selectDims(lowering, rank, {1})
                               : AffineMap::get(rank, 0, lowering.constant(0));
  if (factor->rank() != 1 || (rank > 1 && factor->shape[0] != x.shape[1]))
    return node.error() << "expected one scale per channel of "
                        << lowering.str(x.shape) << ", got "
                        << lowering.str(factor->shape);
  return SmallVector<Tensor>{computeMapped(
      lowering, {x, *factor, *offset}, {whole, channel, channel}, x.shape,
      x.dtype,
      [](Scalars &s, ValueRange v) { return s.add(s.mul(v[0], v[1]), v[2]); })};
}

//===----------------------------------------------------------------------===//
// Statistics of groups of channels
//===----------------------------------------------------------------------===//

/// Normalizes over the spatial dimensions and, in groups of `perGroup`, over
/// the channels; `scale` and `bias` are per channel.
static Results lowerGroups(const Node &node, Lowering &lowering,
                           const Tensor &grouped, int64_t perGroup) {
  Tensor x = node.input(0), scale = node.input(1), bias = node.input(2);
  DType type = computeType(x.dtype);
  SmallVector<int64_t> axes = axesFrom(2, grouped.rank());
  Tensor mean = meanOf(lowering, grouped, axes, type);
  Tensor center = centered(lowering, grouped, mean, axes);
  Tensor variance = meanOf(lowering, center, axes, type, squareOf);
  Tensor inverse =
      inverseDeviation(lowering, variance, node.floatAttr("epsilon", 1e-5));
  int64_t rank = x.rank();
  AffineExpr n = lowering.b.getAffineDimExpr(0),
             c = lowering.b.getAffineDimExpr(1);
  AffineMap group =
      AffineMap::get(rank, 0, {n, c.floorDiv(perGroup)}, lowering.context());
  AffineMap channel = AffineMap::get(rank, 0, c);
  AffineMap maps[] = {lowering.b.getMultiDimIdentityMap(rank), group, group,
                      channel, channel};
  return SmallVector<Tensor>{
      computeMapped(lowering, {x, mean, inverse, scale, bias}, maps, x.shape,
                    x.dtype, [&](Scalars &s, ValueRange v) {
                      Value normalized = s.mul(s.sub(v[0], v[1]), v[2]);
                      return s.add(s.mul(normalized, asType(s, v[3], scale)),
                                   asType(s, v[4], bias));
                    })};
}

static LogicalResult checkChannels(const Node &node, Lowering &lowering) {
  Tensor x = node.input(0);
  if (x.rank() < 2)
    return node.error() << "expected at least two dimensions, got " << x.rank();
  for (unsigned i : {1, 2})
    if (node.input(i).rank() != 1 || node.input(i).shape[0] != x.shape[1])
      return node.error() << "expected one element per channel of "
                          << lowering.str(x.shape) << " in input " << i
                          << ", got " << lowering.str(node.input(i).shape);
  return success();
}

static Results lowerInstanceNorm(const Node &node, Lowering &lowering) {
  if (failed(checkChannels(node, lowering)))
    return failure();
  return lowerGroups(node, lowering, node.input(0), /*perGroup=*/1);
}

static Results lowerGroupNorm(const Node &node, Lowering &lowering) {
  if (failed(checkChannels(node, lowering)))
    return failure();
  Tensor x = node.input(0);
  int64_t channels = x.staticSize(1), groups = node.intAttr("num_groups", 0);
  if (channels < 1 || groups < 1 || channels % groups != 0)
    return node.error() << "expected num_groups to divide the channels of "
                        << lowering.str(x.shape) << ", got " << groups;
  Shape shape = {x.shape[0], lowering.constant(groups),
                 lowering.constant(channels / groups)};
  shape.append(x.shape.begin() + 2, x.shape.end());
  FailureOr<Tensor> grouped = lowering.reshape(x, shape);
  if (failed(grouped))
    return failure();
  return lowerGroups(node, lowering, *grouped, channels / groups);
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

/// x / |x|_p along an axis; a zero vector stays zero.
static Results lowerLpNorm(const Node &node, Lowering &lowering) {
  Tensor x = node.input(0);
  int64_t p = node.intAttr("p", 2), rank = x.rank();
  auto axis = normalizeAxis(node, node.intAttr("axis", -1), rank);
  if (failed(axis))
    return failure();
  if (p != 1 && p != 2)
    return node.error() << "expected p of 1 or 2, got " << p;
  DType type = computeType(x.dtype);
  Tensor sum = accumulate(lowering, x, *axis, Monoid::Sum, type,
                          [&](Scalars &s, ValueRange v) {
                            return p == 1 ? s.abs(v[0]) : s.mul(v[0], v[0]);
                          });
  AffineMap maps[] = {lowering.b.getMultiDimIdentityMap(rank),
                      selectDims(lowering, rank, otherAxes(rank, *axis))};
  return SmallVector<Tensor>{
      computeMapped(lowering, {x, sum}, maps, x.shape, x.dtype,
                    [&](Scalars &s, ValueRange v) {
                      Value norm = p == 1 ? v[1] : s.sqrt(v[1]);
                      Value isZero = s.eq(norm, s.constant(0));
                      return s.div(v[0], s.select(isZero, s.constant(1), norm));
                    })};
}

/// The sum of the squares of `size` channels around each.
static Tensor channelWindows(Lowering &lowering, const Tensor &x,
                             int64_t size) {
  int64_t rank = x.rank();
  Shape low(rank, lowering.constant(0)), high = low;
  low[1] = lowering.constant((size - 1) / 2);
  high[1] = lowering.constant(size / 2);
  DType type = computeType(x.dtype);
  Tensor padded = lowering.pad(x, low, high, lowering.scalar(x.dtype, 0));
  // The window's loop gets its size from a tensor that is not read.
  Tensor window = lowering.tensor(
      lowering.empty(lowering.constant(size), x.dtype), x.dtype);
  SmallVector<AffineExpr> read;
  for (int64_t i = 0; i < rank; ++i)
    read.push_back(lowering.b.getAffineDimExpr(i));
  read[1] = read[1] + lowering.b.getAffineDimExpr(rank);
  AffineMap maps[] = {
      AffineMap::get(rank + 1, 0, read, lowering.context()),
      AffineMap::get(rank + 1, 0, lowering.b.getAffineDimExpr(rank)),
      selectDims(lowering, rank + 1, axesFrom(0, rank))};
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  Value init = lowering.filled(x.shape, type, lowering.scalar(type, 0));
  return lowering.generic({padded, window}, maps, iterators, init, x.shape,
                          type, [&](ImplicitLocOpBuilder &b, ValueRange v) {
                            Scalars s(b, type);
                            Value element =
                                Lowering::castScalar(b, v[0], x.dtype, type);
                            return s.add(v[2], s.mul(element, element));
                          });
}

/// x / (bias + alpha / size * sum)^beta.
static Results lowerLRN(const Node &node, Lowering &lowering) {
  Tensor x = node.input(0);
  int64_t size = node.intAttr("size", 0);
  if (size < 1 || size > 4096 || x.rank() < 2)
    return node.error() << "expected at least two dimensions and a size from 1 "
                           "to 4096, got "
                        << x.rank() << " and " << size;
  Tensor sum = channelWindows(lowering, x, size);
  auto y = compute(lowering, {x, sum}, x.dtype, [&](Scalars &s, ValueRange v) {
    Value factor = s.constant(node.floatAttr("alpha", 1e-4) / size);
    Value base =
        s.add(s.constant(node.floatAttr("bias", 1)), s.mul(factor, v[1]));
    return s.div(v[0], s.pow(base, s.constant(node.floatAttr("beta", 0.75))));
  });
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{*y};
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

void lutra::addNormalizationHandlers(Registry &r) {
  r.add({"",
         "BatchNormalization",
         {7, 9, 14, 15},
         supportsBatchNorm,
         lowerBatchNorm,
         "training mode; spatial = 0"});
  addNorm<lowerInstanceNorm, 3>(r, "", "InstanceNormalization", {6, 22});
  addNorm<lowerGroupNorm, 3>(r, "", "GroupNormalization", {21});
  addNorm<lowerLpNorm, 1>(r, "", "LpNormalization", {1, 22});
  addNorm<lowerLRN, 1>(r, "", "LRN", {1, 13});
}
