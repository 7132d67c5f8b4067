//===- TensorBuilder.cpp - Tensors of f32 in other shapes -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorBuilder.h"

#include "WeightProduct.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::lutra;

ReassociationIndices lutra::range(int64_t from, int64_t count) {
  return llvm::to_vector<2>(llvm::seq(from, from + count));
}

RankedTensorType TensorBuilder::typeOf(ArrayRef<OpFoldResult> shape,
                                       Type element) {
  return RankedTensorType::get(
      llvm::map_to_vector(shape,
                          [](OpFoldResult size) {
                            return getConstantIntValue(size).value_or(
                                ShapedType::kDynamic);
                          }),
      element);
}

Value TensorBuilder::empty(ArrayRef<OpFoldResult> shape) {
  return tensor::EmptyOp::create(b, shape, b.getF32Type());
}

Value TensorBuilder::withType(Value tensor, RankedTensorType type) {
  if (tensor.getType() == type)
    return tensor;
  return tensor::CastOp::create(b, type, tensor);
}

Value TensorBuilder::expanded(Value tensor,
                              ArrayRef<ReassociationIndices> groups,
                              ArrayRef<OpFoldResult> shape) {
  return tensor::ExpandShapeOp::create(
      b, typeOf(shape, getElementTypeOrSelf(tensor)), tensor, groups, shape);
}

Value TensorBuilder::moved(Value tensor, ArrayRef<OpFoldResult> shape,
                           ArrayRef<unsigned> from, ArrayRef<unsigned> to) {
  if (from == to && getElementTypeOrSelf(tensor).isF32())
    return tensor;
  SmallVector<int64_t> permutation = permutationTo(from, to);
  Value init = empty(applyPermutation(shape, permutation));
  AffineMap read = inversePermutation(
      AffineMap::getPermutationMap(permutation, b.getContext()));
  SmallVector<utils::IteratorType> kinds(to.size(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, init.getType(), tensor, init,
             ArrayRef{read, b.getMultiDimIdentityMap(to.size())}, kinds,
             [](OpBuilder &b, Location loc, ValueRange in) {
               Value element = in[0];
               if (!element.getType().isF32())
                 element =
                     arith::ExtFOp::create(b, loc, b.getF32Type(), element);
               linalg::YieldOp::create(b, loc, element);
             })
      .getResult(0);
}

Value TensorBuilder::generic(ValueRange inputs,
                             ArrayRef<SmallVector<AffineExpr, 4>> maps,
                             Value init, Body body) {
  SmallVector<AffineMap, 4> inferred =
      AffineMap::inferFromExprList(maps, b.getContext());
  SmallVector<utils::IteratorType> kinds;
  for (unsigned loop = 0; loop < inferred.back().getNumDims(); ++loop)
    kinds.push_back(inferred.back().isFunctionOfDim(loop)
                        ? utils::IteratorType::parallel
                        : utils::IteratorType::reduction);
  return linalg::GenericOp::create(b, init.getType(), inputs, init, inferred,
                                   kinds, body)
      .getResult(0);
}
