//===- QuantizedParts.h - Formats of a product's outputs --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_QUANTIZEDPARTS_H
#define LUTRA_LIB_TRANSFORMS_QUANTIZEDPARTS_H

#include "WeightProduct.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::lutra {

/// Outputs of a task as codes of `format`, in groups of `group` weights; 0 for
/// all of a row.
QuantizedPart partOf(QuantizationTask &task, const WeightFormat &format,
                     DenseElementsAttr rows, int64_t group);

/// Brings the parts of the task's layer up to date, in groups of `group`
/// weights, or as many as the rule or formats say.
void describe(QuantizationTask &task, std::optional<int64_t> group = {});
/// Says in the task's layer that all of it becomes codes of `format`.
void describe(QuantizationTask &task, const WeightFormat &format);

/// How many of `outputs` are nearest to the part `share` of them, some unless
/// there is one: a multiple of what kernels compute at once, unless that may be
/// more than a sixteenth off.
int64_t outputsOf(double share, int64_t outputs);

/// The rows but for those with the `most` largest errors, and these.
std::pair<DenseElementsAttr, DenseElementsAttr>
splitRows(ArrayRef<double> errors, int64_t most, MLIRContext *context);

/// y [M, N] of M = `count` rows of y [M, R] of each of one or two parts. The
/// name is that of the weight.
Value joinOutputs(ImplicitLocOpBuilder &b, StringRef name,
                  ArrayRef<QuantizedPart> parts, ValueRange ofParts,
                  OpFoldResult count);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_QUANTIZEDPARTS_H
