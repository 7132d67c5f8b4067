//===- DistributeCopies.cpp - Copy by several threads ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Padding and concatenation put tensors into a larger one. One thread would not
// only take longer for it: what the others wrote comes from their caches, and
// they fall asleep.
//
//===----------------------------------------------------------------------===//

#include "Tasks.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Schedule/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_DISTRIBUTECOPIES
#include "lutra/Schedule/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Whether a tensor is what the kernel is given, perhaps in another shape.
static bool isGiven(Value tensor) {
  while (Operation *op = tensor.getDefiningOp()) {
    if (!isa<tensor::CastOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp,
             tensor::ExtractSliceOp>(op))
      return false;
    tensor = op->getOperand(0);
  }
  return true;
}

/// How many steps of each dimension a task copies: whole inner ones as long as
/// that is not more than is worth a task, and 0 for all.
static SmallVector<int64_t> taskSizes(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> sizes(shape.size(), 0);
  int64_t work = 1;
  for (int64_t dim = shape.size() - 1; dim >= 0; --dim) {
    int64_t most = std::max<int64_t>(1, kMinTaskWork / work);
    bool fits = !ShapedType::isDynamic(shape[dim]) && shape[dim] <= most;
    if (!fits)
      sizes[dim] = most;
    work *= fits ? std::max<int64_t>(1, shape[dim]) : most;
  }
  return sizes;
}

static void distribute(IRRewriter &b, tensor::InsertSliceOp insert) {
  if (insert.getSourceType().getRank() != insert.getType().getRank() ||
      !insert.hasUnitStride() || !isGiven(insert.getSource()))
    return;
  SmallVector<int64_t> steps = taskSizes(insert.getSourceType().getShape());
  SmallVector<OpFoldResult> begins, ends, by,
      extents = insert.getMixedSizes(), strides = insert.getMixedStrides();
  SmallVector<unsigned> dims;
  for (auto [dim, step] : llvm::enumerate(steps)) {
    if (step == 0)
      continue;
    dims.push_back(dim);
    begins.push_back(b.getIndexAttr(0));
    ends.push_back(extents[dim]);
    by.push_back(b.getIndexAttr(step));
  }
  if (dims.empty())
    return;
  Location loc = insert.getLoc();
  b.setInsertionPoint(insert);
  auto loop = scf::ForallOp::create(b, loc, begins, ends, by, insert.getDest(),
                                    /*mapping=*/std::nullopt);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<OpFoldResult> from(steps.size(), b.getIndexAttr(0)),
      to = insert.getMixedOffsets(), sizes = extents;
  AffineExpr at, extent;
  bindDims(b.getContext(), at);
  bindSymbols(b.getContext(), extent);
  for (auto [dim, index] : llvm::zip_equal(dims, loop.getInductionVars())) {
    from[dim] = index;
    to[dim] = affine::makeComposedFoldedAffineApply(
        b, loc, AffineMap::get(1, 1, at + extent),
        {OpFoldResult(index), to[dim]});
    AffineMap least =
        AffineMap::get(1, 1, {b.getAffineConstantExpr(steps[dim]), extent - at},
                       b.getContext());
    sizes[dim] = affine::makeComposedFoldedAffineMin(
        b, loc, least, {OpFoldResult(index), extents[dim]});
  }
  Value part = tensor::ExtractSliceOp::create(b, loc, insert.getSource(), from,
                                              sizes, strides);
  b.setInsertionPointToStart(loop.getTerminator().getBody());
  tensor::ParallelInsertSliceOp::create(
      b, loc, part, loop.getRegionIterArgs().front(), to, sizes, strides);
  b.replaceOp(insert, loop.getResults());
}

namespace {
struct DistributeCopies : lutra::impl::DistributeCopiesBase<DistributeCopies> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (!func->hasAttr(attr::kKernel) || func.isDeclaration())
      return;
    IRRewriter b(&getContext());
    for (auto insert : llvm::to_vector(
             func.getBody().front().getOps<tensor::InsertSliceOp>()))
      distribute(b, insert);
  }
};
} // namespace
