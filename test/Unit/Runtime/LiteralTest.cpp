//===- LiteralTest.cpp - Tensors from text and from seeds -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Failure.h"
#include "Inputs.h"
#include "gtest/gtest.h"

#include <cmath>
#include <set>

using namespace lutra::run;

namespace {

std::string errorOf(const std::string &text) {
  try {
    parseLiteral(text, "--input=x");
    return "ok";
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.code, Exit::Invalid);
    return failure.what();
  }
}

TEST(LiteralTest, Parses) {
  Array array = parseLiteral("2x3xf32=1,-2,3e1,inf,nan,0.5", "x");
  EXPECT_EQ(array.dtype(), LUTRA_FLOAT32);
  EXPECT_EQ(array.shape(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(array.get(1), -2);
  EXPECT_EQ(array.get(2), 30);
  EXPECT_EQ(parseLiteral("i64=-9223372036854775808", "x").get(0),
            static_cast<Number>(INT64_MIN));
  EXPECT_EQ(parseLiteral("4xu8=255", "x").get(3), 255);
  EXPECT_EQ(parseLiteral("0xf32=", "x").count(), 0);
  EXPECT_EQ(parseLiteral("i1=1", "x").dtype(), LUTRA_BOOL);
}

TEST(LiteralTest, Refuses) {
  EXPECT_EQ(errorOf("abc"), "--input=x: expected @FILE.npy, rand:SEED or a "
                            "literal such as 2x3xf32=0: 'abc'");
  EXPECT_EQ(errorOf("2xf32=1,2,3"), "--input=x: expected 1 value or as many as "
                                    "shape [2] has, got 3: '2xf32=1,2,3'");
  EXPECT_EQ(errorOf("2xf32="), "--input=x: expected 1 value or as many as "
                               "shape [2] has, got 0: '2xf32='");
  EXPECT_EQ(errorOf("2xq8=1"),
            "--input=x: unknown element type 'q8': '2xq8=1'");
  EXPECT_EQ(errorOf("u8=256"), "--input=x: '256' is not a value of u8: "
                               "'u8=256'");
  EXPECT_EQ(errorOf("i32=1.5"),
            "--input=x: '1.5' is not a value of i32: 'i32=1.5'");
  EXPECT_EQ(errorOf("i32=nan"),
            "--input=x: 'nan' is not a value of i32: 'i32=nan'");
  EXPECT_EQ(errorOf("f32=1,,2"), "--input=x: '' is not a number: 'f32=1,,2'");
  EXPECT_EQ(errorOf("-2xf32=1"),
            "--input=x: expected a shape such as 2x3xf32: '-2xf32=1'");
  EXPECT_EQ(errorOf("9223372036854775807x9xf32=1").find("no memory"), 0u);
}

TEST(RandomTest, IsTheSameEverywhere) {
  Array array(LUTRA_FLOAT32, {3});
  fillRandom(array, 0);
  // SplitMix64 of seed 0 starts e220a8397b1dcdaf, 6e789e6aa1b965f4.
  EXPECT_EQ(array.get(0), std::ldexp(Number(0xe220a8), -23) - 1);
  EXPECT_EQ(array.get(1), std::ldexp(Number(0x6e789e), -23) - 1);
}

TEST(RandomTest, StaysInRange) {
  for (lutra_dtype dtype :
       {LUTRA_FLOAT16, LUTRA_BFLOAT16, LUTRA_FLOAT32, LUTRA_FLOAT64}) {
    Array array(dtype, {10000});
    fillRandom(array, 1);
    for (int64_t i = 0; i < array.count(); ++i)
      ASSERT_TRUE(array.get(i) >= -1 && array.get(i) < 1);
  }
  Array bools(LUTRA_BOOL, {1000}), ints(LUTRA_INT64, {1000});
  fillRandom(bools, 1);
  fillRandom(ints, 1);
  std::set<Number> seenBools, seenInts;
  for (int64_t i = 0; i < 1000; ++i) {
    seenBools.insert(bools.get(i));
    seenInts.insert(ints.get(i));
  }
  EXPECT_EQ(seenBools, (std::set<Number>{0, 1}));
  EXPECT_EQ(seenInts, (std::set<Number>{0, 1, 2, 3, 4, 5, 6, 7}));
}

} // namespace
