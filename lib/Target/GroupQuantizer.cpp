//===- GroupQuantizer.cpp - Weights of a group as codes -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scales are first such that the largest weight is exact. The sum of squared
// errors is then looked at for a few scales around that, since a smaller one
// clips few weights and is closer to many, and last for the scale that fits the
// best one's codes.
//
//===----------------------------------------------------------------------===//

#include "GroupQuantizer.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

// A fused multiply-add would make codes depend on the machine.
#pragma STDC FP_CONTRACT OFF

using namespace mlir;
using namespace mlir::lutra;

/// OCP's E4M3.
static constexpr float kMostE4M3 = 448, kLeastE4M3 = 0x1p-9f;
/// Scales to look at, each the one before times the ratio.
static constexpr float kFirstFactor = 1.1f, kRatio = 0.88f;
static constexpr int kFactors = 12, kRegressions = 3;

GroupQuantizer::GroupQuantizer(const WeightFormat &format, bool leastSquares)
    : format(format), leastSquares(leastSquares) {
  SmallVector<std::pair<float, unsigned>> sorted;
  for (auto [code, value] : llvm::enumerate(format.values))
    sorted.emplace_back(value, code);
  llvm::sort(sorted);
  for (auto [value, code] : sorted)
    if (values.empty() || values.back() != value) {
      values.push_back(value);
      codeOf.push_back(code);
    }
  for (size_t i = 1; i < values.size(); ++i)
    bounds.push_back((values[i - 1] + values[i]) / 2);
  bounds.resize(llvm::bit_ceil(values.size() + 1) - 1,
                std::numeric_limits<float>::infinity());
}

float GroupQuantizer::superScale(float largest) const {
  if (largest == 0)
    return 1;
  int exponent;
  std::frexp(largest / values.back() / kMostE4M3, &exponent);
  return std::ldexp(1.0f, exponent);
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

float GroupQuantizer::numberOf(unsigned code, unsigned zero) const {
  return format.values.empty() ? float(code) - float(zero)
                               : format.values[code];
}

/// The position among `values` of the one that is nearest.
unsigned GroupQuantizer::nearestValue(float number) const {
  unsigned position = 0;
  for (unsigned step = (bounds.size() + 1) / 2; step > 0; step /= 2)
    position += number > bounds[position + step - 1] ? step : 0;
  return position;
}

/// The integers nearest to numbers below 2^22, ties to even.
template <typename T>
static T roundToInteger(T number) {
  constexpr float kMagic = 0x1.8p23f;
  return (number + kMagic) - kMagic;
}

float lutra::toBF16(float number) {
  constexpr float kMost = 0x1.fep127f;
  number = std::clamp(number, -kMost, kMost);
  uint32_t bits = llvm::bit_cast<uint32_t>(number);
  bits += 0x7fff + (bits >> 16 & 1);
  return llvm::bit_cast<float>(bits & 0xffff0000u);
}

/// The scale that may be kept instead; 0 if it, or its inverse, is out of
/// range.
float GroupQuantizer::roundScale(float scale, float superScale) const {
  if (scale == 0)
    return 0;
  int exponent;
  float rounded;
  switch (format.scale) {
  case WeightScale::BF16:
    rounded = superScale == 0
                  ? toBF16(scale)
                  : roundToInteger(std::clamp(scale / superScale, -kMostScale,
                                              kMostScale)) *
                        superScale;
    break;
  case WeightScale::PowerOfTwo:
    // As OCP has it: the largest weight is at least the power of two that the
    // format's largest number begins with.
    std::frexp(scale * 2 * std::frexp(values.back(), &exponent), &exponent);
    rounded = std::ldexp(1.0f, exponent - 1);
    break;
  case WeightScale::E4M3: {
    float unit = superScale == 0 ? 1 : superScale,
          most = std::min(scale / unit, kMostE4M3);
    std::frexp(most, &exponent);
    float step = std::max(std::ldexp(1.0f, exponent - 4), kLeastE4M3);
    rounded = roundToInteger(most / step) * step * unit;
    break;
  }
  }
  float most = values.empty() ? float(format.zero.value_or(format.levels - 1))
                              : std::max(values.back(), -values.front());
  return std::isfinite(rounded * most) && std::isfinite(1 / rounded) ? rounded
                                                                     : 0;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// Numbers of a vector, which GCC and Clang compute with as with one, on any
/// machine.
using Lanes = float __attribute__((vector_size(16)));
static constexpr size_t kLanes = sizeof(Lanes) / sizeof(float);

static Lanes splat(float number) { return Lanes{} + number; }

/// The nearest of few numbers, `bounds` being halfway between them.
static Lanes nearestOfFew(Lanes number, ArrayRef<float> values,
                          ArrayRef<float> bounds) {
  Lanes nearest = splat(values.front());
  for (auto [value, bound] : llvm::zip(values.drop_front(), bounds))
    nearest = number > splat(bound) ? splat(value) : nearest;
  return nearest;
}

/// The next numbers from `at` on; behind the last are zeros.
static Lanes load(ArrayRef<float> numbers, size_t at) {
  Lanes lanes = {};
  std::memcpy(&lanes, &numbers[at],
              std::min(kLanes, numbers.size() - at) * sizeof(float));
  return lanes;
}

/// Adds up nearest(t) - t, squared, of the weights t in units of the scale,
/// times their importance.
template <typename Nearest>
static double sumSquares(ArrayRef<float> weights, ArrayRef<float> importance,
                         float inverse, Nearest nearest) {
  Lanes sums = {};
  for (size_t at = 0; at < weights.size(); at += kLanes) {
    // All formats have the number 0, without an error.
    Lanes numbers = load(weights, at) * inverse;
    Lanes errors = numbers - nearest(numbers);
    errors *= errors;
    sums += importance.empty() ? errors : errors * load(importance, at);
  }
  double sum = 0;
  for (size_t lane = 0; lane < kLanes; ++lane)
    sum += sums[lane];
  return sum;
}

double GroupQuantizer::squaredError(ArrayRef<float> weights,
                                    GroupParameters parameters,
                                    ArrayRef<float> importance) const {
  constexpr size_t kFew = 16;
  double units = double(parameters.scale) * parameters.scale;
  if (units == 0)
    return sumSquares(weights, importance, 1, [](Lanes) { return Lanes{}; });
  float inverse = 1 / parameters.scale;
  if (format.values.empty()) {
    Lanes low = splat(-float(parameters.zero)),
          high = low + float(format.levels - 1);
    return units * sumSquares(weights, importance, inverse, [&](Lanes number) {
             number = number > low ? number : low;
             return roundToInteger(number < high ? number : high);
           });
  }
  if (values.size() <= kFew)
    return units * sumSquares(weights, importance, inverse, [&](Lanes number) {
             return nearestOfFew(number, values, bounds);
           });
  return units * sumSquares(weights, importance, inverse, [&](Lanes number) {
           Lanes nearest;
           for (size_t lane = 0; lane < kLanes; ++lane)
             nearest[lane] = values[nearestValue(number[lane])];
           return nearest;
         });
}

void GroupQuantizer::encode(ArrayRef<float> weights, GroupParameters parameters,
                            uint8_t *codes) const {
  float inverse = parameters.scale == 0 ? 0 : 1 / parameters.scale;
  if (!format.values.empty()) {
    for (auto [i, weight] : llvm::enumerate(weights))
      codes[i] = codeOf[nearestValue(weight * inverse)];
    return;
  }
  float low = -float(parameters.zero), high = low + float(format.levels - 1);
  for (auto [i, weight] : llvm::enumerate(weights)) {
    float number = std::min(std::max(weight * inverse, low), high);
    codes[i] = uint8_t(roundToInteger(number) - low);
  }
}

float GroupQuantizer::decode(uint8_t code, GroupParameters parameters) const {
  return numberOf(code, parameters.zero) * parameters.scale;
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

/// Parameters with which the largest weight is exact, but for their rounding.
GroupParameters GroupQuantizer::fitLargest(Group group) const {
  ArrayRef<float> weights = group.weights;
  auto roundScale = [&](float scale) {
    return this->roundScale(scale, group.superScale);
  };
  float low = 0, high = 0;
  double sum = 0;
  for (float weight : weights) {
    low = std::min(low, weight);
    high = std::max(high, weight);
    sum += std::fabs(weight);
  }
  float largest = std::max(-low, high);
  if (!values.empty()) {
    // More numbers below 0 than above may be the other way around.
    if (-values.front() > values.back())
      return {roundScale((largest == high ? high : low) / values.front()), 0};
    return {
        roundScale(largest / (format.peak > 0 ? format.peak : values.back())),
        0};
  }
  if (format.zero) {
    unsigned zero = *format.zero;
    // What is nearest to few levels is most of all 0: BitNet's b1.58 has the
    // mean.
    if (format.levels == 3)
      return {roundScale(sum / std::max<size_t>(weights.size(), 1)),
              uint8_t(zero)};
    // There is one more number below 0 than above.
    return {roundScale((largest == high ? -high : -low) / zero), uint8_t(zero)};
  }
  float scale =
      roundScale(high / (format.levels - 1) - low / (format.levels - 1));
  float zero = scale == 0 ? 0 : roundToInteger(-low / scale);
  return {scale, uint8_t(std::min(zero, float(format.levels - 1)))};
}

struct GroupQuantizer::Candidate {
  GroupParameters parameters;
  double error;
};

void GroupQuantizer::consider(Group group, GroupParameters parameters,
                              Candidate &best) const {
  if (parameters.scale == 0)
    return;
  double error = squaredError(group.weights, parameters, group.importance);
  if (error < best.error)
    best = {parameters, error};
}

/// The parameters for which the codes of `parameters` have the least error.
GroupParameters GroupQuantizer::regress(Group group,
                                        GroupParameters parameters) const {
  std::vector<uint8_t> codes(group.weights.size());
  encode(group.weights, parameters, codes.data());
  // With zero points, weights are a line over codes, else over numbers through
  // the origin.
  bool isLine = format.hasZeros();
  double count = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (auto [i, weight] : llvm::enumerate(group.weights)) {
    double number = numberOf(codes[i], isLine ? 0 : parameters.zero);
    double counts = group.importance.empty() ? 1 : group.importance[i];
    count += counts;
    x += counts * number;
    y += counts * weight;
    xx += counts * number * number;
    xy += counts * number * weight;
  }
  if (!isLine)
    return {roundScale(xx > 0 ? xy / xx : 0, group.superScale),
            parameters.zero};
  double variance = xx * count - x * x;
  if (!(variance > 0))
    return parameters;
  float scale = roundScale((xy * count - x * y) / variance, group.superScale);
  if (scale == 0)
    return parameters;
  double zero = (x - y / scale) / count;
  return {scale, uint8_t(std::clamp(std::nearbyint(zero), 0.0,
                                    double(format.levels - 1)))};
}

GroupParameters GroupQuantizer::fit(ArrayRef<float> weights,
                                    ArrayRef<float> importance,
                                    float superScale) const {
  Group group = {weights, importance, superScale};
  GroupParameters result =
      leastSquares ? fitLeastSquares(group) : fitLargest(group);
  result.superScale = superScale;
  return result;
}

GroupParameters GroupQuantizer::fitLeastSquares(Group group) const {
  GroupParameters largest = fitLargest(group);
  if (largest.scale == 0)
    return largest;
  Candidate best = {largest,
                    squaredError(group.weights, largest, group.importance)};
  // Numbers that are not the same below 0 as above may be the other way around.
  bool hasSides = values.empty() ? format.zero && format.levels % 2 == 0
                                 : values.front() != -values.back();
  // A mean, and a power of two, may be half of what is best.
  bool isHalf = format.levels == 3 || format.scale == WeightScale::PowerOfTwo;
  float factor = isHalf ? 2 * kFirstFactor : kFirstFactor;
  float last = 0;
  for (int i = 0; i < kFactors && best.error > 0; ++i, factor *= kRatio) {
    float scale = roundScale(largest.scale * factor, group.superScale);
    if (scale == last)
      continue;
    last = scale;
    consider(group, {scale, largest.zero}, best);
    if (hasSides)
      consider(group, {-scale, largest.zero}, best);
  }
  for (int i = 0; i < kRegressions && best.error > 0; ++i) {
    double before = best.error;
    consider(group, regress(group, best.parameters), best);
    if (best.error == before)
      break;
  }
  return best.parameters;
}
