//===- ChannelFactors.h - What moves from inputs to weights -----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_CHANNELFACTORS_H
#define LUTRA_LIB_TRANSFORMS_CHANNELFACTORS_H

#include "lutra/Transforms/QuantizationSpec.h"

namespace mlir::lutra {

/// With which the columns of a weight are multiplied, and inputs divided, so
/// that magnitudes of inputs differ less between channels: their power of
/// `alpha` by weights' power of 1 - alpha, as SmoothQuant (Xiao et al., 2022)
/// has it.
std::vector<float> smoothingFactors(ArrayRef<float> inputs,
                                    ArrayRef<float> weights, double alpha);

/// Makes the factors of channels of magnitude `threshold` or more `mark`: of
/// the largest, `most` and an eighth of all at most. Returns whether there are
/// any.
bool markOutliers(std::vector<float> &factors, ArrayRef<float> inputs,
                  double threshold, size_t most, float mark);

/// What rounding inputs to 8 bits, in groups of `size` channels, adds to
/// squared outputs, relative to these: a bound, by what is known of the largest
/// input of a group.
double roundingError(const ChannelStatistics &inputs,
                     const ColumnSizes &weights, ArrayRef<float> factors,
                     int64_t size);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_CHANNELFACTORS_H
