//===- Scores.h - What classical models are made of -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The operators of ai.onnx.ml hold what they learned in attributes. They read
// rows of features, compute scores, and tell a label by them.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SCORES_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SCORES_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

inline constexpr llvm::StringLiteral kMLDomain = "ai.onnx.ml";

/// The numbers of an attribute, none where it is absent.
ArrayRef<float> floatsAttr(const Node &node, StringRef name);

/// A constant of a static shape.
Tensor table(Lowering &lowering, ArrayRef<int64_t> shape,
             ArrayRef<float> values);
Tensor table(Lowering &lowering, ArrayRef<int64_t> shape,
             ArrayRef<int32_t> values);

/// Input 0 as floats: rows of as many features as the node learned from.
FailureOr<Tensor> featureRows(const Node &node, Lowering &lowering,
                              int64_t features);

/// Refuses what postTransform does not do, and labels that are no integers.
Support supportsScores(const Node &node);
/// The labels of the classes; none for a regressor.
SmallVector<int64_t> classLabels(const Node &node);

/// The node's post_transform of rows of scores.
Tensor postTransform(const Node &node, Lowering &lowering, const Tensor &rows);
/// Two scores from each one of a column: those of both classes.
Tensor bothScores(
    Lowering &lowering, const Tensor &column,
    function_ref<std::pair<Value, Value>(const class Scalars &, Value)> split);
/// The label of the greatest score of each row.
Tensor bestLabel(Lowering &lowering, ArrayRef<int64_t> labels,
                 const Tensor &rows);
/// The second label where the only score of a row is above `threshold`, else
/// the first.
Tensor labelAbove(Lowering &lowering, ArrayRef<int64_t> labels,
                  const Tensor &column, double threshold);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SCORES_H
