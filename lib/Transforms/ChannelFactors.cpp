//===- ChannelFactors.cpp - What moves from inputs to weights -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChannelFactors.h"

#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

/// A channel that samples leave at 0 is one of them that is just smaller.
static constexpr double kLeast = 0.01;
/// At most one in so many channels is an outlier.
static constexpr size_t kChannelsPerOutlier = 8;

static double mean(ArrayRef<float> numbers) {
  double sum = std::accumulate(numbers.begin(), numbers.end(), 0.0);
  return numbers.empty() ? 0 : sum / numbers.size();
}

std::vector<float> lutra::smoothingFactors(ArrayRef<float> inputs,
                                           ArrayRef<float> weights,
                                           double alpha) {
  std::vector<float> factors(inputs.size(), 1);
  // Relative to their means, so that numbers stay of the size they are of.
  double ofInputs = mean(inputs), ofWeights = mean(weights);
  if (!(ofInputs > 0) || !(ofWeights > 0))
    return factors;
  for (auto [factor, input, weight] : llvm::zip_equal(factors, inputs, weights))
    factor = std::pow(std::max(input / ofInputs, kLeast), alpha) /
             std::pow(std::max(weight / ofWeights, kLeast), 1 - alpha);
  return factors;
}

bool lutra::markOutliers(std::vector<float> &factors, ArrayRef<float> inputs,
                         double threshold, size_t most, float mark) {
  std::vector<size_t> found;
  for (auto [channel, input] : llvm::enumerate(inputs))
    if (input >= threshold)
      found.push_back(channel);
  most = std::min(most, inputs.size() / kChannelsPerOutlier);
  llvm::sort(found, [&](size_t a, size_t b) {
    return std::pair(inputs[b], a) < std::pair(inputs[a], b);
  });
  found.resize(std::min(found.size(), most));
  for (size_t channel : found)
    factors[channel] = mark;
  return !found.empty();
}

double lutra::roundingError(const ChannelStatistics &inputs,
                            const ColumnSizes &weights, ArrayRef<float> factors,
                            int64_t size) {
  // A number is as likely to be anywhere within a step.
  constexpr double kSteps = 127, kVariance = 1.0 / 12;
  double error = 0, outputs = 0;
  for (size_t start = 0; start < factors.size(); start += size) {
    double largest = 0, sum = 0, squares = 0;
    size_t stop = std::min(factors.size(), start + size);
    for (size_t k = start; k < stop; ++k) {
      outputs += double(inputs.squares[k]) * weights.squares[k];
      double factor = factors[k];
      if (factor <= 0)
        continue;
      largest = std::max(largest, inputs.largest[k] / factor);
      sum += inputs.squares[k] / factor / factor;
      squares += factor * factor * weights.squares[k];
    }
    // The squares of the largest inputs of all rows are no more than either.
    double bound = std::min(inputs.rows * largest * largest, sum);
    error += kVariance * bound / (kSteps * kSteps) * squares;
  }
  return outputs > 0 ? error / outputs : 0;
}
