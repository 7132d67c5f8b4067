//===- QuantizationSpec.h - Which weights are quantized, and how *- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_QUANTIZATIONSPEC_H
#define LUTRA_TRANSFORMS_QUANTIZATIONSPEC_H

#include "dialects/Lutra/Lutra.h"
#include "dialects/Lutra/WeightFormats.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mlir::lutra {

/// How the weights of some products are quantized.
struct QuantizationRule {
  /// As it was written: "*mlp*=int4:g32".
  std::string text;
  llvm::GlobPattern pattern;
  /// One, or two of which the second has more bits; none for weights that stay
  /// as they are, and where `bits` choose.
  SmallVector<const WeightFormat *, 2> formats = {};
  /// The part of outputs that takes the second format: those that lose most by
  /// the first.
  double share = 0;
  /// Bits per weight of all that the rule is for, with scales, in symmetric
  /// formats such that the sum of their squared relative errors is least; or 0.
  double bits = 0;
  /// Weights of a group, 0 for all of a row; none for as many as formats say.
  std::optional<int64_t> group = {};
  /// Weights whose groups' scales are integers of 8 bits with a super-scale; 0
  /// where scales have none.
  int64_t superBlock = 0;
  /// The relative error of a weight above which its groups are halved; or 0.
  double mostError = 0;
  /// Whether activations are rounded to 8-bit integers, and whether with a
  /// scale that samples give.
  bool integers = false, isStatic = false;
  bool leastSquares = true;
  /// Whether weights make up for the errors of those before them (GPTQ).
  bool compensates = false;
  /// The power of an input channel's magnitude that moves into the weights
  /// (SmoothQuant); or 0.
  double smooth = 0;
  /// The magnitude from which on an input channel stays f32 (LLM.int8()); or 0.
  double outliers = 0;
  /// How many input channels are rounded twice, the second time to what the
  /// first leaves (ARCQuant); or 0.
  size_t residuals = 0;

  int64_t groupOf(const WeightFormat &format) const {
    return group.value_or(format.group);
  }
  /// Whether it takes samples of the model's inputs to go by the rule.
  bool needsSamples() const { return isStatic || needsChannels(); }
  /// Whether these are to tell channels apart.
  bool needsChannels() const {
    return compensates || smooth > 0 || outliers > 0 || residuals > 0;
  }
};

/// Rules of which the first that matches counts.
struct QuantizationSpec {
  std::vector<QuantizationRule> rules;

  /// Reads rules between ';', each [PATTERN=]FORMAT[:SETTING..] or
  /// [PATTERN=]none, as docs/Quantizing.md has them. The error says what was
  /// expected of which piece.
  static llvm::Expected<QuantizationSpec> parse(StringRef text);
  /// The same for a pass that has them as an option: reads them the first time,
  /// and reports the error.
  LogicalResult initialize(StringRef text, MLIRContext *context);

  /// The rule for a product that goes by any of these names, or null.
  const QuantizationRule *find(ArrayRef<StringRef> names) const;
};

/// What all activations of a product are rounded with: x is taken for the
/// integer nearest to x / scale, plus `zero`, in [-128, 127].
struct ActivationScale {
  float scale = 1;
  int32_t zero = 0;
};

/// Outputs of a product, all or some, whose weights have one format.
struct QuantizedPart {
  const WeightFormat *format;
  /// Of the weight as a matrix [N, K], in order; null for all.
  DenseElementsAttr rows = {};
  /// Weights of a group, and groups of a super-block, 0 where there is none.
  int64_t group = 0, superBlock = 0;
  bool integers = false;
  /// The attributes of the weight that its codes are.
  DictionaryAttr codes = {};
};

/// What became of a product with a constant weight.
struct QuantizedLayer {
  /// The names of its nodes and of its weight.
  std::string nodes, weight;
  /// Of the weight, as the product reads it.
  SmallVector<int64_t> shape;
  /// Bytes of the weight as it was.
  int64_t bytes = 0;
  /// Why the weight stays as it was; empty where it does not.
  std::string reason;

  /// None where it stays.
  SmallVector<QuantizedPart, 2> parts;
  /// Of integers, unless groups of each row have scales of their own.
  std::optional<ActivationScale> activation;
  /// As the step has it.
  StringRef method = kLeastSquares;
  /// What columns are multiplied with before, if they are, and what is known of
  /// their inputs.
  DenseElementsAttr factors;
  DictionaryAttr moments;
  /// Bytes of codes, scales, zero points and columns that stay.
  int64_t quantizedBytes = 0;
  /// Whether something else still reads the weight as it was.
  bool isKept = false;

  /// The step that makes the codes, scales, zero points or columns that stay of
  /// a part.
  QuantizeAttr step(MLIRContext *context, const QuantizedPart &part,
                    StringRef name) const;
};

/// Of each column of a matrix: the largest magnitude, and the sum of squares.
struct ColumnSizes {
  std::vector<float> largest, squares;
};

/// What is known of the factor x [rows, K] of a product from samples: the sizes
/// of its columns are those of input channels.
struct ChannelStatistics : ColumnSizes {
  double rows = 0;
  /// Where scales are to be static, the least and the greatest input of each
  /// channel, and in `excess` [channels, kLimits] the sum of squares of what
  /// magnitudes exceed limits by.
  std::vector<float> least, greatest, excess;
  /// The source of a matrix [K, K] of f32, the sums of products of any two
  /// channels; empty where there is none.
  std::string moments;
};

/// Statistics by the number of a product, among all of a module that have a
/// weight.
using Calibration = std::map<size_t, ChannelStatistics>;

/// What products read that share their statistics.
struct ObservedFactor {
  /// The nodes of the first.
  std::string name;
  SmallVector<size_t> products;
  int64_t channels;
  /// Whether some product's rule needs sums of products of any two channels, or
  /// a static scale.
  bool needsMatrix, isStatic;
};

/// Powers of the root of two, around 1, that magnitudes of inputs exceed.
inline constexpr int64_t kLimits = 48;
inline float limitOf(int64_t i) { return std::exp2((i - kLimits / 2) / 2.0f); }

/// The relative error of a weight that is quantized, in parts whose attributes
/// are given.
using MeasureWeight =
    std::function<llvm::Expected<double>(ArrayRef<QuantizedPart>)>;
/// The squared errors of the rows of such a weight.
using MeasureRows =
    std::function<llvm::Expected<std::vector<double>>(DictionaryAttr)>;
/// The columns of what such a weight quantizes.
using MeasureColumns =
    std::function<llvm::Expected<ColumnSizes>(DictionaryAttr)>;

/// How a pass asks about weights, which it does not read.
struct WeightMeasures {
  MeasureWeight error;
  MeasureRows rows;
  MeasureColumns columns;
};

} // namespace mlir::lutra

#endif // LUTRA_TRANSFORMS_QUANTIZATIONSPEC_H
