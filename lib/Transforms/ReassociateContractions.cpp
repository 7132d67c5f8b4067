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

#include "ContractionOrder.h"
#include "GroupCost.h"
#include "dialects/Lutra/WeightSteps.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_REASSOCIATECONTRACTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Every change makes the program cheaper; known chains need two sweeps.
static constexpr unsigned kMaxSweeps = 8;

namespace {
/// Writes a chain in another order.
class Rewriter {
public:
  Rewriter(OpBuilder &b, ContractionChain &chain, const ContractionOrder &order)
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
  const ContractionOrder &order;
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
        *addSteps(b, weight, ReshapeAttr::get(b.getContext(), shape));
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
      *addSteps(b, weight, TransposeAttr::get(b.getContext(), dims));
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
  Value empty = tensor::EmptyOp::create(b, loc, sizesOf(order.kept),
                                        getElementTypeOrSelf(tensor.getType()));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, empty.getType(), by.operands(tensor), empty,
             by.maps(b, rank), loops,
             [&](OpBuilder &b, Location loc, ValueRange elements) {
               linalg::YieldOp::create(b, loc, by.point(b, loc, elements));
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
    std::optional<ContractionOrder> best = contractionOrder(*chain, 1, 2);
    if (!best)
      continue;
    for (unsigned other : {1, 2}) {
      // Weights are not multiplied with each other in every run.
      if (isComputedOfConstants(chain->factors[0].tensor) &&
          isComputedOfConstants(chain->factors[other].tensor))
        continue;
      std::optional<ContractionOrder> order =
          contractionOrder(*chain, 0, other);
      if (order && isSurelyCheaper(*chain, *order, *best))
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
