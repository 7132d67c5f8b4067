//===- ActivationRules.h - What activations are rounded to ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_ACTIVATIONRULES_H
#define LUTRA_TRANSFORMS_ACTIVATIONRULES_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"
#include <vector>

namespace mlir::lutra {

/// What the activations of some products with codes are rounded to, whatever
/// the model asks for.
struct ActivationRule {
  /// As it was written: "*mlp*=a8".
  std::string text;
  llvm::GlobPattern pattern;
  /// To 8-bit integers, or not at all.
  bool integers;
};

/// Rules of which the first that matches counts.
struct ActivationRules {
  std::vector<ActivationRule> rules;

  /// Reads rules between ';', each [PATTERN=]a8 or [PATTERN=]a32, as
  /// docs/Quantization.md has them. The error says what was expected.
  static llvm::Expected<ActivationRules> parse(StringRef text);

  /// The rule for a product that goes by any of these names, or null.
  const ActivationRule *find(ArrayRef<StringRef> names) const;
};

} // namespace mlir::lutra

#endif // LUTRA_TRANSFORMS_ACTIVATIONRULES_H
