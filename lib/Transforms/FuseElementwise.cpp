//===- FuseElementwise.cpp - Fuse elementwise operations ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// This file drives upstream's elementwise fusion with one rule: fuse where
// nothing is computed twice that costs more than a few additions. A contraction
// never takes producers, since its operands are read many times; it takes
// consumers, in form-dispatches. What is fused stays of bounded size: to read
// and write a tensor costs nothing beside so much arithmetic, and what follows
// takes more than linear time for one kernel.
//
//===----------------------------------------------------------------------===//

#include "UnitDims.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_FUSEELEMENTWISE
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// More operations and inputs than what is worth fusing has.
static constexpr int64_t kMaxOperations = 128, kMaxInputs = 64;

/// True where an element of `op` costs no more than reading it.
static bool isCheap(linalg::GenericOp op) {
  return llvm::all_of(*op.getBlock(), [](Operation &inner) {
    return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::AddIOp,
               arith::SubIOp, arith::MulIOp, arith::ExtFOp, arith::ExtSIOp,
               arith::ExtUIOp, arith::TruncFOp, arith::TruncIOp,
               arith::ConstantOp, linalg::YieldOp>(inner);
  });
}

/// True where nothing else reads `op`'s result. What fusion has replaced may
/// still stand there.
static bool isOnlyReadBy(Operation *op, Operation *reader) {
  return llvm::all_of(op->getUsers(), [&](Operation *user) {
    return user == reader || isOpTriviallyDead(user);
  });
}

/// Whether `op` reads a product element by element, or what was computed of one
/// so: that is done with the product's tiles, if nothing else keeps it from
/// there.
static bool followsProduct(linalg::GenericOp op) {
  SmallVector<linalg::GenericOp> left = {op};
  llvm::SmallPtrSet<Operation *, 8> seen;
  while (!left.empty()) {
    linalg::GenericOp reader = left.pop_back_val();
    if (reader.getNumReductionLoops() > 0 || !seen.insert(reader).second)
      continue;
    for (OpOperand *operand : reader.getDpsInputOperands()) {
      Operation *before = operand->get().getDefiningOp();
      if (!reader.getMatchingIndexingMap(operand).isIdentity())
        continue;
      auto generic = dyn_cast_or_null<linalg::GenericOp>(before);
      if (isa_and_nonnull<mpgemm::MatmulOp>(before) ||
          (generic && matchContraction(generic)))
        return true;
      if (generic)
        left.push_back(generic);
    }
  }
  return false;
}

/// Whether both together are small enough for one kernel.
static bool isSmall(linalg::GenericOp producer, linalg::GenericOp consumer) {
  auto operations = [](linalg::GenericOp op) {
    return int64_t(op.getBlock()->getOperations().size());
  };
  return operations(producer) + operations(consumer) <= kMaxOperations &&
         producer.getNumDpsInputs() + consumer.getNumDpsInputs() <= kMaxInputs;
}

static bool shouldFuse(OpOperand *operand) {
  auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
  auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
  if (!producer || !consumer || !isOnlyReadBy(producer, consumer) ||
      llvm::count(consumer->getOperands(), operand->get()) != 1 ||
      matchContraction(consumer) || !isSmall(producer, consumer))
    return false;
  AffineMap map = consumer.getMatchingIndexingMap(operand);
  // A window reads an element many times, at positions that are no permutation.
  if (!map.isProjectedPermutation())
    return false;
  if (!map.isPermutation())
    return isCheap(producer);
  return map.isIdentity() || !followsProduct(producer);
}

namespace {
/// Reads a filled tensor as the scalar that it was filled with.
struct ForwardFill : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    bool changed = false;
    for (OpOperand *operand : op.getDpsInputOperands()) {
      auto fill = operand->get().getDefiningOp<linalg::FillOp>();
      BlockArgument scalar = op.getMatchingBlockArgument(operand);
      if (!fill || scalar.use_empty() ||
          fill.value().getType() != scalar.getType())
        continue;
      rewriter.modifyOpInPlace(
          op, [&] { scalar.replaceAllUsesWith(fill.value()); });
      changed = true;
    }
    return success(changed);
  }
};

struct FuseElementwise : lutra::impl::FuseElementwiseBase<FuseElementwise> {
  using FuseElementwiseBase::FuseElementwiseBase;

  void runOnOperation() override {
    // Reshapes go first: what they had between each other fuses afterwards.
    RewritePatternSet units(&getContext());
    populateDropUnitDimsPatterns(units);
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    patterns.add<ForwardFill>(&getContext());
    linalg::GenericOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(apply(std::move(units))) || failed(apply(std::move(patterns))))
      signalPassFailure();
  }

  /// Not inside of loops: what a loop carries is updated in place, and
  /// upstream's patterns take away a destination that is not read.
  LogicalResult apply(RewritePatternSet patterns) {
    SmallVector<Operation *> ops;
    for (auto op : getOperation().getOps<linalg::GenericOp>())
      ops.push_back(op);
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    return applyOpPatternsGreedily(ops, std::move(patterns), config);
  }
};
} // namespace
