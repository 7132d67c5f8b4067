//===- TrellisQuantizer.cpp - Weights as a path through a trellis ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Viterbi's algorithm: of all sequences of codes that end in the same state,
// the bits of a window that the next one keeps, only the best so far can be
// the beginning of the best one. Scales are those of normally distributed
// weights of the same mean square, then what fits the codes best.
//
//===----------------------------------------------------------------------===//

#include "RowQuantizer.h"

#include "dialects/Lutra/TrellisCode.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

// A fused multiply-add would make codes depend on the machine.
#pragma STDC FP_CONTRACT OFF

using namespace mlir;
using namespace mlir::lutra;

static constexpr unsigned kWindows = 1u << TrellisCode::kWindow;
/// The cost of what cannot be; sums of it are still floats.
static constexpr float kUnreachable = 1e30f;
/// Sequences of a row, whose codes take turns.
static constexpr int64_t kSequences = 4;
/// Numbers of a vector, which GCC and Clang compute with as with one, on any
/// machine.
static constexpr unsigned kLanes = 4;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using IntLanes = int32_t __attribute__((vector_size(kLanes * sizeof(float))));
using ByteLanes = uint8_t __attribute__((vector_size(kLanes)));

namespace {
class TrellisQuantizer : public RowQuantizer {
public:
  TrellisQuantizer(unsigned bits, int64_t size, bool leastSquares);

  void fit(ArrayRef<float> weights,
           MutableArrayRef<GroupParameters> parameters) const override;
  void encode(ArrayRef<float> weights, ArrayRef<GroupParameters> parameters,
              uint8_t *codes) const override;
  void decode(const uint8_t *codes, ArrayRef<GroupParameters> parameters,
              MutableArrayRef<float> weights) const override;

private:
  template <unsigned bits>
  void advance(float target, const float *costs, float *next,
               uint8_t *from) const;
  template <unsigned bits>
  void encodeSequence(ArrayRef<float> weights,
                      ArrayRef<GroupParameters> parameters, int64_t first,
                      uint8_t *codes) const;
  std::vector<float> numbersOf(const uint8_t *codes, int64_t count) const;

  unsigned bits;
  int64_t size;
  bool leastSquares;
  const TrellisCode &code;
  /// Of windows whose codes are in the order of time, the last one lowest.
  std::vector<float> numbers;
};
} // namespace

/// The window with codes the other way around.
static unsigned reversed(unsigned window, unsigned bits) {
  unsigned result = 0;
  for (unsigned at = 0; at < TrellisCode::kWindow; at += bits)
    result = result << bits | (window >> at & ((1u << bits) - 1));
  return result;
}

TrellisQuantizer::TrellisQuantizer(unsigned bits, int64_t size,
                                   bool leastSquares)
    : bits(bits), size(size), leastSquares(leastSquares),
      code(*findTrellisCode(bits)) {
  for (unsigned window = 0; window < kWindows; ++window)
    numbers.push_back(code.number(reversed(window, bits)));
}

/// Goes on by a code for the number `target`: from the costs of states to those
/// of the next ones, and the code that each has forgotten of the state before
/// it. A window is the code that is forgotten next, those that stay, and the
/// new one. While costs are compared, that code is in their lowest bits.
template <unsigned bits>
void TrellisQuantizer::advance(float target, const float *costs, float *next,
                               uint8_t *from) const {
  constexpr unsigned kChoices = 1u << bits,
                     kStay = kWindows / kChoices / kChoices;
  for (unsigned stay = 0; stay < kStay; ++stay)
    for (unsigned last = 0; last < kChoices; last += kLanes) {
      Lanes least = Lanes{} + 2 * kUnreachable;
      for (unsigned first = 0; first < kChoices; ++first) {
        unsigned state = first * kStay + stay;
        Lanes error;
        std::memcpy(&error, &numbers[state * kChoices + last], sizeof(error));
        error -= target;
        IntLanes cost = IntLanes(error * error + costs[state]);
        Lanes tagged = Lanes((cost & ~int32_t(kChoices - 1)) | int32_t(first));
        least = tagged < least ? tagged : least;
      }
      unsigned state = stay * kChoices + last;
      std::memcpy(next + state, &least, sizeof(least));
      ByteLanes narrow = __builtin_convertvector(
          IntLanes(least) & int32_t(kChoices - 1), ByteLanes);
      std::memcpy(from + state, &narrow, sizeof(narrow));
    }
}

/// Makes costs, from the least on, squares of another scale.
static void changeUnit(MutableArrayRef<float> costs, float ratio) {
  constexpr float kMost = kUnreachable / 4;
  float least = *llvm::min_element(costs),
        factor = std::min(ratio * ratio, kMost);
  for (float &cost : costs)
    if (cost < kUnreachable / 2)
      cost = std::min((cost - least) * factor, kMost);
}

template <unsigned bits>
void TrellisQuantizer::encodeSequence(ArrayRef<float> weights,
                                      ArrayRef<GroupParameters> parameters,
                                      int64_t first, uint8_t *codes) const {
  constexpr unsigned kStates = kWindows >> bits, kMask = (1u << bits) - 1,
                     kTop = TrellisCode::kWindow - bits;
  std::vector<float> costs(kStates, kUnreachable), next(kStates);
  costs[0] = 0;
  int64_t count =
      (int64_t(weights.size()) - first + kSequences - 1) / kSequences;
  std::vector<uint8_t> from(std::max<int64_t>(count, 0) * kStates);
  float unit = 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = first + i * kSequences;
    float scale = parameters[at / size].scale;
    if (scale != unit && scale > 0) {
      changeUnit(costs, unit / scale);
      unit = scale;
    }
    advance<bits>(scale > 0 ? weights[at] / scale : 0, costs.data(),
                  next.data(), &from[i * kStates]);
    costs.swap(next);
  }
  unsigned state = llvm::min_element(costs) - costs.begin();
  for (int64_t i = count; i-- > 0;) {
    codes[first + i * kSequences] = state & kMask;
    state = state >> bits | from[i * kStates + state] << (kTop - bits);
  }
}

/// The numbers of the first codes of a row.
std::vector<float> TrellisQuantizer::numbersOf(const uint8_t *codes,
                                               int64_t count) const {
  std::vector<float> result(count);
  std::array<unsigned, kSequences> windows = {};
  for (int64_t i = 0; i < count; ++i) {
    unsigned &window = windows[i % kSequences];
    window = window >> bits | codes[i] << (TrellisCode::kWindow - bits);
    result[i] = code.number(window);
  }
  return result;
}

void TrellisQuantizer::fit(ArrayRef<float> weights,
                           MutableArrayRef<GroupParameters> parameters) const {
  auto groupOf = [&](size_t group) {
    int64_t at = group * size;
    return std::pair(at, std::min(size, int64_t(weights.size()) - at));
  };
  for (auto [group, result] : llvm::enumerate(parameters)) {
    auto [at, count] = groupOf(group);
    double sum = 0;
    for (double weight : weights.slice(at, count))
      sum += weight * weight;
    result.scale = toBF16(std::sqrt(sum / count) / code.deviation);
  }
  if (!leastSquares)
    return;
  std::vector<uint8_t> codes(weights.size());
  encode(weights, parameters, codes.data());
  std::vector<float> numbers = numbersOf(codes.data(), weights.size());
  for (auto [group, result] : llvm::enumerate(parameters)) {
    auto [at, count] = groupOf(group);
    double xx = 0, xy = 0;
    for (int64_t i = at; i < at + count; ++i) {
      xx += double(numbers[i]) * numbers[i];
      xy += double(numbers[i]) * weights[i];
    }
    result.scale = toBF16(xy > 0 ? xy / xx : 0);
  }
}

void TrellisQuantizer::encode(ArrayRef<float> weights,
                              ArrayRef<GroupParameters> parameters,
                              uint8_t *codes) const {
  for (int64_t first = 0; first < kSequences; ++first)
    switch (bits) {
    case 2:
      encodeSequence<2>(weights, parameters, first, codes);
      break;
    case 3:
      encodeSequence<3>(weights, parameters, first, codes);
      break;
    default:
      encodeSequence<4>(weights, parameters, first, codes);
    }
}

void TrellisQuantizer::decode(const uint8_t *codes,
                              ArrayRef<GroupParameters> parameters,
                              MutableArrayRef<float> weights) const {
  std::vector<float> numbers = numbersOf(codes, weights.size());
  for (auto [i, number] : llvm::enumerate(numbers))
    weights[i] = number * parameters[i / size].scale;
}

std::unique_ptr<RowQuantizer>
lutra::createTrellisQuantizer(unsigned bits, int64_t size, bool leastSquares) {
  return std::make_unique<TrellisQuantizer>(bits, size, leastSquares);
}
