//===- ReshapeFactors.cpp - What a reshape joins or splits ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the comparison of two shapes by the products of their symbolic
// sizes.
//
//===----------------------------------------------------------------------===//

#include "ReshapeFactors.h"

#include "SizeAlgebra.h"

using namespace mlir;
using namespace mlir::lutra;

static SmallVector<AffineExpr> prefixProducts(ArrayRef<AffineExpr> shape,
                                              MLIRContext *context) {
  SmallVector<AffineExpr> products;
  AffineExpr product = getAffineConstantExpr(1, context);
  for (AffineExpr size : shape) {
    AffineExpr factors[] = {product, size};
    product = multiplySizes(factors, context);
    if (!product)
      return {};
    products.push_back(product);
  }
  return products;
}

std::optional<SmallVector<FactorGroup>>
lutra::matchFactors(ArrayRef<AffineExpr> source, ArrayRef<AffineExpr> target,
                    MLIRContext *context) {
  SmallVector<AffineExpr> from = prefixProducts(source, context);
  SmallVector<AffineExpr> to = prefixProducts(target, context);
  if (from.empty() || to.empty() || from.back() != to.back())
    return std::nullopt;
  SmallVector<FactorGroup> groups;
  size_t i = 0, j = 0;
  while (i < source.size() && j < target.size()) {
    // The next border: the first source prefix that a target prefix equals.
    size_t nextI = source.size(), nextJ = target.size();
    for (size_t k = i + 1; k <= source.size(); ++k) {
      auto it = llvm::find(ArrayRef(to).drop_front(j), from[k - 1]);
      if (it == to.end())
        continue;
      nextI = k;
      nextJ = it - to.begin() + 1;
      break;
    }
    // What is left of only one side is ones, which the last group takes.
    if (nextI == source.size() || nextJ == target.size()) {
      nextI = source.size();
      nextJ = target.size();
    }
    FactorGroup group;
    for (; i < nextI; ++i)
      group.source.push_back(i);
    for (; j < nextJ; ++j)
      group.target.push_back(j);
    SmallVector<AffineExpr> factors;
    for (int64_t dim : group.source)
      factors.push_back(source[dim]);
    group.size =
        factors.size() == 1 ? factors.front() : multiplySizes(factors, context);
    groups.push_back(std::move(group));
  }
  return groups;
}
