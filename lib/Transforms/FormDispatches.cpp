//===- FormDispatches.cpp - Outline groups of operations as kernels -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Of a host, groups of operations (KernelGroups.cpp) become kernels that it
// dispatches (KernelBuilder.cpp). Before, what no kernel would write is given
// one: a result that is no result of a kernel, and uniform tensors that are
// read as tensors. Reshapes stay on the host, where they are only another view
// of a buffer.
//
//===----------------------------------------------------------------------===//

#include "HostProgram.h"
#include "KernelBuilder.h"
#include "KernelGroups.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_FORMDISPATCHES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// What the result of `op` is where no loop of it turns, because some size is
/// zero.
static Value idleResult(Operation *op) {
  auto isEmpty = [](ArrayRef<int64_t> sizes) {
    return llvm::is_contained(sizes, 0);
  };
  if (auto product = dyn_cast<mpgemm::ProductOpInterface>(op))
    return isEmpty(product.getInitType().getShape()) ? product.getInit()
                                                     : Value();
  auto linalg = dyn_cast<linalg::LinalgOp>(op);
  if (!linalg || linalg.getNumDpsInits() != 1 ||
      !isEmpty(linalg.getStaticLoopRanges()))
    return nullptr;
  return linalg.getDpsInits().front();
}

/// Makes no kernels of operations that do nothing, nor of what only they have
/// read; what reads their results then reads what these were before.
static void dropIdleOperations(func::FuncOp func) {
  auto ops = llvm::reverse(func.getBody().front());
  for (Operation &op : llvm::make_early_inc_range(ops)) {
    if (Value result = idleResult(&op))
      op.getResult(0).replaceAllUsesWith(result);
    if (isOpTriviallyDead(&op))
      op.erase();
  }
}

/// The scalar that all elements of `value` are, or may be taken for.
static Value uniformElement(OpBuilder &b, Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    return fill.value();
  if (!value.getDefiningOp<tensor::EmptyOp>())
    return nullptr;
  return arith::ConstantOp::create(
      b, value.getLoc(), b.getZeroAttr(getElementTypeOrSelf(value.getType())));
}

/// Copies `value` through a kernel of its own.
static Value copyOf(OpBuilder &b, Location loc, Value value) {
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, value);
  if (failed(sizes))
    return nullptr;
  auto type = cast<RankedTensorType>(value.getType());
  Value empty = tensor::EmptyOp::create(b, loc, *sizes, type.getElementType());
  if (empty.getType() != type)
    empty = tensor::CastOp::create(b, loc, type, empty);
  // Written rather than copied from a tensor that has to be written first.
  if (Value element = uniformElement(b, value))
    return linalg::GenericOp::create(
               b, loc, type, ValueRange(), empty,
               b.getMultiDimIdentityMap(type.getRank()),
               SmallVector(type.getRank(), utils::IteratorType::parallel),
               [&](OpBuilder &b, Location loc, ValueRange) {
                 linalg::YieldOp::create(b, loc, element);
               })
        .getResult(0);
  return copyInto(b, loc, value, empty);
}

/// Writes out the uniform tensors that fusion has not read as scalars, so that
/// no kernel holds a table of equal numbers.
static void fillUniformConstants(func::FuncOp func) {
  for (auto constant :
       llvm::make_early_inc_range(func.getOps<arith::ConstantOp>())) {
    auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
    auto type = dyn_cast<RankedTensorType>(constant.getType());
    if (!elements || !type || !(elements.empty() || elements.isSplat()))
      continue;
    OpBuilder b(constant);
    Location loc = constant.getLoc();
    Value tensor =
        tensor::EmptyOp::create(b, loc, type.getShape(), type.getElementType());
    if (!elements.empty()) {
      Value element = arith::ConstantOp::create(
          b, loc, elements.getSplatValue<TypedAttr>());
      tensor = linalg::FillOp::create(b, loc, element, tensor).getResult(0);
    }
    constant.replaceAllUsesWith(tensor);
    constant.erase();
  }
}

/// Writes a uniform tensor where it is read as a tensor: in a kernel it would
/// be a temporary as large as it is. To begin from one costs nothing.
static LogicalResult writeFillsThatAreRead(func::FuncOp func) {
  auto isRead = [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (isHostView(user) || isa<func::ReturnOp>(user))
      return false;
    if (auto insert = dyn_cast<tensor::InsertSliceOp>(user))
      return use.get() != insert.getDest();
    if (auto loop = dyn_cast<LoopLikeOpInterface>(user))
      return !loop.getTiedLoopRegionIterArg(&use);
    auto op = dyn_cast<DestinationStyleOpInterface>(user);
    return !op || !op.isDpsInit(&use);
  };
  for (auto fill : llvm::make_early_inc_range(func.getOps<linalg::FillOp>())) {
    Value tensor = fill.getResult(0);
    if (!llvm::any_of(tensor.getUses(), isRead))
      continue;
    OpBuilder b(func.getContext());
    b.setInsertionPointAfter(fill);
    Value written = copyOf(b, fill.getLoc(), tensor);
    if (!written)
      return fill.emitError("expected a tensor of known sizes");
    tensor.replaceUsesWithIf(written, isRead);
  }
  return success();
}

/// The tensor behind reshapes.
static Value viewedTensor(Value value) {
  while (isHostView(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

/// Makes sure that every tensor that a reshape or the return reads is the
/// result of a kernel, a weight or an input, and that each result of the
/// function is the result of a kernel of its own.
static LogicalResult materialize(func::FuncOp func) {
  auto copyOperand = [](OpOperand &operand) -> LogicalResult {
    Operation *user = operand.getOwner();
    OpBuilder b(user);
    Value copy = copyOf(b, operand.get().getLoc(), operand.get());
    if (!copy)
      return user->emitError("expected a tensor of known sizes, got ")
             << operand.get().getType();
    operand.set(copy);
    return success();
  };
  for (Operation &op : llvm::make_early_inc_range(func.getBody().front())) {
    if (!isHostView(&op))
      continue;
    Operation *source = op.getOperand(0).getDefiningOp();
    if (source && !isCompute(source) && !isHostView(source) &&
        !isa<WeightOp>(source) && failed(copyOperand(op.getOpOperand(0))))
      return failure();
  }
  llvm::DenseSet<Value> returned;
  for (OpOperand &operand :
       func.getBody().front().getTerminator()->getOpOperands()) {
    Value base = viewedTensor(operand.get());
    Operation *source = base.getDefiningOp();
    if (source && isCompute(source) && returned.insert(base).second)
      continue;
    if (failed(copyOperand(operand)))
      return failure();
  }
  return success();
}

namespace {
struct FormDispatches : lutra::impl::FormDispatchesBase<FormDispatches> {
  using FormDispatchesBase::FormDispatchesBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> hosts;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func->hasAttr(attr::kKernel) && !func.isDeclaration())
        hosts.push_back(func);
    for (func::FuncOp host : hosts)
      if (failed(outline(host)))
        return signalPassFailure();
  }

  LogicalResult outline(func::FuncOp host) {
    fillUniformConstants(host);
    dropIdleOperations(host);
    if (failed(writeFillsThatAreRead(host)) || failed(materialize(host)))
      return failure();
    for (const KernelGroup &group : groupOperations(host)) {
      std::string name = (group.kind() + "_" + llvm::Twine(numKernels++)).str();
      FailureOr<func::FuncOp> kernel =
          outlineKernel(group.members, name, group.nodes());
      if (failed(kernel))
        return failure();
      if (!group.rows.empty())
        (*kernel)->setAttr(attr::kRows,
                           DenseI64ArrayAttr::get(&getContext(), group.rows));
    }
    // Slices, fills and splats have been cloned into their kernels.
    IRRewriter rewriter(&getContext());
    (void)runRegionDCE(rewriter, host->getRegions());
    return success();
  }

  int64_t numKernels = 0;
};
} // namespace
