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
#include <functional>
#include <string>
#include <vector>

namespace mlir::lutra {

/// How the weights of some products are quantized.
struct QuantizationRule {
  /// As it was written: "*mlp*=int4:g32".
  std::string text;
  llvm::GlobPattern pattern;
  /// Null for weights that stay as they are, and where `bits` choose.
  const WeightFormat *format = nullptr;
  /// Bits per weight of all that the rule is for, with scales, in symmetric
  /// formats such that the sum of their squared relative errors is least; or 0.
  double bits = 0;
  /// Weights of a group; 0 for all of a row.
  int64_t group = 0;
  /// The relative error of a weight above which its groups are halved; or 0.
  double mostError = 0;
  /// Whether activations are rounded to 8-bit integers.
  bool integers = false;
  bool leastSquares = true;
};

/// Rules of which the first that matches counts.
struct QuantizationSpec {
  std::vector<QuantizationRule> rules;

  /// Reads rules between ';', each [PATTERN=]FORMAT[:SETTING..] or
  /// [PATTERN=]none, as docs/Quantization.md has them. The error says what was
  /// expected of which piece.
  static llvm::Expected<QuantizationSpec> parse(StringRef text);

  /// The rule for a product that goes by any of these names, or null.
  const QuantizationRule *find(ArrayRef<StringRef> names) const;
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

  /// Null where it stays.
  const WeightFormat *format = nullptr;
  /// Weights of a group.
  int64_t group = 0;
  bool integers = false, leastSquares = true;
  /// The attributes of the weight that its codes are.
  DictionaryAttr codes;
  /// Bytes of codes, scales and zero points.
  int64_t quantizedBytes = 0;
  /// Whether something else still reads the weight as it was.
  bool isKept = false;

  /// The step that makes its codes, scales or zero points.
  QuantizeAttr step(MLIRContext *context, StringRef part) const;
};

/// The relative error of a weight that is quantized, whose attributes are
/// given.
using MeasureWeight = std::function<llvm::Expected<double>(DictionaryAttr)>;

} // namespace mlir::lutra

#endif // LUTRA_TRANSFORMS_QUANTIZATIONSPEC_H
