//===- FoldMovement.cpp - Contractions read and write where it lies -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Grouped-query attention is exported as a repetition of the keys and values
// for each head of a group, followed by a product over all heads. Written out,
// that multiplies the traffic of the cache by the size of the group. Here the
// product runs over groups and heads in a group, and reads the group's keys.
// Movement between them and the operand is composed into the indexing map; a
// factor on the way, since exports divide the scale between queries and keys,
// goes to the other operand; and where two dimensions are merged, the loop over
// the merged one is split by upstream's expansion patterns. The new loops reach
// what reads the product in the same way, so that no reshape separates it from
// what would be fused into it.
//
//===----------------------------------------------------------------------===//

#include "Movement.h"
#include "PackedElements.h"
#include "UnitDims.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/State.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_FOLDMOVEMENT
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// More reshapes than exports put between a broadcast and a product.
static constexpr unsigned kMaxRounds = 8;

/// Whether a movement reads an element for several of its own.
static bool isBroadcast(linalg::GenericOp op) {
  AffineMap read = op.getIndexingMapsArray()[0];
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
    if (!read.isFunctionOfDim(loop))
      return true;
  return false;
}

/// The operand that an operation multiplies by, or divides by, one number for
/// all elements; null for any other operation. Since contractions are linear,
/// the other operand may be scaled instead.
static OpOperand *scaledOperand(linalg::GenericOp op) {
  if (!op || op.getNumDpsInits() != 1 || op.getNumReductionLoops() != 0 ||
      op.getBlock()->getOperations().size() != 2 ||
      !op.getIndexingMapsArray().back().isPermutation())
    return nullptr;
  OpOperand *scaled = nullptr;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (map.getNumResults() == 0)
      continue;
    if (scaled || !map.isPermutation())
      return nullptr;
    scaled = operand;
  }
  Operation &scale = op.getBlock()->front();
  if (!scaled || !isa<arith::MulFOp, arith::DivFOp>(scale) ||
      op.getBlock()->getTerminator()->getOperand(0) != scale.getResult(0))
    return nullptr;
  BlockArgument element = op.getMatchingBlockArgument(scaled);
  bool isFirst = scale.getOperand(0) == element,
       isSecond = scale.getOperand(1) == element;
  if (isFirst == isSecond || (isSecond && isa<arith::DivFOp>(scale)))
    return nullptr;
  return scaled;
}

/// Whether what leads to `tensor` is movement that is not worth its copy: of a
/// state, or with a repetition in it.
static bool isWorthReadingThrough(Value tensor) {
  for (;;) {
    Operation *op = tensor.getDefiningOp();
    auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
    if (isMovement(generic)) {
      if (isBroadcast(generic))
        return true;
      tensor = generic.getDpsInputs()[0];
    } else if (isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
                   op)) {
      tensor = op->getOperand(0);
    } else if (OpOperand *scaled = scaledOperand(generic)) {
      tensor = scaled->get();
    } else {
      return isStateSlice(tensor);
    }
  }
}

/// `tensor` scaled as `op` scales its operand, or a failure where sizes are not
/// known.
static FailureOr<Value> scaledLike(OpBuilder &b, linalg::GenericOp op,
                                   OpOperand *scaled, Value tensor) {
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, tensor);
  Type element = getElementTypeOrSelf(tensor.getType());
  if (failed(sizes) || element != getElementTypeOrSelf(op.getResult(0)))
    return failure();
  Location loc = op.getLoc();
  unsigned rank = sizes->size();
  SmallVector<Value> inputs(op.getDpsInputs());
  SmallVector<AffineMap> maps(inputs.size(),
                              AffineMap::get(rank, 0, b.getContext()));
  inputs[scaled->getOperandNumber()] = tensor;
  maps[scaled->getOperandNumber()] = b.getMultiDimIdentityMap(rank);
  maps.push_back(b.getMultiDimIdentityMap(rank));
  Value empty = tensor::EmptyOp::create(b, loc, *sizes, element);
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  auto result = linalg::GenericOp::create(b, loc, empty.getType(), inputs,
                                          empty, maps, loops);
  IRMapping map;
  op.getRegion().cloneInto(&result.getRegion(), map);
  return result.getResult(0);
}

/// Whether a movement is a transposition that leaves the innermost dimension
/// where it is, so that who reads through it walks memory in the same order.
static bool keepsInnermost(linalg::GenericOp movement) {
  if (!isMovement(movement) || movement.getNumLoops() == 0)
    return false;
  SmallVector<AffineMap> maps = movement.getIndexingMapsArray();
  return maps[0].isPermutation() &&
         maps[0].getResults().back() == maps[1].getResults().back();
}

/// Makes a contraction write its result as the transposition that alone reads
/// it would move it.
static bool writeThrough(OpBuilder &b, linalg::GenericOp op) {
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  auto movement = op->hasOneUse()
                      ? dyn_cast<linalg::GenericOp>(*op->user_begin())
                      : linalg::GenericOp();
  if (!fill || !keepsInnermost(movement) ||
      movement.isDpsInit(&*op->use_begin()))
    return false;
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, op.getResult(0));
  if (failed(sizes))
    return false;
  SmallVector<AffineMap> moved = movement.getIndexingMapsArray();
  AffineMap order = moved[1].compose(inversePermutation(moved[0]));
  SmallVector<OpFoldResult> movedSizes;
  for (AffineExpr dim : order.getResults())
    movedSizes.push_back((*sizes)[cast<AffineDimExpr>(dim).getPosition()]);
  Value empty =
      tensor::EmptyOp::create(b, op.getLoc(), movedSizes,
                              getElementTypeOrSelf(op.getResult(0).getType()));
  Value init = linalg::FillOp::create(b, fill.getLoc(), fill.value(), empty)
                   .getResult(0);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  maps.back() = order.compose(maps.back());
  op.setDpsInitOperand(0, init);
  op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
  op.getResult(0).setType(init.getType());
  movement.getResult(0).replaceAllUsesWith(op.getResult(0));
  movement.erase();
  return true;
}

/// Whether it is worth splitting loops for what is behind a reshape. The
/// innermost dimension, along which vectors run, stays whole.
static bool canSplit(tensor::CollapseShapeOp collapse) {
  return isWorthReadingThrough(collapse.getResult()) &&
         collapse.getReassociationIndices().back().size() == 1;
}

/// Makes an operand read what is behind movement and scaling, as far as
/// indexing maps and the other operand can say it; where that is not worth a
/// change of the order in memory, through what keeps it only. True where it
/// changed anything.
static bool readThrough(OpBuilder &b, linalg::GenericOp op,
                        OpOperand &operand) {
  bool all = isWorthReadingThrough(operand.get());
  OpOperand &other = op->getOpOperand(1 - operand.getOperandNumber());
  bool changed = false;
  for (;;) {
    auto producer = operand.get().getDefiningOp<linalg::GenericOp>();
    if (!all && !keepsInnermost(producer))
      return changed;
    OpOperand *source = scaledOperand(producer);
    if (source) {
      FailureOr<Value> scaled = scaledLike(b, producer, source, other.get());
      if (failed(scaled))
        return changed;
      other.set(*scaled);
    } else if (isMovement(producer)) {
      source = producer.getDpsInputOperand(0);
    } else {
      return changed;
    }
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    AffineMap &map = maps[operand.getOperandNumber()];
    map =
        producer.getMatchingIndexingMap(source)
            .compose(inversePermutation(producer.getIndexingMapsArray().back()))
            .compose(map);
    operand.set(withoutUnits(b, op.getLoc(), source->get(), map));
    op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
    changed = true;
  }
}

namespace {
/// Remembers the collapsing reshapes that expansion leaves behind results,
/// which are to move on.
struct CollapseListener : RewriterBase::Listener {
  explicit CollapseListener(llvm::DenseSet<Operation *> &moving)
      : moving(moving) {}
  void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override {
    if (isa<tensor::CollapseShapeOp>(op))
      moving.insert(op);
  }
  void notifyOperationErased(Operation *op) override { moving.erase(op); }
  llvm::DenseSet<Operation *> &moving;
};

struct FoldMovement : lutra::impl::FoldMovementBase<FoldMovement> {
  using FoldMovementBase::FoldMovementBase;

  void runOnOperation() override {
    if (failed(splitPacked()))
      return signalPassFailure();
    // Each round reads through one reshape more.
    for (unsigned round = 0; round < kMaxRounds; ++round) {
      llvm::DenseSet<Operation *> moving;
      bool changed = foldMovement(moving);
      if (!moving.empty() && failed(split(moving, changed)))
        return signalPassFailure();
      if (!changed)
        return;
    }
  }

private:
  bool foldMovement(llvm::DenseSet<Operation *> &moving);
  LogicalResult splitPacked();
  void dropUnits(const llvm::DenseSet<Operation *> &moving);
  LogicalResult split(llvm::DenseSet<Operation *> &moving, bool &changed);
  LogicalResult resolveSizes();
};
} // namespace

/// Composes movement into the maps of contractions, and collects the reshapes
/// that it then meets.
bool FoldMovement::foldMovement(llvm::DenseSet<Operation *> &moving) {
  SmallVector<linalg::GenericOp> ops = llvm::to_vector(llvm::make_filter_range(
      getOperation().getOps<linalg::GenericOp>(),
      [](linalg::GenericOp op) { return matchContraction(op).has_value(); }));
  bool changed = false;
  for (linalg::GenericOp op : ops) {
    OpBuilder b(op);
    changed |= writeThrough(b, op);
    for (OpOperand *operand : op.getDpsInputOperands()) {
      changed |= readThrough(b, op, *operand);
      auto collapse = operand->get().getDefiningOp<tensor::CollapseShapeOp>();
      if (collapse && (canSplit(collapse) || isUnpacked(collapse.getSrc())))
        moving.insert(collapse);
    }
  }
  return changed;
}

/// Splits the loops of what reads elements of which one holds several.
LogicalResult FoldMovement::splitPacked() {
  llvm::DenseSet<Operation *> moving;
  for (tensor::CollapseShapeOp reshape : unpackElements(getOperation()))
    moving.insert(reshape);
  bool changed = false;
  return moving.empty() ? success() : split(moving, changed);
}

/// Takes dimensions of size 1 out of what is read beside the reshapes, and
/// beside what will move: upstream splits no loop of an operation that has
/// them.
void FoldMovement::dropUnits(const llvm::DenseSet<Operation *> &moving) {
  llvm::SetVector<linalg::GenericOp> reached;
  auto reach = [&](Value value) {
    for (Operation *user : value.getUsers())
      if (auto op = dyn_cast<linalg::GenericOp>(user))
        reached.insert(op);
  };
  for (auto op : getOperation().getOps<tensor::CollapseShapeOp>())
    if (moving.contains(op))
      reach(op.getResult());
  for (unsigned i = 0; i < reached.size(); ++i) {
    linalg::GenericOp op = reached[i];
    OpBuilder b(op);
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    for (OpOperand *operand : op.getDpsInputOperands())
      operand->set(withoutUnits(b, op.getLoc(), operand->get(),
                                maps[operand->getOperandNumber()]));
    op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
    for (Value result : op.getResults())
      reach(result);
  }
}

/// Splits the loops of what reads the reshapes, of what reads those results,
/// and so on. Sets `changed` where it did.
LogicalResult FoldMovement::split(llvm::DenseSet<Operation *> &moving,
                                  bool &changed) {
  dropUnits(moving);
  SmallVector<Operation *> ops;
  for (auto op : getOperation().getOps<linalg::GenericOp>())
    ops.push_back(op);
  RewritePatternSet patterns(&getContext());
  linalg::populateFoldReshapeOpsByExpansionPatterns(
      patterns, [&](OpOperand *operand) {
        return moving.contains(operand->get().getDefiningOp());
      });
  CollapseListener listener(moving);
  GreedyRewriteConfig config;
  config.setListener(&listener).setStrictness(
      GreedyRewriteStrictness::ExistingAndNewOps);
  bool isSplit = false;
  if (failed(
          applyOpPatternsGreedily(ops, std::move(patterns), config, &isSplit)))
    return failure();
  changed |= isSplit;
  return resolveSizes();
}

/// Upstream asks tensors for their sizes, which the host does not, and reshapes
/// what is empty.
LogicalResult FoldMovement::resolveSizes() {
  for (auto dim :
       llvm::make_early_inc_range(getOperation().getOps<tensor::DimOp>())) {
    OpBuilder b(dim);
    FailureOr<SmallVector<OpFoldResult>> sizes =
        tensorSizes(b, dim.getSource());
    std::optional<int64_t> index = dim.getConstantIndex();
    if (failed(sizes) || !index)
      return dim.emitError("expected a tensor of known sizes");
    dim.replaceAllUsesWith(
        getValueOrCreateConstantIndexOp(b, dim.getLoc(), (*sizes)[*index]));
    dim.erase();
  }
  for (auto expand : llvm::make_early_inc_range(
           getOperation().getOps<tensor::ExpandShapeOp>())) {
    auto fill = expand.getSrc().getDefiningOp<linalg::FillOp>();
    Value made = fill ? fill.getOutputs()[0] : expand.getSrc();
    if (!made.getDefiningOp<tensor::EmptyOp>())
      continue;
    OpBuilder b(expand);
    Value result = tensor::EmptyOp::create(b, expand.getLoc(),
                                           expand.getMixedOutputShape(),
                                           expand.getType().getElementType());
    if (fill)
      result = linalg::FillOp::create(b, fill.getLoc(), fill.value(), result)
                   .getResult(0);
    expand.replaceAllUsesWith(result);
    expand.erase();
  }
  return success();
}
