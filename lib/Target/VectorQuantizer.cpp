//===- VectorQuantizer.cpp - Weights as vectors of codebooks --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights of a group are divided by the root of their mean square; what becomes
// of vectors at even distances is what codebooks are learned from. By least
// squares, scales are fitted again for the codes that these first ones give.
//
//===----------------------------------------------------------------------===//

#include "RowQuantizer.h"
#include "VectorBooks.h"

#include <cmath>

// A fused multiply-add would make codes depend on the machine.
#pragma STDC FP_CONTRACT OFF

using namespace mlir;
using namespace mlir::lutra;

/// Vectors that books are learned from: 64 to 128 for each entry.
static constexpr int64_t kSamples = 1 << 15;
/// Vectors that take turns (`#mpgemm.vectors`).
static constexpr int64_t kTurn = 4;

namespace {
class VectorQuantizer : public RowQuantizer {
public:
  VectorQuantizer(const WeightFormat &format, int64_t group, bool leastSquares,
                  int64_t rows, int64_t columns, ArrayRef<float> importance);

  bool learns() const override { return true; }
  void see(ArrayRef<float> weights) override;
  void learn(MLIRContext *context) override;
  void appendCodebook(SmallVectorImpl<char> &out) const override;
  void fit(ArrayRef<float> weights,
           MutableArrayRef<GroupParameters> parameters) const override;
  void encode(ArrayRef<float> weights, ArrayRef<GroupParameters> parameters,
              uint8_t *codes) const override;
  void decode(const uint8_t *codes, ArrayRef<GroupParameters> parameters,
              MutableArrayRef<float> weights) const override;

private:
  using Vector = VectorBooks::Vector;
  using Codes = VectorBooks::Codes;

  /// Where vector `at` of a row begins.
  int64_t firstOf(int64_t at) const { return at / kTurn * block + at % kTurn; }
  /// The place of vector `at` of a row: all are one where all count the same.
  int64_t placeOf(int64_t at) const { return isWeighted ? at : 0; }
  int64_t vectorsOf(size_t weights) const {
    return llvm::divideCeil(weights, block) * kTurn;
  }
  Vector vectorAt(ArrayRef<float> weights, int64_t at, float scale) const;
  float deviation(ArrayRef<float> weights, int64_t group) const;
  Codes codesAt(const uint8_t *codes, int64_t at) const;

  const WeightFormat &format;
  int64_t group, block, stride;
  bool leastSquares, isWeighted;
  VectorBooks books;
  /// What a deviation of 1 is in the books.
  float unit = 1;
  int64_t seen = 0;
  PlacedVectors samples;
};
} // namespace

/// Importance in the order of vectors: 0 for what is no weight.
static std::vector<float> byPlaces(const WeightFormat &format, int64_t columns,
                                   ArrayRef<float> importance) {
  if (importance.empty())
    return std::vector<float>(format.vectorSize, 1);
  int64_t block = kTurn * format.vectorSize;
  std::vector<float> result;
  for (int64_t begin = 0; begin < columns; begin += block)
    for (int64_t i = 0; i < kTurn; ++i)
      for (int64_t k = begin + i; k < begin + block; k += kTurn)
        result.push_back(k < columns ? importance[k] : 0);
  return result;
}

VectorQuantizer::VectorQuantizer(const WeightFormat &format, int64_t group,
                                 bool leastSquares, int64_t rows,
                                 int64_t columns, ArrayRef<float> importance)
    : format(format), group(group), block(kTurn * format.vectorSize),
      leastSquares(leastSquares), isWeighted(!importance.empty()),
      books(format, leastSquares, byPlaces(format, columns, importance)) {
  // Odd, so that no place of a row is left out.
  stride = rows * vectorsOf(columns) / kSamples | 1;
}

/// Numbers of vector `at` of a row in units of `scale`.
VectorQuantizer::Vector VectorQuantizer::vectorAt(ArrayRef<float> weights,
                                                  int64_t at,
                                                  float scale) const {
  Vector result = {};
  int64_t k = firstOf(at), count = weights.size();
  for (unsigned j = 0; j < format.vectorSize && k < count; ++j, k += kTurn)
    result[j] = scale > 0 ? weights[k] / scale : 0;
  return result;
}

float VectorQuantizer::deviation(ArrayRef<float> weights,
                                 int64_t number) const {
  ArrayRef<float> ofGroup = weights.drop_front(number * group);
  ofGroup = ofGroup.take_front(group);
  double sum = 0;
  for (double weight : ofGroup)
    sum += weight * weight;
  return std::sqrt(sum / std::max<size_t>(ofGroup.size(), 1));
}

void VectorQuantizer::see(ArrayRef<float> weights) {
  int64_t next = 0, count = vectorsOf(weights.size());
  if (int64_t over = seen % stride)
    next = stride - over;
  seen += count;
  for (; next < count; next += stride) {
    float scale = deviation(weights, firstOf(next) / group);
    Vector vector = vectorAt(weights, next, scale);
    samples.numbers.insert(samples.numbers.end(), vector.begin(),
                           vector.begin() + format.vectorSize);
    samples.places.push_back(placeOf(next));
  }
}

void VectorQuantizer::learn(MLIRContext *context) {
  unit = books.learn(context, samples);
  samples = {};
}

/// The first book's entries have what numbers are less than bytes.
void VectorQuantizer::appendCodebook(SmallVectorImpl<char> &out) const {
  for (unsigned book = 0; book < format.books; ++book)
    for (unsigned j = 0; j < format.vectorSize; ++j)
      for (float number : books.numbersOf(book, j))
        out.push_back(char(int(number) + (book == 0 ? 128 : 0)));
}

/// The codes of vector `at` of a row.
VectorQuantizer::Codes VectorQuantizer::codesAt(const uint8_t *codes,
                                                int64_t at) const {
  Codes result = {};
  const uint8_t *first = codes + at / kTurn * kTurn * format.books + at % kTurn;
  for (unsigned book = 0; book < format.books; ++book)
    result[book] = first[book * kTurn];
  return result;
}

void VectorQuantizer::fit(ArrayRef<float> weights,
                          MutableArrayRef<GroupParameters> parameters) const {
  for (auto [number, result] : llvm::enumerate(parameters))
    result.scale = toBF16(deviation(weights, number) / unit);
  if (!leastSquares)
    return;
  std::vector<uint8_t> codes(format.codesOf(parameters.size() * group));
  encode(weights, parameters, codes.data());
  std::vector<double> xx(parameters.size()), xy(parameters.size());
  for (int64_t at = 0; at < vectorsOf(weights.size()); ++at) {
    Codes ofVector = codesAt(codes.data(), at);
    int64_t k = firstOf(at), count = weights.size();
    for (unsigned j = 0; j < format.vectorSize && k < count; ++j, k += kTurn) {
      double number = books.number(ofVector, j),
             weight = books.importanceOf(placeOf(at))[j];
      xx[k / group] += weight * number * number;
      xy[k / group] += weight * number * weights[k];
    }
  }
  for (auto [number, result] : llvm::enumerate(parameters))
    result.scale = toBF16(xy[number] > 0 ? xy[number] / xx[number] : 0);
}

void VectorQuantizer::encode(ArrayRef<float> weights,
                             ArrayRef<GroupParameters> parameters,
                             uint8_t *codes) const {
  for (int64_t at = 0; at < vectorsOf(weights.size()); ++at) {
    float scale = parameters[firstOf(at) / group].scale;
    Codes found = books.encode(vectorAt(weights, at, scale), placeOf(at));
    uint8_t *first = codes + at / kTurn * kTurn * format.books + at % kTurn;
    for (unsigned book = 0; book < format.books; ++book)
      first[book * kTurn] = found[book];
  }
}

void VectorQuantizer::decode(const uint8_t *codes,
                             ArrayRef<GroupParameters> parameters,
                             MutableArrayRef<float> weights) const {
  for (int64_t at = 0; at < vectorsOf(weights.size()); ++at) {
    Codes ofVector = codesAt(codes, at);
    int64_t k = firstOf(at), count = weights.size();
    for (unsigned j = 0; j < format.vectorSize && k < count; ++j, k += kTurn)
      weights[k] = books.number(ofVector, j) * parameters[k / group].scale;
  }
}

std::unique_ptr<RowQuantizer>
lutra::createVectorQuantizer(const WeightFormat &format, int64_t group,
                             bool leastSquares, int64_t rows, int64_t columns,
                             ArrayRef<float> importance) {
  return std::make_unique<VectorQuantizer>(format, group, leastSquares, rows,
                                           columns, importance);
}
