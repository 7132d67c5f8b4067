//===- LinalgToVectorTest.cpp - Vector loops equal scalar loops -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compares what the vector loops of random structured operations compute with
// the reference loops, over whole buffers, so that a store beyond a tail is
// seen too.
//
//===----------------------------------------------------------------------===//

#include "RandomOperation.h"

#include "gtest/gtest.h"

using namespace lutra_test;

namespace {

/// (seed, bits of a vector)
class RandomOperations
    : public testing::TestWithParam<std::tuple<unsigned, int>> {};

TEST_P(RandomOperations, EqualReference) {
  constexpr unsigned kCases = 24;
  auto [seed, bits] = GetParam();
  std::vector<RandomOperation> cases;
  std::string text =
      "module attributes {lutra.target = #lutra.target<triple = \"\", cpu = "
      "\"\", features = \"\", vectorBits = " +
      std::to_string(bits) +
      ", vectorRegisters = " + (bits == 512 ? "32" : "16") +
      ", l1 = 32768, l2 = 1048576>} {\n";
  for (unsigned i = 0; i < kCases; ++i) {
    cases.emplace_back(seed * 1000 + i);
    text += cases.back().function("f" + std::to_string(i));
  }
  text += "}\n";
  Jit reference(text, "func.func(convert-linalg-to-vector{reference=true})");
  Jit vectors(text, "func.func(convert-linalg-to-vector)");
  for (unsigned i = 0; i < kCases; ++i) {
    auto expected = cases[i].makeData();
    auto got = expected;
    std::string name = "f" + std::to_string(i);
    cases[i].run(reference, name, expected);
    cases[i].run(vectors, name, got);
    cases[i].compare(expected, got);
    if (HasFatalFailure())
      return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomOperations,
                         testing::Combine(testing::Range(0u, 4u),
                                          testing::Values(128, 256, 512)));

} // namespace
