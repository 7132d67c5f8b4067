//===- ActivationScaleTest.cpp - Scales by what is known of inputs --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Against the errors of the inputs themselves.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/ActivationScale.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir;
using namespace mlir::lutra;

namespace {

struct ActivationScaleTest : testing::Test {
  /// Makes the statistics of rows that are drawn one after the other.
  void observe(int64_t rows, int64_t channels,
               llvm::function_ref<float(int64_t)> draw) {
    inputs = {};
    inputs.rows = rows;
    inputs.largest.resize(channels);
    inputs.squares.resize(channels);
    inputs.least.resize(channels);
    inputs.greatest.resize(channels);
    inputs.excess.resize(channels * kLimits);
    x.resize(rows * channels);
    for (int64_t i = 0; i < rows * channels; ++i) {
      int64_t k = i % channels;
      x[i] = draw(k);
      float magnitude = std::fabs(x[i]);
      inputs.largest[k] = std::max(inputs.largest[k], magnitude);
      inputs.least[k] = std::min(inputs.least[k], x[i]);
      inputs.greatest[k] = std::max(inputs.greatest[k], x[i]);
      inputs.squares[k] += x[i] * x[i];
      for (int64_t l = 0; l < kLimits; ++l) {
        float excess = std::max(magnitude - limitOf(l), 0.0f);
        inputs.excess[k * kLimits + l] += excess * excess;
      }
    }
  }

  /// The sum of squared errors of what is divided by factors, rounded and
  /// multiplied again.
  double error(const ActivationScale &activation, ArrayRef<float> factors) {
    double sum = 0;
    for (auto [i, number] : llvm::enumerate(x)) {
      float factor = factors[i % factors.size()];
      if (factor == 0)
        continue;
      double wanted = number / factor,
             code = std::nearbyint(wanted / activation.scale) + activation.zero;
      code = std::clamp(code, -128.0, 127.0) - activation.zero;
      sum += std::pow((wanted - code * activation.scale) * factor, 2);
    }
    return sum;
  }

  /// The least error of all ranges.
  double leastError(ActivationScale widest, ArrayRef<float> factors) {
    double least = error(widest, factors);
    for (int i = 0; i < 100; ++i) {
      widest.scale /= 1.03;
      least = std::min(least, error(widest, factors));
    }
    return least;
  }

  ChannelStatistics inputs;
  std::vector<float> x;
  std::mt19937 random{1};
};

} // namespace

TEST_F(ActivationScaleTest, LargestMagnitudeIsInRange) {
  std::normal_distribution<float> normal;
  observe(100, 4, [&](int64_t) { return normal(random); });
  float most = *std::max_element(inputs.largest.begin(), inputs.largest.end());
  ActivationScale even =
      chooseActivationScale(inputs, {1, 1, 1, 1}, /*leastSquares=*/false);
  EXPECT_FLOAT_EQ(even.scale, most / 127);
  EXPECT_EQ(even.zero, 0);
}

TEST_F(ActivationScaleTest, OneSideHasAllIntegers) {
  std::uniform_real_distribution<float> uniform(-0.5, 6);
  observe(100, 4, [&](int64_t) { return uniform(random); });
  ActivationScale shifted =
      chooseActivationScale(inputs, {1, 1, 1, 1}, /*leastSquares=*/false);
  EXPECT_NEAR(shifted.scale, 6.5 / 255, 0.01 * shifted.scale);
  EXPECT_EQ(shifted.zero, std::nearbyint(-128 + 0.5 / shifted.scale));
}

TEST_F(ActivationScaleTest, ClipsWhatIsRare) {
  // Of channels that differ, as they are and with factors that make them alike.
  std::normal_distribution<float> normal;
  observe(5000, 8, [&](int64_t k) { return (1 + k) * normal(random); });
  std::vector<float> ones(8, 1), alike = {1, 2, 3, 4, 5, 6, 7, 8};
  for (const std::vector<float> &factors : {ones, alike}) {
    ActivationScale widest =
        chooseActivationScale(inputs, factors, /*leastSquares=*/false);
    ActivationScale chosen =
        chooseActivationScale(inputs, factors, /*leastSquares=*/true);
    EXPECT_LE(chosen.scale, widest.scale);
    EXPECT_LT(error(chosen, factors), 1.1 * leastError(widest, factors));
  }
}

TEST_F(ActivationScaleTest, KeepsWhatMatters) {
  // One number in a thousand is large, and most of all squares.
  int64_t count = 0;
  std::normal_distribution<float> normal;
  observe(1000, 4, [&](int64_t) {
    return ++count % 1000 == 0 ? 300.0f : normal(random);
  });
  std::vector<float> ones(4, 1);
  ActivationScale chosen = chooseActivationScale(inputs, ones, true);
  EXPECT_GT(chosen.scale * 255, 280);
  EXPECT_LT(error(chosen, ones),
            1.05 *
                leastError(chooseActivationScale(inputs, ones, false), ones));
}

TEST_F(ActivationScaleTest, ChannelsThatStayDoNotCount) {
  std::normal_distribution<float> normal;
  observe(100, 3, [&](int64_t k) { return k == 1 ? 1000.0f : normal(random); });
  ActivationScale chosen = chooseActivationScale(inputs, {1, 0, 1}, false);
  EXPECT_FLOAT_EQ(chosen.scale,
                  std::max(inputs.largest[0], inputs.largest[2]) / 127);
}

TEST_F(ActivationScaleTest, NothingButZeros) {
  for (float number : {0.0f, 1e-42f}) {
    observe(3, 2, [&](int64_t) { return number; });
    ActivationScale chosen = chooseActivationScale(inputs, {1, 1}, true);
    EXPECT_EQ(chosen.scale, 1);
    EXPECT_EQ(chosen.zero, 0);
  }
}

TEST_F(ActivationScaleTest, TellsWhatRoundingCosts) {
  std::normal_distribution<float> normal;
  observe(2000, 4, [&](int64_t) { return normal(random); });
  std::vector<float> ones(4, 1);
  ColumnSizes weights;
  weights.largest = weights.squares = {1, 1, 1, 1};
  double squares = 0;
  for (float number : x)
    squares += number * number;
  for (float scale : {0.005f, 0.02f, 0.1f}) {
    ActivationScale activation = {scale, 0};
    double measured = error(activation, ones) / squares;
    EXPECT_NEAR(roundingError(activation, inputs, weights, ones), measured,
                0.4 * measured);
  }
}
