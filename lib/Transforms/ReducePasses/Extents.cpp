//===- Extents.cpp - Whether a rank has points ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A quotient by a sum over no points has to be guarded; most ranks are as long
// as a dimension of the model that is at least 1.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// More of an extent's formula is not read.
static constexpr unsigned kMaxSteps = 64;

static std::optional<uint64_t> atLeast(OpFoldResult extent, unsigned &steps);

/// A lower bound of an expression of what is not negative, where one is known.
static std::optional<uint64_t> atLeast(AffineExpr expr, ValueRange operands,
                                       unsigned numDims, unsigned &steps) {
  if (++steps > kMaxSteps)
    return std::nullopt;
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return atLeast(
        getAsIndexOpFoldResult(expr.getContext(), constant.getValue()), steps);
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return atLeast(operands[dim.getPosition()], steps);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return atLeast(operands[numDims + symbol.getPosition()], steps);
  auto binary = cast<AffineBinaryOpExpr>(expr);
  auto left = atLeast(binary.getLHS(), operands, numDims, steps);
  auto right = atLeast(binary.getRHS(), operands, numDims, steps);
  if (left && right && expr.getKind() == AffineExprKind::Add)
    return llvm::SaturatingAdd(*left, *right);
  if (left && right && expr.getKind() == AffineExprKind::Mul)
    return llvm::SaturatingMultiply(*left, *right);
  return std::nullopt;
}

static std::optional<uint64_t> atLeast(OpFoldResult extent, unsigned &steps) {
  if (++steps > kMaxSteps)
    return std::nullopt;
  if (std::optional<int64_t> constant = getConstantIntValue(extent))
    return *constant < 0 ? std::nullopt : std::optional<uint64_t>(*constant);
  Operation *op = cast<Value>(extent).getDefiningOp();
  if (auto dim = dyn_cast_if_present<lutra::DimOp>(op))
    return dim.getMin();
  auto apply = dyn_cast_if_present<affine::AffineApplyOp>(op);
  if (!apply)
    return std::nullopt;
  return atLeast(apply.getAffineMap().getResult(0), apply.getMapOperands(),
                 apply.getAffineMap().getNumDims(), steps);
}

bool lutra::cascade::isPositive(OpFoldResult extent) {
  unsigned steps = 0;
  return atLeast(extent, steps).value_or(0) > 0;
}
