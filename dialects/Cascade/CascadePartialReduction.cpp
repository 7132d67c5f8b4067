//===- CascadePartialReduction.cpp - Tiles along the iterated rank --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tile along the iterated rank is a part: it yields what the iteration
// carries, which is not what the cascade results in, and merging is a cascade
// that begins where the iteration ends. Only parts side by side are meant: what
// is carried has no elements that stand for coordinates of the iterated rank,
// as a tile of partial sums would.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Parts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// The iteration of `op`, if it is over the only rank that is reduced in parts.
static IterateOp iterationOver(CascadeOp op,
                               const llvm::SetVector<unsigned> &reductionDims) {
  IterateOp iterate = findDivisibleIteration(op);
  return iterate && reductionDims.size() == 1 &&
                 op.findRank(iterate.getRank()) == reductionDims.front()
             ? iterate
             : IterateOp();
}

FailureOr<SmallVector<Value>>
CascadeOp::generateInitialTensorForPartialReduction(
    OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes,
    const llvm::SetVector<unsigned> &reductionDims) {
  IterateOp iterate = iterationOver(*this, reductionDims);
  if (!iterate)
    return failure();
  SmallVector<OpFoldResult> extents = getMixedExtents();
  SmallVector<Value> tensors;
  SmallVector<CarriedState> states = *carriedStates(iterate);
  for (auto [init, state] : llvm::zip_equal(iterate.getInits(), states)) {
    SmallVector<OpFoldResult> shape{sizes[reductionDims.front()]};
    SmallVector<StringRef> ranks = *ranksOf(init);
    for (StringRef rank : ranks)
      shape.push_back(extents[*findRank(rank)]);
    Value empty =
        tensor::EmptyOp::create(b, loc, shape, state.neutral.getType());
    Value neutral = arith::ConstantOp::create(b, loc, state.neutral);
    tensors.push_back(
        linalg::FillOp::create(b, loc, neutral, empty).getResult(0));
  }
  return tensors;
}

FailureOr<TilingResult> CascadeOp::tileToPartialReduction(
    OpBuilder &b, Location loc, ReductionTilingStrategy strategy, ValueRange,
    ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
    const llvm::SetVector<unsigned> &reductionDims,
    ArrayRef<OpFoldResult> splitReductionIvs) {
  IterateOp iterate = iterationOver(*this, reductionDims);
  if (!iterate ||
      strategy != ReductionTilingStrategy::PartialReductionOuterParallel)
    return failure();
  unsigned rank = reductionDims.front();
  AffineExpr s0 = b.getAffineSymbolExpr(0), s1 = b.getAffineSymbolExpr(1);
  // One part, which is the first of all if its number among these is 0.
  CascadeOp part =
      buildParts(b, *this,
                 {b.getIndexAttr(1),
                  s0,
                  s0 + s1,
                  {getValueOrCreateConstantIndexOp(b, loc, offsets[rank]),
                   getValueOrCreateConstantIndexOp(b, loc, sizes[rank])},
                  splitReductionIvs.front()});
  // The filters say where along the rank; the other ranks are cut as ever.
  SmallVector<OpFoldResult> from(offsets), extents(sizes);
  SmallVector<OpFoldResult> whole = part.getMixedExtents();
  from[rank] = b.getIndexAttr(0);
  extents[rank] = whole[rank];
  from.push_back(b.getIndexAttr(0));
  extents.push_back(whole.back());
  FailureOr<TilingResult> tile = part.getTiledImplementation(b, from, extents);
  part.erase();
  return tile;
}

LogicalResult CascadeOp::getPartialResultTilePosition(
    OpBuilder &b, unsigned number, ReductionTilingStrategy,
    ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
    const llvm::SetVector<unsigned> &reductionDims,
    ArrayRef<OpFoldResult> splitReductionIvs,
    SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  IterateOp iterate = iterationOver(*this, reductionDims);
  if (!iterate)
    return failure();
  resultOffsets.push_back(splitReductionIvs.front());
  resultSizes.push_back(b.getIndexAttr(1));
  SmallVector<StringRef> ranks = *ranksOf(iterate.getInits()[number]);
  for (StringRef rank : ranks) {
    resultOffsets.push_back(offsets[*findRank(rank)]);
    resultSizes.push_back(sizes[*findRank(rank)]);
  }
  return success();
}

FailureOr<MergeResult>
CascadeOp::mergeReductions(OpBuilder &b, Location loc, ValueRange partialReduce,
                           const llvm::SetVector<unsigned> &reductionDims) {
  if (!iterationOver(*this, reductionDims))
    return failure();
  OpFoldResult count = tensor::getMixedSize(b, loc, partialReduce.front(), 0);
  CascadeOp merge = buildMerge(b, *this, count, partialReduce);
  return MergeResult{{merge}, llvm::to_vector_of<Value>(merge.getResults())};
}
