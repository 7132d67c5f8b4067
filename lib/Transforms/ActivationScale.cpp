//===- ActivationScale.cpp - Activations with a scale for all -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// With x taken for q = x / scale + zero, a product is
//
//   scale * (sum of q * w - zero * sum of w)
//
// of which the last sum is a constant. 0 has an integer of its own, which is
// what paddings of convolutions and channels that are left out become.
//
//===----------------------------------------------------------------------===//

#include "ActivationScale.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cfloat>

using namespace mlir;
using namespace mlir::lutra;

static constexpr int kLeast = -128, kMost = 127;
/// A zero point, which costs a sum for each output, is to make steps smaller
/// than those around 0 by this.
static constexpr double kGain = 0.9;
/// Ranges that are tried: each is smaller by an eighth root of 2.
static constexpr int kRanges = 32, kRangesPerHalf = 8;

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

/// For inputs of that range, which has 0.
static ActivationScale scaleOf(double low, double high) {
  double even = std::max(-low, high) / kMost,
         shifted = (high - low) / (kMost - kLeast);
  // What is divided by is to have an inverse.
  if (even < FLT_MIN)
    return {};
  if (shifted > kGain * even)
    return {float(even), 0};
  return {float(shifted), int32_t(std::nearbyint(kLeast - low / shifted))};
}

/// The sum of the squares of what the inputs of a channel exceed `limit` by.
/// The root of it is convex in the limit, so that a line between two that are
/// known is no less.
static double excess(const ChannelStatistics &inputs, size_t channel,
                     double limit) {
  double below = 0, above = inputs.largest[channel],
         atBelow = std::sqrt(inputs.squares[channel]), atAbove = 0;
  if (limit >= above)
    return 0;
  for (int64_t i = 0; i < kLimits && limitOf(i) < above; ++i) {
    double root = std::sqrt(inputs.excess[channel * kLimits + i]);
    if (limitOf(i) <= limit) {
      below = limitOf(i);
      atBelow = root;
    } else {
      above = limitOf(i);
      atAbove = root;
    }
  }
  double root =
      atBelow + (atAbove - atBelow) * (limit - below) / (above - below);
  return root * root;
}

/// The squared error of the inputs of a channel that are divided by `factor`,
/// rounded in steps of `scale` up to magnitudes of `limit`, and multiplied
/// again.
static double channelError(const ChannelStatistics &inputs, size_t channel,
                           double factor, double scale, double limit) {
  if (factor == 0)
    return 0;
  // A number is as likely to be anywhere within a step; small ones become 0.
  double step = scale * factor, inside = inputs.rows * step * step / 12;
  return std::min<double>(inside, inputs.squares[channel]) +
         excess(inputs, channel, limit * factor);
}

ActivationScale lutra::chooseActivationScale(const ChannelStatistics &inputs,
                                             ArrayRef<float> factors,
                                             bool leastSquares) {
  double low = 0, high = 0;
  for (auto [channel, factor] : llvm::enumerate(factors))
    if (factor != 0) {
      low = std::min<double>(low, inputs.least[channel] / factor);
      high = std::max<double>(high, inputs.greatest[channel] / factor);
    }
  ActivationScale best = scaleOf(low, high);
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; leastSquares && i < kRanges; ++i) {
    double limit =
               std::max(-low, high) * std::exp2(-double(i) / kRangesPerHalf),
           error = 0;
    ActivationScale tried =
        scaleOf(std::max(low, -limit), std::min(high, limit));
    for (auto [channel, factor] : llvm::enumerate(factors))
      error += channelError(inputs, channel, factor, tried.scale, limit);
    if (error < least) {
      least = error;
      best = tried;
    }
  }
  return best;
}

double lutra::roundingError(const ActivationScale &activation,
                            const ChannelStatistics &inputs,
                            const ColumnSizes &weights,
                            ArrayRef<float> factors) {
  double limit = activation.scale *
                 std::max(kMost - activation.zero, activation.zero - kLeast),
         error = 0, outputs = 0;
  for (auto [channel, factor] : llvm::enumerate(factors)) {
    outputs += double(inputs.squares[channel]) * weights.squares[channel];
    error += channelError(inputs, channel, factor, activation.scale, limit) *
             weights.squares[channel];
  }
  return outputs > 0 ? error / outputs : 0;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static Value
elementwise(ImplicitLocOpBuilder &b, ValueRange inputs,
            ArrayRef<AffineMap> maps, ArrayRef<OpFoldResult> sizes,
            Type element,
            function_ref<Value(ImplicitLocOpBuilder &, ValueRange)> body) {
  Value init = tensor::EmptyOp::create(b, sizes, element);
  SmallVector<AffineMap> all(maps);
  all.push_back(b.getMultiDimIdentityMap(sizes.size()));
  SmallVector<utils::IteratorType> kinds(sizes.size(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, init.getType(), inputs, init, all, kinds,
             [&](OpBuilder &inner, Location loc, ValueRange in) {
               ImplicitLocOpBuilder b(loc, inner);
               linalg::YieldOp::create(b, body(b, in));
             })
      .getResult(0);
}

static Value constant(ImplicitLocOpBuilder &b, float number) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(number));
}

Value lutra::rounded(ImplicitLocOpBuilder &b, Value x,
                     ArrayRef<OpFoldResult> sizes,
                     const ActivationScale &activation) {
  auto round = [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
    Value number =
        arith::MulFOp::create(b, in[0], constant(b, 1 / activation.scale));
    number = math::RoundEvenOp::create(b, number);
    if (activation.zero != 0)
      number = arith::AddFOp::create(b, number, constant(b, activation.zero));
    // Also takes a NaN, which must not be converted.
    number = arith::MaxNumFOp::create(b, number, constant(b, kLeast));
    number = arith::MinNumFOp::create(b, number, constant(b, kMost));
    return arith::FPToSIOp::create(b, b.getI8Type(), number);
  };
  return elementwise(b, x, b.getMultiDimIdentityMap(sizes.size()), sizes,
                     b.getI8Type(), round);
}

Value lutra::scaledBack(ImplicitLocOpBuilder &b, Value y, Value sums,
                        ArrayRef<OpFoldResult> sizes,
                        const ActivationScale &activation) {
  SmallVector<Value> inputs = {y};
  SmallVector<AffineMap> maps = {b.getMultiDimIdentityMap(2)};
  if (activation.zero != 0) {
    inputs.push_back(sums);
    maps.push_back(AffineMap::get(2, 0, b.getAffineDimExpr(1)));
  }
  auto scale = [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
    Value number = in[0];
    if (activation.zero != 0) {
      Value shift =
          arith::MulFOp::create(b, in[1], constant(b, activation.zero));
      number = arith::SubFOp::create(b, number, shift);
    }
    return arith::MulFOp::create(b, number, constant(b, activation.scale));
  };
  return elementwise(b, inputs, maps, sizes, b.getF32Type(), scale);
}
