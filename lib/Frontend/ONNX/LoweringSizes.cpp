//===- LoweringSizes.cpp - What must hold of sizes ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the questions and demands of Lowering about sizes: bounds from the
// ranges of symbolic dimensions, and relations that a model needs to be valid.
//
//===----------------------------------------------------------------------===//

#include "SizeAlgebra.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Frontend/ONNX/Lowering.h"

using namespace mlir;
using namespace mlir::lutra;

static SmallVector<SizeRange> rangesOf(ArrayRef<Value> dims) {
  SmallVector<SizeRange> ranges;
  for (Value dim : dims) {
    auto op = dim.getDefiningOp<DimOp>();
    ranges.push_back(op ? SizeRange{int64_t(op.getMin()), int64_t(op.getMax())}
                        : SizeRange());
  }
  return ranges;
}

std::optional<int64_t> Lowering::lowerBound(AffineExpr expr) const {
  return lutra::lowerBound(expr, rangesOf(dims));
}

/// The position of the only symbol in `expr`, if there is only one.
static std::optional<unsigned> onlySymbol(AffineExpr expr) {
  std::optional<unsigned> only;
  bool several = false;
  expr.walk([&](AffineExpr part) {
    auto symbol = dyn_cast<AffineSymbolExpr>(part);
    if (!symbol)
      return;
    several |= only && *only != symbol.getPosition();
    only = symbol.getPosition();
  });
  return several ? std::nullopt : only;
}

/// Raises the least size of a dimension, here and in the model's interface.
static void raiseMinimum(DimOp dim, unsigned position, int64_t min) {
  Builder b(dim.getContext());
  dim.setMin(min);
  Operation *host = dim->getParentOp();
  auto all = host->getAttrOfType<ArrayAttr>(attr::kDims);
  if (!all || position >= all.size())
    return;
  SmallVector<Attribute> dims(all.getValue());
  NamedAttrList range(cast<DictionaryAttr>(dims[position]));
  range.set("min", b.getI64IntegerAttr(min));
  dims[position] = range.getDictionary(dim.getContext());
  host->setAttr(attr::kDims, b.getArrayAttr(dims));
}

bool Lowering::requireNonNegative(AffineExpr expr) {
  if (isNonNegative(expr))
    return true;
  std::optional<unsigned> position = onlySymbol(expr);
  auto dim = position && *position < dims.size()
                 ? dims[*position].getDefiningOp<DimOp>()
                 : DimOp();
  if (!dim)
    return false;
  SmallVector<SizeRange> ranges = rangesOf(dims);
  int64_t least = dim.getMin();
  int64_t most = std::min<int64_t>(dim.getMax(), INT32_MAX);
  auto holdsFrom = [&](int64_t min) {
    ranges[*position].min = min;
    return lutra::lowerBound(expr, ranges).value_or(-1) >= 0;
  };
  if (least > most || !holdsFrom(most))
    return false;
  while (least < most) {
    int64_t middle = least + (most - least) / 2;
    if (holdsFrom(middle))
      most = middle;
    else
      least = middle + 1;
  }
  raiseMinimum(dim, *position, most);
  return true;
}

bool Lowering::requireEqual(AffineExpr a, AffineExpr b) {
  if (canonicalSize(a - b) == constant(0))
    return true;
  // The later of two dimensions is the one that the other determines.
  if (isa<AffineSymbolExpr>(b) &&
      (!isa<AffineSymbolExpr>(a) ||
       mlir::cast<AffineSymbolExpr>(a).getPosition() <
           mlir::cast<AffineSymbolExpr>(b).getPosition()))
    std::swap(a, b);
  auto symbol = dyn_cast<AffineSymbolExpr>(a);
  auto dim = symbol && symbol.getPosition() < dims.size()
                 ? dims[symbol.getPosition()].getDefiningOp<DimOp>()
                 : DimOp();
  if (!dim || missing || b.isFunctionOfSymbol(symbol.getPosition()))
    return false;
  if (auto known = dyn_cast<AffineConstantExpr>(b))
    if (known.getValue() < int64_t(dim.getMin()) ||
        known.getValue() > int64_t(dim.getMax()) ||
        known.getValue() % dim.getMultiple())
      return false;
  missing = Relation{symbol.getPosition(), b};
  return false;
}
