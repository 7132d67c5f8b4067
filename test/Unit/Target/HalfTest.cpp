//===- HalfTest.cpp - Conversions and roundings as they run ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs conversions on every f16 and bf16 and on doubles of all kinds, with and
// without instructions for them, and compares bits with APFloat.
//
//===----------------------------------------------------------------------===//

#include "Compiled.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::lutra;
using llvm::APFloat;
using llvm::APInt;

namespace {

std::vector<double> inputs() {
  std::vector<double> values;
  // Every f16 and bf16 is the low 16 bits of one value.
  for (uint64_t low = 0; low < 65536; ++low)
    values.push_back(llvm::bit_cast<double>(uint64_t(0x3ff0) << 48 | low));
  for (double special : {0.0, -0.0, 65519.0, 65520.0, 1e300, -1e300, 0.5, -0.5,
                         2.5, 8388607.5, -8388608.5, 0.49999997, 1e-46})
    values.push_back(special);
  values.push_back(INFINITY);
  values.push_back(-INFINITY);
  values.push_back(NAN);
  std::mt19937_64 random(4);
  while (values.size() < 400000) {
    double mantissa = 1 + double(random() >> 11) * 0x1p-53;
    if (random() % 2)
      mantissa =
          1 + double(random() % 4096) / 4096 + double(random() % 3) * 0x1p-40;
    int exponent = int(random() % 100) - 50;
    values.push_back(std::ldexp(random() % 2 ? mantissa : -mantissa, exponent));
  }
  return values;
}

uint32_t convert(APFloat number, const llvm::fltSemantics &semantics) {
  bool lost;
  number.convert(semantics, APFloat::rmNearestTiesToEven, &lost);
  return uint32_t(number.bitcastToAPInt().getZExtValue());
}

/// The expected bits of row `row` for `value`.
uint32_t expected(unsigned row, double value) {
  auto narrow = float(value);
  uint16_t low = uint16_t(llvm::bit_cast<uint64_t>(value));
  auto bits = [](float result) { return llvm::bit_cast<uint32_t>(result); };
  switch (row) {
  case 0:
    return convert(APFloat(narrow), APFloat::IEEEhalf());
  case 1:
    return convert(APFloat(narrow), APFloat::BFloat());
  case 2:
    return convert(APFloat(APFloat::IEEEhalf(), APInt(16, low)),
                   APFloat::IEEEsingle());
  case 3:
    return convert(APFloat(APFloat::BFloat(), APInt(16, low)),
                   APFloat::IEEEsingle());
  case 4:
    return convert(APFloat(value), APFloat::IEEEhalf());
  case 5:
    return bits(std::floor(narrow));
  case 6:
    return bits(std::ceil(narrow));
  case 7:
    return bits(std::trunc(narrow));
  case 8:
    return bits(std::round(narrow));
  default:
    return bits(std::nearbyint(narrow));
  }
}

bool isNaN(unsigned row, uint32_t bits) {
  if (row == 0 || row == 4)
    return (bits & 0x7fff) > 0x7c00;
  if (row == 1)
    return (bits & 0x7fff) > 0x7f80;
  return (bits & 0x7fffffff) > 0x7f800000;
}

class Convert : public testing::TestWithParam<const char *> {};

TEST_P(Convert, AllBits) {
  Compiled compiled(INPUTS "/convert_model.mlir", GetParam());
  ASSERT_TRUE(compiled.model);
  std::vector<double> x = inputs();
  int64_t n = x.size();
  ASSERT_EQ(n % 4, 0);
  std::vector<uint32_t> y(10 * n);
  compiled.run(x.data(), y.data(), {n});
  // vcvtneps2bf16 takes subnormal numbers as zero.
  bool flushes = StringRef(compiled.model->features).contains("avx512bf16");
  unsigned failures = 0;
  for (unsigned row = 0; row < 10; ++row)
    for (int64_t i = 0; i < n; ++i) {
      uint32_t want = expected(row, x[i]), got = y[row * n + i];
      bool equal = want == got || (isNaN(row, want) && isNaN(row, got));
      if (!equal && row == 1 && flushes &&
          std::fpclassify(float(x[i])) == FP_SUBNORMAL)
        continue;
      if (!equal && ++failures < 20)
        ADD_FAILURE() << "row " << row << " value " << x[i] << " expected "
                      << want << " got " << got;
    }
  EXPECT_EQ(failures, 0u);
}

INSTANTIATE_TEST_SUITE_P(Levels, Convert, testing::Values("x86-64", "native"));

} // namespace
