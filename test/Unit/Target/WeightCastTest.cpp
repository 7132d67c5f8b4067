//===- WeightCastTest.cpp - Casts of weights against APFloat --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every f16 and bf16, and floats and integers at the edges and at random.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/WeightCast.h"

#include "llvm/ADT/APFloat.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

using namespace mlir::lutra;
using llvm::APFloat;
using llvm::APInt;

namespace {

template <typename To, typename From>
To cast(Scalar from, From value, Scalar to) {
  To result;
  castElements(from, reinterpret_cast<const char *>(&value), to,
               reinterpret_cast<char *>(&result), 1);
  return result;
}

/// Doubles with all kinds of exponents, f16's and bf16's in particular.
std::vector<double> interesting() {
  std::vector<double> values = {0.0,       -0.0,
                                1.0,       65504,
                                65519.999, 65520,
                                1e300,     5.9604644775390625e-8,
                                2.98e-8,   2.9802322387695312e-8,
                                INFINITY,  -INFINITY};
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    double mantissa = 1 + double(random() >> 11) * 0x1p-53;
    // Half of them just at a tie of some width.
    if (i % 2)
      mantissa =
          1 + double(random() % 4096) / 4096 + (i % 4 == 1 ? 0 : 0x1p-40);
    int exponent = int(random() % 320) - 160;
    values.push_back(std::ldexp(random() % 2 ? mantissa : -mantissa, exponent));
  }
  return values;
}

uint16_t reference(double value, const llvm::fltSemantics &semantics) {
  APFloat number(value);
  bool lost;
  number.convert(semantics, APFloat::rmNearestTiesToEven, &lost);
  return uint16_t(number.bitcastToAPInt().getZExtValue());
}

TEST(WeightCast, ToNarrowFloats) {
  for (double value : interesting()) {
    EXPECT_EQ(cast<uint16_t>(Scalar::F64, value, Scalar::F16),
              reference(value, APFloat::IEEEhalf()))
        << value;
    EXPECT_EQ(cast<uint16_t>(Scalar::F64, value, Scalar::BF16),
              reference(value, APFloat::BFloat()))
        << value;
  }
  for (Scalar to : {Scalar::F16, Scalar::BF16})
    EXPECT_TRUE(std::isnan(cast<float>(
        to, cast<uint16_t>(Scalar::F32, std::nanf(""), to), Scalar::F32)));
}

TEST(WeightCast, FromNarrowFloats) {
  for (uint32_t bits = 0; bits < 65536; ++bits)
    for (auto [scalar, semantics] :
         {std::pair(Scalar::F16, &APFloat::IEEEhalf()),
          std::pair(Scalar::BF16, &APFloat::BFloat())}) {
      double expected = APFloat(*semantics, APInt(16, bits)).convertToDouble();
      double got = cast<double>(scalar, uint16_t(bits), Scalar::F64);
      if (std::isnan(expected))
        EXPECT_TRUE(std::isnan(got)) << bits;
      else
        EXPECT_EQ(std::memcmp(&expected, &got, 8), 0) << bits;
    }
}

TEST(WeightCast, IntegersToNarrowFloatsRoundOnce) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 100000; ++i) {
    int64_t value = int64_t(random()) >> (random() % 63);
    APFloat number(APFloat::BFloat());
    number.convertFromAPInt(APInt(64, value, true), true,
                            APFloat::rmNearestTiesToEven);
    EXPECT_EQ(cast<uint16_t>(Scalar::S64, value, Scalar::BF16),
              number.bitcastToAPInt().getZExtValue())
        << value;
  }
}

TEST(WeightCast, Integers) {
  EXPECT_EQ(cast<int8_t>(Scalar::S32, int32_t(300), Scalar::S8), 44);
  EXPECT_EQ(cast<int64_t>(Scalar::U8, uint8_t(200), Scalar::S64), 200);
  EXPECT_EQ(cast<int64_t>(Scalar::S8, int8_t(-56), Scalar::S64), -56);
  EXPECT_EQ(cast<uint8_t>(Scalar::F32, 2.9f, Scalar::U8), 2);
  EXPECT_EQ(cast<int32_t>(Scalar::F32, -2.9f, Scalar::S32), -2);
  EXPECT_EQ(cast<int32_t>(Scalar::F32, 3e9f, Scalar::S32), INT32_MAX);
  EXPECT_EQ(cast<int64_t>(Scalar::F64, -1e300, Scalar::S64), INT64_MIN);
  EXPECT_EQ(cast<uint64_t>(Scalar::F64, -3.0, Scalar::U64), 0u);
  EXPECT_EQ(cast<int32_t>(Scalar::F32, std::nanf(""), Scalar::S32), 0);
  EXPECT_EQ(cast<uint8_t>(Scalar::F32, 0.5f, Scalar::Bool), 1);
  EXPECT_EQ(cast<uint8_t>(Scalar::F32, -0.0f, Scalar::Bool), 0);
  EXPECT_EQ(cast<float>(Scalar::Bool, uint8_t(2), Scalar::F32), 1.0f);
  EXPECT_EQ(cast<float>(Scalar::U64, uint64_t(-1), Scalar::F32), 0x1p64f);
}

} // namespace
