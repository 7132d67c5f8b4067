//===- VectorBooks.cpp - Additive codebooks of vectors --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each book is first what k-means finds for the vectors, less the entries that
// they have in the books before it: the residual codebooks of VPTQ (Liu et al.,
// 2024). Jointly, codes by a beam search, and the entries of each book for the
// codes of all, are then found in turns, as AQLM (Egiazarian et al., 2024)
// does.
//
//===----------------------------------------------------------------------===//

#include "VectorBooks.h"

#include "mlir/IR/Threading.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>

// A fused multiply-add would make codes depend on the machine.
#pragma STDC FP_CONTRACT OFF

using namespace mlir;
using namespace mlir::lutra;

/// Rounds of k-means, and turns.
static constexpr int kRounds = 12, kTurns = 8;
/// Candidates of a beam, and how often the codes of the best are gone through.
static constexpr unsigned kBeam = 8, kSweeps = 2;
/// Vectors that a thread encodes at once.
static constexpr size_t kVectors = 256;
/// Numbers of a vector, which GCC and Clang compute with as with one, on any
/// machine.
static constexpr unsigned kLanes = 4;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using IntLanes = int32_t __attribute__((vector_size(kLanes * sizeof(float))));

/// What codes of the first books leave of a vector, and what that costs more
/// than the vector itself.
struct VectorBooks::Candidate {
  Vector rest;
  Codes codes = {};
  float cost = 0;
};

VectorBooks::VectorBooks(const WeightFormat &format, bool jointly,
                         std::vector<float> importance)
    : size(format.vectorSize), books(format.books), levels(format.levels),
      jointly(jointly), importance(std::move(importance)),
      entries(books * size * levels) {}

VectorBooks::Vector VectorBooks::vectorAt(const PlacedVectors &vectors,
                                          size_t at) const {
  Vector result = {};
  std::copy_n(vectors.numbers.begin() + at * size, size, result.begin());
  return result;
}

float VectorBooks::number(const Codes &codes, unsigned j) const {
  float sum = 0;
  for (unsigned book = 0; book < books; ++book)
    sum += numbersOf(book, j)[codes[book]];
  return sum;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// Computes the squares of entries as they are now.
void VectorBooks::measure() {
  size_t places = importance.size() / size;
  squares.assign(places * books * levels, 0);
  float *square = squares.data();
  for (size_t place = 0; place < places; ++place)
    for (unsigned book = 0; book < books; ++book, square += levels)
      for (unsigned j = 0; j < size; ++j) {
        float weight = importanceOf(place)[j];
        ArrayRef<float> numbers = numbersOf(book, j);
        for (unsigned code = 0; code < levels; ++code)
          square[code] += weight * numbers[code] * numbers[code];
      }
}

/// What the error grows by where an entry of a book is taken off `rest`.
VectorBooks::Costs VectorBooks::costsOf(unsigned book, const Vector &rest,
                                        int64_t place) const {
  // As many at once as registers hold.
  constexpr unsigned kAtOnce = 4;
  Costs costs;
  const float *square = &squares[(place * books + book) * levels],
              *numbers = numbersOf(book, 0).data();
  std::array<Lanes, kMostSize> weights;
  for (unsigned j = 0; j < size; ++j)
    weights[j] = Lanes{} + 2 * importanceOf(place)[j] * rest[j];
  for (unsigned code = 0; code < levels; code += kAtOnce * kLanes) {
    std::array<Lanes, kAtOnce> sums, added;
    std::memcpy(&sums, square + code, sizeof(sums));
    for (unsigned j = 0; j < size; ++j) {
      std::memcpy(&added, numbers + j * levels + code, sizeof(added));
      for (unsigned i = 0; i < kAtOnce; ++i)
        sums[i] -= weights[j] * added[i];
    }
    std::memcpy(&costs[code], &sums, sizeof(sums));
  }
  return costs;
}

/// The code of the least cost, the first of several.
unsigned VectorBooks::cheapest(const Costs &costs) const {
  Lanes least = Lanes{} + std::numeric_limits<float>::infinity();
  IntLanes at = {}, where = {0, 1, 2, 3};
  for (unsigned code = 0; code < levels; code += kLanes) {
    Lanes cost;
    std::memcpy(&cost, &costs[code], sizeof(cost));
    IntLanes isLess = cost < least;
    least = isLess ? cost : least;
    at = isLess ? where : at;
    where += kLanes;
  }
  unsigned best = 0;
  for (unsigned lane = 1; lane < kLanes; ++lane)
    if (least[lane] < least[best] ||
        (least[lane] == least[best] && at[lane] < at[best]))
      best = lane;
  return at[best];
}

void VectorBooks::take(Vector &rest, unsigned book, unsigned code,
                       float sign) const {
  for (unsigned j = 0; j < size; ++j)
    rest[j] -= sign * numbersOf(book, j)[code];
}

/// The cheapest codes of the first `count` books that a beam finds.
VectorBooks::Candidate VectorBooks::search(const Vector &vector, int64_t place,
                                           unsigned count) const {
  SmallVector<Candidate, kBeam * kBeam> beam = {{vector}}, next;
  for (unsigned book = 0; book < count; ++book, beam.swap(next)) {
    unsigned width = jointly && book + 1 < count ? kBeam : 1;
    next.clear();
    for (const Candidate &candidate : beam) {
      Costs costs = costsOf(book, candidate.rest, place);
      for (unsigned i = 0; i < width; ++i) {
        unsigned code = cheapest(costs);
        Candidate longer = candidate;
        take(longer.rest, book, code);
        longer.codes[book] = code;
        longer.cost += costs[code];
        next.push_back(longer);
        costs[code] = std::numeric_limits<float>::infinity();
      }
    }
    llvm::sort(next, [](const Candidate &a, const Candidate &b) {
      return std::tie(a.cost, a.codes) < std::tie(b.cost, b.codes);
    });
    next.truncate(std::min<size_t>(next.size(), width));
  }
  return beam.front();
}

/// Gives each book in turn the code that is best with those of the others.
void VectorBooks::refine(Candidate &candidate, int64_t place) const {
  for (unsigned sweep = 0; sweep < kSweeps; ++sweep) {
    Codes before = candidate.codes;
    for (unsigned book = 0; book < books; ++book) {
      uint8_t &code = candidate.codes[book];
      take(candidate.rest, book, code, -1);
      code = cheapest(costsOf(book, candidate.rest, place));
      take(candidate.rest, book, code);
    }
    if (candidate.codes == before)
      return;
  }
}

VectorBooks::Codes VectorBooks::encode(const Vector &vector,
                                       int64_t place) const {
  Candidate best = search(vector, place, books);
  if (jointly && books > 1)
    refine(best, place);
  return best.codes;
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

/// Calls `body` with the number of each vector, in parallel.
static void forEach(MLIRContext *context, size_t count,
                    function_ref<void(size_t)> body) {
  parallelFor(context, 0, llvm::divideCeil(count, kVectors), [&](size_t task) {
    for (size_t at = task * kVectors, end = std::min(count, at + kVectors);
         at < end; ++at)
      body(at);
  });
}

/// Makes entries of `book` the means of the vectors that have their codes.
void VectorBooks::update(const PlacedVectors &rests, unsigned book,
                         ArrayRef<Codes> codes) {
  std::vector<double> sums(size * levels), weights(size * levels);
  for (auto [at, place] : llvm::enumerate(rests.places))
    for (unsigned j = 0; j < size; ++j) {
      double weight = importanceOf(place)[j];
      size_t entry = j * levels + codes[at][book];
      sums[entry] += weight * rests.numbers[at * size + j];
      weights[entry] += weight;
    }
  for (unsigned j = 0; j < size; ++j)
    for (unsigned code = 0; code < levels; ++code)
      if (double weight = weights[j * levels + code]; weight > 0)
        numbersOf(book, j)[code] = sums[j * levels + code] / weight;
}

/// Makes `book` what k-means finds, from vectors at even distances on.
void VectorBooks::cluster(MLIRContext *context, const PlacedVectors &rests,
                          unsigned book, MutableArrayRef<Codes> codes) {
  size_t count = rests.places.size();
  for (unsigned code = 0; code < levels; ++code)
    for (unsigned j = 0; j < size; ++j)
      numbersOf(book, j)[code] =
          rests.numbers[code * count / levels * size + j];
  for (int round = 0; round <= kRounds; ++round) {
    measure();
    forEach(context, count, [&](size_t at) {
      codes[at][book] =
          cheapest(costsOf(book, vectorAt(rests, at), rests.places[at]));
    });
    if (round < kRounds)
      update(rests, book, codes);
  }
}

/// Adds to vectors `sign` times their entries in `book`.
void VectorBooks::addTo(PlacedVectors &rests, unsigned book,
                        ArrayRef<Codes> codes, float sign) const {
  for (auto [at, code] : llvm::enumerate(codes))
    for (unsigned j = 0; j < size; ++j)
      rests.numbers[at * size + j] += sign * numbersOf(book, j)[code[book]];
}

/// Finds codes for the entries, and entries for the codes.
void VectorBooks::takeTurns(MLIRContext *context, const PlacedVectors &vectors,
                            MutableArrayRef<Codes> codes) {
  for (int turn = 0; turn < kTurns; ++turn) {
    measure();
    forEach(context, codes.size(), [&](size_t at) {
      codes[at] = encode(vectorAt(vectors, at), vectors.places[at]);
    });
    PlacedVectors rests = vectors;
    for (unsigned book = 0; book < books; ++book)
      addTo(rests, book, codes, -1);
    for (unsigned book = 0; book < books; ++book) {
      addTo(rests, book, codes, 1);
      update(rests, book, codes);
      addTo(rests, book, codes, -1);
    }
  }
}

float VectorBooks::roundEntries() {
  float most = 0;
  for (unsigned book = 0; book < books; ++book) {
    float ofBook = 0;
    for (unsigned j = 0; j < size; ++j)
      for (float number : numbersOf(book, j))
        ofBook = std::max(ofBook, std::fabs(number));
    most += ofBook;
  }
  // Each may be rounded up by a half.
  float unit = most > 0 ? (127 - 0.5f * books) / most : 1;
  for (float &number : entries)
    number = std::nearbyint(number * unit);
  return unit;
}

float VectorBooks::learn(MLIRContext *context, const PlacedVectors &vectors) {
  if (!vectors.places.empty()) {
    std::vector<Codes> codes(vectors.places.size());
    PlacedVectors rests = vectors;
    for (unsigned book = 0; book < books; ++book) {
      cluster(context, rests, book, codes);
      addTo(rests, book, codes, -1);
    }
    if (jointly && books > 1)
      takeTurns(context, vectors, codes);
  }
  float unit = roundEntries();
  measure();
  return unit;
}
