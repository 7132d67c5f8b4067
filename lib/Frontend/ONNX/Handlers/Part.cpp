//===- Part.cpp - A rectangle of a tensor ---------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements rectangles as slices and insertions that drop the dimensions of
// which one index was picked.
//
//===----------------------------------------------------------------------===//

#include "Part.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

RankedTensorType Part::typeIn(Value tensor) const {
  SmallVector<int64_t> shape;
  for (auto [size, isKept] : llvm::zip_equal(sizes, kept))
    if (isKept)
      shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(
      shape, cast<RankedTensorType>(tensor.getType()).getElementType());
}

SmallVector<OpFoldResult> Part::strides(OpBuilder &b) const {
  return SmallVector<OpFoldResult>(sizes.size(), b.getIndexAttr(1));
}

Part Part::pick(OpFoldResult index) && {
  offsets.push_back(index);
  sizes.push_back(Builder(index.getContext()).getIndexAttr(1));
  kept.push_back(false);
  return std::move(*this);
}

Part Part::take(OpFoldResult offset, OpFoldResult size) && {
  offsets.push_back(offset);
  sizes.push_back(size);
  kept.push_back(true);
  return std::move(*this);
}

Part Part::all(int64_t size, MLIRContext *context) && {
  Builder b(context);
  return std::move(*this).take(b.getIndexAttr(0), b.getIndexAttr(size));
}

Value Part::of(ImplicitLocOpBuilder &b, Value tensor) const {
  return tensor::ExtractSliceOp::create(b, typeIn(tensor), tensor, offsets,
                                        sizes, strides(b));
}

Value Part::insert(ImplicitLocOpBuilder &b, Value part, Value into) const {
  return tensor::InsertSliceOp::create(b, part, into, offsets, sizes,
                                       strides(b));
}

void Part::insertInParallel(ImplicitLocOpBuilder &b, Value part,
                            Value into) const {
  tensor::ParallelInsertSliceOp::create(b, part, into, offsets, sizes,
                                        strides(b));
}
