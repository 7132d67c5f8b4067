//===- ActivationScale.h - Activations with a scale for all -----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_ACTIVATIONSCALE_H
#define LUTRA_LIB_TRANSFORMS_ACTIVATIONSCALE_H

#include "lutra/Transforms/QuantizationSpec.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::lutra {

/// The scale and zero point for inputs that are divided by `factors`, or left
/// out where these are 0: such that all of them are in range or, with
/// `leastSquares`, that the sum of squared errors of what was not yet divided
/// is least, by what is known of how many are large.
ActivationScale chooseActivationScale(const ChannelStatistics &inputs,
                                      ArrayRef<float> factors,
                                      bool leastSquares);

/// What rounding inputs with that scale adds to squared outputs, relative to
/// these, as if inputs were uncorrelated.
double roundingError(const ActivationScale &activation,
                     const ChannelStatistics &inputs,
                     const ColumnSizes &weights, ArrayRef<float> factors);

/// x of f32 and of these sizes as 8-bit integers. What is out of range becomes
/// the nearest that is not, and a NaN the least.
Value rounded(ImplicitLocOpBuilder &b, Value x, ArrayRef<OpFoldResult> sizes,
              const ActivationScale &activation);

/// What `y` [M, N], of these sizes and a product of such integers, is for x
/// itself, where `sums` [N] are those of the other factor's columns, or null
/// where the zero point is 0.
Value scaledBack(ImplicitLocOpBuilder &b, Value y, Value sums,
                 ArrayRef<OpFoldResult> sizes,
                 const ActivationScale &activation);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_ACTIVATIONSCALE_H
