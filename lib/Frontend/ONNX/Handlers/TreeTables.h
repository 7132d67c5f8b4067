//===- TreeTables.h - The attributes of trees as tables ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_TREETABLES_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_TREETABLES_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// The nodes of all trees of an ensemble. A row goes to `low` where its feature
/// is at most `splits`, to `nan` where it is no number, and to `high` else.
struct TreeTables {
  SmallVector<int32_t> features, low, high, nan, roots;
  SmallVector<float> splits;
  /// The row of each node in the table of weights, 0 for an inner node.
  SmallVector<int32_t> leaf;
  int64_t numLeaves = 0, depth = 0, numFeatures = 1;
  /// One row for each leaf, a column for each target.
  SmallVector<float> weights;
  int64_t targets = 0;
};

/// Reads the trees of a TreeEnsemble node. Weights are those of leaves and
/// their targets that attributes with `prefix` name; `columnOf` says which of
/// `columns` a target has. On failure an error was emitted.
FailureOr<TreeTables>
readTrees(const Node &node, StringRef prefix, int64_t columns,
          function_ref<std::optional<int64_t>(int64_t)> columnOf);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_TREETABLES_H
