//===- ErrorCompensationTest.cpp - Weights that make up for others --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Against GPTQ as its authors write it, with the inverse of the moments, in
// double precision.
//
//===----------------------------------------------------------------------===//

#include "lib/Target/ErrorCompensation.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::lutra;

namespace {

using Matrix = std::vector<std::vector<double>>;

/// L with H = L L^T.
Matrix cholesky(const Matrix &h) {
  size_t n = h.size();
  Matrix l(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double sum = h[i][j];
      for (size_t k = 0; k < j; ++k)
        sum -= l[i][k] * l[j][k];
      l[i][j] = i == j ? std::sqrt(sum) : sum / l[j][j];
    }
  return l;
}

/// By Gauss and Jordan; the matrix is positive definite.
Matrix inverse(Matrix h) {
  size_t n = h.size();
  Matrix result(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i)
    result[i][i] = 1;
  for (size_t i = 0; i < n; ++i) {
    double pivot = h[i][i];
    for (size_t j = 0; j < n; ++j) {
      h[i][j] /= pivot;
      result[i][j] /= pivot;
    }
    for (size_t row = 0; row < n; ++row) {
      double factor = h[row][i];
      for (size_t j = 0; j < n && row != i; ++j) {
        h[row][j] -= factor * h[i][j];
        result[row][j] -= factor * result[i][j];
      }
    }
  }
  return result;
}

struct ErrorCompensationTest : testing::TestWithParam<std::pair<int, int>> {
  ErrorCompensationTest() {
    std::normal_distribution<float> normal;
    std::vector<float> x(rows * columns);
    for (size_t row = 0; row < rows; ++row) {
      float common = normal(random);
      for (size_t k = 0; k < columns; ++k)
        x[row * columns + k] = common + (0.2f + k % 5) * normal(random);
    }
    moments.resize(columns * columns);
    for (size_t row = 0; row < rows; ++row)
      for (size_t i = 0; i < columns; ++i)
        for (size_t j = 0; j < columns; ++j)
          moments[i * columns + j] +=
              x[row * columns + i] * x[row * columns + j];
    weights.resize(outputs * columns);
    for (float &weight : weights)
      weight = normal(random);
  }

  /// The transposed Cholesky factor of the inverse of the damped moments.
  Matrix inverseFactor() {
    Matrix h(columns, std::vector<double>(columns));
    double mean = 0;
    for (size_t k = 0; k < columns; ++k)
      mean += moments[k * (columns + 1)] / columns;
    for (size_t i = 0; i < columns; ++i)
      for (size_t j = 0; j < columns; ++j)
        h[i][j] = moments[i * columns + j] + (i == j ? 0.01 * mean : 0);
    Matrix l = cholesky(inverse(h)), result = l;
    for (size_t i = 0; i < columns; ++i)
      for (size_t j = 0; j < columns; ++j)
        result[i][j] = l[j][i];
    return result;
  }

  /// What a row becomes.
  std::vector<float> reference(const GroupQuantizer &quantizer,
                               const Matrix &factor, ArrayRef<float> row,
                               size_t size) {
    std::vector<double> w(row.begin(), row.end());
    std::vector<float> importance(columns), result(columns);
    for (size_t k = 0; k < columns; ++k)
      importance[k] = 1 / (factor[k][k] * factor[k][k]);
    GroupParameters parameters;
    for (size_t k = 0; k < columns; ++k) {
      if (k % size == 0) {
        std::vector<float> group(w.begin() + k,
                                 w.begin() + std::min(columns, k + size));
        parameters =
            quantizer.fit(group, ArrayRef(importance).slice(k, group.size()));
      }
      uint8_t code;
      float number = w[k];
      quantizer.encode(number, parameters, &code);
      result[k] = quantizer.decode(code, parameters);
      double error = (w[k] - result[k]) / factor[k][k];
      for (size_t j = k + 1; j < columns; ++j)
        w[j] -= error * factor[k][j];
    }
    return result;
  }

  size_t rows = 800, columns = GetParam().first, outputs = 11;
  std::mt19937 random{5};
  std::vector<float> moments, weights;
};

} // namespace

TEST_P(ErrorCompensationTest, IsGPTQ) {
  size_t size = GetParam().second, groups = (columns + size - 1) / size,
         width = groups * size;
  MLIRContext context;
  ErrorCompensation compensation(&context, moments, columns);
  for (StringRef name : {"int4", "uint3", "nf4"}) {
    GroupQuantizer quantizer(*findWeightFormat(name), /*leastSquares=*/true);
    std::vector<GroupParameters> parameters(outputs * groups);
    std::vector<uint8_t> codes(outputs * width);
    compensation.quantize(quantizer, weights, size, parameters, codes.data(),
                          width);
    Matrix factor = inverseFactor();
    size_t different = 0;
    for (size_t row = 0; row < outputs; ++row) {
      std::vector<float> expected =
          reference(quantizer, factor,
                    ArrayRef(weights).slice(row * columns, columns), size);
      for (size_t k = 0; k < columns; ++k)
        different +=
            std::fabs(quantizer.decode(codes[row * width + k],
                                       parameters[row * groups + k / size]) -
                      expected[k]) > 1e-3f;
    }
    // A number halfway between two is rounded either way, and all behind it
    // follows.
    EXPECT_LE(different, outputs * columns / 20) << name.str();
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ErrorCompensationTest,
                         testing::Values(std::pair(40, 32), std::pair(64, 64),
                                         std::pair(150, 150), std::pair(150, 7),
                                         std::pair(300, 200), std::pair(1, 1)));

/// Inputs that are all the same number leave a matrix of rank 1.
TEST(ErrorCompensation, TakesAnyMoments) {
  constexpr size_t kColumns = 100;
  MLIRContext context;
  GroupQuantizer quantizer(*findWeightFormat("int4"), /*leastSquares=*/true);
  std::vector<float> weights(kColumns, 0.7f);
  for (float moment : {0.0f, 1.0f, 1e30f, 1e-30f}) {
    ErrorCompensation compensation(
        &context, std::vector<float>(kColumns * kColumns, moment), kColumns);
    GroupParameters parameters;
    std::vector<uint8_t> codes(kColumns);
    compensation.quantize(quantizer, weights, kColumns, parameters,
                          codes.data(), kColumns);
    float sum = 0;
    for (uint8_t code : codes)
      sum += quantizer.decode(code, parameters);
    EXPECT_NEAR(sum, 70, 0.2) << moment;
  }
}
