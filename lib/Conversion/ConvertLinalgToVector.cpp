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
#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/Matchers.h"
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

/// The buffer of which `value` is a view, if it is one.
static Value bufferOf(Value value) {
  auto memref = dyn_cast<MemrefValue>(value);
  return memref ? memref::skipViewLikeOps(memref) : Value();
}

/// Whether `op` or what is in it reads or writes `buffer`.
static bool accesses(Operation *op, Value buffer) {
  auto visit = [&](Operation *inner) {
    bool isView = isa<ViewLikeOpInterface>(inner);
    return !isView &&
                   llvm::is_contained(
                       llvm::map_range(inner->getOperands(), bufferOf), buffer)
               ? WalkResult::interrupt()
               : WalkResult::advance();
  };
  return op->walk(visit).wasInterrupted();
}

/// What filled an output of a reduction right before, which writes all of it.
static linalg::FillOp fillOf(linalg::GenericOp op, OpOperand &output) {
  Value buffer = bufferOf(output.get());
  auto isOther = [&](Value input) { return bufferOf(input) != buffer; };
  if (!buffer || !buffer.getDefiningOp<memref::AllocaOp>() ||
      !op.getMatchingIndexingMap(&output).isProjectedPermutation() ||
      !llvm::all_of(op.getDpsInputs(), isOther))
    return {};
  for (Operation *before = op->getPrevNode(); before;
       before = before->getPrevNode()) {
    auto fill = dyn_cast<linalg::FillOp>(before);
    if (fill && fill.getOutputs().front() == output.get())
      return fill;
    if (accesses(before, buffer))
      return {};
  }
  return {};
}

namespace {

struct ConvertLinalgToVector
    : lutra::impl::ConvertLinalgToVectorBase<ConvertLinalgToVector> {
  using ConvertLinalgToVectorBase::ConvertLinalgToVectorBase;

  /// The values that outputs begin as, where sums can begin so without memory.
  SmallVector<Value> takeFills(linalg::GenericOp op, const Plan &plan) {
    SmallVector<Value> initial(op.getNumDpsInits());
    if (op.getNumReductionLoops() == 0 || plan.reducesLanes())
      return initial;
    for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable()))
      if (linalg::FillOp fill = fillOf(op, output)) {
        // Matrix tiles begin as 0, or in memory.
        if (plan.hasMatrixTiles &&
            !matchPattern(fill.value(), m_PosZeroFloat()))
          continue;
        initial[i] = fill.value();
        taken.insert(fill);
      }
    return initial;
  }

  LogicalResult convert(RewriterBase &rewriter, Operation *op) {
    if (taken.contains(op)) {
      rewriter.eraseOp(op);
      return success();
    }
    FailureOr<linalg::GenericOp> generic = generalize(rewriter, op);
    if (failed(generic) || !generic->hasPureBufferSemantics())
      return op->emitOpError("expected buffers and a form as linalg.generic");
    expandAffine(rewriter, *generic);
    std::optional<Plan> plan;
    if (!reference)
      plan = planNest(*generic, target, schedule);
    if (plan) {
      emitNest(rewriter, *generic, *plan, takeFills(*generic, *plan));
    } else {
      rewriter.setInsertionPoint(*generic);
      if (failed(linalg::linalgOpToLoops(rewriter, *generic)))
        return generic->emitOpError("expected an operation that loops can do");
    }
    rewriter.eraseOp(*generic);
    return success();
  }

  void runOnOperation() override {
    taken.clear();
    func::FuncOp kernel = getOperation();
    schedule = kernel->getAttrOfType<ScheduleAttr>(attr::kSchedule);
    target = targetOf(kernel);
    SmallVector<Operation *> ops;
    kernel.walk([&](Operation *op) {
      if (isa<linalg::LinalgOp, memref::CopyOp>(op))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    // What fills an output is still there when its reader is converted.
    while (!ops.empty())
      if (failed(convert(rewriter, ops.pop_back_val())))
        return signalPassFailure();
    DominanceInfo dominance;
    eliminateCommonSubExpressions(rewriter, dominance, kernel);
  }

  TargetAttr target;
  ScheduleAttr schedule;
  /// Fills that sums begin with.
  SmallPtrSet<Operation *, 4> taken;
};

} // namespace
