//===- InputMoments.h - What weights are multiplied with --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_INPUTMOMENTS_H
#define LUTRA_LIB_TARGET_INPUTMOMENTS_H

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/ArrayRef.h"
#include <vector>

namespace mlir::lutra {

/// Second moments of the inputs of a matrix's columns: the sums of squares of
/// each, or of products of any two.
class InputMoments {
public:
  /// K numbers, or K x K.
  InputMoments(std::vector<float> moments, int64_t columns);

  /// How much squared errors of the weights of each column count, where columns
  /// are multiplied with `factors` first, unless these are empty: 1 on average.
  /// A hundredth is for inputs that the samples may have missed.
  std::vector<float> importance(ArrayRef<float> factors) const;

  /// Sums of products of any two inputs, of which there must be, for columns
  /// that are multiplied with `factors`, or zeros where these are 0.
  std::vector<float> scaled(ArrayRef<float> factors) const;

  /// The sum of the squares of what rows of weights give for these inputs. Of
  /// sums of squares alone, inputs count as uncorrelated.
  double squaredOutputs(MLIRContext *context, ArrayRef<float> rows) const;

private:
  bool isMatrix() const { return int64_t(moments.size()) != columns; }

  std::vector<float> moments;
  int64_t columns;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_INPUTMOMENTS_H
