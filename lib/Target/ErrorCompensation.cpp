//===- ErrorCompensation.cpp - Weights that make up for others ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An error e of a row of weights costs e H e^T = sum over k of D[k] times the
// square of e[k] + sum over j < k of e[j] U[j, k]. Column after column, a
// weight is thus best rounded with the errors so far fed back through U. That
// is GPTQ without the inverse of H, as QuIP (Chee et al., 2023) shows.
//
//===----------------------------------------------------------------------===//

#include "ErrorCompensation.h"

#include "mlir/IR/Threading.h"
#include <cmath>
#include <numeric>

// A fused multiply-add would make codes depend on the machine.
#pragma STDC FP_CONTRACT OFF

using namespace mlir;
using namespace mlir::lutra;

static constexpr float kDamping = 0.01f;
/// Columns that are fed back, or subtracted, at once.
static constexpr int64_t kBlock = 128, kFactorBlock = 64;

/// Rows at work, and what they are like with errors fed back.
struct ErrorCompensation::Rows {
  ArrayRef<float> weights;
  int64_t count, size, groups;
  MutableArrayRef<GroupParameters> parameters;
  uint8_t *codes;
  int64_t codesOfRow;
  std::vector<float> targets, errors;
};

//===----------------------------------------------------------------------===//
// H = U D U^T
//===----------------------------------------------------------------------===//

ErrorCompensation::ErrorCompensation(MLIRContext *context,
                                     std::vector<float> moments,
                                     int64_t columns)
    : columns(columns), matrix(std::move(moments)), importance(columns) {
  double sum = 0;
  for (int64_t k = 0; k < columns; ++k)
    sum += matrix[k * (columns + 1)];
  float mean = sum / std::max<int64_t>(columns, 1);
  // Without a size of their own, errors count alike.
  least = mean > 0 ? kDamping * mean : 1;
  for (int64_t k = 0; k < columns; ++k)
    matrix[k * (columns + 1)] += least;
  factorize(context);
  double all = std::accumulate(importance.begin(), importance.end(), 0.0);
  for (float &number : importance)
    number *= columns / all;
}

/// Factorizes from the last column on, a block of columns at a time.
void ErrorCompensation::factorize(MLIRContext *context) {
  std::vector<float> block(kFactorBlock * columns);
  for (int64_t last = columns; last > 0;) {
    int64_t first = std::max<int64_t>(0, last - kFactorBlock),
            width = last - first;
    auto column = [&](int64_t c) { return &block[c * columns]; };
    for (int64_t i = 0; i < last; ++i)
      for (int64_t c = 0; c < width; ++c)
        column(c)[i] = matrix[i * columns + first + c];
    for (int64_t c = width; c-- > 0;) {
      const float *own = column(c);
      // No less with exact numbers: it is no less than what was added.
      float pivot = std::max(own[first + c], least);
      importance[first + c] = pivot;
      for (int64_t other = 0; other < c; ++other) {
        float factor = own[first + other] / pivot;
        float *to = column(other);
        for (int64_t i = 0; i <= first + other; ++i)
          to[i] -= factor * own[i];
      }
    }
    subtract(context, first, last, block);
    for (int64_t i = 0; i < last; ++i)
      for (int64_t c = 0; c < width; ++c)
        matrix[i * columns + first + c] = column(c)[i] / importance[first + c];
    last = first;
  }
}

/// Takes what columns [first, last) of U give out of the matrix before them.
void ErrorCompensation::subtract(MLIRContext *context, int64_t first,
                                 int64_t last, ArrayRef<float> block) {
  parallelFor(context, 0, first, [&](size_t i) {
    float *row = &matrix[i * columns];
    // Two at a time, since each reads and writes the row.
    for (int64_t k = first; k < last; k += 2) {
      const float *a = &block[(k - first) * columns];
      const float *b = k + 1 < last ? a + columns : a;
      float ofA = a[i] / importance[k];
      float ofB = k + 1 < last ? b[i] / importance[k + 1] : 0;
      for (int64_t j = i; j < first; ++j)
        row[j] -= ofA * a[j] + ofB * b[j];
    }
  });
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Feeds the errors of columns [from, to) back to columns [begin, end).
void ErrorCompensation::feed(Rows &rows, int64_t from, int64_t to,
                             int64_t begin, int64_t end) const {
  for (int64_t j = from; j < to; ++j)
    for (int64_t row = 0; row < rows.count; ++row) {
      float error = rows.errors[row * columns + j];
      const float *factors = &matrix[j * columns];
      float *targets = &rows.targets[row * columns];
      for (int64_t k = begin; k < end; ++k)
        targets[k] += error * factors[k];
    }
}

/// Gives columns [begin, end), of one group, their codes.
void ErrorCompensation::encode(const GroupQuantizer &quantizer, Rows &rows,
                               int64_t begin, int64_t end) const {
  for (int64_t row = 0; row < rows.count; ++row) {
    GroupParameters parameters =
        rows.parameters[row * rows.groups + begin / rows.size];
    float *targets = &rows.targets[row * columns];
    for (int64_t k = begin; k < end; ++k) {
      // Moments that are no inputs' may lead anywhere.
      if (!std::isfinite(targets[k]))
        targets[k] = rows.weights[row * columns + k];
      uint8_t &code = rows.codes[row * rows.codesOfRow + k];
      quantizer.encode(targets[k], parameters, &code);
      float error =
          rows.weights[row * columns + k] - quantizer.decode(code, parameters);
      rows.errors[row * columns + k] = error;
      const float *factors = &matrix[k * columns];
      for (int64_t later = k + 1; later < end; ++later)
        targets[later] += error * factors[later];
    }
  }
}

/// What columns [begin, end) of a row would be if only errors before them were
/// to be made up for, and these had none: what to fit their numbers to.
std::vector<float> ErrorCompensation::ideal(const Rows &rows, int64_t row,
                                            int64_t begin, int64_t end) const {
  int64_t at = row * columns;
  std::vector<float> result(rows.targets.begin() + at + begin,
                            rows.targets.begin() + at + end);
  for (int64_t k = begin; k < end; ++k) {
    float weight = rows.weights[at + k], &own = result[k - begin];
    if (!std::isfinite(own))
      own = weight;
    float change = weight - own;
    const float *factors = &matrix[k * columns];
    for (int64_t later = k + 1; begin > 0 && later < end; ++later)
      result[later - begin] += change * factors[later];
  }
  return result;
}

void ErrorCompensation::quantize(const GroupQuantizer &quantizer,
                                 ArrayRef<float> weights, int64_t size,
                                 MutableArrayRef<GroupParameters> parameters,
                                 uint8_t *codes, int64_t codesOfRow) const {
  int64_t count = weights.size() / columns,
          groups = llvm::divideCeil(columns, size);
  Rows rows = {weights,    count,      size,
               groups,     parameters, codes,
               codesOfRow, weights,    std::vector<float>(weights.size())};
  for (int64_t start = 0; start < columns; start += size) {
    int64_t stop = std::min(columns, start + size);
    feed(rows, 0, start, start, stop);
    for (int64_t row = 0; row < count; ++row) {
      GroupParameters &group = parameters[row * groups + start / size];
      group = quantizer.fit(ideal(rows, row, start, stop),
                            ArrayRef(importance).slice(start, stop - start),
                            group.superScale);
    }
    for (int64_t begin = start; begin < stop; begin += kBlock) {
      int64_t end = std::min(stop, begin + kBlock);
      feed(rows, start, begin, begin, end);
      encode(quantizer, rows, begin, end);
    }
  }
}
