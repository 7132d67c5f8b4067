//===- ProductFactor.h - What codes are multiplied with ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_PRODUCTFACTOR_H
#define LUTRA_LIB_TRANSFORMS_PRODUCTFACTOR_H

#include "ActivationScale.h"
#include "QuantizedParts.h"
#include "TensorBuilder.h"
#include "WeightProduct.h"

namespace mlir::lutra {

class WindowReader;

/// x [M, groups, size], of integers with scales and sums [M, groups].
struct ProductFactor {
  Value numbers, scales, sums;
};

/// What x is rounded with for a part, if one scale is given for all of it.
std::optional<ActivationScale> activationOf(const QuantizedLayer &layer,
                                            const QuantizedPart &part);

/// Makes x what a part of a quantized weight is multiplied with, in front of
/// the product.
class FactorBuilder : TensorBuilder {
public:
  /// `sizes` are those of the result, and `count` is rows of x.
  FactorBuilder(WeightProduct &product, const QuantizedLayer &layer,
                const QuantizedPart &part, ArrayRef<OpFoldResult> sizes,
                OpFoldResult count);

  FailureOr<ProductFactor> build();

  /// Columns of x [M, K] that are multiplied with columns of the weight that
  /// stay as they are; to be called after build().
  Value keptColumns();

private:
  ProductFactor rounded(Value x);
  Value sumsOf(Value numbers);
  ProductFactor roundedWindows(WindowReader &windows, Value x);
  Value alongLoops();
  Value matrixOf(Value x);
  Value scaled(Value x);
  Value inGroups(Value x);
  SmallVector<int64_t> channels(function_ref<bool(float)> isChosen);
  Value gathered(ArrayRef<int64_t> channels);
  Value withResiduals(Value x);
  Value constant(DenseElementsAttr elements);

  WeightProduct &product;
  const QuantizedLayer &layer;
  const QuantizedPart &part;
  ArrayRef<OpFoldResult> sizes;
  OpFoldResult count;
  int64_t columns, size, groups;
  /// What x is rounded with, if it is.
  std::optional<ActivationScale> activation;
  /// x [M, K]; null where windows are rounded.
  Value matrix;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_PRODUCTFACTOR_H
