//===- Compare.cpp - Outputs against expected arrays ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compare.h"
#include "Print.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

using namespace lutra::run;

// How far off an element is; infinite where no tolerance could excuse it.
static Number errorOf(Number expected, Number got) {
  if (expected == got || (std::isnan(expected) && std::isnan(got)))
    return 0;
  Number error = std::fabs(got - expected);
  return std::isnan(error) || std::isinf(expected) ? INFINITY : error;
}

static std::string describe(const Array &expected, const Array &got,
                            int64_t index, Number error) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.3Lg", error);
  return "at " + formatShape(unravel(index, got.shape())) + ": expected " +
         formatElement(expected, index) + ", got " + formatElement(got, index) +
         " (error " + text + ")";
}

static std::optional<Comparison> differentTypes(const Array &expected,
                                                const Array &got) {
  if (expected.dtype() != got.dtype())
    return Comparison{false, std::string("expected dtype ") +
                                 lutra_dtype_name(expected.dtype()) + ", got " +
                                 lutra_dtype_name(got.dtype())};
  if (expected.shape() != got.shape())
    return Comparison{false, "expected shape " + formatShape(expected.shape()) +
                                 ", got " + formatShape(got.shape())};
  return std::nullopt;
}

Comparison lutra::run::compare(const Array &expected, const Array &got,
                               double rtol, double atol) {
  if (std::optional<Comparison> differs = differentTypes(expected, got))
    return *differs;
  int64_t worst = -1, wrong = 0;
  Number worstExcess = -INFINITY, largest = 0;
  for (int64_t i = 0; i < got.count(); ++i) {
    Number want = expected.get(i), error = errorOf(want, got.get(i));
    Number allowed = error == 0 ? 0 : atol + rtol * std::fabs(want);
    Number excess = std::isinf(error) ? error : error - allowed;
    wrong += excess > 0;
    largest = std::fmax(largest, error);
    if (excess > worstExcess) {
      worstExcess = excess;
      worst = i;
    }
  }
  char text[128];
  if (!wrong) {
    std::snprintf(text, sizeof(text), "matches, largest error %.3Lg", largest);
    return {true, text};
  }
  std::snprintf(text, sizeof(text), "%lld of %lld elements differ, worst ",
                static_cast<long long>(wrong),
                static_cast<long long>(got.count()));
  return {false, text + describe(expected, got, worst,
                                 errorOf(expected.get(worst), got.get(worst)))};
}

/// The place of the largest element of a row, the first of several.
static int64_t largestOf(const Array &array, int64_t start, int64_t count) {
  int64_t best = start;
  for (int64_t i = start + 1; i < start + count; ++i)
    if (array.get(i) > array.get(best))
      best = i;
  return best;
}

std::string lutra::run::deviation(const Array &expected, const Array &got) {
  if (std::optional<Comparison> differs = differentTypes(expected, got))
    return differs->text;
  Number largest = 0, errors = 0, squares = 0;
  int64_t infinite = 0;
  for (int64_t i = 0; i < got.count(); ++i) {
    Number want = expected.get(i), error = errorOf(want, got.get(i));
    largest = std::max(largest, error);
    errors += error * error;
    squares += std::isfinite(want) ? want * want : 0;
    infinite += !std::isfinite(want);
  }
  Number relative = errors == 0 ? 0 : std::sqrt(errors / squares);
  char text[160];
  std::snprintf(text, sizeof(text),
                "largest error %.3Lg, relative RMS error %.3Lg %%", largest,
                100 * relative);
  std::string line = text;
  if (infinite > 0)
    line += ", " + std::to_string(infinite) + " of " +
            std::to_string(got.count()) + " expected elements not finite";
  int64_t columns = got.shape().empty() ? 0 : got.shape().back();
  if (columns < 2 || !isFloat(got.dtype()))
    return line;
  int64_t rows = got.count() / columns, same = 0;
  for (int64_t row = 0; row < rows; ++row)
    same += largestOf(expected, row * columns, columns) ==
            largestOf(got, row * columns, columns);
  return line + ", the same largest element in " + std::to_string(same) +
         " of " + std::to_string(rows) + (rows == 1 ? " row" : " rows");
}
