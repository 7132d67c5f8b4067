//===- WeightFormats.cpp - What weights are quantized to ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/WeightFormats.h"

#include "llvm/ADT/STLExtras.h"
#include <array>
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

static constexpr float timesPowerOfTwo(float value, int exponent) {
  for (; exponent > 0; --exponent)
    value *= 2;
  for (; exponent < 0; ++exponent)
    value /= 2;
  return value;
}

/// OCP's floats of one sign bit, `exponent` and `mantissa` bits, by their
/// codes; without bits of a mantissa, powers of two and 0. The last `specials`
/// magnitudes are infinite or NaN; nothing is quantized to these, so that their
/// value does not matter.
template <unsigned exponent, unsigned mantissa, unsigned specials = 0>
static constexpr auto minifloats() {
  constexpr unsigned kMagnitudes = 1u << (exponent + mantissa);
  constexpr int kBias = (1 << (exponent - 1)) - 1;
  std::array<float, 2 * kMagnitudes> values = {};
  for (unsigned code = 0; code < kMagnitudes - specials; ++code) {
    int field = int(code >> mantissa);
    float value = float(code & ((1u << mantissa) - 1)) +
                  (field > 0 ? float(1u << mantissa) : 0.0f);
    int shift = (field > 0 ? field : 1) - kBias - int(mantissa);
    values[code] = timesPowerOfTwo(value, shift);
    values[code + kMagnitudes] = -values[code];
  }
  return values;
}

/// Posits of `bits` bits, `exponent` of them of an exponent (Gustafson and
/// Yonemoto, 2017), by their codes, which are two's complement. The code that
/// is no number is left 0.
template <unsigned bits, unsigned exponent>
static constexpr auto posits() {
  constexpr unsigned kCodes = 1u << bits;
  std::array<float, kCodes> values = {};
  for (unsigned code = 1; code < kCodes / 2; ++code) {
    // As many equal bits as follow the sign are the regime, and one that ends
    // it; bits that are missing behind are 0.
    unsigned rest = bits - 1, first = code >> (bits - 2) & 1, run = 0;
    for (; rest > 0 && (code >> (rest - 1) & 1) == first; --rest)
      ++run;
    rest -= rest > 0;
    unsigned tail = (code & ((1u << rest) - 1)) << exponent;
    int scale = (first ? int(run) - 1 : -int(run)) * (1 << exponent) +
                int(tail >> rest);
    float fraction =
        timesPowerOfTwo(float(tail & ((1u << rest) - 1)), -int(rest));
    values[code] = timesPowerOfTwo(1 + fraction, scale);
    values[kCodes - code] = -values[code];
  }
  return values;
}

template <size_t count>
static constexpr auto times(std::array<float, count> values, float factor) {
  for (float &value : values)
    value *= factor;
  return values;
}

// Those of up to four bits as integers.
static constexpr auto kE2M0 = minifloats<2, 0>();
static constexpr auto kE3M0 = times(minifloats<3, 0>(), 4);
static constexpr auto kE2M1 = times(minifloats<2, 1>(), 2);
static constexpr auto kE2M3 = minifloats<2, 3>();
static constexpr auto kE3M2 = minifloats<3, 2>();
static constexpr auto kE4M3 = minifloats<4, 3, 1>();
static constexpr auto kE5M2 = minifloats<5, 2, 4>();
static constexpr auto kPosit4 = posits<4, 1>();
static constexpr auto kPosit8 = posits<8, 0>();
/// What normally distributed weights in groups of 32, each with the scale and
/// the sign of it that are best, are nearest to: Lloyd's algorithm, rounded to
/// bytes.
static constexpr float kIQ4[] = {-127, -92, -72, -54, -40, -26, -13, 0,
                                 10,   21,  32,  44,  57,  73,  92,  116};
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

/// A scale of each group for each bit, which few groups pay for.
static constexpr WeightFormat binary(StringLiteral name, unsigned bits) {
  return {name, bits,  2,  {}, WeightScale::BF16,
          128,  false, {}, 0,  WeightCoding::Binary};
}

/// Groups are whole chunks of codes in any layout (`CodePlanes.h`).
static constexpr WeightFormat trellis(StringLiteral name, unsigned bits) {
  return {name, bits,  1u << bits, {}, WeightScale::BF16,
          32,   false, {},         0,  WeightCoding::Trellis,
          32};
}

/// As many codebooks of 2^bits vectors of `size` weights, with one scale for
/// each row unless more are asked for.
static constexpr WeightFormat vectors(StringLiteral name, unsigned bits,
                                      unsigned size, unsigned books) {
  return {name,     bits,  1u << bits, {}, WeightScale::BF16,
          0,        false, {},         0,  WeightCoding::Vectors,
          4 * size, size,  books};
}

static constexpr WeightFormat kFormats[] = {
    {"uint1", 1, 2, std::nullopt},
    binary("bcq1", 1),
    vectors("aqlm1", 8, 8, 1),
    {"ternary", 2, 3, 1},
    {"int2", 2, 4, 2},
    binary("bcq2", 2),
    trellis("trellis2", 2),
    vectors("vptq2", 8, 4, 1),
    vectors("aqlm2", 8, 8, 2),
    {"uint2", 2, 4, std::nullopt},
    {"int3", 3, 8, 4},
    binary("bcq3", 3),
    trellis("trellis3", 3),
    vectors("vptq3", 6, 4, 2),
    vectors("aqlm3", 6, 8, 4),
    {"uint3", 3, 8, std::nullopt},
    {"pot3", 3, 8, std::nullopt, WeightScale::BF16, 32, false, kE2M0},
    {"int4", 4, 16, 8},
    binary("bcq4", 4),
    trellis("trellis4", 4),
    vectors("vptq4", 8, 4, 2),
    {"uint4", 4, 16, std::nullopt},
    {"nf4", 4, 16, std::nullopt, WeightScale::BF16, 64, false, kNF4},
    {"iq4", 4, 16, std::nullopt, WeightScale::BF16, 32, false, kIQ4},
    {"pot4", 4, 16, std::nullopt, WeightScale::BF16, 32, false, kE3M0},
    {"posit4", 4, 16, std::nullopt, WeightScale::BF16, 32, false, kPosit4, 4},
    {"fp4", 4, 16, std::nullopt, WeightScale::BF16, 32, false, kE2M1},
    {"mxfp4", 4, 16, std::nullopt, WeightScale::PowerOfTwo, 32, true, kE2M1},
    {"nvfp4", 4, 16, std::nullopt, WeightScale::E4M3, 16, true, kE2M1},
    {"int5", 5, 32, 16},
    {"uint5", 5, 32, std::nullopt},
    {"int6", 6, 64, 32},
    {"uint6", 6, 64, std::nullopt},
    {"mxfp6", 6, 64, std::nullopt, WeightScale::PowerOfTwo, 32, true, kE2M3},
    {"mxfp6e3m2", 6, 64, std::nullopt, WeightScale::PowerOfTwo, 32, true,
     kE3M2},
    {"int7", 7, 128, 64},
    {"uint7", 7, 128, std::nullopt},
    {"int8", 8, 256, 128},
    {"uint8", 8, 256, std::nullopt},
    {"posit8", 8, 256, std::nullopt, WeightScale::BF16, 0, false, kPosit8, 2},
    {"fp8", 8, 256, std::nullopt, WeightScale::BF16, 0, false, kE4M3},
    {"fp8e5m2", 8, 256, std::nullopt, WeightScale::BF16, 0, false, kE5M2},
    {"mxfp8", 8, 256, std::nullopt, WeightScale::PowerOfTwo, 32, true, kE4M3},
    {"mxfp8e5m2", 8, 256, std::nullopt, WeightScale::PowerOfTwo, 32, true,
     kE5M2}};

bool lutra::areBytes(ArrayRef<float> numbers) {
  return numbers.size() <= 16 && llvm::all_of(numbers, [](float number) {
           return number == std::floor(number) && std::fabs(number) < 128;
         });
}

ArrayRef<WeightFormat> lutra::weightFormats() { return kFormats; }

const WeightFormat *lutra::findWeightFormat(StringRef name) {
  const auto *found = llvm::find_if(kFormats, [&](const WeightFormat &format) {
    return format.name == name;
  });
  return found == std::end(kFormats) ? nullptr : found;
}
