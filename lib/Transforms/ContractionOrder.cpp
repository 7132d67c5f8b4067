//===- ContractionOrder.cpp - What orders of contractions cost ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cost of an order is its multiply-adds, and the bytes between its two
// contractions. Both follow from sizes; of symbolic ones, those count at which
// the cost is greatest or least.
//
//===----------------------------------------------------------------------===//

#include "ContractionOrder.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/SetVector.h"
#include <algorithm>

using namespace mlir;
using namespace mlir::lutra;

/// What it costs to write a byte of what is between two contractions, and to
/// read it again, in multiply-adds.
static constexpr double kByteCost = 4;
/// An order must be cheaper by that factor, as what is multiplied with a weight
/// that lies packed is at its best; and may be dearer by it at small sizes.
static constexpr double kMargin = 1.25;
/// What costs less is over before it matters.
static constexpr double kCheap = 1 << 20;
/// More of a size is not told apart.
static constexpr int64_t kManyPoints = 1 << 20;
/// Sizes that a cost may depend on.
static constexpr unsigned kMaxSymbols = 8;
//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

namespace {
/// The corners of the box that the sizes of a model are in. A product of
/// different sizes is extreme at one of them. The last has the greatest of all.
class Corners {
public:
  /// Returns whether `size` can be evaluated.
  bool add(OpFoldResult size);
  unsigned count() const { return 1u << symbols.size(); }
  double at(OpFoldResult size, unsigned corner) const;

private:
  int64_t at(Value symbol, unsigned corner) const;

  llvm::SetVector<Value> symbols;
};
} // namespace

bool Corners::add(OpFoldResult size) {
  if (isa<Attribute>(size))
    return true;
  auto value = cast<Value>(size);
  if (auto apply = value.getDefiningOp<affine::AffineApplyOp>())
    symbols.insert_range(apply.getMapOperands());
  else
    symbols.insert(value);
  return symbols.size() <= kMaxSymbols;
}

int64_t Corners::at(Value symbol, unsigned corner) const {
  int64_t least = 1, most = kManyPoints;
  if (auto dim = symbol.getDefiningOp<DimOp>()) {
    least = std::clamp<int64_t>(dim.getMin(), 1, kManyPoints);
    int64_t max = dim.getMax();
    most = ShapedType::isDynamic(max) ? kManyPoints
                                      : std::clamp(max, least, kManyPoints);
  }
  unsigned bit = llvm::find(symbols, symbol) - symbols.begin();
  return (corner >> bit) & 1 ? most : least;
}

double Corners::at(OpFoldResult size, unsigned corner) const {
  if (std::optional<int64_t> constant = getConstantIntValue(size))
    return *constant;
  auto value = cast<Value>(size);
  auto apply = value.getDefiningOp<affine::AffineApplyOp>();
  if (!apply)
    return at(value, corner);
  Builder b(value.getContext());
  SmallVector<Attribute> numbers, result;
  for (Value operand : apply.getMapOperands())
    numbers.push_back(b.getIndexAttr(at(operand, corner)));
  if (failed(apply.getAffineMap().constantFold(numbers, result)))
    return kManyPoints;
  return std::max<int64_t>(cast<IntegerAttr>(result.front()).getInt(), 0);
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

namespace {
/// What orders of a chain cost.
class Cost {
public:
  explicit Cost(ContractionChain &chain) : chain(chain) {}

  bool isSurelyLess(const ContractionOrder &order,
                    const ContractionOrder &other);

private:
  double of(const ContractionOrder &order, bool hasPair, unsigned corner);

  ContractionChain &chain;
  Corners corners;
};
} // namespace

/// The multiply-adds of an order, and what lies between its contractions,
/// without the first of them where that is there in any case.
double Cost::of(const ContractionOrder &order, bool hasPair, unsigned corner) {
  double kept = 1, pair = 1, all = 1;
  for (auto [rank, extent] : llvm::enumerate(chain.extents)) {
    double size = corners.at(extent, corner);
    bool isSummed = llvm::is_contained(order.summed, rank);
    bool isKept = llvm::is_contained(order.kept, rank);
    if (isKept)
      kept *= size;
    if (isKept || isSummed)
      pair *= size;
    if (!isSummed)
      all *= size;
  }
  unsigned bits =
      getElementTypeOrSelf(chain.second.getResult(0)).getIntOrFloatBitWidth();
  return all + (hasPair ? 0 : pair + kept * bits / 8 * kByteCost);
}

/// Whether `order` is cheaper at the greatest sizes of the model, and not
/// dearer at any others.
bool Cost::isSurelyLess(const ContractionOrder &order,
                        const ContractionOrder &other) {
  if (!llvm::all_of(chain.extents,
                    [&](OpFoldResult extent) { return corners.add(extent); }))
    return false;
  // What others read, too, is computed in any case.
  bool hasPair = !chain.isPrivate;
  unsigned greatest = corners.count() - 1;
  for (unsigned corner = 0; corner <= greatest; ++corner) {
    double mine = of(order, false, corner);
    double its = of(other, hasPair && other.last == 0, corner);
    if (corner == greatest ? mine * kMargin >= its
                           : mine > its * kMargin && mine > kCheap)
      return false;
  }
  return true;
}

bool lutra::isSurelyCheaper(ContractionChain &chain,
                            const ContractionOrder &order,
                            const ContractionOrder &other) {
  return Cost(chain).isSurelyLess(order, other);
}

//===----------------------------------------------------------------------===//
// Orders
//===----------------------------------------------------------------------===//

std::optional<ContractionOrder>
lutra::contractionOrder(const ContractionChain &chain, unsigned a, unsigned b) {
  ContractionOrder order{{a, b}, 3 - a - b, {}, {}};
  const Factor &last = chain.factors[order.last];
  llvm::SetVector<unsigned> ranks;
  for (unsigned factor : order.pair)
    for (AffineExpr expr : chain.factors[factor].read.getResults())
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        ranks.insert(dim.getPosition());
  bool leavesSum = false;
  for (unsigned rank = 0; rank < chain.extents.size(); ++rank) {
    bool isResult = chain.written.isFunctionOfDim(rank);
    bool isSummed = ranks.contains(rank) && !isResult && !last.has(rank);
    leavesSum |= !isResult && !isSummed;
    if (isSummed)
      order.summed.push_back(rank);
  }
  // What the innermost loop of the result runs along lies innermost.
  AffineExpr innermost;
  if (chain.written.getNumResults() != 0)
    innermost = chain.written.getResults().back();
  for (bool isLast : {false, true})
    for (unsigned rank : ranks)
      if (!llvm::is_contained(order.summed, rank) &&
          isLast == (innermost && innermost.isFunctionOfDim(rank)))
        order.kept.push_back(rank);
  if (order.summed.empty() || !leavesSum || order.kept.empty())
    return std::nullopt;
  return order;
}
