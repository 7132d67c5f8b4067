//===- CompareTest.cpp - Tolerances and messages ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compare.h"
#include "Print.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace lutra::run;

namespace {

Array floats(const std::vector<float> &values) {
  Array array(LUTRA_FLOAT32, {static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i)
    array.set(static_cast<int64_t>(i), values[i]);
  return array;
}

bool matches(float expected, float got, double rtol, double atol) {
  return compare(floats({expected}), floats({got}), rtol, atol).matches;
}

TEST(CompareTest, Tolerances) {
  EXPECT_TRUE(matches(100, 101, 0.01, 0));
  EXPECT_FALSE(matches(100, 101.5, 0.01, 0));
  EXPECT_TRUE(matches(0, 0.5, 0, 0.5));
  EXPECT_FALSE(matches(0, 0.5, 1, 0));
  EXPECT_TRUE(matches(2, 2, 0, 0));
}

TEST(CompareTest, NonFinite) {
  EXPECT_TRUE(matches(NAN, NAN, 0, 0));
  EXPECT_FALSE(matches(NAN, 1, 1, 1));
  EXPECT_FALSE(matches(1, NAN, 1, 1));
  EXPECT_TRUE(matches(INFINITY, INFINITY, 0, 0));
  EXPECT_FALSE(matches(INFINITY, -INFINITY, 1, 1));
  EXPECT_FALSE(matches(INFINITY, 1, 1, 1));
  EXPECT_FALSE(matches(1, INFINITY, 1, 1));
}

TEST(CompareTest, NamesTheWorst) {
  Comparison result =
      compare(floats({1, 2, 3}), floats({1, 2.5, 30}), 1e-5, 1e-5);
  EXPECT_FALSE(result.matches);
  EXPECT_EQ(result.text, "2 of 3 elements differ, worst at [2]: expected 3, "
                         "got 30 (error 27)");
  EXPECT_EQ(compare(floats({1, 2}), floats({1, NAN}), 1, 1).text,
            "1 of 2 elements differ, worst at [1]: expected 2, got nan (error "
            "inf)");
}

TEST(CompareTest, SaysHowFarOutputsAre) {
  EXPECT_EQ(deviation(floats({3, 4}), floats({3, 4})),
            "largest error 0, relative RMS error 0 %, the same largest element "
            "in 1 of 1 row");
  EXPECT_EQ(deviation(floats({3, 4}), floats({5, 4})),
            "largest error 2, relative RMS error 40 %, the same largest "
            "element in 0 of 1 row");
  // One element has no others to be larger than.
  EXPECT_EQ(deviation(floats({2}), floats({1})),
            "largest error 1, relative RMS error 50 %");
  EXPECT_EQ(deviation(floats({0}), floats({1})),
            "largest error 1, relative RMS error inf %");
  EXPECT_EQ(deviation(floats({1, NAN}), floats({1, NAN})),
            "largest error 0, relative RMS error 0 %, 1 of 2 expected elements "
            "not finite, the same largest element in 1 of 1 row");
  EXPECT_EQ(deviation(floats({1}), floats({1, 2})),
            "expected shape [1], got [2]");
}

TEST(CompareTest, ShapesAndDtypes) {
  EXPECT_EQ(compare(floats({1}), floats({1, 2}), 1, 1).text,
            "expected shape [1], got [2]");
  EXPECT_EQ(compare(Array(LUTRA_INT8, {1}), floats({1}), 1, 1).text,
            "expected dtype int8, got float32");
  EXPECT_TRUE(compare(floats({}), floats({}), 0, 0).matches);
}

TEST(PrintTest, Elides) {
  Array array(LUTRA_INT32, {2, 9});
  for (int64_t i = 0; i < 18; ++i)
    array.set(i, i);
  EXPECT_EQ(formatArray(array), "int32[2,9] = [[0, 1, 2, ..., 6, 7, 8], "
                                "[9, 10, 11, ..., 15, 16, 17]]");
}

TEST(PrintTest, ScalarsAndEmpty) {
  Array array(LUTRA_BOOL, {});
  array.set(0, 1);
  EXPECT_EQ(formatArray(array), "bool[] = true");
  EXPECT_EQ(formatArray(Array(LUTRA_FLOAT32, {2, 0})), "float32[2,0] = []");
}

} // namespace
