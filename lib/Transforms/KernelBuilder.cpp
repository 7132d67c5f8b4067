//===- KernelBuilder.cpp - Outlining of one kernel ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A kernel is a function in destination-passing style: index values, tensors
// that it reads, tensors that it updates. The root's destination becomes the
// tensor that is passed in, so that bufferization writes there and copies
// nothing.
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"

#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/State.h"
#include "lutra/Analysis/TensorSizes.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::lutra;

Value lutra::copyInto(OpBuilder &b, Location loc, Value source,
                      Value destination) {
  auto type = cast<RankedTensorType>(destination.getType());
  AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, type, source, destination, {identity, identity}, loops,
             [](OpBuilder &b, Location loc, ValueRange values) {
               linalg::YieldOp::create(b, loc, values.front());
             })
      .getResult(0);
}

static bool isScalar(Operation *op) {
  return isMemoryEffectFree(op) && op->getNumRegions() == 0 &&
         llvm::all_of(op->getResultTypes(),
                      [](Type type) { return type.isIntOrIndexOrFloat(); });
}

/// Whether a scalar comes from an element of a tensor, which the host cannot
/// read.
static bool comesFromElement(Operation *op) {
  BackwardSliceOptions options;
  options.inclusive = true;
  options.filter = isScalar;
  llvm::SetVector<Operation *> slice;
  return succeeded(getBackwardSlice(op, &slice, options)) &&
         llvm::any_of(slice, llvm::IsaPred<tensor::ExtractOp>);
}

/// True for an operation that a kernel repeats for itself rather than being
/// given its result: views of tensors, uniform tensors and scalars, but for
/// indices that the host can compute.
static bool isCloned(Operation *op) {
  if (isa<tensor::EmptyOp, tensor::ExtractSliceOp, linalg::FillOp>(op))
    return true;
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
    return !dense || dense.isSplat();
  }
  return isScalar(op) &&
         (llvm::none_of(op->getResultTypes(), llvm::IsaPred<IndexType>) ||
          comesFromElement(op));
}

/// The values from outside that `op` or its body reads.
static SmallVector<Value> valuesRead(Operation *op) {
  llvm::SetVector<Value> values;
  values.insert(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values.takeVector();
}

namespace {
class KernelBuilder {
public:
  KernelBuilder(ArrayRef<Operation *> group)
      : group(group), root(group.back()), writer(root), b(root->getContext()) {
    for (Operation *op : group)
      members.insert(op);
    if (isa<tensor::PadOp>(root) && group.size() > 1)
      writer = group[group.size() - 2];
    if (auto insert = dyn_cast<tensor::InsertSliceOp>(root))
      begun = tensorBegun(insert);
  }

  FailureOr<func::FuncOp> build(StringRef name, StringRef nodes);

private:
  void collect(Value value);
  void dropComputedIndices();
  SmallVector<Value> valuesReadByWriter();
  Value tensorBegun(tensor::InsertSliceOp insert);
  FailureOr<SmallVector<Value>> outputTensors();
  Value use(Value value);
  Value destination(Value init, Value argument);
  SmallVector<Value> cloneRoot(ValueRange arguments);
  SmallVector<Value> cloneInto(Operation *op, ValueRange arguments);
  Value pad(tensor::PadOp pad, Value argument);
  Value insertElements(tensor::FromElementsOp elements, Value argument);
  Operation *cloneWithOperands(Operation *op);

  ArrayRef<Operation *> group;
  Operation *root;
  /// What writes the kernel's output: the root or, where that pads, the
  /// operation whose result it puts a frame around.
  Operation *writer;
  /// What the root inserts into where it lies, if anything: the kernel's
  /// output.
  Value begun;
  OpBuilder b;
  llvm::DenseSet<Operation *> members;
  llvm::SetVector<Value> indices, inputs;
  llvm::DenseSet<Value> seen;
  IRMapping map;
};
} // namespace

/// Finds the operands of the kernel that `value` comes from.
void KernelBuilder::collect(Value value) {
  if (!seen.insert(value).second)
    return;
  Operation *op = value.getDefiningOp();
  if (op && members.contains(op))
    return;
  if (op && isCloned(op)) {
    for (Value operand : valuesRead(op))
      collect(operand);
    return;
  }
  if (value.getType().isIndex())
    indices.insert(value);
  else
    inputs.insert(value);
}

/// Leaves out the indices that a kernel can compute of others that it is given.
/// It then knows how they are related, as masks and their filters are.
void KernelBuilder::dropComputedIndices() {
  // Offsets of a concatenation are sums of all sizes before: LLVM's time for
  // loops that begin at them grows with the cube of their number.
  if (isa<tensor::InsertSliceOp>(root))
    return;
  llvm::SetVector<Value> given(indices);
  indices.remove_if([&](Value index) {
    auto apply = index.getDefiningOp<affine::AffineApplyOp>();
    return apply && llvm::all_of(apply.getOperands(), [&](Value operand) {
             return given.contains(operand);
           });
  });
}

/// The operands whose tensors the results of `op` are the new values of.
static MutableArrayRef<OpOperand> destinationsOf(Operation *op) {
  if (auto loop = dyn_cast<LoopLikeOpInterface>(op))
    return loop.getInitsMutable();
  return cast<DestinationStyleOpInterface>(op).getDpsInitsMutable();
}

static bool hasDestinations(Operation *op) {
  return isa<LoopLikeOpInterface, DestinationStyleOpInterface>(op);
}

/// The values that the writer reads once its destinations are the kernel's
/// outputs.
SmallVector<Value> KernelBuilder::valuesReadByWriter() {
  if (!hasDestinations(writer))
    return valuesRead(writer);
  MutableArrayRef<OpOperand> destinations = destinationsOf(writer);
  SmallVector<Value> values;
  for (OpOperand &operand : writer->getOpOperands())
    if (&operand < destinations.begin() || &operand >= destinations.end())
      values.push_back(operand.get());
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(root->getRegions(), captured);
  getUsedValuesDefinedAbove(writer->getRegions(), captured);
  llvm::append_range(values, captured);
  for (OpOperand &destination : destinations) {
    Value init = destination.get();
    if (auto fill = init.getDefiningOp<linalg::FillOp>())
      values.push_back(fill.value());
    else if (!init.getDefiningOp<tensor::EmptyOp>())
      values.push_back(init);
  }
  return values;
}

/// A state, or what another kernel has written and nothing else reads.
Value KernelBuilder::tensorBegun(tensor::InsertSliceOp insert) {
  if (StateOp state = stateBehind(insert.getDest()))
    return state.getResult();
  Value base = cast<tensor::InsertSliceOp>(group.front()).getDest();
  return base.getDefiningOp<DispatchOp>() && base.hasOneUse() ? base : Value();
}

/// The tensors of the host that the root's results are written into:
/// uninitialized ones, or what has been begun.
FailureOr<SmallVector<Value>> KernelBuilder::outputTensors() {
  OpBuilder host(root);
  SmallVector<Value> outputs;
  if (begun)
    return SmallVector<Value>{begun};
  for (Value result : root->getResults()) {
    auto type = cast<RankedTensorType>(result.getType());
    FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(host, result);
    if (failed(sizes))
      return root->emitError("expected a tensor of known sizes");
    SmallVector<Value> dynamic;
    for (auto [i, size] : llvm::enumerate(*sizes))
      if (type.isDynamicDim(i))
        dynamic.push_back(
            getValueOrCreateConstantIndexOp(host, root->getLoc(), size));
    outputs.push_back(
        tensor::EmptyOp::create(host, root->getLoc(), type, dynamic));
  }
  return outputs;
}

Operation *KernelBuilder::cloneWithOperands(Operation *op) {
  for (Value value : valuesRead(op))
    use(value);
  return b.clone(*op, map);
}

/// The kernel's counterpart of a value of the host.
Value KernelBuilder::use(Value value) {
  if (Value mapped = map.lookupOrNull(value))
    return mapped;
  cloneWithOperands(value.getDefiningOp());
  return map.lookup(value);
}

/// `argument` holding what the host gave the root as its destination.
Value KernelBuilder::destination(Value init, Value argument) {
  Operation *op = init.getDefiningOp();
  Location loc = root->getLoc();
  while (isa_and_nonnull<tensor::CastOp>(op))
    op = op->getOperand(0).getDefiningOp();
  if (init == begun || isa_and_nonnull<tensor::EmptyOp, StateOp>(op))
    return argument;
  if (auto fill = dyn_cast_or_null<linalg::FillOp>(op))
    return linalg::FillOp::create(b, loc, use(fill.value()), argument)
        .getResult(0);
  return linalg::CopyOp::create(b, loc, use(init), argument).getResult(0);
}

/// Clones `op` to write into `arguments`.
SmallVector<Value> KernelBuilder::cloneInto(Operation *op,
                                            ValueRange arguments) {
  SmallVector<Value> inits;
  for (auto [operand, argument] :
       llvm::zip_equal(destinationsOf(op), arguments))
    inits.push_back(destination(operand.get(), argument));
  // Nothing else is cloned after it, so that its inits may take the place of
  // what else they stand for, unless its body reads that.
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  for (auto [operand, init] : llvm::zip_equal(destinationsOf(op), inits))
    if (!captured.contains(operand.get()))
      map.map(operand.get(), init);
  Operation *clone = cloneWithOperands(op);
  for (auto [operand, init, result] :
       llvm::zip_equal(destinationsOf(clone), inits, clone->getResults())) {
    operand.set(init);
    result.setType(init.getType());
  }
  return clone->getResults();
}

/// Fills the frame only, and writes what it surrounds into its place.
Value KernelBuilder::pad(tensor::PadOp pad, Value argument) {
  Location loc = root->getLoc();
  auto type = cast<RankedTensorType>(argument.getType());
  unsigned rank = type.getRank();
  auto used = [&](OpFoldResult size) {
    return isa<Value>(size) ? OpFoldResult(use(cast<Value>(size))) : size;
  };
  SmallVector<OpFoldResult> low =
      llvm::map_to_vector(pad.getMixedLowPad(), used);
  SmallVector<OpFoldResult> high =
      llvm::map_to_vector(pad.getMixedHighPad(), used);
  Value padding = use(pad.getConstantPaddingValue());
  SmallVector<OpFoldResult> whole = tensor::getMixedSizes(b, loc, argument);
  SmallVector<OpFoldResult> inner(whole), strides(rank, b.getIndexAttr(1));
  Value framed = argument;
  auto fill = [&](unsigned dim, OpFoldResult offset, OpFoldResult size) {
    SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)), sizes(whole);
    offsets[dim] = offset;
    sizes[dim] = size;
    Value side =
        tensor::ExtractSliceOp::create(b, loc, framed, offsets, sizes, strides);
    side = linalg::FillOp::create(b, loc, padding, side).getResult(0);
    framed = tensor::InsertSliceOp::create(b, loc, side, framed, offsets, sizes,
                                           strides);
  };
  AffineExpr d0 = b.getAffineDimExpr(0), d1 = b.getAffineDimExpr(1);
  for (unsigned dim = 0; dim < rank; ++dim) {
    auto minus = [&](OpFoldResult from, OpFoldResult size) {
      return affine::makeComposedFoldedAffineApply(b, loc, d0 - d1,
                                                   {from, size});
    };
    inner[dim] = minus(minus(whole[dim], low[dim]), high[dim]);
    if (!isZeroInteger(low[dim]))
      fill(dim, b.getIndexAttr(0), low[dim]);
    if (!isZeroInteger(high[dim]))
      fill(dim, minus(whole[dim], high[dim]), high[dim]);
  }
  Value place =
      tensor::ExtractSliceOp::create(b, loc, framed, low, inner, strides);
  Value written = writer == root ? copyInto(b, loc, use(pad.getSource()), place)
                                 : cloneInto(writer, place)[0];
  return tensor::InsertSliceOp::create(b, loc, written, framed, low, inner,
                                       strides);
}

Value KernelBuilder::insertElements(tensor::FromElementsOp elements,
                                    Value argument) {
  Location loc = root->getLoc();
  SmallVector<int64_t> strides = computeStrides(elements.getType().getShape());
  for (auto [i, element] : llvm::enumerate(elements.getElements())) {
    SmallVector<Value> indices;
    for (int64_t index : delinearize(i, strides))
      indices.push_back(arith::ConstantIndexOp::create(b, loc, index));
    argument =
        tensor::InsertOp::create(b, loc, use(element), argument, indices);
  }
  return argument;
}

SmallVector<Value> KernelBuilder::cloneRoot(ValueRange arguments) {
  if (auto op = dyn_cast<tensor::PadOp>(root))
    return {pad(op, arguments[0])};
  if (auto op = dyn_cast<tensor::FromElementsOp>(root))
    return {insertElements(op, arguments[0])};
  // A chain of insertions has begun from the destination.
  if (hasDestinations(root) && !isa<tensor::InsertSliceOp>(root))
    return cloneInto(root, arguments);
  return cloneWithOperands(root)->getResults();
}

FailureOr<func::FuncOp> KernelBuilder::build(StringRef name, StringRef nodes) {
  FailureOr<SmallVector<Value>> outputs = outputTensors();
  if (failed(outputs))
    return failure();
  if (begun)
    seen.insert(begun);
  for (Operation *op : group)
    for (Value value : op == writer ? valuesReadByWriter() : valuesRead(op))
      collect(value);
  dropComputedIndices();
  for (Value input : inputs)
    if (!isa<RankedTensorType>(input.getType()))
      return root->emitError("expected a tensor or an index as the operand of "
                             "a kernel, got ")
             << input.getType();

  SmallVector<Value> operands = llvm::to_vector(indices);
  llvm::append_range(operands, inputs);
  llvm::append_range(operands, *outputs);
  auto module = root->getParentOfType<ModuleOp>();
  b.setInsertionPointToEnd(module.getBody());
  auto kernel =
      func::FuncOp::create(b, root->getLoc(), name,
                           b.getFunctionType(TypeRange(ValueRange(operands)),
                                             TypeRange(ValueRange(*outputs))));
  kernel.setPrivate();
  kernel->setAttr(attr::kKernel, b.getUnitAttr());

  Block *entry = kernel.addEntryBlock();
  b.setInsertionPointToStart(entry);
  map.map(operands, entry->getArguments());
  // The outputs' own tensors are arguments only in their place as destination.
  auto arguments = entry->getArguments().take_back(outputs->size());
  // A chain of insertions starts from the destination.
  if (isa<tensor::InsertSliceOp>(root)) {
    Value base = cast<tensor::InsertSliceOp>(group.front()).getDest();
    map.map(base, destination(base, arguments[0]));
  }
  for (Operation *op : group.drop_back())
    if (op != writer)
      cloneWithOperands(op);
  SmallVector<Value> results = cloneRoot(arguments);
  func::ReturnOp::create(b, root->getLoc(), results);

  OpBuilder host(root);
  auto dispatch = DispatchOp::create(
      host, root->getLoc(), TypeRange(ValueRange(*outputs)), name,
      indices.getArrayRef(), inputs.getArrayRef(), *outputs);
  dispatch->setAttr("nodes", host.getStringAttr(nodes));
  root->replaceAllUsesWith(dispatch.getResults());
  for (Operation *op : llvm::reverse(group))
    op->erase();
  return kernel;
}

FailureOr<func::FuncOp> lutra::outlineKernel(ArrayRef<Operation *> group,
                                             StringRef name, StringRef nodes) {
  return KernelBuilder(group).build(name, nodes);
}
