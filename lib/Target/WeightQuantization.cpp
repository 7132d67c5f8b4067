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

#include "ErrorCompensation.h"
#include "WeightExpression.h"
#include "dialects/Lutra/WeightSteps.h"
#include "mlir/IR/Threading.h"
#include <algorithm>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::lutra;

/// Weights of a panel, unless a row has more, and its most rows: what is stored
/// by columns is then read by whole cache lines.
static constexpr int64_t kPanelWeights = int64_t(1) << 20, kPanelRows = 64;
/// Rows that a thread quantizes together where errors are compensated.
static constexpr int64_t kRows = 8;

WeightQuantization::WeightQuantization(QuantizeAttr step, RankedTensorType type,
                                       WeightExpression matrix)
    : context(step.getContext()), format(*findWeightFormat(step.getFormat())),
      leastSquares(step.getMethod() != kNearest),
      compensates(step.getMethod() == kCompensated),
      rows(step.getRows() ? step.getRows().getNumElements()
                          : type.getDimSize(0)),
      columns(type.getDimSize(1)), size(step.getGroup()),
      groups(numGroups(step, columns) * format.planes()),
      width(groups * format.codesOf(size)), superBlock(step.getSuperBlock()),
      panelRows(std::clamp<int64_t>(
          kPanelWeights / std::max<int64_t>(columns, 1), 1, kPanelRows)),
      panelColumns(columns + numRepeated(step)),
      operand(std::make_unique<WeightExpression>(std::move(matrix))) {
  if (DenseElementsAttr given = step.getRows())
    llvm::append_range(places, given.getValues<int64_t>());
  if (DenseElementsAttr given = step.getFactors())
    llvm::append_range(factors, given.getValues<float>());
  for (auto [k, factor] : llvm::enumerate(factors))
    if (factor < 0)
      repeated.push_back(k);
}

WeightQuantization::~WeightQuantization() = default;

llvm::Expected<std::shared_ptr<WeightQuantization>>
WeightQuantization::parse(QuantizeAttr step, RankedTensorType type,
                          WeightExpression operand, Location loc) {
  std::shared_ptr<WeightQuantization> result(
      new WeightQuantization(step, type, std::move(operand)));
  DictionaryAttr moments = step.getMoments();
  if (!moments)
    return result;
  // The step's verifier has checked that.
  auto storage =
      cast<RankedTensorType>(moments.getAs<TypeAttr>("storage").getValue());
  auto expression = WeightExpression::parse(moments, storage, loc);
  if (!expression)
    return expression.takeError();
  result->momentsOperand =
      std::make_unique<WeightExpression>(std::move(*expression));
  return result;
}

//===----------------------------------------------------------------------===//
// Panels
//===----------------------------------------------------------------------===//

int64_t WeightQuantization::rowsOfPanel() const {
  return std::min(panelRows, rows - panelStart);
}

/// The groups that have all columns once.
int64_t WeightQuantization::ownGroups() const {
  return llvm::divideCeil(columns, size);
}

/// The weights of a group of a row of the panel.
ArrayRef<float> WeightQuantization::groupOf(int64_t row, int64_t group) const {
  int64_t at = group * size, end = columns;
  if (group >= ownGroups()) {
    int64_t again = (groups - ownGroups()) / 2;
    at = columns + (group - ownGroups()) % again * size;
    end = panelColumns;
  }
  return ArrayRef(numbers).slice(row * panelColumns + at,
                                 std::min(size, end - at));
}

ArrayRef<float> WeightQuantization::weightsOf(int64_t row) const {
  return ArrayRef(numbers).slice(row * columns, columns);
}

ArrayRef<float> WeightQuantization::importanceOf(int64_t group) const {
  int64_t at = group * size;
  return importance.empty() || group >= ownGroups()
             ? ArrayRef<float>()
             : ArrayRef(importance).slice(at, std::min(size, columns - at));
}

/// The parameters of rows of the panel.
MutableArrayRef<GroupParameters>
WeightQuantization::parametersOf(int64_t row, int64_t count) {
  return MutableArrayRef(parameters)
      .slice((panelStart + row) * groups, count * groups);
}

void WeightQuantization::readPanel(int64_t row) {
  panelStart = row;
  numbers.resize(rowsOfPanel() * columns);
  auto read = [&](int64_t first, MutableArrayRef<float> out) {
    operand->read(first * columns, out.size(),
                  reinterpret_cast<char *>(out.data()));
  };
  if (places.empty())
    return read(row, numbers);
  // Neighbours together with what lies between them: what is stored by columns
  // is then read by whole cache lines, too.
  std::vector<float> near;
  auto out = numbers.begin();
  for (auto rest = ArrayRef(places).slice(row, rowsOfPanel()); !rest.empty();) {
    int64_t first = rest.front();
    auto run =
        rest.take_while([&](int64_t at) { return at < first + panelRows; });
    near.resize((run.back() - first + 1) * columns);
    read(first, near);
    for (int64_t at : run)
      out = std::copy_n(near.begin() + (at - first) * columns, columns, out);
    rest = rest.drop_front(run.size());
  }
}

/// Multiplies the columns of the panel with their factors, and puts those that
/// are repeated behind them.
void WeightQuantization::scalePanel() {
  if (factors.empty())
    return;
  std::vector<float> scaled;
  scaled.reserve(rowsOfPanel() * panelColumns);
  for (int64_t row = 0; row < rowsOfPanel(); ++row) {
    ArrayRef<float> given = weightsOf(row);
    for (auto [number, factor] : llvm::zip_equal(given, factors))
      scaled.push_back(number * std::max(factor, 0.0f));
    for (int64_t k : repeated)
      scaled.push_back(given[k]);
  }
  numbers = std::move(scaled);
}

llvm::Error WeightQuantization::checkPanel() const {
  auto wrong = llvm::find_if_not(
      numbers, [](float number) { return std::isfinite(number); });
  if (wrong == numbers.end())
    return llvm::Error::success();
  int64_t at = wrong - numbers.begin(), row = panelStart + at / panelColumns;
  return llvm::make_error<InvalidWeight>(
      "weight '" + operand->getName().str() +
      "': expected finite numbers to quantize, got " + std::to_string(*wrong) +
      " for input " + std::to_string(at % panelColumns) + " of output " +
      std::to_string(places.empty() ? row : places[row]));
}

/// To be called when what is known of columns is.
void WeightQuantization::createRowQuantizer() {
  if (format.coding == WeightCoding::Binary)
    rowQuantizer = createBinaryQuantizer(format.bits, size, leastSquares);
  else if (format.coding == WeightCoding::Trellis)
    rowQuantizer = createTrellisQuantizer(format.bits, size, leastSquares);
  else if (format.hasVectors())
    rowQuantizer = createVectorQuantizer(format, size, leastSquares, rows,
                                         columns, importance);
}

/// Reads one panel after the other.
llvm::Error WeightQuantization::forEachPanel(function_ref<void()> work) {
  for (int64_t row = 0; row < rows; row += panelRows) {
    readPanel(row);
    scalePanel();
    if (llvm::Error error = checkPanel())
      return error;
    work();
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

llvm::Error WeightQuantization::loadMoments(OpenSource open) {
  if (!momentsOperand)
    return llvm::Error::success();
  if (llvm::Error error = momentsOperand->load(open))
    return error;
  std::vector<float> numbers(momentsOperand->byteSize() / sizeof(float));
  momentsOperand->read(0, numbers.size(),
                       reinterpret_cast<char *>(numbers.data()));
  momentsOperand->unload();
  if (!llvm::all_of(numbers, [](float n) { return std::isfinite(n); }))
    return llvm::make_error<InvalidWeight>(
        "weight '" + operand->getName().str() + "': expected finite moments");
  moments.emplace(std::move(numbers), columns);
  importance = moments->importance(factors);
  return llvm::Error::success();
}

/// Calls `body` with each block of groups of a row that shares a super-scale.
void WeightQuantization::forEachBlock(
    int64_t row,
    function_ref<void(int64_t, MutableArrayRef<GroupParameters>)> body) {
  MutableArrayRef<GroupParameters> all = parametersOf(row);
  for (int64_t first = 0; first < groups; first += superBlock)
    body(first, all.slice(first, std::min(superBlock, groups - first)));
}

/// The super-scale of which the largest scale is the largest integer. A block
/// of zeros has one too: errors may be fed back into it.
static float superScaleOf(float largest) {
  return largest == 0 ? 1 : std::max(toBF16(largest / kMostScale), kLeastScale);
}

/// Scales in E4M3 share one. Of integers, the scales that groups would have by
/// themselves say it.
llvm::Error WeightQuantization::chooseSuperScales() {
  if (format.scale == WeightScale::E4M3) {
    float largest = 0;
    llvm::Error error = forEachPanel([&] {
      for (float number : numbers)
        largest = std::max(largest, std::fabs(number));
    });
    GroupParameters shared;
    shared.superScale = quantizer->superScale(largest);
    llvm::fill(parameters, shared);
    return error;
  }
  if (superBlock == 0 || rowQuantizer)
    return llvm::Error::success();
  auto chooseOfRow = [&](int64_t row) {
    forEachBlock(row, [&](int64_t first, MutableArrayRef<GroupParameters> all) {
      float largest = 0;
      for (size_t i = 0; i < all.size(); ++i) {
        GroupParameters alone =
            quantizer->fit(groupOf(row, first + i), importanceOf(first + i));
        largest = std::max(largest, std::fabs(alone.scale));
      }
      for (GroupParameters &group : all)
        group.superScale = superScaleOf(largest);
    });
  };
  return forEachPanel(
      [&] { parallelFor(context, 0, rowsOfPanel(), chooseOfRow); });
}

/// Makes integers of the scales that a row was fitted with.
void WeightQuantization::roundScales(int64_t row) {
  forEachBlock(row, [](int64_t, MutableArrayRef<GroupParameters> all) {
    float largest = 0;
    for (const GroupParameters &group : all)
      largest = std::max(largest, std::fabs(group.scale));
    for (GroupParameters &group : all) {
      group.superScale = superScaleOf(largest);
      float integer = std::nearbyint(group.scale / group.superScale);
      group.scale =
          std::clamp(integer, -kMostScale, kMostScale) * group.superScale;
    }
  });
}

void WeightQuantization::compensatePanel(
    const ErrorCompensation &compensation) {
  int64_t tasks = llvm::divideCeil(rowsOfPanel(), kRows);
  parallelFor(context, 0, tasks, [&](size_t task) {
    int64_t row = task * kRows, count = std::min(kRows, rowsOfPanel() - row);
    compensation.quantize(
        *quantizer, ArrayRef(numbers).slice(row * columns, count * columns),
        size, parametersOf(row, count),
        compensated.data() + (panelStart + row) * width, width);
  });
}

llvm::Error WeightQuantization::load(OpenSource open) {
  if (quantizer)
    return llvm::Error::success();
  if (llvm::Error error = operand->load(open))
    return error;
  if (llvm::Error error = loadMoments(open))
    return error;
  quantizer.emplace(format, leastSquares);
  createRowQuantizer();
  if (rowQuantizer && rowQuantizer->learns()) {
    if (llvm::Error error = forEachPanel([&] {
          for (int64_t row = 0; row < rowsOfPanel(); ++row)
            rowQuantizer->see(weightsOf(row));
        }))
      return error;
    rowQuantizer->learn(context);
  }
  parameters.resize(rows * groups);
  if (llvm::Error error = chooseSuperScales())
    return error;
  if (compensates) {
    ErrorCompensation compensation(context, moments->scaled(factors), columns);
    compensated.resize(rows * width);
    return forEachPanel([&] { compensatePanel(compensation); });
  }
  return forEachPanel([&] {
    parallelFor(context, 0, rowsOfPanel(), [&](size_t row) {
      if (rowQuantizer) {
        rowQuantizer->fit(weightsOf(row), parametersOf(row));
        if (superBlock > 0)
          roundScales(row);
        return;
      }
      for (auto [group, result] : llvm::enumerate(parametersOf(row)))
        result = quantizer->fit(groupOf(row, group), importanceOf(group),
                                result.superScale);
    });
  });
}

/// What the codes of a row of the panel stand for, times its factors.
void WeightQuantization::decodeRow(int64_t row,
                                   MutableArrayRef<float> weights) {
  const uint8_t *first = codes.data() + row * width;
  MutableArrayRef<GroupParameters> fitted = parametersOf(row);
  if (rowQuantizer)
    return rowQuantizer->decode(first, fitted, weights);
  for (auto [k, weight] : llvm::enumerate(weights))
    weight = quantizer->decode(first[k], fitted[k / size]);
  for (auto [i, k] : llvm::enumerate(repeated)) {
    int64_t at = ownGroups() * size + i;
    weights[k] = quantizer->decode(first[at], fitted[at / size]);
  }
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// Makes the codes of the panel that `row` is in, unless they are there.
void WeightQuantization::encodePanel(int64_t row) {
  int64_t start = row - row % panelRows;
  if (encodedStart == start)
    return;
  readPanel(start);
  encodedStart = start;
  // Codes behind the last column stay 0.
  codes.resize(panelRows * width);
  if (compensates) {
    std::memcpy(codes.data(), compensated.data() + start * width,
                rowsOfPanel() * width);
    return;
  }
  scalePanel();
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
