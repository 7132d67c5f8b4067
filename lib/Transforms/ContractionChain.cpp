//===- ContractionChain.cpp - Contractions of contractions ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a contraction back to another one that it has the result of for a
// factor. Between the two there may be transpositions, reshapes that split
// dimensions, as of heads, or add some of size 1, and a scale. All factors are
// then read by maps from one set of ranks.
//
//===----------------------------------------------------------------------===//

#include "ContractionChain.h"

#include "CascadeGroup.h"
#include "dialects/Cascade/Cascade.h"
#include "lutra/Analysis/TensorSizes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// More operations than exports put between two products.
static constexpr unsigned kMaxSteps = 16;

/// Whether `op` sums, from 0, products of its two operands in f32 or f64, where
/// these may be widened first.
static bool isProduct(linalg::GenericOp op) {
  if (!op || op.getNumReductionLoops() == 0 || op.getNumDpsInputs() != 2 ||
      !isCascadeMember(op))
    return false;
  auto einsum = cast<EinsumOpInterface>(op.getOperation());
  Type type = getElementTypeOrSelf(op.getResult(0));
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  auto product = einsum.getEinsumPoint().getDefiningOp<arith::MulFOp>();
  if (einsum.getEinsumMonoid() != Monoid::Add || !product || !fill ||
      !(type.isF32() || type.isF64()) ||
      !matchPattern(fill.value(), m_AnyZeroFloat()))
    return false;
  unsigned read = 0;
  for (Value factor : product->getOperands()) {
    if (auto widened = factor.getDefiningOp<arith::ExtFOp>())
      factor = widened.getIn();
    auto argument = dyn_cast<BlockArgument>(factor);
    if (!argument || argument.getOwner() != op.getBlock())
      return false;
    read |= 1u << argument.getArgNumber();
  }
  return read == 3 && llvm::all_of(op.getIndexingMapsArray(), [](AffineMap m) {
           return m.isProjectedPermutation(/*allowZeroInResults=*/true);
         });
}

namespace {
/// Follows the intermediate tensor back to what computes it.
class Follower {
public:
  Follower(OpBuilder &b, ContractionChain &chain, OpOperand &intermediate)
      : b(b), chain(chain), intermediate(intermediate) {}

  bool run();

private:
  /// Where a dimension is read: loops of the second contraction, each with its
  /// size, slowest first; none for the only index of a dimension of size 1.
  struct Place {
    SmallVector<AffineExpr> loops;
    SmallVector<int64_t> sizes;
  };

  bool step(Value &tensor);
  void move(AffineMap map);
  bool expand(tensor::ExpandShapeOp op);
  bool collapse(tensor::CollapseShapeOp op);
  bool addFactors();
  bool addExtents();

  OpBuilder &b;
  ContractionChain &chain;
  OpOperand &intermediate;
  /// One for each dimension of the tensor.
  SmallVector<Place> places;
};
} // namespace

/// Reads the tensor that each dimension of the present one is a loop of `map`.
void Follower::move(AffineMap map) {
  SmallVector<Place> moved;
  for (AffineExpr expr : map.getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    moved.push_back(dim ? places[dim.getPosition()] : Place());
  }
  places = std::move(moved);
}

bool Follower::expand(tensor::ExpandShapeOp op) {
  SmallVector<Place> merged;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    Place &place = merged.emplace_back();
    for (int64_t dim : group) {
      place.loops.append(places[dim].loops);
      place.sizes.append(places[dim].sizes);
    }
    if (place.loops.size() > 1 &&
        llvm::any_of(place.sizes, ShapedType::isDynamic))
      return false;
  }
  places = std::move(merged);
  return true;
}

/// Only dimensions of size 1 may go.
bool Follower::collapse(tensor::CollapseShapeOp op) {
  SmallVector<Place> split(op.getSrcType().getRank());
  for (auto [dim, group] : llvm::enumerate(op.getReassociationIndices())) {
    SmallVector<int64_t> longer =
        llvm::filter_to_vector(group, [&](int64_t source) {
          return op.getSrcType().getDimSize(source) != 1;
        });
    if (longer.size() > 1)
      return false;
    split[longer.empty() ? group.front() : longer.front()] = places[dim];
  }
  places = std::move(split);
  return true;
}

/// Goes one operation back. Returns whether there was one to be read through.
bool Follower::step(Value &tensor) {
  if (auto op = tensor.getDefiningOp<tensor::ExpandShapeOp>()) {
    tensor = op.getSrc();
    return expand(op);
  }
  if (auto op = tensor.getDefiningOp<tensor::CollapseShapeOp>()) {
    tensor = op.getSrc();
    return collapse(op);
  }
  auto generic = tensor.getDefiningOp<linalg::GenericOp>();
  if (isMovement(generic)) {
    SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
    move(maps[0].compose(inversePermutation(maps[1])));
    tensor = generic.getDpsInputs()[0];
    return true;
  }
  AffineMap map = b.getMultiDimIdentityMap(places.size());
  std::optional<Scaled> scaled = scaledSource(tensor, map);
  if (!scaled || getElementTypeOrSelf(scaled->source.getType()) !=
                     getElementTypeOrSelf(tensor.getType()))
    return false;
  move(map);
  chain.scales.push_back(*scaled);
  tensor = scaled->source;
  return true;
}

/// Adds the factors of the first contraction, over the ranks of the chain.
bool Follower::addFactors() {
  linalg::GenericOp first = chain.first, second = chain.second;
  unsigned numRanks = second.getNumLoops();
  SmallVector<Place> loops(first.getNumLoops());
  for (auto [dim, expr] :
       llvm::enumerate(first.getIndexingMapsArray().back().getResults()))
    loops[cast<AffineDimExpr>(expr).getPosition()] = places[dim];
  for (auto [loop, kind] : llvm::enumerate(first.getIteratorTypesArray()))
    if (kind == utils::IteratorType::reduction)
      loops[loop] = {{b.getAffineDimExpr(numRanks++)},
                     {first.getStaticLoopRanges()[loop]}};
  auto add = [&](Value tensor, AffineMap read, ArrayRef<Place> loops) {
    Factor &factor = chain.factors.emplace_back();
    factor.tensor = tensor;
    SmallVector<AffineExpr> results;
    bool isSplit = false;
    for (AffineExpr expr : read.getResults()) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      Place place = dim ? loops[dim.getPosition()] : Place();
      if (place.loops.empty())
        place = {{b.getAffineConstantExpr(0)}, {1}};
      isSplit |= place.loops.size() > 1;
      results.append(place.loops);
      factor.split.push_back(place.sizes);
    }
    if (!isSplit)
      factor.split.clear();
    factor.read = AffineMap::get(numRanks, 0, results, b.getContext());
    return factor.read.isProjectedPermutation(/*allowZeroInResults=*/true);
  };
  SmallVector<Place> own;
  for (unsigned loop = 0; loop < second.getNumLoops(); ++loop)
    own.push_back({{b.getAffineDimExpr(loop)}, {ShapedType::kDynamic}});
  OpOperand &other = second->getOpOperand(1 - intermediate.getOperandNumber());
  AffineMap written = second.getIndexingMapsArray().back();
  chain.written =
      AffineMap::get(numRanks, 0, written.getResults(), b.getContext());
  return add(other.get(), second.getMatchingIndexingMap(&other), own) &&
         llvm::all_of(first.getDpsInputOperands(),
                      [&](OpOperand *operand) {
                        return add(operand->get(),
                                   first.getMatchingIndexingMap(operand),
                                   loops);
                      }) &&
         // What only a broadcast between the two has is in no factor.
         llvm::all_of(llvm::seq(numRanks), [&](unsigned rank) {
           return llvm::any_of(chain.factors, [&](const Factor &factor) {
             return factor.read.isFunctionOfDim(rank);
           });
         });
}

/// Finds the extents of all ranks in the operands of both contractions.
bool Follower::addExtents() {
  chain.extents.assign(chain.written.getNumDims(), OpFoldResult());
  auto add = [&](linalg::GenericOp op, ArrayRef<unsigned> ranks) {
    for (OpOperand *operand : op.getDpsInputOperands()) {
      FailureOr<SmallVector<OpFoldResult>> sizes =
          tensorSizes(b, operand->get());
      if (failed(sizes))
        return false;
      for (auto [size, expr] : llvm::zip_equal(
               *sizes, op.getMatchingIndexingMap(operand).getResults()))
        if (auto dim = dyn_cast<AffineDimExpr>(expr);
            dim && ranks[dim.getPosition()] < chain.extents.size())
          chain.extents[ranks[dim.getPosition()]] = size;
    }
    return true;
  };
  unsigned numLoops = chain.second.getNumLoops();
  SmallVector<unsigned> inner(chain.first.getNumLoops(), -1);
  for (unsigned loop = 0, next = numLoops; loop < inner.size(); ++loop)
    if (chain.first.getIteratorTypesArray()[loop] ==
        utils::IteratorType::reduction)
      inner[loop] = next++;
  return add(chain.second, llvm::to_vector(llvm::seq(0u, numLoops))) &&
         add(chain.first, inner) &&
         llvm::none_of(chain.extents,
                       [](OpFoldResult extent) { return extent.isNull(); });
}

bool Follower::run() {
  AffineMap read = chain.second.getMatchingIndexingMap(&intermediate);
  auto type = cast<RankedTensorType>(intermediate.get().getType());
  for (auto [size, expr] : llvm::zip_equal(type.getShape(), read.getResults()))
    places.push_back(isa<AffineDimExpr>(expr) ? Place{{expr}, {size}}
                                              : Place());
  Value tensor = intermediate.get();
  for (unsigned i = 0; i < kMaxSteps; ++i) {
    chain.isPrivate &= tensor.hasOneUse();
    chain.first = tensor.getDefiningOp<linalg::GenericOp>();
    if (isProduct(chain.first))
      return getElementTypeOrSelf(tensor) ==
                 getElementTypeOrSelf(chain.second.getResult(0)) &&
             addFactors() && addExtents();
    if (!step(tensor))
      return false;
  }
  return false;
}

std::optional<ContractionChain>
lutra::matchContractionChain(OpBuilder &b, linalg::GenericOp second,
                             OpOperand &intermediate) {
  if (!isProduct(second) ||
      !isa<RankedTensorType>(intermediate.get().getType()))
    return std::nullopt;
  ContractionChain chain;
  chain.second = second;
  if (!Follower(b, chain, intermediate).run())
    return std::nullopt;
  return chain;
}
