//===- InputMoments.cpp - What weights are multiplied with ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InputMoments.h"

#include "mlir/IR/Threading.h"
#include <cmath>
#include <numeric>

// A fused multiply-add would make results depend on the machine.
#pragma STDC FP_CONTRACT OFF

using namespace mlir;
using namespace mlir::lutra;

/// What the mean square of all inputs adds to that of each, as in GPTQ.
static constexpr float kDamping = 0.01f;

InputMoments::InputMoments(std::vector<float> moments, int64_t columns)
    : moments(std::move(moments)), columns(columns) {}

std::vector<float> InputMoments::importance(ArrayRef<float> factors) const {
  std::vector<float> result(columns);
  double sum = 0;
  int64_t count = 0;
  for (int64_t k = 0; k < columns; ++k) {
    float factor = factors.empty() ? 1 : factors[k];
    if (factor <= 0)
      continue;
    result[k] = moments[isMatrix() ? k * (columns + 1) : k] / factor / factor;
    sum += result[k];
    ++count;
  }
  float mean = sum / std::max<int64_t>(count, 1);
  if (!(mean > 0) || !std::isfinite(mean))
    return std::vector<float>(columns, 1);
  for (float &number : result)
    number = number / mean + kDamping;
  return result;
}

std::vector<float> InputMoments::scaled(ArrayRef<float> factors) const {
  std::vector<float> result = moments;
  if (factors.empty())
    return result;
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      float factor = factors[i] * factors[j];
      float &moment = result[i * columns + j];
      moment = factor == 0 ? 0 : moment / factor;
    }
  return result;
}

static float dot(ArrayRef<float> a, ArrayRef<float> b) {
  constexpr size_t kLanes = 16;
  float sums[kLanes] = {};
  size_t at = 0;
  for (; at + kLanes <= a.size(); at += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += a[at + lane] * b[at + lane];
  for (; at < a.size(); ++at)
    sums[0] += a[at] * b[at];
  return std::accumulate(sums, sums + kLanes, 0.0f);
}

double InputMoments::squaredOutputs(MLIRContext *context,
                                    ArrayRef<float> rows) const {
  // By columns, so that sums are the same on any number of threads.
  std::vector<double> parts(columns);
  parallelFor(context, 0, columns, [&](size_t k) {
    ArrayRef<float> own = ArrayRef(moments).slice(isMatrix() ? k * columns : k,
                                                  isMatrix() ? columns : 1);
    for (ArrayRef<float> rest = rows; !rest.empty();
         rest = rest.drop_front(columns)) {
      float weight = rest[k];
      parts[k] +=
          double(weight) *
          (isMatrix() ? dot(own, rest.take_front(columns)) : own[0] * weight);
    }
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}
