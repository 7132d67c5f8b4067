//===- ConvertCascadeToLinalg.cpp - Cascades as structured operations -----===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The meaning of a cascade in linalg, and what kernels are made of: each Einsum
// is a linalg.generic, an iteration is a loop over slices
// (CascadeToLinalg/Einsums.cpp, Iterations.cpp, States.cpp, TopK.cpp).
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/CascadeToLinalg.h"

#include "CascadeToLinalg/CascadeLowering.h"
#include "lutra/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTCASCADETOLINALG
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

CascadeLowering::CascadeLowering(RewriterBase &b, CascadeOp op, int64_t part,
                                 ValueRange into)
    : b(b), root(op), part(part), loc(op.getLoc()) {
  for (auto [name, extent] : llvm::zip_equal(
           op.getRanks().getAsValueRange<StringAttr>(), op.getMixedExtents()))
    extents[name] = extent;
  for (auto [value, destination] :
       llvm::zip(op.getBlock()->getTerminator()->getOperands(), into))
    destinations.try_emplace(value, destination);
}

void CascadeLowering::lower(Operation &op) {
  if (auto einsum = dyn_cast<EinsumOp>(op))
    lower(einsum);
  else if (auto iterate = dyn_cast<IterateOp>(op))
    lower(iterate);
  else if (auto rebase = dyn_cast<RebaseOp>(op))
    lower(rebase);
  else if (auto choice = dyn_cast<TopKOp>(op))
    lower(choice);
  else
    lower(cast<MergeOp>(op));
}

SmallVector<Value> CascadeLowering::run() {
  for (Operation &op : root.getBlock()->without_terminator())
    lower(op);
  SmallVector<Value> results;
  for (auto [value, result] :
       llvm::zip_equal(root.getBlock()->getTerminator()->getOperands(),
                       root.getResults())) {
    Value lowered = lookup(value);
    if (lowered.getType() != result.getType())
      lowered =
          tensor::CastOp::create(b, root.getLoc(), result.getType(), lowered);
    results.push_back(lowered);
  }
  return results;
}

SmallVector<Value> lutra::lowerCascade(RewriterBase &rewriter, CascadeOp op,
                                       int64_t part, ValueRange destinations) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  return CascadeLowering(rewriter, op, part, destinations).run();
}

namespace {
struct ConvertCascadeToLinalg
    : lutra::impl::ConvertCascadeToLinalgBase<ConvertCascadeToLinalg> {
  using ConvertCascadeToLinalgBase::ConvertCascadeToLinalgBase;

  void runOnOperation() override {
    SmallVector<CascadeOp> cascades;
    getOperation().walk([&](CascadeOp op) { cascades.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (CascadeOp op : cascades)
      rewriter.replaceOp(op, lowerCascade(rewriter, op, part));
  }
};
} // namespace
