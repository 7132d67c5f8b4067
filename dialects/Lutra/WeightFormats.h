//===- WeightFormats.h - What weights are quantized to ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The formats of `#lutra.quantize`. A group of consecutive weights of a row
// shares a scale, and in some formats a zero point.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_WEIGHTFORMATS_H
#define LUTRA_DIALECTS_LUTRA_WEIGHTFORMATS_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

namespace mlir::lutra {

/// What a scale may be. The range of bf16 is that of f32, and 8 bits of a scale
/// are enough where codes are chosen for the scale as it is kept.
enum class WeightScale {
  BF16,
  /// OCP's E8M0.
  PowerOfTwo,
  /// OCP's E4M3, times a power of two that the whole weight shares, its
  /// super-scale.
  E4M3
};

/// What codes are.
enum class WeightCoding {
  /// Numbers, evenly spaced or of a table.
  Numbers,
  /// One bit of each plane, of which a weight has `bits`: a sum of scales with
  /// signs.
  Binary,
  /// Those of a trellis (`TrellisCode.h`).
  Trellis,
  /// Some together stand for a vector, the sum of those of codebooks that are
  /// learned from the weight (`#mpgemm.vectors`).
  Vectors
};

/// Whether numbers are at most 16 integers of 8 bits, as which they are
/// multiplied.
bool areBytes(ArrayRef<float> numbers);

struct WeightFormat {
  StringLiteral name;
  /// Of a code.
  unsigned bits;
  /// Codes are below this number.
  unsigned levels;
  /// What is subtracted from a code; nothing where groups have zero points of
  /// their own. Not for formats with values.
  std::optional<unsigned> zero;
  WeightScale scale = WeightScale::BF16;
  /// Weights of a group unless another number is asked for; 0 for all of a row.
  int64_t group = 32;
  bool hasFixedGroup = false;
  /// The numbers that codes stand for; none where they are evenly spaced.
  ArrayRef<float> values = {};
  /// The one of them that the largest weight of a group is first taken for,
  /// unless it is the largest: posits are densest around 1.
  float peak = 0;
  WeightCoding coding = WeightCoding::Numbers;
  /// What groups are multiples of, but for one that is a whole row; with
  /// vectors that too, which is then padded.
  int64_t groupMultiple = 1;
  /// Weights of a vector, and codes that together stand for one.
  unsigned vectorSize = 1, books = 1;

  bool hasZeros() const {
    return coding == WeightCoding::Numbers && values.empty() && !zero;
  }
  /// Whether scales may be integers of 8 bits, times one of some groups.
  bool takesSuperBlocks() const { return scale == WeightScale::BF16; }
  /// The bits of the integers that codes are multiplied as.
  unsigned numberBits() const {
    if (coding == WeightCoding::Binary)
      return 1;
    return values.empty() && coding == WeightCoding::Numbers ? bits : 8;
  }
  /// Whether codes stand for integers of at most 8 bits.
  bool hasIntegers() const { return values.empty() || areBytes(values); }
  /// Groups of codes for a group of weights, each with a scale.
  unsigned planes() const { return coding == WeightCoding::Binary ? bits : 1; }
  bool hasVectors() const { return coding == WeightCoding::Vectors; }
  /// The codes of so many weights, which are whole vectors.
  int64_t codesOf(int64_t weights) const {
    return weights / vectorSize * books;
  }
  /// Bits of all codes of a weight.
  double codeBits() const { return double(bits) * books / vectorSize; }
  /// The numbers of all codebooks, in bytes.
  int64_t codebookSize() const {
    return hasVectors() ? int64_t(books) * vectorSize << bits : 0;
  }
  /// The weights of a group where `group` are asked for, 0 for all, in rows of
  /// `columns`.
  int64_t groupOf(int64_t group, int64_t columns) const {
    group = group == 0 ? columns : std::min(group, columns);
    return hasVectors() ? llvm::alignTo(group, groupMultiple) : group;
  }
};

/// All formats, from few bits to many.
ArrayRef<WeightFormat> weightFormats();
/// The format of that name, or null.
const WeightFormat *findWeightFormat(StringRef name);

/// How scales are chosen: such that the largest weight of a group is exact, or
/// such that the sum of squared errors is least; or so that weights make up for
/// the errors of those before them (GPTQ).
inline constexpr StringLiteral kNearest = "nearest", kLeastSquares = "mse",
                               kCompensated = "gptq";
/// What of a quantized weight is meant: the sums are those of the numbers of a
/// row, and the rest is columns that are not quantized.
inline constexpr StringLiteral kCodes = "codes", kScales = "scales",
                               kSuperScales = "superscales", kZeros = "zeros",
                               kCodebook = "codebook", kSums = "sums",
                               kRest = "rest";

} // namespace mlir::lutra

#endif // LUTRA_DIALECTS_LUTRA_WEIGHTFORMATS_H
