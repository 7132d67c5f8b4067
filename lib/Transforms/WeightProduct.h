//===- WeightProduct.h - Products with a weight -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_WEIGHTPRODUCT_H
#define LUTRA_LIB_TRANSFORMS_WEIGHTPRODUCT_H

#include "dialects/Lutra/Lutra.h"
#include "lutra/Transforms/QuantizationSpec.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::lutra {

/// A contraction of x and a weight w of floats. Loops of x alone are m, of w
/// alone n, and those that are summed over k, each in the order of the result
/// or of x; of a convolution, those of the kernel before those of channels.
struct WeightProduct {
  linalg::LinalgOp op;
  OpOperand *x, *w;
  SmallVector<unsigned> m, n, k;

  WeightOp weight() { return w->get().getDefiningOp<WeightOp>(); }
  AffineMap mapOf(OpOperand *operand) {
    return op.getMatchingIndexingMap(operand);
  }
  OpOperand *init() { return op.getDpsInitOperand(0); }
  RankedTensorType type() { return cast<RankedTensorType>(w->get().getType()); }
  /// The product of the weight's sizes along `loops`.
  int64_t weights(ArrayRef<unsigned> loops);
  /// Whether x is read at sums of loops.
  bool isConvolution() { return !mapOf(x).isProjectedPermutation(); }
  /// The size of a loop, where `sizes` are those of the result.
  OpFoldResult sizeOf(OpBuilder &b, unsigned loop,
                      ArrayRef<OpFoldResult> sizes);
  /// The names of its nodes, then of the weight.
  SmallVector<StringRef> names();
  /// The steps that make the weight a matrix [N, K] of f32.
  SmallVector<Attribute> matrixSteps();
};

/// The loops that a projected permutation reads, in order.
SmallVector<unsigned> loopsOf(AffineMap map);
/// The places of `to` in `from`.
SmallVector<int64_t> permutationTo(ArrayRef<unsigned> from,
                                   ArrayRef<unsigned> to);

/// The product that an operation is, with its loops not yet sorted, if one
/// factor and only one is a weight of floats.
std::optional<WeightProduct> matchWeightProduct(linalg::LinalgOp op);
/// Sorts the loops of a product; says why where it is none of matrices, added
/// to nothing.
StringRef sortLoops(WeightProduct &product);

/// A product that is to be quantized.
struct QuantizationTask {
  WeightProduct product;
  /// Of its result.
  SmallVector<OpFoldResult> sizes;
  const QuantizationRule *rule;
  /// Its number among all products with weights.
  size_t number;
  QuantizedLayer *layer = nullptr;
};

/// Those of a module's products with weights that the rules quantize. All
/// products are described in `layers`, and their weights are `weights`; tasks
/// point to their layers.
std::vector<QuantizationTask> collectTasks(ModuleOp module,
                                           const QuantizationSpec &rules,
                                           std::vector<QuantizedLayer> &layers,
                                           SmallVectorImpl<WeightOp> &weights);

/// Makes a product one of codes, as `layer` says; `sizes` are those of its
/// result.
LogicalResult quantizeProduct(WeightProduct &product,
                              const QuantizedLayer &layer,
                              ArrayRef<OpFoldResult> sizes);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_WEIGHTPRODUCT_H
