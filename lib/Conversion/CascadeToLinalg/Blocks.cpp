//===- Blocks.cpp - Streams that lie in blocks ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is gathered in blocks is not copied together first: a reduction that
// reads it goes over the blocks of a part, and reads each where it lies. Parts
// begin where blocks do, or in the middle of blocks that have several of them,
// so that no run of `blockLength` coordinates crosses the end of a block.
//
//===----------------------------------------------------------------------===//

#include "CascadeLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Shorter blocks than that are copied into one tensor, which is then read in
/// tiles.
static constexpr int64_t kMinLength = 8;

/// A sum over shorter blocks is read and written more often than it is worth
/// where it is one of many rows.
static constexpr int64_t kMinSum = 32, kManyRows = 16;

/// Whether a sum for many rows reads what `source` gathers for all of them.
bool CascadeLowering::hasManyRows(EinsumOp reader, EinsumOp source) {
  int64_t rows = 1;
  unsigned input = llvm::find(reader.getInputs(), source.getResult()) -
                   reader.getInputs().begin();
  for (unsigned loop = 0; loop < reader.getNumRanks(); ++loop)
    if (!reader.isReduced(loop) &&
        !reader.getInputMap(input).isFunctionOfDim(loop))
      rows *= getConstantIntValue(extents[reader.getRankName(loop)])
                  .value_or(kManyRows);
  return rows >= kManyRows;
}

/// Whether a reduction reads each of its operands along the rank element by
/// element, and blocks of `length` are worth that.
bool CascadeLowering::canReadBlocks(EinsumOp reader, EinsumOp source,
                                    StringRef rank, int64_t length) {
  bool isInResult = !reader.reduces(rank);
  return reader.hasReduction() && !reader.getMask() && reader.findRank(rank) &&
         !(isInResult && reader.getInit()) &&
         (isInResult || length >= kMinSum || !hasManyRows(reader, source)) &&
         llvm::all_of(reader.getMaps().getAsValueRange<AffineMapAttr>(),
                      [](AffineMap map) {
                        return map.isProjectedPermutation(
                            /*allowZeroInResults=*/true);
                      });
}

/// Finds what reductions alone read of blocks, in an iteration in parts of
/// `part` coordinates.
void CascadeLowering::findBlocks(IterateOp op, int64_t part) {
  auto isSingle = [&](StringRef rank) {
    return rank != op.getRank() && isOneInteger(extents[rank]);
  };
  int64_t length = part;
  for (auto einsum : op.getBlock()->getOps<EinsumOp>()) {
    auto found = matchBlocks(einsum, op.getRank(), isSingle);
    int64_t common = found ? std::gcd(length, found->length) : 0;
    // The last block is read whole.
    if (std::optional<int64_t> all = getConstantIntValue(extents[op.getRank()]))
      if (common > 0 && *all % common != 0)
        continue;
    if (common < kMinLength || !llvm::all_of(
                                   einsum->getUsers(),
                                   [&](Operation *user) {
                                     auto reader = dyn_cast<EinsumOp>(user);
                                     return reader &&
                                            canReadBlocks(reader, einsum,
                                                          op.getRank(), common);
                                   }))
      continue;
    length = common;
    blocks.try_emplace(einsum.getResult(), *found);
  }
  blockLength = length;
}

bool CascadeLowering::readsBlocks(EinsumOp op) {
  return llvm::any_of(op.getOperands(),
                      [&](Value operand) { return blocks.contains(operand); });
}

/// The part of `tensor` at the block, which begins `at` in the part, along
/// `dims`.
Value CascadeLowering::sliceOf(Value tensor, ArrayRef<unsigned> dims,
                               Value at) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, tensor),
                            from(sizes.size(), b.getIndexAttr(0)),
                            ones(sizes.size(), b.getIndexAttr(1));
  for (unsigned dim : dims) {
    from[dim] = at;
    sizes[dim] = b.getIndexAttr(blockLength);
  }
  return tensor::ExtractSliceOp::create(b, loc, tensor, from, sizes, ones);
}

/// The block that the Einsum `op` reads where the iterated rank stands at its
/// offset; `order` is the dimension of the Einsum's result that each dimension
/// of the block is, or one behind them all.
Value CascadeLowering::blockOf(EinsumOp op, SmallVectorImpl<unsigned> &order) {
  GatheredBlocks &found = blocks.find(op.getResult())->second;
  IRMapping inner(map);
  for (Operation &each : op.getBlock()->without_terminator()) {
    if (&each == found.element)
      break;
    auto index = dyn_cast<IndexOp>(each);
    if (!index) {
      b.clone(each, inner);
      continue;
    }
    Value offset = offsets.lookup(index.getRank());
    inner.map(index.getResult(),
              offset ? offset
                     : arith::ConstantIndexOp::create(b, loc, 0).getResult());
  }
  SmallVector<OpFoldResult> from, sizes,
      ones(found.ranks.size(), b.getIndexAttr(1));
  for (auto [at, rank] :
       llvm::zip_equal(found.element.getIndices(), found.ranks)) {
    from.push_back(getAsOpFoldResult(inner.lookupOrDefault(at)));
    sizes.push_back(rank ? extents[op.getRankName(*rank)]
                         : OpFoldResult(b.getIndexAttr(1)));
    order.push_back(
        rank ? *op.getResultMap().getResultPosition(b.getAffineDimExpr(*rank))
             : op.getType().getRank());
  }
  return tensor::ExtractSliceOp::create(
      b, loc, lookup(found.element.getTensor()), from, sizes, ones);
}

/// What `op` computes of the block that begins `at` in the part.
Value CascadeLowering::computeBlock(EinsumOp op, Value at, Value into) {
  auto iterate = cast<IterateOp>(op->getParentOp());
  AffineExpr along = b.getAffineDimExpr(*op.findRank(iterate.getRank()));
  Operands operands = operandsOf(op);
  for (auto [i, map] : llvm::enumerate(operands.maps)) {
    Value input = i < op.getInputs().size() ? op.getInputs()[i] : op.getMask();
    if (blocks.contains(input)) {
      SmallVector<unsigned> order;
      operands.tensors[i] = blockOf(input.getDefiningOp<EinsumOp>(), order);
      SmallVector<AffineExpr> exprs;
      for (unsigned dim : order)
        exprs.push_back(dim < map.getNumResults() ? map.getResult(dim)
                                                  : b.getAffineConstantExpr(0));
      map = AffineMap::get(map.getNumDims(), 0, exprs, b.getContext());
    } else if (auto dim = map.getResultPosition(along)) {
      operands.tensors[i] = sliceOf(operands.tensors[i], *dim, at);
    }
  }
  if (auto dim = op.getResultMap().getResultPosition(along)) {
    Value slice = sliceOf(into, *dim, at);
    auto type = cast<RankedTensorType>(slice.getType());
    Value start =
        fillOf(slice, identityOf(*op.getMonoid(), type.getElementType()));
    Value block = build(op, operands, start).getResult(0);
    auto cut = slice.getDefiningOp<tensor::ExtractSliceOp>();
    return tensor::InsertSliceOp::create(
        b, loc, block, into, cut.getMixedOffsets(), cut.getMixedSizes(),
        cut.getMixedStrides());
  }
  return build(op, operands, into).getResult(0);
}

void CascadeLowering::lowerInBlocks(EinsumOp op) {
  StringRef rank = cast<IterateOp>(op->getParentOp()).getRank();
  bool isInResult = !op.reduces(rank);
  Value into = !isInResult ? destinationOf(op)
                           : emptyOf(op.getResultMap(), op,
                                     op.getType().getElementType());
  Value begin = offsets[rank];
  OpFoldResult length = extents[rank];
  auto loop = scf::ForOp::create(
      b, loc, arith::ConstantIndexOp::create(b, loc, 0),
      getValueOrCreateConstantIndexOp(b, loc, length),
      arith::ConstantIndexOp::create(b, loc, blockLength), into);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value at = loop.getInductionVar();
  offsets[rank] = arith::AddIOp::create(b, loc, begin, at);
  extents[rank] = b.getIndexAttr(blockLength);
  scf::YieldOp::create(b, loc, computeBlock(op, at, loop.getRegionIterArg(0)));
  offsets[rank] = begin;
  extents[rank] = length;
  map.map(op.getResult(), loop.getResult(0));
}
