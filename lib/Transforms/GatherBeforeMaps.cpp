//===- GatherBeforeMaps.cpp - Maps of what a gather has chosen ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The logarithms of a softmax are a row for each token, of which a loss or a
// score reads one element. Computed there, they are never in memory, and the
// reductions before them need not go over the row once more for them.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_GATHERBEFOREMAPS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Whether each element of the result is computed of elements at its own
/// coordinates alone.
static bool isMap(linalg::GenericOp op) {
  if (!op || !op.hasPureTensorSemantics() || op.getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() ||
      !op.getIndexingMapsArray().back().isIdentity() ||
      !op.getRegionOutputArgs()[0].use_empty())
    return false;
  for (AffineMap map : op.getIndexingMapsArray())
    if (!llvm::all_of(map.getResults(), llvm::IsaPred<AffineDimExpr>))
      return false;
  return llvm::all_of(op.getBlock()->without_terminator(), [](Operation &each) {
    return isPure(&each) && each.getNumRegions() == 0 &&
           !isa<linalg::IndexOp, tensor::ExtractOp>(each);
  });
}

/// Whether a tensor has no more elements than another, whatever symbolic sizes
/// are.
static bool isNoLarger(ArrayRef<OpFoldResult> sizes,
                       ArrayRef<OpFoldResult> others) {
  SmallVector<Value> unknown;
  int64_t known = 1, mostKnown = 1;
  for (OpFoldResult size : others)
    if (std::optional<int64_t> constant = getConstantIntValue(size))
      mostKnown *= *constant;
    else
      unknown.push_back(cast<Value>(size));
  for (OpFoldResult size : sizes) {
    if (std::optional<int64_t> constant = getConstantIntValue(size)) {
      known *= *constant;
      continue;
    }
    auto *it = llvm::find(unknown, cast<Value>(size));
    if (it == unknown.end())
      return false;
    unknown.erase(it);
  }
  // What is left over may be 0, but then the gather has nothing to choose from.
  return known <= mostKnown;
}

namespace {
/// A gather of one element of a map's result for each of its own points.
struct Gather {
  linalg::GenericOp op;
  tensor::ExtractOp extract;
  linalg::GenericOp map;
  SmallVector<OpFoldResult> sizes, mapSizes;

  /// The loop whose number is coordinate `dim`, if that goes all along it.
  std::optional<unsigned> loopOf(unsigned dim) {
    auto index = extract.getIndices()[dim].getDefiningOp<linalg::IndexOp>();
    if (!index ||
        !isEqualConstantIntOrValue(sizes[index.getDim()], mapSizes[dim]))
      return std::nullopt;
    return index.getDim();
  }
  /// At which loops an operand of the map is read; none where one is data.
  std::optional<AffineMap> loopsOf(AffineMap operand) {
    SmallVector<AffineExpr> exprs;
    for (AffineExpr expr : operand.getResults()) {
      auto loop = loopOf(cast<AffineDimExpr>(expr).getPosition());
      if (!loop)
        return std::nullopt;
      exprs.push_back(getAffineDimExpr(*loop, op.getContext()));
    }
    return AffineMap::get(op.getNumLoops(), 0, exprs, op.getContext());
  }
};
} // namespace

static std::optional<Gather> matchGather(tensor::ExtractOp extract) {
  auto op = dyn_cast<linalg::GenericOp>(extract->getParentOp());
  auto map = extract.getTensor().getDefiningOp<linalg::GenericOp>();
  // Computed for another reader, or once for all turns of a loop, it is there
  // to be read.
  if (!op || !op.hasPureTensorSemantics() || op.getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() ||
      !op.getIndexingMapsArray().back().isIdentity() || !isMap(map) ||
      !map->hasOneUse() || map->getBlock() != op->getBlock())
    return std::nullopt;
  OpBuilder b(op);
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, op.getResult(0)),
                                       mapSizes =
                                           tensorSizes(b, map.getResult(0));
  if (failed(sizes) || failed(mapSizes) || !isNoLarger(*sizes, *mapSizes))
    return std::nullopt;
  return Gather{op, extract, map, *sizes, *mapSizes};
}

/// Computes the map where it is read, of operands that are read there; adds
/// those that are chosen by data to `extracts`.
static void moveMap(Gather &gather,
                    SmallVectorImpl<tensor::ExtractOp> &extracts) {
  linalg::GenericOp op = gather.op, map = gather.map;
  OpBuilder b(gather.extract);
  IRMapping inner;
  SmallVector<Value> inputs(op.getInputs());
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (auto [i, operand] : llvm::enumerate(map.getInputs())) {
    AffineMap read = map.getIndexingMapsArray()[i];
    Value element;
    if (std::optional<AffineMap> loops = gather.loopsOf(read)) {
      element = op.getBlock()->insertArgument(
          inputs.size(), getElementTypeOrSelf(operand), operand.getLoc());
      maps.insert(maps.begin() + inputs.size(), *loops);
      inputs.push_back(operand);
    } else {
      SmallVector<Value> indices;
      for (AffineExpr expr : read.getResults())
        indices.push_back(
            gather.extract
                .getIndices()[cast<AffineDimExpr>(expr).getPosition()]);
      extracts.push_back(tensor::ExtractOp::create(b, gather.extract.getLoc(),
                                                   operand, indices));
      element = extracts.back();
    }
    inner.map(map.getBlock()->getArgument(i), element);
  }
  for (Operation &each : map.getBlock()->without_terminator())
    b.clone(each, inner);
  gather.extract.replaceAllUsesWith(
      inner.lookupOrDefault(map.getBlock()->getTerminator()->getOperand(0)));
  gather.extract.erase();
  OpBuilder outer(op);
  auto moved = linalg::GenericOp::create(
      outer, outer.getFusedLoc({map.getLoc(), op.getLoc()}),
      op.getResultTypes(), inputs, op.getOutputs(), maps,
      op.getIteratorTypesArray());
  moved->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  moved.getRegion().takeBody(op.getRegion());
  op.replaceAllUsesWith(moved.getResults());
  op.erase();
  map.erase();
}

namespace {
struct GatherBeforeMaps : lutra::impl::GatherBeforeMapsBase<GatherBeforeMaps> {
  void runOnOperation() override {
    SmallVector<tensor::ExtractOp> extracts;
    getOperation().walk([&](tensor::ExtractOp op) { extracts.push_back(op); });
    // What a map reads at these places may be another's result.
    while (!extracts.empty())
      if (auto gather = matchGather(extracts.pop_back_val()))
        moveMap(*gather, extracts);
  }
};
} // namespace
