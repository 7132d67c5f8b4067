//===- Sample.cpp - Choose the next token ---------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Sample.h"
#include "Failure.h"

#include <algorithm>
#include <cmath>

using namespace lutra::run;

int32_t Sampler::choose(const std::vector<float> &logits) {
  int32_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]) && (best < 0 || logits[i] > logits[best]))
      best = static_cast<int32_t>(i);
  if (best < 0)
    throw Failure(Exit::Invalid, "output 'logits': expected a number, got " +
                                     std::to_string(logits.size()) + " NaN");
  return temperature > 0 && std::isfinite(logits[best]) ? draw(logits, best)
                                                        : best;
}

int32_t Sampler::draw(const std::vector<float> &logits, int32_t best) {
  std::vector<int32_t> places;
  for (size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]))
      places.push_back(static_cast<int32_t>(i));
  if (topK && topK < static_cast<int64_t>(places.size())) {
    auto likelier = [&](int32_t a, int32_t b) {
      return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
    };
    std::nth_element(places.begin(), places.begin() + topK, places.end(),
                     likelier);
    places.resize(topK);
    std::sort(places.begin(), places.end());
  }
  double total = 0;
  std::vector<double> sums;
  for (int32_t place : places) {
    double distance = static_cast<double>(logits[place]) - logits[best];
    sums.push_back(total += std::exp(distance / temperature));
  }
  // std::uniform_real_distribution differs between libraries.
  double point = static_cast<double>(random() >> 11) * 0x1p-53 * total;
  auto chosen = std::upper_bound(sums.begin(), sums.end(), point);
  return chosen == sums.end() ? best : places[chosen - sums.begin()];
}
