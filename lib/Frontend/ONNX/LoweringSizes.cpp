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
#include "llvm/Support/CheckedArithmetic.h"
#include <numeric>

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

/// What the dimensions that follow from others are: symbol i equals sums[i].
static SmallVector<AffineExpr> sumsOf(ArrayRef<Value> dims) {
  SmallVector<AffineExpr> sums(dims.size());
  auto first = dims.empty() ? DimOp() : dims.front().getDefiningOp<DimOp>();
  auto all = first ? first->getParentOp()->getAttrOfType<ArrayAttr>(attr::kDims)
                   : ArrayAttr();
  if (!all || all.size() != dims.size())
    return sums;
  for (auto [i, entry] : llvm::enumerate(all))
    if (auto equals =
            cast<DictionaryAttr>(entry).getAs<AffineMapAttr>(attr::kEquals))
      sums[i] = equals.getValue().getResult(0);
  return sums;
}

std::optional<int64_t> Lowering::lowerBound(AffineExpr expr) const {
  SmallVector<SizeRange> ranges = rangesOf(dims);
  std::optional<int64_t> best = lutra::lowerBound(expr, ranges);
  // A sum may have a narrower range than its parts: a - sum >= a - max.
  for (auto [i, sum] : llvm::enumerate(sumsOf(dims))) {
    if (!sum || ranges[i].max > INT32_MAX)
      continue;
    auto rest = lutra::lowerBound(canonicalSize(expr + sum), ranges);
    if (rest && (!best || *rest - ranges[i].max > *best))
      best = *rest - ranges[i].max;
  }
  return best;
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

/// Narrows the range of a dimension, here and in the model's interface.
static void narrow(DimOp dim, unsigned position, SizeRange range) {
  Builder b(dim.getContext());
  dim.setMin(range.min);
  dim.setMax(range.max);
  Operation *host = dim->getParentOp();
  auto all = host->getAttrOfType<ArrayAttr>(attr::kDims);
  if (!all || position >= all.size())
    return;
  SmallVector<Attribute> dims(all.getValue());
  NamedAttrList entry(cast<DictionaryAttr>(dims[position]));
  entry.set("min", b.getI64IntegerAttr(range.min));
  entry.set("max", b.getI64IntegerAttr(range.max));
  dims[position] = entry.getDictionary(dim.getContext());
  host->setAttr(attr::kDims, b.getArrayAttr(dims));
}

/// The least number of [low, high] that `holds`, which holds for `high` and all
/// numbers above the one that is returned.
static int64_t leastOf(int64_t low, int64_t high,
                       llvm::function_ref<bool(int64_t)> holds) {
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (holds(middle))
      high = middle;
    else
      low = middle + 1;
  }
  return high;
}

/// The widest part of a range from its end or its start that `holds`.
static std::optional<SizeRange>
narrowed(SizeRange range, llvm::function_ref<bool(SizeRange)> holds) {
  int64_t high = std::min<int64_t>(range.max, INT32_MAX);
  if (range.min > high)
    return std::nullopt;
  if (holds({high, range.max}))
    return SizeRange{
        leastOf(range.min, high,
                [&](int64_t min) { return holds({min, range.max}); }),
        range.max};
  if (!holds({range.min, range.min}))
    return std::nullopt;
  int64_t below = leastOf(
      -high, -range.min, [&](int64_t max) { return holds({range.min, -max}); });
  return SizeRange{range.min, -below};
}

bool Lowering::requireNonNegative(AffineExpr expr) {
  if (isNonNegative(expr))
    return true;
  AffineExpr tested = expr;
  std::optional<unsigned> position = onlySymbol(expr);
  for (auto [i, sum] : llvm::enumerate(sumsOf(dims))) {
    // What bounds a sum says little of its parts.
    AffineExpr rest = sum ? canonicalSize(expr + sum) : AffineExpr();
    if (position || !isa_and_present<AffineConstantExpr>(rest))
      continue;
    position = i;
    tested = rest - getAffineSymbolExpr(i, context());
  }
  auto dim = position && *position < dims.size()
                 ? dims[*position].getDefiningOp<DimOp>()
                 : DimOp();
  if (!dim)
    return false;
  SmallVector<SizeRange> ranges = rangesOf(dims);
  auto found = narrowed(ranges[*position], [&](SizeRange range) {
    ranges[*position] = range;
    return lutra::lowerBound(tested, ranges).value_or(-1) >= 0;
  });
  if (!found)
    return false;
  narrow(dim, *position, *found);
  return true;
}

/// The least number of which the only symbol of `difference` must be a multiple
/// for it to vanish, as where a network halves a size and doubles it again.
static std::optional<int64_t> multipleFor(AffineExpr difference, DimOp dim,
                                          unsigned position) {
  constexpr int64_t kMost = 1024;
  MLIRContext *context = difference.getContext();
  AffineExpr symbol = getAffineSymbolExpr(position, context);
  AffineExpr zero = getAffineConstantExpr(0, context);
  // It also stays a multiple of what it has been one of, which may be huge.
  int64_t before = dim.getMultiple(), min = dim.getMin(), max = dim.getMax();
  auto isPossible = [&](int64_t multiple) {
    auto common =
        llvm::checkedMul(before / std::gcd(before, multiple), multiple);
    return common && max / *common * *common >= min;
  };
  for (int64_t multiple = 2; multiple <= kMost; ++multiple)
    if (isPossible(multiple) &&
        canonicalSize(difference.replace(symbol, symbol * multiple)) == zero)
      return multiple;
  return std::nullopt;
}

bool Lowering::requireEqual(AffineExpr a, AffineExpr b) {
  AffineExpr difference = canonicalSize(a - b);
  if (difference == constant(0))
    return true;
  if (missing)
    return false;
  if (auto position = onlySymbol(difference);
      position && *position < dims.size())
    if (auto dim = dims[*position].getDefiningOp<DimOp>())
      if (auto multiple = multipleFor(difference, dim, *position)) {
        AffineExpr symbol = getAffineSymbolExpr(*position, context());
        missing = Relation{*position, symbol.floorDiv(*multiple) * *multiple,
                           *multiple};
        return false;
      }
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
  if (!dim || b.isFunctionOfSymbol(symbol.getPosition()))
    return false;
  if (auto known = dyn_cast<AffineConstantExpr>(b))
    if (known.getValue() < int64_t(dim.getMin()) ||
        known.getValue() > int64_t(dim.getMax()) ||
        known.getValue() % dim.getMultiple())
      return false;
  missing = Relation{symbol.getPosition(), b};
  return false;
}
