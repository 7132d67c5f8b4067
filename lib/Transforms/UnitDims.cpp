//===- UnitDims.cpp - Dimensions of size 1 --------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A reduction that keeps its dimensions is one that does not, and a reshape.
// The reshapes between a mean, its square root and what is divided by it would
// keep these from becoming one kernel, so they are moved behind the last of
// them, where its readers read through them.
//
//===----------------------------------------------------------------------===//

#include "UnitDims.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Utils/Utils.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::lutra;

/// The dimensions of size 1 that `map` has a constant for.
static llvm::SmallBitVector constantUnits(Value tensor, AffineMap map) {
  auto type = cast<RankedTensorType>(tensor.getType());
  llvm::SmallBitVector units(map.getNumResults());
  for (auto [i, expr] : llvm::enumerate(map.getResults()))
    if (isa<AffineConstantExpr>(expr) && type.getDimSize(i) == 1)
      units.set(i);
  return units;
}

/// Whether each dimension before the expansion is one and units after it.
static bool expandsInto(tensor::ExpandShapeOp expand,
                        const llvm::SmallBitVector &units) {
  // Of one element there may be nothing but units.
  SmallVector<ReassociationIndices> groups = expand.getReassociationIndices();
  auto isOne = [&](const ReassociationIndices &group) {
    return llvm::count_if(group,
                          [&](int64_t dim) { return !units.test(dim); }) == 1;
  };
  return groups.size() == units.size() - units.count() &&
         llvm::all_of(groups, isOne);
}

Value lutra::behindUnits(Value tensor, AffineMap &map) {
  auto expand = tensor.getDefiningOp<tensor::ExpandShapeOp>();
  llvm::SmallBitVector units = constantUnits(tensor, map);
  if (!expand || units.none() || !expandsInto(expand, units))
    return nullptr;
  map = map.dropResults(units);
  return expand.getSrc();
}

Value lutra::withoutUnits(OpBuilder &b, Location loc, Value tensor,
                          AffineMap &map) {
  if (Value source = behindUnits(tensor, map))
    return source;
  llvm::SmallBitVector units = constantUnits(tensor, map);
  if (units.none())
    return tensor;
  map = map.dropResults(units);
  return tensor::dropGivenUnitDims(b, loc, tensor, units).getResult();
}

namespace {
/// Reads what is behind an expansion where the operand's map says that its
/// new dimensions are not walked.
struct ReadBehindUnits : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    SmallVector<Value> sources;
    bool changed = false;
    for (OpOperand *operand : op.getDpsInputOperands()) {
      Value source =
          behindUnits(operand->get(), maps[operand->getOperandNumber()]);
      changed |= bool(source);
      sources.push_back(source ? source : operand->get());
    }
    // A loop that only these dimensions told the size of would be lost.
    if (!changed || !inversePermutation(concatAffineMaps(maps, getContext())))
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.getInputsMutable().assign(sources);
      op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
    });
    return success();
  }
};

/// Takes loops of one turn out of an elementwise operation on an expansion into
/// dimensions of size 1, and expands its result.
struct DropUnitLoops : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  /// The loops that walk dimensions which an expansion has added to an input.
  static llvm::SmallBitVector unitLoops(linalg::GenericOp op) {
    llvm::SmallBitVector loops(op.getNumLoops());
    for (OpOperand *operand : op.getDpsInputOperands()) {
      auto expand = operand->get().getDefiningOp<tensor::ExpandShapeOp>();
      AffineMap map = op.getMatchingIndexingMap(operand);
      if (!expand || !map.isIdentity())
        continue;
      for (const ReassociationIndices &group : expand.getReassociationIndices())
        if (group.size() > 1)
          for (int64_t dim : group)
            if (expand.getType().getDimSize(dim) == 1)
              loops.set(dim);
      if (expandsInto(expand, loops))
        return loops;
      loops.reset();
    }
    return loops;
  }

  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getNumReductionLoops() != 0 || op.getNumDpsInits() != 1 ||
        op.hasIndexSemantics() ||
        !op.getIndexingMapsArray().back().isIdentity() ||
        !op.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>())
      return failure();
    llvm::SmallBitVector dropped = unitLoops(op);
    if (dropped.none())
      return failure();
    // A dropped loop stands at 0.
    SmallVector<AffineExpr> loops;
    unsigned kept = 0;
    for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
      loops.push_back(dropped.test(loop) ? rewriter.getAffineConstantExpr(0)
                                         : rewriter.getAffineDimExpr(kept++));
    Location loc = op.getLoc();
    SmallVector<Value> operands;
    SmallVector<AffineMap> maps;
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = op.getMatchingIndexingMap(&operand).replaceDimsAndSymbols(
          loops, {}, kept, 0);
      operands.push_back(withoutUnits(rewriter, loc, operand.get(), map));
      maps.push_back(map);
    }
    SmallVector<utils::IteratorType> iterators(kept,
                                               utils::IteratorType::parallel);
    // An empty tensor is made anew rather than reshaped.
    auto empty = op.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>();
    SmallVector<OpFoldResult> sizes;
    for (auto [dim, size] : llvm::enumerate(empty.getMixedSizes()))
      if (!dropped.test(dim))
        sizes.push_back(size);
    operands.back() = tensor::EmptyOp::create(
        rewriter, loc, sizes, getElementTypeOrSelf(empty.getType()));
    auto result = linalg::GenericOp::create(
        rewriter, loc, operands.back().getType(),
        ArrayRef(operands).drop_back(), operands.back(), maps, iterators);
    rewriter.inlineRegionBefore(op.getRegion(), result.getRegion(),
                                result.getRegion().begin());
    auto type = cast<RankedTensorType>(op.getResult(0).getType());
    rewriter.replaceOpWithNewOp<tensor::ExpandShapeOp>(
        op, type, result.getResult(0), groupsOf(dropped),
        empty.getMixedSizes());
    return success();
  }

  /// The groups of an expansion that adds the dimensions `units`.
  static SmallVector<ReassociationIndices>
  groupsOf(const llvm::SmallBitVector &units) {
    SmallVector<ReassociationIndices> groups;
    ReassociationIndices pending;
    for (unsigned dim = 0; dim < units.size(); ++dim) {
      pending.push_back(dim);
      if (units.test(dim))
        continue;
      groups.push_back(std::move(pending));
      pending.clear();
    }
    if (!groups.empty())
      groups.back().append(pending);
    return groups;
  }
};
} // namespace

void lutra::populateDropUnitDimsPatterns(RewritePatternSet &patterns) {
  patterns.add<ReadBehindUnits, DropUnitLoops>(patterns.getContext());
}
