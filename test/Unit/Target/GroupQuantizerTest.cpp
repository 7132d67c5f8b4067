//===- GroupQuantizerTest.cpp - Weights of a group as codes ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each format against what it can hold exactly, against bounds of its error,
// and against the extremes of f32.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/GroupQuantizer.h"
#include "llvm/ADT/STLExtras.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::lutra;

namespace {

using Weights = std::vector<float>;

struct Quantized {
  GroupParameters parameters;
  std::vector<uint8_t> codes;
  Weights values;
};

float largestOf(const Weights &weights) {
  float largest = 0;
  for (float weight : weights)
    largest = std::max(largest, std::fabs(weight));
  return largest;
}

Quantized quantize(const WeightFormat &format, const Weights &weights,
                   bool leastSquares, float superScale = 0) {
  GroupQuantizer quantizer(format, leastSquares);
  if (format.scale == WeightScale::E4M3)
    superScale = quantizer.superScale(largestOf(weights));
  Quantized result = {quantizer.fit(weights, {}, superScale),
                      std::vector<uint8_t>(weights.size()),
                      {}};
  quantizer.encode(weights, result.parameters, result.codes.data());
  for (uint8_t code : result.codes) {
    EXPECT_LT(code, format.levels);
    result.values.push_back(quantizer.decode(code, result.parameters));
  }
  return result;
}

double squaredError(const Weights &weights, const Weights &values) {
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i)
    sum += std::pow(double(weights[i]) - values[i], 2);
  return sum;
}

/// sqrt(error / weights) over many groups of a normal distribution.
double relativeError(const WeightFormat &format, size_t group,
                     bool leastSquares) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  double error = 0, all = 0;
  for (int i = 0; i < 64; ++i) {
    Weights weights(group);
    for (float &weight : weights) {
      weight = 0.02f * normal(random);
      all += double(weight) * weight;
    }
    error +=
        squaredError(weights, quantize(format, weights, leastSquares).values);
  }
  return std::sqrt(error / all);
}

struct EachFormat : testing::TestWithParam<WeightFormat> {
  const WeightFormat &format() { return GetParam(); }
  /// What weights of a group may be to be exact, with the scale 1.
  Weights numbers() {
    if (!format().values.empty()) {
      // A code that is NaN holds a zero here.
      Weights values(format().values);
      if (format().peak > 0)
        llvm::erase_if(values, [&](float value) {
          return std::fabs(value) > format().peak;
        });
      return values;
    }
    Weights result;
    int zero = format().zero.value_or(format().levels / 3);
    for (int code = 0; code < int(format().levels); ++code)
      result.push_back(code - zero);
    return result;
  }
};

TEST_P(EachFormat, WhatItHoldsIsExact) {
  for (bool leastSquares : {false, true}) {
    // The mean that ternary weights start from is a scale of theirs only where
    // none is zero.
    if (format().levels == 3 && !leastSquares)
      continue;
    for (float scale : {1.0f, 0.125f, 0x1p-40f, 0x1p60f}) {
      Weights weights = numbers();
      for (float &weight : weights)
        weight *= scale;
      EXPECT_EQ(quantize(format(), weights, leastSquares).values, weights)
          << scale;
    }
  }
}

TEST_P(EachFormat, ZerosAreZeros) {
  for (bool leastSquares : {false, true})
    EXPECT_EQ(quantize(format(), Weights(7), leastSquares).values, Weights(7));
  // In a group of others, too.
  Weights weights = {0.3f, 0, -0.7f, 0, 0.11f};
  Quantized result = quantize(format(), weights, true);
  EXPECT_EQ(result.values[1], 0);
  EXPECT_EQ(result.values[3], 0);
}

TEST_P(EachFormat, ScalesAreKeptExactly) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 100; ++i) {
    Weights weights(16);
    for (float &weight : weights)
      weight = std::ldexp(normal(random), i - 50);
    float scale = quantize(format(), weights, true).parameters.scale;
    uint32_t bits;
    std::memcpy(&bits, &scale, 4);
    EXPECT_EQ(bits & 0xffff, 0u) << scale;
    if (format().scale != WeightScale::BF16)
      EXPECT_GT(scale, 0);
    int exponent;
    if (format().scale == WeightScale::PowerOfTwo)
      EXPECT_EQ(std::frexp(scale, &exponent), 0.5f);
    // One bit of E4M3 and three behind it.
    if (format().scale == WeightScale::E4M3)
      EXPECT_EQ(std::fmod(std::frexp(scale, &exponent) * 16, 1), 0);
  }
}

TEST_P(EachFormat, LeastSquaresAreNoWorse) {
  for (size_t group : {1, 5, 16, 32, 100, 1024})
    EXPECT_LE(relativeError(format(), group, true),
              relativeError(format(), group, false));
}

TEST_P(EachFormat, NoWeightIsFarFromItsCode) {
  // Even spacing is what min and max, or the largest and 0, leave between two
  // numbers; one side of a symmetric format has a number less.
  if (!format().values.empty() || format().levels == 3)
    return;
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Weights weights(33);
  for (float &weight : weights)
    weight = uniform(random);
  Quantized result = quantize(format(), weights, false);
  float step = std::fabs(result.parameters.scale);
  // Rounding the scale to 8 bits moves the largest number.
  float bound = (format().zero ? 1.0f : 0.5f) + format().levels * 0x1p-9f;
  for (size_t i = 0; i < weights.size(); ++i)
    EXPECT_LE(std::fabs(weights[i] - result.values[i]), bound * step);
}

TEST_P(EachFormat, ExtremesStayFinite) {
  for (bool leastSquares : {false, true})
    for (const Weights &weights :
         {Weights{3e38f, -1e38f, 0}, Weights{1e-38f, -1e-38f},
          Weights{1e-45f, 0}, Weights{3e38f, 1e-45f}, Weights{-3e38f},
          Weights{1e-45f}}) {
      Quantized result = quantize(format(), weights, leastSquares);
      for (float value : result.values)
        EXPECT_TRUE(std::isfinite(value)) << value;
    }
}

TEST_P(EachFormat, AgreesWithItsOwnError) {
  Weights weights = {0.5f, -0.3f, 0.21f, 0.7f, -0.9f, 0.01f, 1.5f, -2, 0.3f};
  GroupQuantizer quantizer(format(), true);
  GroupParameters parameters = quantize(format(), weights, true).parameters;
  double error = quantizer.squaredError(weights, parameters);
  EXPECT_NEAR(error,
              squaredError(weights, quantize(format(), weights, true).values),
              1e-6);
}

/// Those whose groups are quantized by themselves.
static std::vector<WeightFormat> formatsOfGroups() {
  std::vector<WeightFormat> formats(weightFormats());
  llvm::erase_if(formats, [](const WeightFormat &format) {
    return format.coding != WeightCoding::Numbers;
  });
  return formats;
}

INSTANTIATE_TEST_SUITE_P(Formats, EachFormat,
                         testing::ValuesIn(formatsOfGroups()),
                         [](const auto &info) {
                           return info.param.name.str();
                         });

//===----------------------------------------------------------------------===//
// What single formats promise
//===----------------------------------------------------------------------===//

TEST(GroupQuantizer, ErrorsOfNormalWeights) {
  // Within 3 % of what the literature has for these formats, and what this
  // code gave when it was written.
  std::pair<StringRef, double> bounds[] = {
      {"int8", 0.007}, {"int4", 0.095},   {"uint4", 0.085}, {"nf4", 0.095},
      {"fp4", 0.12},   {"mxfp4", 0.125},  {"nvfp4", 0.11},  {"int3", 0.19},
      {"int2", 0.40},  {"ternary", 0.46}, {"fp8", 0.027}};
  for (auto [name, bound] : bounds) {
    const WeightFormat &format = *findWeightFormat(name);
    EXPECT_LT(relativeError(format, 32, true), bound) << name.str();
  }
}

TEST(GroupQuantizer, MXFP4RoundsScalesDown) {
  // OCP: 2^(floor(log2(largest)) - 2), half of it for numbers twice as large.
  const WeightFormat &format = *findWeightFormat("mxfp4");
  EXPECT_EQ(quantize(format, {5.9f}, false).parameters.scale, 0.5f);
  EXPECT_EQ(quantize(format, {4.0f}, false).parameters.scale, 0.5f);
  EXPECT_EQ(quantize(format, {3.99f}, false).parameters.scale, 0.25f);
  EXPECT_EQ(quantize(format, {8.0f}, false).parameters.scale, 1);
}

TEST(GroupQuantizer, ScalesOfSuperBlocksAreIntegers) {
  Weights weights = {0.5f, -0.3f, 0.21f, 0.7f, -0.9f, 0.01f, 1.5f, -2, 0.3f};
  for (StringRef name : {"int4", "uint3", "nf4", "ternary", "int8"})
    for (bool leastSquares : {false, true})
      for (float superScale : {0.5f, 0.01f, 0.001f}) {
        GroupParameters parameters =
            quantize(*findWeightFormat(name), weights, leastSquares, superScale)
                .parameters;
        float integer = parameters.scale / superScale;
        EXPECT_EQ(integer, std::nearbyint(integer)) << name.str();
        EXPECT_LE(std::fabs(integer), kMostScale) << name.str();
        EXPECT_EQ(parameters.superScale, superScale);
      }
}

TEST(GroupQuantizer, FP8HasNoNaN) {
  const WeightFormat &format = *findWeightFormat("fp8");
  Quantized result = quantize(format, {448, -448, 1e-9f}, false);
  EXPECT_EQ(result.codes, (std::vector<uint8_t>{0x7e, 0xfe, 0}));
}

TEST(GroupQuantizer, SymmetricFormatsReachTheLargestOnEitherSide) {
  const WeightFormat &format = *findWeightFormat("int4");
  EXPECT_EQ(quantize(format, {8, -1}, false).values, (Weights{8, -1}));
  EXPECT_EQ(quantize(format, {-8, 1}, false).values, (Weights{-8, 1}));
}

} // namespace
