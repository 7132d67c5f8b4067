//===- FormDispatches.cpp - Outline groups of operations as kernels -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each group has a root, its last operation, and what is fused into it: a
// reduction or a contraction under the elementwise operation that alone reads
// it, either under the padding that alone reads it, chains of insertions, and
// reductions of rows with all that is computed from them (RowGroups.cpp). A
// loop, such as that of a recurrent net over time, is a kernel as it is, and so
// is each insertion of an element that a loop of one step has left. What
// costs nothing (slices, fills, scalars) is cloned into every kernel that reads
// it. Reshapes stay on the host, where they are only another view of a buffer.
//
//===----------------------------------------------------------------------===//

#include "HostProgram.h"
#include "KernelBuilder.h"
#include "RowGroups.h"
#include "dialects/Cascade/Cascade.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_FORMDISPATCHES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// LLVM's time for a call grows with the square of its arguments, and that for
/// a block with the square of what it stores: a kernel does so many insertions
/// of a concatenation, and the next goes on with its result.
static constexpr size_t kMaxInsertions = 64;

/// True for an operation that must run in a kernel.
static bool isCompute(Operation *op) {
  if (isa<linalg::FillOp>(op))
    return false;
  return isa<linalg::LinalgOp, tensor::PadOp, tensor::InsertSliceOp,
             tensor::InsertOp, tensor::FromElementsOp, tensor::GenerateOp,
             LoopLikeOpInterface, cascade::CascadeOp,
             mpgemm::ProductOpInterface>(op);
}

static bool isReduction(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return isa<mpgemm::MatmulOp>(op) ||
         (generic && generic.getNumReductionLoops() > 0);
}

/// Whether what `op` writes, one tensor, lies along its loops.
static bool writesAlongLoops(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return isa<mpgemm::MatmulOp>(op) ||
         (generic && generic.getNumDpsInits() == 1 &&
          generic.getIndexingMapsArray().back().isProjectedPermutation());
}

/// True where `producer`'s only reader `consumer` may compute on a tile of it
/// as soon as the tile is done.
static bool isFusable(Operation *producer, Operation *consumer) {
  if (!producer->hasOneUse())
    return false;
  if (auto chain = dyn_cast<tensor::InsertSliceOp>(consumer))
    return isa<tensor::InsertSliceOp>(producer) &&
           chain.getDest().getDefiningOp() == producer;
  if (isa<tensor::PadOp>(consumer))
    return isa<linalg::GenericOp>(producer) && writesAlongLoops(producer);
  auto second = dyn_cast<linalg::GenericOp>(consumer);
  if (!second || !isReduction(producer) || !writesAlongLoops(producer) ||
      second.getNumReductionLoops() != 0 || second.getNumDpsInits() != 1)
    return false;
  OpOperand &operand = *producer->getResult(0).getUses().begin();
  // Tiles are chosen for the reduction, and a map that divides loops may not
  // hold for slices that these begin.
  if (!llvm::all_of(second.getIndexingMapsArray(), [](AffineMap map) {
        return map.isProjectedPermutation(/*allowZeroInResults=*/true);
      }))
    return false;
  return second.isDpsInput(&operand) &&
         second.getMatchingIndexingMap(&operand).isIdentity() &&
         second.getIndexingMapsArray().back().isIdentity();
}

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
      return user->emitError("expected a tensor of known sizes");
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

/// What a kernel is called after, until a report finds better names.
static StringRef kindOf(ArrayRef<Operation *> group) {
  Operation *first = group.front();
  if (auto op = dyn_cast<linalg::LinalgOp>(first)) {
    if (matchContraction(op))
      return "contract";
    if (op.getNumReductionLoops() > 0)
      return "reduce";
    bool moves = op.getBlock()->getOperations().size() == 1 &&
                 llvm::all_of(op.getIndexingMapsArray(),
                              [](AffineMap map) { return map.isIdentity(); });
    return !moves ? "map" : op.getNumDpsInputs() == 0 ? "fill" : "copy";
  }
  return isa<cascade::CascadeOp>(first)           ? "cascade"
         : isa<mpgemm::ProductOpInterface>(first) ? "contract"
         : isa<LoopLikeOpInterface>(first)        ? "loop"
         : isa<tensor::PadOp>(first)              ? "pad"
         : isa<tensor::InsertSliceOp>(first)      ? "concat"
                                                  : "make";
}

/// The model's nodes that a group came from: "conv1, relu1".
static std::string nodesOf(ArrayRef<Operation *> group) {
  llvm::SetVector<StringAttr> names;
  for (Operation *op : group)
    op->getLoc()->walk([&](Location loc) {
      if (auto name = dyn_cast<NameLoc>(loc))
        names.insert(name.getName());
      return WalkResult::advance();
    });
  std::string text;
  for (StringAttr name : names)
    text += (text.empty() ? "" : ", ") + name.getValue().str();
  return text;
}

namespace {
/// The operations of one kernel, in order, and what of the last one's loops are
/// rows, if it computes row by row.
struct Group {
  SmallVector<Operation *> members;
  SmallVector<int64_t> rows;
};

/// Groups the operations of a host, from its end.
class Grouping {
public:
  /// The groups in the order of their roots.
  SmallVector<Group> run(func::FuncOp func);

private:
  Operation *rootFor(Operation *op);
  bool addRows(linalg::GenericOp root);

  /// Members from the last to the first.
  llvm::MapVector<Operation *, Group> byRoot;
  llvm::DenseMap<Operation *, Operation *> rootOf;
};
} // namespace

/// The root of the group that `op` belongs to, of those that there are, or
/// `op`.
Operation *Grouping::rootFor(Operation *op) {
  if (!op->hasOneUse())
    return op;
  Operation *user = *op->user_begin();
  auto it = rootOf.find(user);
  // One reduction a kernel, rows aside: a schedule is made for one.
  if (it == rootOf.end() || !isFusable(op, user) ||
      (isa<tensor::InsertSliceOp>(op) &&
       byRoot[it->second].members.size() >= kMaxInsertions) ||
      (isReduction(op) &&
       llvm::any_of(byRoot[it->second].members, isReduction)))
    return op;
  return it->second;
}

/// Makes `root` and what leads to it one kernel, where that goes row by row.
bool Grouping::addRows(linalg::GenericOp root) {
  auto isTaken = [&](Operation *op) {
    // What follows a contraction is done while its tile is in registers.
    return rootOf.count(op) ||
           llvm::any_of(op->getOperands(), [&](Value value) {
             auto producer = value.getDefiningOp<linalg::GenericOp>();
             return producer && matchContraction(producer) &&
                    isFusable(producer, op);
           });
  };
  std::optional<RowGroup> rows = findRowGroup(root, isTaken);
  if (!rows)
    return false;
  for (Operation *op : rows->members)
    rootOf[op] = root;
  byRoot[root] = {llvm::to_vector(llvm::reverse(rows->members)), rows->rows};
  return true;
}

SmallVector<Group> Grouping::run(func::FuncOp func) {
  for (Operation &op : llvm::reverse(func.getBody().front())) {
    if (!isCompute(&op) || rootOf.count(&op))
      continue;
    Operation *root = rootFor(&op);
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (root == &op && generic && addRows(generic))
      continue;
    rootOf[&op] = root;
    byRoot[root].members.push_back(&op);
  }
  SmallVector<Group> groups;
  for (auto &entry : llvm::reverse(byRoot)) {
    std::reverse(entry.second.members.begin(), entry.second.members.end());
    groups.push_back(std::move(entry.second));
  }
  return groups;
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
    for (const Group &group : Grouping().run(host)) {
      StringRef kind = group.rows.empty() ? kindOf(group.members) : "rows";
      std::string name = (kind + "_" + llvm::Twine(numKernels++)).str();
      FailureOr<func::FuncOp> kernel =
          outlineKernel(group.members, name, nodesOf(group.members));
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
