//===- WeightErrors.cpp - What quantizing a weight loses ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reports and the choice of formats ask for the error of a weight, and the
// choice of channels' factors for the sizes of its columns.
//
//===----------------------------------------------------------------------===//

#include "WeightExpression.h"
#include "WeightQuantization.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

/// Makes the panel, of weights as they are, the errors of its codes.
void WeightQuantization::makeErrors() {
  std::vector<float> decoded(columns);
  for (int64_t row = 0; row < rowsOfPanel(); ++row) {
    decodeRow(row, decoded);
    for (int64_t k = 0; k < columns; ++k) {
      float factor = factors.empty() || factors[k] < 0 ? 1 : factors[k];
      float &number = numbers[row * columns + k];
      number = factor == 0 ? 0 : number - decoded[k] / factor;
    }
  }
}

QuantizationError WeightQuantization::measure() {
  QuantizationError sums;
  auto squares = [&] {
    if (moments)
      return moments->squaredOutputs(context, numbers);
    double sum = 0;
    for (float number : numbers)
      sum += double(number) * number;
    return sum;
  };
  for (int64_t row = 0; row < rows; row += panelRows) {
    encodePanel(row);
    readPanel(row);
    sums.squaredWeights += squares();
    makeErrors();
    sums.squaredError += squares();
  }
  return sums;
}

std::vector<double> WeightQuantization::measureRows() {
  std::vector<double> sums;
  for (int64_t row = 0; row < rows; row += panelRows) {
    encodePanel(row);
    readPanel(row);
    makeErrors();
    for (int64_t r = 0; r < rowsOfPanel(); ++r) {
      double sum = 0;
      for (auto [k, error] : llvm::enumerate(weightsOf(r)))
        sum += double(error) * error * (importance.empty() ? 1 : importance[k]);
      sums.push_back(sum);
    }
  }
  return sums;
}

double QuantizationError::relative() const {
  return squaredWeights > 0 ? std::sqrt(squaredError / squaredWeights) : 0;
}

/// The matrix that a weight quantizes, with all parameters.
static llvm::Expected<std::shared_ptr<WeightQuantization>>
loadQuantization(DictionaryAttr weight, Location loc, OpenSource open) {
  auto quantization = WeightExpression::parseQuantization(weight, loc);
  if (!quantization)
    return quantization.takeError();
  if (llvm::Error error = (*quantization)->load(open))
    return std::move(error);
  return quantization;
}

llvm::Expected<QuantizationError>
lutra::measureQuantization(DictionaryAttr weight, Location loc,
                           OpenSource open) {
  auto quantization = loadQuantization(weight, loc, open);
  if (!quantization)
    return quantization.takeError();
  return (*quantization)->measure();
}

llvm::Expected<std::vector<double>>
lutra::measureRows(DictionaryAttr weight, Location loc, OpenSource open) {
  auto quantization = loadQuantization(weight, loc, open);
  if (!quantization)
    return quantization.takeError();
  return (*quantization)->measureRows();
}

llvm::Error WeightQuantization::measureColumns(OpenSource open,
                                               std::vector<float> &largest,
                                               std::vector<float> &squares) {
  if (llvm::Error error = operand->load(open))
    return error;
  largest.assign(columns, 0);
  squares.assign(columns, 0);
  for (int64_t row = 0; row < rows; row += panelRows) {
    readPanel(row);
    if (llvm::Error error = checkPanel())
      return error;
    for (int64_t r = 0; r < rowsOfPanel(); ++r)
      for (int64_t k = 0; k < columns; ++k) {
        float number = std::fabs(numbers[r * columns + k]);
        largest[k] = std::max(largest[k], number);
        squares[k] += number * number;
      }
  }
  return llvm::Error::success();
}

llvm::Error lutra::measureColumns(DictionaryAttr weight, Location loc,
                                  OpenSource open, std::vector<float> &largest,
                                  std::vector<float> &squares) {
  auto quantization = WeightExpression::parseQuantization(weight, loc);
  if (!quantization)
    return quantization.takeError();
  return (*quantization)->measureColumns(open, largest, squares);
}
