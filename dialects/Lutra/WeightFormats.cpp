//===- WeightFormats.cpp - What weights are quantized to ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/WeightFormats.h"

#include "llvm/ADT/STLExtras.h"
#include <array>

using namespace mlir;
using namespace mlir::lutra;

/// OCP's floats of one sign bit, `exponent` and `mantissa` bits, by their
/// codes. With `hasNaN` the codes of all ones are NaN; nothing is quantized to
/// these, so that their value does not matter.
template <unsigned exponent, unsigned mantissa, bool hasNaN>
static constexpr auto minifloats() {
  constexpr unsigned kMagnitudes = 1u << (exponent + mantissa);
  constexpr int kBias = (1 << (exponent - 1)) - 1;
  std::array<float, 2 * kMagnitudes> values = {};
  for (unsigned code = 0; code < kMagnitudes - hasNaN; ++code) {
    int field = int(code >> mantissa);
    float value = float(code & ((1u << mantissa) - 1)) +
                  (field > 0 ? float(1u << mantissa) : 0.0f);
    int shift = (field > 0 ? field : 1) - kBias - int(mantissa);
    for (; shift > 0; --shift)
      value *= 2;
    for (; shift < 0; ++shift)
      value /= 2;
    values[code] = value;
    values[code + kMagnitudes] = -value;
  }
  return values;
}

static constexpr auto kE2M1 = minifloats<2, 1, false>();
static constexpr auto kE4M3 = minifloats<4, 3, true>();
/// Quantiles of a normal distribution, as QLoRA (Dettmers et al., 2023) has
/// them.
static constexpr float kNF4[] = {-1,
                                 -0.6961928009986877f,
                                 -0.5250730514526367f,
                                 -0.39491748809814453f,
                                 -0.28444138169288635f,
                                 -0.18477343022823334f,
                                 -0.09105003625154495f,
                                 0,
                                 0.07958029955625534f,
                                 0.16093020141124725f,
                                 0.24611230194568634f,
                                 0.33791524171829224f,
                                 0.44070982933044434f,
                                 0.5626170039176941f,
                                 0.7229568362236023f,
                                 1};

static constexpr WeightFormat kFormats[] = {
    {"uint1", 1, 2, std::nullopt},
    {"ternary", 2, 3, 1},
    {"int2", 2, 4, 2},
    {"uint2", 2, 4, std::nullopt},
    {"int3", 3, 8, 4},
    {"uint3", 3, 8, std::nullopt},
    {"int4", 4, 16, 8},
    {"uint4", 4, 16, std::nullopt},
    {"nf4", 4, 16, std::nullopt, WeightScale::BF16, 64, false, kNF4},
    {"fp4", 4, 16, std::nullopt, WeightScale::BF16, 32, false, kE2M1},
    {"mxfp4", 4, 16, std::nullopt, WeightScale::PowerOfTwo, 32, true, kE2M1},
    {"nvfp4", 4, 16, std::nullopt, WeightScale::E4M3, 16, true, kE2M1},
    {"int5", 5, 32, 16},
    {"uint5", 5, 32, std::nullopt},
    {"int6", 6, 64, 32},
    {"uint6", 6, 64, std::nullopt},
    {"int7", 7, 128, 64},
    {"uint7", 7, 128, std::nullopt},
    {"int8", 8, 256, 128},
    {"uint8", 8, 256, std::nullopt},
    {"fp8", 8, 256, std::nullopt, WeightScale::BF16, 0, false, kE4M3}};

ArrayRef<WeightFormat> lutra::weightFormats() { return kFormats; }

const WeightFormat *lutra::findWeightFormat(StringRef name) {
  const auto *found = llvm::find_if(kFormats, [&](const WeightFormat &format) {
    return format.name == name;
  });
  return found == std::end(kFormats) ? nullptr : found;
}
