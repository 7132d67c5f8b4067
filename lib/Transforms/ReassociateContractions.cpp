//===- ReassociateContractions.cpp - The order of products of products ----===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A sum of products of three factors may be taken in three orders:
//
//   sum[e] q[p,e] * (sum[c] x[m,c] * w[c,e])
//     = sum[c] (sum[e] q[p,e] * w[c,e]) * x[m,c]
//
// Which is cheapest depends on sizes alone. Keys and values that are a product
// of what is kept and of a weight need not be computed for few queries: these
// go through the weight instead. Sums are taken in another order, as in
// cascades; nothing is reordered across a rounding, so both contractions sum in
// the one type that is between them.
//
//===----------------------------------------------------------------------===//

#include "ContractionChain.h"
#include "GroupCost.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/SetVector.h"
#include <algorithm>

namespace mlir::lutra {
#define GEN_PASS_DEF_REASSOCIATECONTRACTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

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
/// Every change makes the program cheaper; known chains need two sweeps.
static constexpr unsigned kMaxSweeps = 8;

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
// Orders
//===----------------------------------------------------------------------===//

namespace {
/// Two of a chain's factors that are contracted first, and the third.
struct Order {
  unsigned pair[2], last;
  /// The ranks of what the pair becomes, in their order, and those that it
  /// sums.
  SmallVector<unsigned> kept, summed;
};

/// What orders of a chain cost.
class Cost {
public:
  explicit Cost(ContractionChain &chain) : chain(chain) {}

  bool isSurelyLess(const Order &order, const Order &asWritten);

private:
  double of(const Order &order, bool hasPair, unsigned corner);

  ContractionChain &chain;
  Corners corners;
};
} // namespace

/// The order in which `pair` comes first; nothing where that sums nothing, or
/// where it leaves nothing to be summed.
static std::optional<Order> orderOf(const ContractionChain &chain, unsigned a,
                                    unsigned b) {
  Order order{{a, b}, 3 - a - b, {}, {}};
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

/// The multiply-adds of an order, and what lies between its contractions,
/// without the first of them where that is there in any case.
double Cost::of(const Order &order, bool hasPair, unsigned corner) {
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
bool Cost::isSurelyLess(const Order &order, const Order &other) {
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

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// `weight` with one more step.
static WeightOp appendStep(OpBuilder &b, WeightOp weight, Attribute step) {
  auto type = applyStep(cast<RankedTensorType>(weight.getType()), step,
                        [&] { return weight.emitOpError(); });
  auto result = cast<WeightOp>(b.clone(*weight));
  SmallVector<Attribute> steps(weight.getSteps().getValue());
  steps.push_back(step);
  result.setStepsAttr(b.getArrayAttr(steps));
  result.getResult().setType(cast<RankedTensorType>(*type));
  return result;
}

namespace {
/// Writes a chain in another order.
class Rewriter {
public:
  Rewriter(OpBuilder &b, ContractionChain &chain, const Order &order)
      : b(b), chain(chain), order(order) {}

  LogicalResult run();

private:
  using Sizes = SmallVector<OpFoldResult>;

  LogicalResult split(Factor &factor);
  void orderWeight(Factor &factor);
  Value contract(Location loc, const Factor &x, const Factor &y, Value init,
                 ArrayRef<unsigned> kept, ArrayRef<unsigned> summed);
  Value zeros(ArrayRef<unsigned> ranks);
  Value scale(Value tensor, const Scaled &by);
  Sizes sizesOf(ArrayRef<unsigned> ranks) {
    return llvm::map_to_vector(
        ranks, [&](unsigned rank) { return chain.extents[rank]; });
  }

  OpBuilder &b;
  ContractionChain &chain;
  const Order &order;
};
} // namespace

/// Gives a factor a dimension for each rank.
LogicalResult Rewriter::split(Factor &factor) {
  if (factor.split.empty())
    return success();
  FailureOr<Sizes> sizes = tensorSizes(b, factor.tensor);
  if (failed(sizes))
    return failure();
  Sizes result;
  SmallVector<ReassociationIndices> groups;
  SmallVector<int64_t> shape;
  auto type = cast<RankedTensorType>(factor.tensor.getType());
  for (auto [dim, into] : llvm::enumerate(factor.split)) {
    ReassociationIndices &group = groups.emplace_back();
    for (int64_t size : into) {
      bool isWhole = into.size() == 1;
      group.push_back(shape.size());
      shape.push_back(isWhole ? type.getDimSize(dim) : size);
      result.push_back(isWhole ? (*sizes)[dim]
                               : OpFoldResult(b.getIndexAttr(size)));
    }
  }
  factor.split.clear();
  if (auto weight = factor.tensor.getDefiningOp<WeightOp>())
    factor.tensor =
        appendStep(b, weight, ReshapeAttr::get(b.getContext(), shape));
  else
    factor.tensor = tensor::ExpandShapeOp::create(
        b, chain.first.getLoc(),
        RankedTensorType::get(shape, type.getElementType()), factor.tensor,
        groups, result);
  return success();
}

/// Lays a weight so that what it brings into the first contraction alone is
/// innermost: a vector of that is read for each point that is summed.
void Rewriter::orderWeight(Factor &factor) {
  auto weight = factor.tensor.getDefiningOp<WeightOp>();
  if (!weight)
    return;
  auto isOwn = [&](int64_t dim) {
    auto rank = dyn_cast<AffineDimExpr>(factor.read.getResult(dim));
    return rank && llvm::is_contained(order.kept, rank.getPosition()) &&
           !llvm::all_of(order.pair, [&](unsigned i) {
             return chain.factors[i].has(rank.getPosition());
           });
  };
  SmallVector<int64_t> dims;
  for (bool own : {false, true})
    for (int64_t dim = 0; dim < factor.read.getNumResults(); ++dim)
      if (isOwn(dim) == own)
        dims.push_back(dim);
  if (llvm::is_sorted(dims))
    return;
  factor.tensor =
      appendStep(b, weight, TransposeAttr::get(b.getContext(), dims));
  factor.read = factor.read.getSubMap(
      llvm::map_to_vector(dims, [](int64_t dim) { return unsigned(dim); }));
}

Value Rewriter::zeros(ArrayRef<unsigned> ranks) {
  Location loc = chain.first.getLoc();
  Type type = getElementTypeOrSelf(chain.second.getResult(0));
  Value empty = tensor::EmptyOp::create(b, loc, sizesOf(ranks), type);
  Value zero = arith::ConstantOp::create(b, loc, b.getFloatAttr(type, 0));
  return linalg::FillOp::create(b, loc, zero, empty).getResult(0);
}

/// Adds the products of two factors along `summed` to `init`.
Value Rewriter::contract(Location loc, const Factor &x, const Factor &y,
                         Value init, ArrayRef<unsigned> kept,
                         ArrayRef<unsigned> summed) {
  unsigned numLoops = kept.size() + summed.size();
  SmallVector<AffineExpr> loops(chain.extents.size(),
                                b.getAffineConstantExpr(0));
  SmallVector<utils::IteratorType> kinds(kept.size(),
                                         utils::IteratorType::parallel);
  kinds.append(summed.size(), utils::IteratorType::reduction);
  for (auto [loop, rank] :
       llvm::enumerate(llvm::concat<const unsigned>(kept, summed)))
    loops[rank] = b.getAffineDimExpr(loop);
  auto over = [&](AffineMap map) {
    return map.replaceDimsAndSymbols(loops, {}, numLoops, 0);
  };
  Type type = getElementTypeOrSelf(init.getType());
  AffineMap written =
      AffineMap::getMultiDimIdentityMap(numLoops, b.getContext())
          .getMajorSubMap(kept.size());
  return linalg::GenericOp::create(
             b, loc, init.getType(), ValueRange{x.tensor, y.tensor}, init,
             {over(x.read), over(y.read), written}, kinds,
             [&](OpBuilder &b, Location loc, ValueRange elements) {
               SmallVector<Value> factors;
               for (Value element : elements.take_front(2))
                 factors.push_back(
                     element.getType() == type
                         ? element
                         : arith::ExtFOp::create(b, loc, type, element));
               Value product =
                   arith::MulFOp::create(b, loc, factors[0], factors[1]);
               Value sum = arith::AddFOp::create(b, loc, elements[2], product);
               linalg::YieldOp::create(b, loc, sum);
             })
      .getResult(0);
}

/// `tensor`, of the ranks that are kept, times or divided by a number.
Value Rewriter::scale(Value tensor, const Scaled &by) {
  Location loc = chain.first.getLoc();
  unsigned rank = order.kept.size();
  SmallVector<Value> inputs = {tensor};
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(rank));
  if (auto factor = dyn_cast<RankedTensorType>(by.factor.getType())) {
    inputs.push_back(by.factor);
    maps.insert(
        maps.begin() + 1,
        AffineMap::get(rank, 0,
                       SmallVector<AffineExpr>(factor.getRank(),
                                               b.getAffineConstantExpr(0)),
                       b.getContext()));
  }
  Value empty = tensor::EmptyOp::create(b, loc, sizesOf(order.kept),
                                        getElementTypeOrSelf(tensor.getType()));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, empty.getType(), inputs, empty, maps, loops,
             [&](OpBuilder &b, Location loc, ValueRange elements) {
               Value x = elements[0];
               Value s = inputs.size() == 2 ? elements[1] : by.factor;
               linalg::YieldOp::create(
                   b, loc,
                   by.isQuotient
                       ? arith::DivFOp::create(b, loc, x, s).getResult()
                       : arith::MulFOp::create(b, loc, x, s).getResult());
             })
      .getResult(0);
}

LogicalResult Rewriter::run() {
  for (Factor &factor : chain.factors)
    if (failed(split(factor)))
      return failure();
  for (unsigned i : order.pair)
    orderWeight(chain.factors[i]);
  Value between = contract(chain.first.getLoc(), chain.factors[order.pair[0]],
                           chain.factors[order.pair[1]], zeros(order.kept),
                           order.kept, order.summed);
  for (const Scaled &scaled : llvm::reverse(chain.scales))
    between = scale(between, scaled);
  AffineMap read = AffineMap::get(
      chain.extents.size(), 0,
      llvm::map_to_vector(
          order.kept, [&](unsigned rank) { return b.getAffineDimExpr(rank); }),
      b.getContext());
  SmallVector<unsigned> kept, summed;
  for (AffineExpr expr : chain.written.getResults())
    kept.push_back(cast<AffineDimExpr>(expr).getPosition());
  for (unsigned rank = 0; rank < chain.extents.size(); ++rank)
    if (!llvm::is_contained(kept, rank) &&
        !llvm::is_contained(order.summed, rank))
      summed.push_back(rank);
  Value result = contract(chain.second.getLoc(), {between, read, {}},
                          chain.factors[order.last],
                          chain.second.getDpsInits()[0], kept, summed);
  chain.second.getResult(0).replaceAllUsesWith(result);
  return success();
}

/// Erases `op`, and what it alone has read.
static void eraseWithOperands(Operation *op) {
  llvm::SetVector<Operation *> dead;
  dead.insert(op);
  while (!dead.empty()) {
    Operation *next = dead.pop_back_val();
    if (!isOpTriviallyDead(next))
      continue;
    for (Value operand : next->getOperands())
      if (Operation *source = operand.getDefiningOp())
        dead.insert(source);
    next->erase();
  }
}

/// Takes the contractions that `op` ends in their cheapest order. Returns
/// whether that is another one.
static bool reassociate(linalg::GenericOp op) {
  OpBuilder b(op);
  for (OpOperand &operand : op->getOpOperands()) {
    if (!op.isDpsInput(&operand))
      continue;
    std::optional<ContractionChain> chain =
        matchContractionChain(b, op, operand);
    if (!chain)
      continue;
    std::optional<Order> best = orderOf(*chain, 1, 2);
    if (!best)
      continue;
    Cost cost(*chain);
    for (unsigned other : {1, 2}) {
      // Weights are not multiplied with each other in every run.
      if (isComputedOfConstants(chain->factors[0].tensor) &&
          isComputedOfConstants(chain->factors[other].tensor))
        continue;
      std::optional<Order> order = orderOf(*chain, 0, other);
      if (order && cost.isSurelyLess(*order, *best))
        best = order;
    }
    if (best->last == 0 || failed(Rewriter(b, *chain, *best).run()))
      continue;
    eraseWithOperands(op);
    return true;
  }
  return false;
}

namespace {
struct ReassociateContractions
    : lutra::impl::ReassociateContractionsBase<ReassociateContractions> {
  using ReassociateContractionsBase::ReassociateContractionsBase;

  void runOnOperation() override {
    bool changed = true;
    for (unsigned sweep = 0; changed && sweep < kMaxSweeps; ++sweep) {
      changed = false;
      // What goes lies before what is looked at.
      for (auto op : llvm::make_early_inc_range(
               getOperation().getOps<linalg::GenericOp>()))
        changed |= reassociate(op);
    }
  }
};
} // namespace
