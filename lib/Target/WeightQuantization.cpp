//===- WeightQuantization.cpp - A weight as codes and scales --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the matrix a panel of rows at a time, once to fit the parameters of all
// groups, of which there are few, and again where codes are asked for. Rows are
// fitted in parallel, and each alone, so that the result is always the same.
//
//===----------------------------------------------------------------------===//

#include "WeightQuantization.h"

#include "WeightExpression.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/bit.h"
#include <algorithm>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::lutra;

/// Weights of a panel, unless a row has more, and its most rows: what is stored
/// by columns is then read by whole cache lines.
static constexpr int64_t kPanelWeights = int64_t(1) << 20, kPanelRows = 64;

WeightQuantization::WeightQuantization(QuantizeAttr step, RankedTensorType type,
                                       WeightExpression matrix)
    : context(step.getContext()), format(*findWeightFormat(step.getFormat())),
      leastSquares(step.getMethod() == kLeastSquares), rows(type.getDimSize(0)),
      columns(type.getDimSize(1)), size(step.getGroup()),
      groups(llvm::divideCeil(columns, size) * format.planes()),
      panelRows(std::clamp<int64_t>(
          kPanelWeights / std::max<int64_t>(columns, 1), 1, kPanelRows)),
      operand(std::make_unique<WeightExpression>(std::move(matrix))) {
  if (format.coding == WeightCoding::Binary)
    rowQuantizer = createBinaryQuantizer(format.bits, size, leastSquares);
  else if (format.coding == WeightCoding::Trellis)
    rowQuantizer = createTrellisQuantizer(format.bits, size, leastSquares);
}

WeightQuantization::~WeightQuantization() = default;

//===----------------------------------------------------------------------===//
// Panels
//===----------------------------------------------------------------------===//

int64_t WeightQuantization::rowsOfPanel() const {
  return std::min(panelRows, rows - panelStart);
}

/// The weights of a group of a row of the panel.
ArrayRef<float> WeightQuantization::groupOf(int64_t row, int64_t group) const {
  int64_t at = group * size;
  return ArrayRef(numbers).slice(row * columns + at,
                                 std::min(size, columns - at));
}

ArrayRef<float> WeightQuantization::weightsOf(int64_t row) const {
  return ArrayRef(numbers).slice(row * columns, columns);
}

/// The parameters of a row of the panel.
MutableArrayRef<GroupParameters> WeightQuantization::parametersOf(int64_t row) {
  return MutableArrayRef(parameters).slice((panelStart + row) * groups, groups);
}

void WeightQuantization::readPanel(int64_t row) {
  panelStart = row;
  numbers.resize(rowsOfPanel() * columns);
  operand->read(row * columns, numbers.size(),
                reinterpret_cast<char *>(numbers.data()));
}

llvm::Error WeightQuantization::checkPanel() const {
  auto wrong = llvm::find_if_not(
      numbers, [](float number) { return std::isfinite(number); });
  if (wrong == numbers.end())
    return llvm::Error::success();
  int64_t at = wrong - numbers.begin();
  return llvm::make_error<InvalidWeight>(
      "weight '" + operand->getName().str() +
      "': expected finite numbers to quantize, got " + std::to_string(*wrong) +
      " for input " + std::to_string(at % columns) + " of output " +
      std::to_string(panelStart + at / columns));
}

/// Reads one panel after the other.
llvm::Error WeightQuantization::forEachPanel(function_ref<void()> work) {
  for (int64_t row = 0; row < rows; row += panelRows) {
    readPanel(row);
    if (llvm::Error error = checkPanel())
      return error;
    work();
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

llvm::Error WeightQuantization::load(OpenSource open) {
  if (quantizer)
    return llvm::Error::success();
  if (llvm::Error error = operand->load(open))
    return error;
  float largest = 0;
  if (format.scale == WeightScale::E4M3)
    if (llvm::Error error = forEachPanel([&] {
          for (float number : numbers)
            largest = std::max(largest, std::fabs(number));
        }))
      return error;
  quantizer.emplace(format, leastSquares, largest);
  parameters.resize(rows * groups);
  return forEachPanel([&] {
    parallelFor(context, 0, rowsOfPanel(), [&](size_t row) {
      if (rowQuantizer)
        return rowQuantizer->fit(weightsOf(row), parametersOf(row));
      for (auto [group, result] : llvm::enumerate(parametersOf(row)))
        result = quantizer->fit(groupOf(row, group));
    });
  });
}

void WeightQuantization::appendParameters(StringRef part,
                                          SmallVectorImpl<char> &out) const {
  for (GroupParameters group : parameters) {
    if (part == kZeros) {
      out.push_back(char(group.zero));
      continue;
    }
    // Exact: what is left out is zero.
    uint16_t bits = llvm::bit_cast<uint32_t>(group.scale) >> 16;
    const char *bytes = reinterpret_cast<const char *>(&bits);
    out.append(bytes, bytes + sizeof(bits));
  }
}

/// The sum of squared errors of a row of the panel, which is encoded.
double WeightQuantization::squaredErrorOf(int64_t row) {
  double sum = 0;
  if (rowQuantizer) {
    std::vector<float> decoded(columns);
    rowQuantizer->decode(codes.data() + row * groups * size, parametersOf(row),
                         decoded);
    for (auto [weight, number] : llvm::zip_equal(weightsOf(row), decoded))
      sum += (double(weight) - number) * (double(weight) - number);
    return sum;
  }
  for (auto [group, fitted] : llvm::enumerate(parametersOf(row)))
    sum += quantizer->squaredError(groupOf(row, group), fitted);
  return sum;
}

QuantizationError WeightQuantization::measure() {
  QuantizationError sums;
  for (int64_t row = 0; row < rows; row += panelRows) {
    if (rowQuantizer)
      encodePanel(row);
    readPanel(row);
    for (int64_t r = 0; r < rowsOfPanel(); ++r)
      sums.squaredError += squaredErrorOf(r);
    for (float number : numbers)
      sums.squaredWeights += double(number) * number;
  }
  return sums;
}

double QuantizationError::relative() const {
  return squaredWeights > 0 ? std::sqrt(squaredError / squaredWeights) : 0;
}

llvm::Expected<QuantizationError>
lutra::measureQuantization(DictionaryAttr weight, Location loc,
                           OpenSource open) {
  auto quantization = WeightExpression::parseQuantization(weight, loc);
  if (!quantization)
    return quantization.takeError();
  if (llvm::Error error = (*quantization)->load(open))
    return std::move(error);
  return (*quantization)->measure();
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// Makes the codes of the panel that `row` is in, unless they are there.
void WeightQuantization::encodePanel(int64_t row) {
  int64_t start = row - row % panelRows, width = groups * size;
  if (encodedStart == start)
    return;
  readPanel(start);
  encodedStart = start;
  // Codes behind the last column stay 0.
  codes.resize(panelRows * width);
  parallelFor(context, 0, rowsOfPanel(), [&](size_t r) {
    if (rowQuantizer)
      return rowQuantizer->encode(weightsOf(r), parametersOf(r),
                                  codes.data() + r * width);
    for (auto [group, fitted] : llvm::enumerate(parametersOf(r)))
      quantizer->encode(groupOf(r, group), fitted,
                        codes.data() + r * width + group * size);
  });
}

void WeightQuantization::copy(int64_t first, int64_t stride, int64_t count,
                              char *out) {
  int64_t width = groups * size;
  while (count > 0) {
    int64_t row = first / width, at = first % width;
    encodePanel(row);
    int64_t run = stride == 1 ? std::min(count, width - at) : 1;
    std::memcpy(out, codes.data() + (row - encodedStart) * width + at, run);
    first += run * stride;
    count -= run;
    out += run;
  }
}
