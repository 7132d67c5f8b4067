//===- QuantizationSpec.h - Which weights are quantized, and how *- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_QUANTIZATIONSPEC_H
#define LUTRA_TRANSFORMS_QUANTIZATIONSPEC_H

#include "dialects/Lutra/WeightFormats.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"
#include <string>
#include <vector>

namespace mlir::lutra {

/// How the weights of some products are quantized.
struct QuantizationRule {
  /// As it was written: "*mlp*=int4:g32".
  std::string text;
  llvm::GlobPattern pattern;
  /// Null for weights that stay as they are.
  const WeightFormat *format = nullptr;
  /// Weights of a group; 0 for all of a row.
  int64_t group = 0;
  /// Whether activations are rounded to 8-bit integers.
  bool integers = false;
  bool leastSquares = true;
};

/// Rules of which the first that matches counts.
struct QuantizationSpec {
  std::vector<QuantizationRule> rules;

  /// Reads rules between ';', each [PATTERN=]FORMAT[:gN|:row][:a8|:a32]
  /// [:mse|:nearest] or [PATTERN=]none. The error says what was expected of
  /// which piece.
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

  /// Where it is quantized: how, the attributes of the weight that its codes
  /// are, the bytes of codes, scales and zero points, and whether something
  /// else still reads the weight as it was.
  const WeightFormat *format = nullptr;
  int64_t group = 0;
  bool integers = false, isKept = false;
  DictionaryAttr codes;
  int64_t quantizedBytes = 0;
};

} // namespace mlir::lutra

#endif // LUTRA_TRANSFORMS_QUANTIZATIONSPEC_H
