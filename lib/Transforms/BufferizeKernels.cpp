//===- BufferizeKernels.cpp - Kernels on buffers --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Upstream's one-shot bufferization, one kernel at a time: the tensors that a
// kernel reads become buffers that must not be written, those that it updates
// become the buffers that it writes. What remains to be allocated are tiles;
// their sizes have constant bounds, and they lie on the stack.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Caches.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_BUFFERIZEKERNELS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// The operation at whose start a task's stack memory is allocated: a forall,
/// whose body becomes a function, or the kernel itself.
static Block *stackFrame(Block *block) {
  while (!isa<scf::ForallOp, func::FuncOp>(block->getParentOp()))
    block = block->getParentOp()->getBlock();
  return block;
}

/// A tile on the stack: as large as its sizes can become, viewed at the sizes
/// that it has.
static FailureOr<Value> allocateTile(OpBuilder &b, Location loc,
                                     MemRefType type, ValueRange dynamicSizes,
                                     unsigned alignment) {
  SmallVector<int64_t> bounds(type.getShape());
  SmallVector<OpFoldResult> sizes =
      getAsIndexOpFoldResult(b.getContext(), type.getShape());
  unsigned next = 0;
  for (auto [bound, size] : llvm::zip_equal(bounds, sizes)) {
    if (!ShapedType::isDynamic(bound))
      continue;
    Value dynamic = dynamicSizes[next++];
    size = dynamic;
    FailureOr<int64_t> constant =
        ValueBoundsConstraintSet::computeConstantBound(
            presburger::BoundType::UB, dynamic, /*stopCondition=*/nullptr,
            /*closedUB=*/true);
    if (failed(constant))
      return emitError(loc, "expected a temporary of bounded size in a kernel, "
                            "got ")
             << type;
    bound = *constant;
  }
  OpBuilder::InsertionGuard guard(b);
  Value tile;
  {
    OpBuilder::InsertionGuard frame(b);
    b.setInsertionPointToStart(stackFrame(b.getInsertionBlock()));
    tile = memref::AllocaOp::create(
        b, loc, MemRefType::get(bounds, type.getElementType()), ValueRange{},
        b.getI64IntegerAttr(std::max<int64_t>(kTensorAlignment, alignment)));
  }
  if (dynamicSizes.empty())
    return tile;
  SmallVector<OpFoldResult> zeros(bounds.size(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> ones(bounds.size(), b.getIndexAttr(1));
  Value view = memref::SubViewOp::create(b, loc, tile, zeros, sizes, ones);
  if (view.getType() != type)
    view = memref::CastOp::create(b, loc, type, view);
  return view;
}

static MemRefType bufferType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

/// The insertions that `result` ends, from the last to the first, if nothing
/// else reads what they insert into, nor `output`.
static SmallVector<tensor::InsertSliceOp> insertionsBehind(Value result,
                                                           Value output) {
  SmallVector<tensor::InsertSliceOp> chain;
  auto insert = result.getDefiningOp<tensor::InsertSliceOp>();
  while (insert && result.hasOneUse() && insert.getDest().hasOneUse()) {
    chain.push_back(insert);
    insert = insert.getDest().getDefiningOp<tensor::InsertSliceOp>();
  }
  return output.hasOneUse() ? chain : SmallVector<tensor::InsertSliceOp>();
}

/// Stores what the kernel returns as `result` in `buffer`, which `output` is
/// the tensor of. Parts that are inserted one after the other are stored so:
/// upstream's analysis asks of any two insertions of a chain whether they
/// conflict, and follows the chain to tell.
static void storeResult(OpBuilder &b, Value result, Value output,
                        Value buffer) {
  auto store = [&](Location loc, Value tensor, Value place) {
    auto op = bufferization::MaterializeInDestinationOp::create(b, loc, Type(),
                                                                tensor, place);
    op.setRestrict(true);
    op.setWritable(true);
  };
  SmallVector<tensor::InsertSliceOp> chain = insertionsBehind(result, output);
  Value base = chain.empty() ? result : chain.back().getDest();
  OpBuilder::InsertionGuard guard(b);
  if (!chain.empty())
    b.setInsertionPoint(chain.back());
  if (base != output)
    store(base.getLoc(), base, buffer);
  for (tensor::InsertSliceOp insert : llvm::reverse(chain)) {
    b.setInsertionPoint(insert);
    MemRefType type = memref::SubViewOp::inferRankReducedResultType(
        insert.getSourceType().getShape(), cast<MemRefType>(buffer.getType()),
        insert.getMixedOffsets(), insert.getMixedSizes(),
        insert.getMixedStrides());
    Value place = memref::SubViewOp::create(
        b, insert.getLoc(), type, buffer, insert.getMixedOffsets(),
        insert.getMixedSizes(), insert.getMixedStrides());
    store(insert.getLoc(), insert.getSource(), place);
  }
  for (tensor::InsertSliceOp insert : chain) {
    insert->dropAllUses();
    insert.erase();
  }
}

/// Gives the kernel buffers for its tensors, and no results.
static void convertSignature(func::FuncOp kernel) {
  Block &entry = kernel.getBody().front();
  OpBuilder b = OpBuilder::atBlockBegin(&entry);
  unsigned firstOutput = kernel.getNumArguments() - kernel.getNumResults();
  SmallVector<Value> outputs;
  for (BlockArgument argument : entry.getArguments()) {
    if (!isa<RankedTensorType>(argument.getType()))
      continue;
    Type tensorType = argument.getType();
    argument.setType(bufferType(tensorType));
    auto tensor = bufferization::ToTensorOp::create(
        b, argument.getLoc(), tensorType, argument, /*restrict=*/true,
        /*writable=*/argument.getArgNumber() >= firstOutput);
    argument.replaceAllUsesExcept(tensor, tensor);
    if (argument.getArgNumber() >= firstOutput)
      outputs.push_back(tensor);
  }
  auto ret = cast<func::ReturnOp>(entry.getTerminator());
  b.setInsertionPoint(ret);
  for (auto [result, output, buffer] :
       llvm::zip_equal(ret.getOperands(), outputs,
                       entry.getArguments().drop_front(firstOutput)))
    storeResult(b, result, output, buffer);
  ret->setOperands({});
  kernel.setFunctionType(
      b.getFunctionType(entry.getArgumentTypes(), TypeRange()));
}

/// Gives each operation that writes to what a `Producer` made, and each tensor
/// that a loop carries, one of its own.
/// Shared by CSE, it would be copied for all but one of them; and for the size
/// of a copy, asked of a buffer that is not allocated yet, upstream finds no
/// bound.
template <typename Producer>
static void separateDestinations(func::FuncOp kernel) {
  auto separate = [](OpOperand &init) {
    auto producer = init.get().template getDefiningOp<Producer>();
    // What is written in a loop is made in it, also by a single writer.
    if (producer && (!producer->hasOneUse() ||
                     producer->getBlock() != init.getOwner()->getBlock()))
      init.set(OpBuilder(init.getOwner()).clone(*producer)->getResult(0));
  };
  kernel.walk([&](Operation *op) {
    if (isa<linalg::LinalgOp, mpgemm::MatmulOp>(op))
      llvm::for_each(cast<DestinationStyleOpInterface>(op).getDpsInitsMutable(),
                     separate);
    else if (auto loop = dyn_cast<scf::ForOp>(op))
      llvm::for_each(loop.getInitArgsMutable(), separate);
  });
}

/// Lets an operation read what it updates, each element once, as its init
/// alone. Where loops reduce, upstream takes an input that is the init, too,
/// for one that is read when parts of it are overwritten, and copies it.
static void readDestination(linalg::GenericOp op) {
  for (OpOperand &init : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    for (OpOperand *input : op.getDpsInputOperands())
      if (map.isPermutation() && input->get() == init.get() &&
          op.getMatchingIndexingMap(input) == map)
        op.getMatchingBlockArgument(input).replaceAllUsesWith(
            op.getMatchingBlockArgument(&init));
  }
}

static LogicalResult bufferize(func::FuncOp kernel) {
  separateDestinations<linalg::FillOp>(kernel);
  separateDestinations<tensor::EmptyOp>(kernel);
  kernel.walk(readDestination);
  convertSignature(kernel);
  bufferization::OneShotBufferizationOptions options;
  options.allocationFn = allocateTile;
  options.setFunctionBoundaryTypeConversion(
      bufferization::LayoutMapOption::IdentityLayoutMap);
  bufferization::BufferizationState state;
  return bufferization::runOneShotBufferize(kernel, options, state);
}

namespace {
struct BufferizeKernels : lutra::impl::BufferizeKernelsBase<BufferizeKernels> {
  using BufferizeKernelsBase::BufferizeKernelsBase;

  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (func->hasAttr(attr::kKernel) && !func.isDeclaration() &&
          failed(bufferize(func)))
        return signalPassFailure();
  }
};
} // namespace
