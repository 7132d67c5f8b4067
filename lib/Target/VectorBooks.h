//===- VectorBooks.h - Additive codebooks of vectors ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_VECTORBOOKS_H
#define LUTRA_LIB_TARGET_VECTORBOOKS_H

#include "dialects/Lutra/WeightFormats.h"
#include <array>
#include <vector>

namespace mlir {
class MLIRContext;
} // namespace mlir

namespace mlir::lutra {

/// Vectors [count, size], and at which place of a row each is.
struct PlacedVectors {
  std::vector<float> numbers;
  std::vector<int64_t> places;
};

/// Codebooks of which a vector is the sum of an entry of each, such that sums
/// of squared errors, of which each number's counts as `importance` says, are
/// least.
class VectorBooks {
public:
  static constexpr unsigned kMostSize = 8, kMostBooks = 4, kMostLevels = 256;
  using Vector = std::array<float, kMostSize>;
  using Codes = std::array<uint8_t, kMostBooks>;

  /// `importance` is [places, size]. `jointly`, books make up for each other;
  /// otherwise each is for what those before it leave.
  VectorBooks(const WeightFormat &format, bool jointly,
              std::vector<float> importance);

  /// Fits the books to vectors of numbers with a mean square of 1, and makes
  /// entries integers whose sums are -127 to 127. Returns what 1 has become.
  float learn(MLIRContext *context, const PlacedVectors &vectors);

  /// The codes of entries whose sum is near `vector`.
  Codes encode(const Vector &vector, int64_t place) const;
  /// Number `j` of what codes stand for.
  float number(const Codes &codes, unsigned j) const;
  const float *importanceOf(int64_t place) const {
    return importance.data() + place * size;
  }
  /// Number `j` of all entries of a book.
  ArrayRef<float> numbersOf(unsigned book, unsigned j) const {
    return ArrayRef(entries).slice((book * size + j) * levels, levels);
  }

private:
  struct Candidate;
  /// Of the entries of a book.
  using Costs = std::array<float, kMostLevels>;

  MutableArrayRef<float> numbersOf(unsigned book, unsigned j) {
    return MutableArrayRef(entries).slice((book * size + j) * levels, levels);
  }
  Vector vectorAt(const PlacedVectors &vectors, size_t at) const;
  void measure();
  Costs costsOf(unsigned book, const Vector &rest, int64_t place) const;
  unsigned cheapest(const Costs &costs) const;
  void take(Vector &rest, unsigned book, unsigned code, float sign = 1) const;
  Candidate search(const Vector &vector, int64_t place, unsigned count) const;
  void refine(Candidate &candidate, int64_t place) const;
  void cluster(MLIRContext *context, const PlacedVectors &rests, unsigned book,
               MutableArrayRef<Codes> codes);
  void update(const PlacedVectors &rests, unsigned book, ArrayRef<Codes> codes);
  void addTo(PlacedVectors &rests, unsigned book, ArrayRef<Codes> codes,
             float sign) const;
  void takeTurns(MLIRContext *context, const PlacedVectors &vectors,
                 MutableArrayRef<Codes> codes);
  float roundEntries();

  unsigned size, books, levels;
  bool jointly;
  std::vector<float> importance;
  /// [books, size, levels], and the weighted squares of each, [places, books,
  /// levels].
  std::vector<float> entries, squares;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_VECTORBOOKS_H
