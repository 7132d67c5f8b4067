//===- AllocateBits.cpp - Bits within a budget ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Solves the integer program by dynamic programming over the budget: the least
// error of the layers so far with at most so many bits.
//
//===----------------------------------------------------------------------===//

#include "AllocateBits.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <limits>
#include <vector>

using namespace mlir;
using namespace mlir::lutra;

static constexpr int64_t kUnits = 32768;

std::optional<SmallVector<unsigned>>
lutra::allocateBits(ArrayRef<SmallVector<BitChoice>> layers, int64_t budget) {
  SmallVector<int64_t> fewest;
  for (ArrayRef<BitChoice> choices : layers) {
    fewest.push_back(choices.front().bits);
    for (BitChoice choice : choices)
      fewest.back() = std::min(fewest.back(), choice.bits);
    budget -= fewest.back();
  }
  if (budget < 0)
    return std::nullopt;
  int64_t unit = std::max<int64_t>(1, llvm::divideCeil(budget, kUnits)),
          units = budget / unit;
  auto unitsOf = [&](size_t layer, BitChoice choice) -> int64_t {
    return llvm::divideCeil(choice.bits - fewest[layer], unit);
  };
  // By units: the least error so far, and each layer's choice for that.
  std::vector<double> least(units + 1, 0);
  std::vector<std::vector<uint8_t>> chosen;
  for (auto [layer, choices] : llvm::enumerate(layers)) {
    std::vector<double> next(units + 1,
                             std::numeric_limits<double>::infinity());
    std::vector<uint8_t> &best = chosen.emplace_back(units + 1);
    for (auto [number, choice] : llvm::enumerate(choices))
      for (int64_t at = unitsOf(layer, choice); at <= units; ++at) {
        double error = least[at - unitsOf(layer, choice)] + choice.error;
        if (error < next[at]) {
          next[at] = error;
          best[at] = number;
        }
      }
    least = std::move(next);
  }
  SmallVector<unsigned> result(layers.size());
  for (size_t layer = layers.size(); layer-- > 0;) {
    result[layer] = chosen[layer][units];
    units -= unitsOf(layer, layers[layer][result[layer]]);
  }
  return result;
}
