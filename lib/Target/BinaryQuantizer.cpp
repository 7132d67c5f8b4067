//===- BinaryQuantizer.cpp - Weights as sums of signed scales -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each plane is first the signs of what the planes before it leave, with their
// mean magnitude as its scale. Then codes that are nearest for the scales, and
// the scales of which the squared errors are least for the codes, are found in
// turns (alternating multi-bit quantization: Xu et al., 2018).
//
//===----------------------------------------------------------------------===//

#include "RowQuantizer.h"

#include "llvm/ADT/STLExtras.h"
#include <array>
#include <cmath>

// A fused multiply-add would make codes depend on the machine.
#pragma STDC FP_CONTRACT OFF

using namespace mlir;
using namespace mlir::lutra;

static constexpr int kRounds = 10;
static constexpr unsigned kMostPlanes = 4;

namespace {
class BinaryQuantizer : public RowQuantizer {
public:
  BinaryQuantizer(unsigned planes, int64_t size, bool leastSquares)
      : planes(planes), size(size), leastSquares(leastSquares) {}

  void fit(ArrayRef<float> weights,
           MutableArrayRef<GroupParameters> parameters) const override;
  void encode(ArrayRef<float> weights, ArrayRef<GroupParameters> parameters,
              uint8_t *codes) const override;
  void decode(const uint8_t *codes, ArrayRef<GroupParameters> parameters,
              MutableArrayRef<float> weights) const override;

private:
  using Scales = std::array<double, kMostPlanes>;

  /// Calls `body` with the first weight of each group, their number, and the
  /// first of the group's parameters.
  template <typename Body>
  void forEachGroup(int64_t columns, Body body) const {
    for (int64_t at = 0, plane = 0; at < columns; at += size, plane += planes)
      body(at, std::min(size, columns - at), plane);
  }
  Scales fitGroup(ArrayRef<float> weights) const;
  bool regress(ArrayRef<float> weights, ArrayRef<unsigned> signs,
               Scales &scales) const;
  unsigned nearest(double weight, const Scales &scales) const;

  unsigned planes;
  int64_t size;
  bool leastSquares;
};
} // namespace

static double signOf(unsigned signs, unsigned plane) {
  return signs >> plane & 1 ? 0.5 : -0.5;
}

/// The signs, a bit for each plane, that give the nearest sum.
unsigned BinaryQuantizer::nearest(double weight, const Scales &scales) const {
  unsigned best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (unsigned signs = 0; signs < 1u << planes; ++signs) {
    double error = weight;
    for (unsigned plane = 0; plane < planes; ++plane)
      error -= signOf(signs, plane) * scales[plane];
    if (std::fabs(error) < least) {
      least = std::fabs(error);
      best = signs;
    }
  }
  return best;
}

/// Makes `scales` those of which squared errors are least for the signs; false
/// where these are not independent. Solves the normal equations by elimination.
bool BinaryQuantizer::regress(ArrayRef<float> weights, ArrayRef<unsigned> signs,
                              Scales &scales) const {
  std::array<std::array<double, kMostPlanes + 1>, kMostPlanes> rows = {};
  for (auto [weight, sign] : llvm::zip_equal(weights, signs))
    for (unsigned i = 0; i < planes; ++i) {
      for (unsigned j = 0; j < planes; ++j)
        rows[i][j] += signOf(sign, i) * signOf(sign, j);
      rows[i][planes] += signOf(sign, i) * weight;
    }
  for (unsigned i = 0; i < planes; ++i) {
    // A Gram matrix needs no other pivots.
    if (rows[i][i] < 1e-6 * weights.size())
      return false;
    for (unsigned other = 0; other < planes; ++other) {
      if (other == i)
        continue;
      double factor = rows[other][i] / rows[i][i];
      for (unsigned j = i; j <= planes; ++j)
        rows[other][j] -= factor * rows[i][j];
    }
  }
  for (unsigned i = 0; i < planes; ++i)
    scales[i] = rows[i][planes] / rows[i][i];
  return true;
}

BinaryQuantizer::Scales
BinaryQuantizer::fitGroup(ArrayRef<float> weights) const {
  Scales scales = {};
  std::vector<double> rest(weights.begin(), weights.end());
  for (unsigned plane = 0; plane < planes; ++plane) {
    double sum = 0;
    for (double weight : rest)
      sum += std::fabs(weight);
    scales[plane] = 2 * sum / rest.size();
    for (double &weight : rest)
      weight -= std::copysign(scales[plane] / 2, weight);
  }
  std::vector<unsigned> signs(weights.size()), before;
  for (int round = 0; leastSquares && round < kRounds; ++round) {
    before = signs;
    for (auto [weight, sign] : llvm::zip_equal(weights, signs))
      sign = nearest(weight, scales);
    if ((round > 0 && signs == before) || !regress(weights, signs, scales))
      break;
  }
  return scales;
}

void BinaryQuantizer::fit(ArrayRef<float> weights,
                          MutableArrayRef<GroupParameters> parameters) const {
  forEachGroup(weights.size(), [&](int64_t at, int64_t count, int64_t first) {
    Scales scales = fitGroup(weights.slice(at, count));
    for (unsigned plane = 0; plane < planes; ++plane)
      parameters[first + plane].scale = toBF16(scales[plane]);
  });
}

void BinaryQuantizer::encode(ArrayRef<float> weights,
                             ArrayRef<GroupParameters> parameters,
                             uint8_t *codes) const {
  forEachGroup(weights.size(), [&](int64_t at, int64_t count, int64_t first) {
    Scales scales = {};
    for (unsigned plane = 0; plane < planes; ++plane)
      scales[plane] = parameters[first + plane].scale;
    for (int64_t i = 0; i < count; ++i) {
      unsigned signs = nearest(weights[at + i], scales);
      for (unsigned plane = 0; plane < planes; ++plane)
        codes[(first + plane) * size + i] = signs >> plane & 1;
    }
  });
}

void BinaryQuantizer::decode(const uint8_t *codes,
                             ArrayRef<GroupParameters> parameters,
                             MutableArrayRef<float> weights) const {
  forEachGroup(weights.size(), [&](int64_t at, int64_t count, int64_t first) {
    for (int64_t i = 0; i < count; ++i) {
      double sum = 0;
      for (unsigned plane = 0; plane < planes; ++plane)
        sum += (codes[(first + plane) * size + i] - 0.5) *
               parameters[first + plane].scale;
      weights[at + i] = sum;
    }
  });
}

std::unique_ptr<RowQuantizer>
lutra::createBinaryQuantizer(unsigned planes, int64_t size, bool leastSquares) {
  return std::make_unique<BinaryQuantizer>(planes, size, leastSquares);
}
