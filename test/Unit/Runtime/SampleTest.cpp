//===- SampleTest.cpp - Choosing the next token -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Sample.h"
#include "Failure.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace lutra::run;

namespace {

/// How often each of three logits is chosen in 20000 draws.
std::vector<double> frequencies(const GenerateOptions &options,
                                const std::vector<float> &logits) {
  Sampler sampler(options);
  std::vector<double> counts(logits.size());
  for (int i = 0; i < 20000; ++i)
    counts[sampler.choose(logits)] += 1.0 / 20000;
  return counts;
}

TEST(SampleTest, GreedyTakesTheFirstOfTheLargest) {
  Sampler sampler{GenerateOptions()};
  EXPECT_EQ(sampler.choose({1, 3, NAN, 3, -INFINITY}), 1);
  EXPECT_EQ(sampler.choose({NAN, -INFINITY}), 1);
  EXPECT_THROW(sampler.choose({NAN, NAN}), Failure);
}

TEST(SampleTest, DrawsByProbability) {
  GenerateOptions options;
  options.temperature = 2;
  // Of weights 1 : 2 : 5.
  std::vector<float> logits = {0, 2 * std::log(2.0f), 2 * std::log(5.0f)};
  std::vector<double> got = frequencies(options, logits);
  EXPECT_NEAR(got[0], 0.125, 0.02);
  EXPECT_NEAR(got[1], 0.25, 0.02);
  EXPECT_NEAR(got[2], 0.625, 0.02);
  options.topK = 2;
  got = frequencies(options, logits);
  EXPECT_EQ(got[0], 0);
  EXPECT_NEAR(got[1], 2.0 / 7, 0.02);
}

TEST(SampleTest, SeedsRepeat) {
  GenerateOptions options;
  options.temperature = 1;
  std::vector<float> logits(50, 1.0f);
  auto draws = [&] {
    Sampler sampler(options);
    std::vector<int32_t> all;
    for (int i = 0; i < 20; ++i)
      all.push_back(sampler.choose(logits));
    return all;
  };
  std::vector<int32_t> first = draws();
  EXPECT_EQ(draws(), first);
  options.seed = 1;
  EXPECT_NE(draws(), first);
}

TEST(SampleTest, InfiniteLogits) {
  GenerateOptions options;
  options.temperature = 1;
  Sampler sampler(options);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(sampler.choose({0, INFINITY, 5}), 1);
    EXPECT_EQ(sampler.choose({-INFINITY, NAN, 5}), 2);
  }
}

} // namespace
