//===- ReadWindows.cpp - Convolutions as products of matrices -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Channels are moved innermost first, since a copy of what windows see then
// has whole runs of them: the positions of the kernel, and channels for each.
//
//===----------------------------------------------------------------------===//

#include "ReadWindows.h"

#include "lutra/Analysis/TensorSizes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::lutra;

/// The dimensions of x, of which those along channels alone are last.
static SmallVector<int64_t> channelsLast(AffineMap map,
                                         ArrayRef<unsigned> shared) {
  SmallVector<int64_t> others, channels;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    bool isChannel = dim && llvm::is_contained(shared, dim.getPosition());
    (isChannel ? channels : others).push_back(i);
  }
  llvm::append_range(others, channels);
  return others;
}

WindowReader::WindowReader(ImplicitLocOpBuilder &b, WeightProduct &product,
                           ArrayRef<OpFoldResult> sizes)
    : b(b), product(product), map(product.mapOf(product.x)),
      order(::channelsLast(map, product.k)) {
  // Loops over a kernel of one step stand at 0.
  SmallVector<AffineExpr> places(map.getNumDims(), b.getAffineConstantExpr(0));
  for (ArrayRef<unsigned> loops : {product.m, product.k})
    for (unsigned loop : loops) {
      shape.push_back(product.sizeOf(b, loop, sizes));
      if (shape.size() <= product.m.size() || !isOneInteger(shape.back()))
        places[loop] = b.getAffineDimExpr(shape.size() - 1);
    }
  map = AffineMap::getPermutationMap(order, b.getContext())
            .compose(map)
            .replaceDimsAndSymbols(places, {}, shape.size(), 0);
  map = simplifyAffineMap(map);
}

/// A tensor of `sizes` whose elements are those of `source` that `map` reads;
/// floats in f32.
static Value copyThrough(ImplicitLocOpBuilder &b, Value source, AffineMap map,
                         ArrayRef<OpFoldResult> sizes) {
  Type from = getElementTypeOrSelf(source);
  Type to = isa<FloatType>(from) ? b.getF32Type() : from;
  Value empty = tensor::EmptyOp::create(b, sizes, to);
  return linalg::GenericOp::create(
             b, empty.getType(), source, empty,
             ArrayRef{map, b.getMultiDimIdentityMap(sizes.size())},
             SmallVector(sizes.size(), utils::IteratorType::parallel),
             [&](OpBuilder &b, Location loc, ValueRange in) {
               Value element = in[0];
               if (from != to)
                 element = arith::ExtFOp::create(b, loc, to, element);
               linalg::YieldOp::create(b, loc, element);
             })
      .getResult(0);
}

FailureOr<Value> WindowReader::channelsLast() {
  Value x = product.x->get();
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, x);
  if (failed(sizes))
    return product.op.emitError("expected a convolution of known sizes");
  xSizes = applyPermutation(*sizes, order);
  if (isIdentityPermutation(order) && getElementTypeOrSelf(x).isF32())
    return x;
  AffineMap moved = AffineMap::getPermutationMap(order, b.getContext());
  return copyThrough(b, x, inversePermutation(moved), xSizes);
}

/// Whether `map` reads all of a tensor in order: along the first loops and the
/// last.
static bool readsInOrder(AffineMap map, unsigned outer) {
  if (map.getNumResults() != outer + 1)
    return false;
  for (unsigned i = 0; i <= outer; ++i)
    if (map.getResult(i) !=
        getAffineDimExpr(i < outer ? i : map.getNumDims() - 1,
                         map.getContext()))
      return false;
  return true;
}

Value WindowReader::read(Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  unsigned outer = product.m.size();
  SmallVector<OpFoldResult> to(shape);
  to.back() = b.getIndexAttr(type.getShape().back());
  if (!readsInOrder(map, outer))
    return copyThrough(b, tensor, map, to);
  SmallVector<ReassociationIndices> groups(outer + 1);
  SmallVector<int64_t> sizes(type.getShape().drop_back());
  for (unsigned i = 0; i < to.size(); ++i) {
    groups[std::min(i, outer)].push_back(i);
    if (i >= outer)
      sizes.push_back(*getConstantIntValue(to[i]));
  }
  return tensor::ExpandShapeOp::create(
      b, RankedTensorType::get(sizes, type.getElementType()), tensor, groups,
      to);
}
