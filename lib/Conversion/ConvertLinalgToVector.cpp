//===- ConvertLinalgToVector.cpp - Structured operations to vector loops --===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns each structured operation on buffers into loops over vectors. Every
// operation has a form as scalar loops, which serves where no loop can carry
// vectors and, as the option `reference`, as the oracle of the tests.
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/Passes.h"

#include "LinalgToVector/Nest.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTLINALGTOVECTOR
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Expands the affine operations in the body, whose operands may become
/// vectors.
static void expandAffine(RewriterBase &rewriter, linalg::GenericOp op) {
  op.getBlock()->walk([&](affine::AffineApplyOp apply) {
    rewriter.setInsertionPoint(apply);
    auto expanded = affine::expandAffineMap(
        rewriter, apply.getLoc(), apply.getAffineMap(), apply.getOperands());
    if (expanded)
      rewriter.replaceOp(apply, *expanded);
  });
}

/// The operation as a linalg.generic.
static FailureOr<linalg::GenericOp> generalize(RewriterBase &rewriter,
                                               Operation *op) {
  rewriter.setInsertionPoint(op);
  if (auto copy = dyn_cast<memref::CopyOp>(op)) {
    auto generic = linalg::makeMemRefCopyOp(rewriter, op->getLoc(),
                                            copy.getSource(), copy.getTarget());
    rewriter.eraseOp(copy);
    return generic;
  }
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return generic;
  return linalg::generalizeNamedOp(rewriter, cast<linalg::LinalgOp>(op));
}

namespace {

struct ConvertLinalgToVector
    : lutra::impl::ConvertLinalgToVectorBase<ConvertLinalgToVector> {
  using ConvertLinalgToVectorBase::ConvertLinalgToVectorBase;

  LogicalResult convert(RewriterBase &rewriter, Operation *op) {
    FailureOr<linalg::GenericOp> generic = generalize(rewriter, op);
    if (failed(generic) || !generic->hasPureBufferSemantics())
      return op->emitOpError("expected buffers and a form as linalg.generic");
    expandAffine(rewriter, *generic);
    std::optional<Plan> plan;
    if (!reference)
      plan = planNest(*generic, target, schedule);
    if (plan) {
      emitNest(rewriter, *generic, *plan);
    } else {
      rewriter.setInsertionPoint(*generic);
      if (failed(linalg::linalgOpToLoops(rewriter, *generic)))
        return generic->emitOpError("expected an operation that loops can do");
    }
    rewriter.eraseOp(*generic);
    return success();
  }

  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    schedule = kernel->getAttrOfType<ScheduleAttr>(attr::kSchedule);
    if (auto module = kernel->getParentOfType<ModuleOp>())
      target = module->getAttrOfType<TargetAttr>(attr::kTarget);
    SmallVector<Operation *> ops;
    kernel.walk([&](Operation *op) {
      if (isa<linalg::LinalgOp, memref::CopyOp>(op))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (Operation *op : ops)
      if (failed(convert(rewriter, op)))
        return signalPassFailure();
    DominanceInfo dominance;
    eliminateCommonSubExpressions(rewriter, dominance, kernel);
  }

  TargetAttr target;
  ScheduleAttr schedule;
};

} // namespace
