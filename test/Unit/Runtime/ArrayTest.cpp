//===- ArrayTest.cpp - Element types as numbers -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Array.h"
#include "Failure.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstring>

using namespace lutra::run;

namespace {

uint16_t bitsOf(lutra_dtype dtype, Number value) {
  Array array(dtype, {});
  array.set(0, value);
  uint16_t bits;
  std::memcpy(&bits, array.data(), sizeof(bits));
  return bits;
}

TEST(ArrayTest, EveryHalfGoesRound) {
  for (lutra_dtype dtype : {LUTRA_FLOAT16, LUTRA_BFLOAT16}) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      Array array(dtype, {});
      std::memcpy(array.data(), &bits, 2);
      Number value = array.get(0);
      if (std::isnan(value))
        EXPECT_TRUE(std::isnan(value));
      else
        EXPECT_EQ(bitsOf(dtype, value), bits);
    }
  }
}

TEST(ArrayTest, HalvesRound) {
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, 1), 0x3c00);
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, -2), 0xc000);
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, 65504), 0x7bff);
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, 65519), 0x7bff);
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, 65520), 0x7c00);
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, std::ldexp(1.0L, -24)), 1);
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, std::ldexp(1.0L, -25)), 0); // A tie: even.
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, std::ldexp(3.0L, -25)), 2);
  EXPECT_EQ(bitsOf(LUTRA_FLOAT16, 1 + std::ldexp(1.0L, -11)), 0x3c00);
  EXPECT_EQ(bitsOf(LUTRA_BFLOAT16, 1), 0x3f80);
  EXPECT_EQ(bitsOf(LUTRA_BFLOAT16, 1 + std::ldexp(3.0L, -8)), 0x3f82);
  EXPECT_TRUE(bitsOf(LUTRA_BFLOAT16, NAN) > 0x7f80);
}

TEST(ArrayTest, WideIntegersAreExact) {
  Array array(LUTRA_UINT64, {1});
  array.set(0, static_cast<Number>(UINT64_MAX));
  uint64_t value;
  std::memcpy(&value, array.data(), sizeof(value));
  EXPECT_EQ(value, UINT64_MAX);
  EXPECT_EQ(array.get(0), static_cast<Number>(UINT64_MAX));
}

TEST(ArrayTest, SizesAreChecked) {
  EXPECT_THROW(Array(LUTRA_FLOAT32, {-1}), Failure);
  EXPECT_THROW(Array(LUTRA_FLOAT32, {INT64_MAX, 2}), Failure);
  EXPECT_THROW(Array(LUTRA_FLOAT64, {INT64_MAX / 4}), Failure);
  Array empty(LUTRA_FLOAT32, {INT64_MAX, INT64_MAX, 0});
  EXPECT_EQ(empty.count(), 0);
  EXPECT_NE(empty.data(), nullptr);
}

} // namespace
