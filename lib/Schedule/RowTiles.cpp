//===- RowTiles.cpp - Tiles of a kernel of rows ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Of rows, several passes are made, each of which reads what those before have
// written. Tiled, they are to compute nothing twice, in as little memory as
// there can be, and to read what they have just written from a register.
//
//===----------------------------------------------------------------------===//

#include "RowTiles.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::lutra;

/// The size of a dimension, where it was said already: of what a result is
/// computed into, at last.
static Value knownSize(const KnownSizes &sizes, Value tensor, int64_t dim) {
  while (auto op = tensor.getDefiningOp<linalg::LinalgOp>())
    tensor = op.getTiedOpOperand(cast<OpResult>(tensor))->get();
  if (auto empty = tensor.getDefiningOp<tensor::EmptyOp>())
    return dyn_cast<Value>(empty.getMixedSizes()[dim]);
  auto slice = tensor.getDefiningOp<tensor::ExtractSliceOp>();
  if (slice && slice.getType().getRank() == slice.getSourceType().getRank())
    return dyn_cast<Value>(slice.getMixedSizes()[dim]);
  return sizes.lookup({tensor, dim});
}

KnownSizes lutra::sizesOfArguments(func::FuncOp func) {
  KnownSizes sizes;
  for (auto op : func.getBody().front().getOps<linalg::GenericOp>()) {
    SmallVector<Value> ofLoops(op.getNumLoops());
    auto visit = [&](function_ref<void(Value, int64_t, Value &)> each) {
      for (OpOperand &operand : op->getOpOperands())
        for (auto [dim, expr] :
             llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
          if (auto loop = dyn_cast<AffineDimExpr>(expr))
            each(operand.get(), dim, ofLoops[loop.getPosition()]);
    };
    visit([&](Value tensor, int64_t dim, Value &ofLoop) {
      if (!ofLoop)
        ofLoop = knownSize(sizes, tensor, dim);
    });
    visit([&](Value tensor, int64_t dim, Value &ofLoop) {
      if (isa_and_nonnull<BlockArgument>(ofLoop) && isa<BlockArgument>(tensor))
        sizes.try_emplace({tensor, dim}, ofLoop);
    });
  }
  return sizes;
}

void lutra::unifySizes(IRRewriter &rewriter, func::FuncOp func,
                       const KnownSizes &sizes) {
  func.walk([&](tensor::DimOp op) {
    std::optional<int64_t> dim = op.getConstantIndex();
    if (Value size = dim ? knownSize(sizes, op.getSource(), *dim) : Value())
      rewriter.replaceOp(op, size);
  });
}

void lutra::shareDestination(IRRewriter &rewriter, linalg::GenericOp root) {
  Value place = root.getDpsInits()[0];
  SmallVector<linalg::GenericOp> chain = {root};
  for (;;) {
    linalg::GenericOp next = chain.back(), found;
    for (OpOperand *operand : next.getDpsInputOperands()) {
      auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
      if (producer && producer.getNumReductionLoops() == 0 &&
          producer->getBlock() == root->getBlock() &&
          operand->get().getType() == place.getType() &&
          next.getMatchingIndexingMap(operand).isIdentity() &&
          producer.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>())
        found = producer;
    }
    if (!found)
      break;
    chain.push_back(found);
  }
  if (chain.size() == 1)
    return;
  if (failed(moveValueDefinitions(rewriter, place, chain.back())))
    return;
  for (linalg::GenericOp op : llvm::reverse(chain)) {
    rewriter.modifyOpInPlace(
        op, [&, op]() mutable { op.getDpsInitsMutable()[0].set(place); });
    place = op.getResult(0);
  }
}

/// The first producer of `reduction` that can be computed in its loops, and is
/// kept for others behind it: elements in the order in which they lie, summed
/// along rows.
static OpOperand *keptProducer(linalg::GenericOp reduction) {
  SmallVector<Operation *> combiners;
  if (reduction.getNumReductionLoops() == 0 ||
      reduction.getNumDpsInits() != 1 ||
      !linalg::isReductionIterator(reduction.getIteratorTypesArray().back()) ||
      !matchReduction(reduction.getRegionOutputArgs(), 0, combiners) ||
      combiners.size() != 1)
    return nullptr;
  for (OpOperand *operand : reduction.getDpsInputOperands()) {
    auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
    if (producer && producer->getBlock() == reduction->getBlock() &&
        reduction.getMatchingIndexingMap(operand).isIdentity() &&
        producer.getIndexingMapsArray().back().isIdentity() &&
        linalg::areElementwiseOpsFusable(operand) &&
        llvm::none_of(producer->getUsers(), [&](Operation *user) {
          return user->isBeforeInBlock(reduction);
        }))
      return operand;
  }
  return nullptr;
}

void lutra::fuseIntoReductions(IRRewriter &rewriter, func::FuncOp func) {
  SmallVector<linalg::GenericOp> reductions;
  func.walk([&](linalg::GenericOp op) { reductions.push_back(op); });
  for (linalg::GenericOp reduction : reductions) {
    OpOperand *operand = keptProducer(reduction);
    if (!operand)
      continue;
    auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
    rewriter.setInsertionPoint(reduction);
    auto fused = linalg::fuseElementwiseOps(rewriter, operand);
    if (failed(fused))
      continue;
    for (auto [from, to] : fused->replacements)
      rewriter.replaceAllUsesWith(from, to);
    rewriter.eraseOp(reduction);
    rewriter.eraseOp(producer);
  }
}
