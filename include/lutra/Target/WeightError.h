//===- WeightError.h - What quantizing a weight loses -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_WEIGHTERROR_H
#define LUTRA_TARGET_WEIGHTERROR_H

#include "lutra/Target/WeightImage.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace mlir::lutra {

/// Sums over the weights of a matrix, or where the moments of its inputs are
/// known, over outputs for these.
struct QuantizationError {
  double squaredError = 0, squaredWeights = 0;

  /// The root of the mean squared error relative to that of the weights.
  double relative() const;
};

/// Quantizes a weight and compares what its codes stand for with what they were
/// made of. `weight` is the attributes of a lutra.weight with a
/// `#lutra.quantize`; steps behind that are ignored. The error names the
/// weight.
llvm::Expected<QuantizationError>
measureQuantization(DictionaryAttr weight, Location loc, OpenSource open);

/// The squared error of each row of such a weight, as far as rows are to be
/// compared: where moments are known, columns count by these.
llvm::Expected<std::vector<double>> measureRows(DictionaryAttr weight,
                                                Location loc, OpenSource open);

/// The largest magnitude and the sum of squares of each column of the matrix
/// that such a weight quantizes.
llvm::Error measureColumns(DictionaryAttr weight, Location loc, OpenSource open,
                           std::vector<float> &largest,
                           std::vector<float> &squares);

} // namespace mlir::lutra

#endif // LUTRA_TARGET_WEIGHTERROR_H
