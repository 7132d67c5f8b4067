//===- WeightProduct.cpp - Products with a weight ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tells products of matrices from other contractions, whatever their dimensions
// are called and however they lie.
//
//===----------------------------------------------------------------------===//

#include "WeightProduct.h"

#include "lutra/Analysis/Contraction.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::lutra;

SmallVector<unsigned> lutra::loopsOf(AffineMap map) {
  return llvm::map_to_vector(map.getResults(), [](AffineExpr expr) {
    return cast<AffineDimExpr>(expr).getPosition();
  });
}

SmallVector<int64_t> lutra::permutationTo(ArrayRef<unsigned> from,
                                          ArrayRef<unsigned> to) {
  return llvm::map_to_vector(to, [&](unsigned loop) -> int64_t {
    return llvm::find(from, loop) - from.begin();
  });
}

int64_t WeightProduct::weights(ArrayRef<unsigned> loops) {
  int64_t count = 1;
  for (auto [loop, size] :
       llvm::zip_equal(loopsOf(mapOf(w)), type().getShape()))
    if (llvm::is_contained(loops, loop))
      count *= size;
  return count;
}

OpFoldResult WeightProduct::sizeOf(OpBuilder &b, unsigned loop,
                                   ArrayRef<OpFoldResult> sizes) {
  SmallVector<unsigned> y = loopsOf(mapOf(init()));
  auto *place = llvm::find(y, loop);
  if (place != y.end())
    return sizes[place - y.begin()];
  return b.getIndexAttr(weights(loop));
}

SmallVector<StringRef> WeightProduct::names() {
  llvm::SmallSetVector<StringRef, 4> names;
  op->getLoc()->walk([&](Location loc) {
    if (auto name = dyn_cast<NameLoc>(loc))
      names.insert(name.getName());
    return WalkResult::advance();
  });
  SmallVector<StringRef> all(names.getArrayRef());
  all.push_back(weight().getName());
  return all;
}

SmallVector<Attribute> WeightProduct::matrixSteps() {
  MLIRContext *context = op.getContext();
  SmallVector<unsigned> from = loopsOf(mapOf(w)), to = n;
  llvm::append_range(to, k);
  SmallVector<Attribute> steps;
  if (from != to)
    steps.push_back(TransposeAttr::get(context, permutationTo(from, to)));
  if (from.size() != 2)
    steps.push_back(ReshapeAttr::get(context, {weights(n), weights(k)}));
  Type f32 = Float32Type::get(context), element = type().getElementType();
  if (element != f32)
    steps.push_back(CastAttr::get(context, element, f32));
  return steps;
}

std::optional<WeightProduct> lutra::matchWeightProduct(linalg::LinalgOp op) {
  std::optional<Contraction> contraction = matchContraction(op);
  if (!contraction || !getElementTypeOrSelf(op->getResult(0)).isF32())
    return std::nullopt;
  WeightProduct product = {op, contraction->a, contraction->b, {}, {}, {}};
  auto weightOf = [](OpOperand *operand) {
    return operand->get().getDefiningOp<WeightOp>();
  };
  if (weightOf(product.x))
    std::swap(product.x, product.w);
  if (!weightOf(product.w) || weightOf(product.x) ||
      !isa<Float32Type, Float16Type, BFloat16Type>(
          product.type().getElementType()))
    return std::nullopt;
  return product;
}

/// Whether sums of the product start from 0.
static bool startsFromZero(WeightProduct &product) {
  auto fill = product.init()->get().getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.value(), m_AnyZeroFloat());
}

/// The loops that are summed over both factors: those that x is not read along
/// alone, and then those that it is.
static SmallVector<unsigned> sharedLoops(WeightProduct &product) {
  AffineMap x = product.mapOf(product.x), w = product.mapOf(product.w),
            y = product.mapOf(product.init());
  auto isShared = [&](unsigned loop) {
    return !y.isFunctionOfDim(loop) && w.isFunctionOfDim(loop) &&
           x.isFunctionOfDim(loop);
  };
  SmallVector<unsigned> sums, alone;
  for (AffineExpr expr : x.getResults())
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      if (isShared(dim.getPosition()))
        alone.push_back(dim.getPosition());
    } else {
      for (unsigned loop = 0; loop < x.getNumDims(); ++loop)
        if (expr.isFunctionOfDim(loop) && isShared(loop))
          sums.push_back(loop);
    }
  llvm::append_range(sums, alone);
  return sums;
}

StringRef lutra::sortLoops(WeightProduct &product) {
  AffineMap x = product.mapOf(product.x), w = product.mapOf(product.w),
            y = product.mapOf(product.init());
  if (!w.isProjectedPermutation() || !y.isProjectedPermutation() ||
      product.type().getNumElements() == 0)
    return "no product of matrices";
  for (unsigned loop : loopsOf(y)) {
    bool ofX = x.isFunctionOfDim(loop);
    if (ofX == w.isFunctionOfDim(loop))
      return product.isConvolution() ? "a convolution of groups"
                                     : "a batch of matrices";
    (ofX ? product.m : product.n).push_back(loop);
  }
  product.k = sharedLoops(product);
  if (product.k.size() != product.op.getNumReductionLoops())
    return "a sum over one factor";
  if (product.n.empty())
    return "a vector";
  return startsFromZero(product) ? "" : "added to something else";
}
