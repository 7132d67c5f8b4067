//===- HostOnBuffers.cpp - The host program on buffers --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostOnBuffers.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra;

static constexpr StringLiteral kRole = "lutra.role";

static MemRefType bufferType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

namespace {
class MainBuilder {
public:
  MainBuilder(func::FuncOp host, const HostProgram &program,
              const MemoryLayout &layout)
      : host(host), program(program), layout(layout), b(host) {}

  void run();

private:
  func::FuncOp declare();
  void takeArguments(ValueRange arguments);
  Value place(tensor::EmptyOp empty);
  void lower(tensor::EmptyOp op);
  void lower(WeightOp op);
  void lower(tensor::CollapseShapeOp op);
  void lower(tensor::ExpandShapeOp op);
  void lower(tensor::CastOp op);
  void lower(DispatchOp op);

  func::FuncOp host;
  const HostProgram &program;
  const MemoryLayout &layout;
  OpBuilder b;
  MemoryValues values;
  Value context, workspace, weights;
  ValueRange outputs;
};
} // namespace

static unsigned numDims(func::FuncOp host) {
  auto dims = host->getAttrOfType<ArrayAttr>(attr::kDims);
  return dims ? dims.size() : 0;
}

func::FuncOp MainBuilder::declare() {
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attrs;
  auto add = [&](Type type, StringRef role, NamedAttrList list = {}) {
    types.push_back(type);
    list.set(kRole, b.getStringAttr(role));
    attrs.push_back(list.getDictionary(b.getContext()));
  };
  add(LLVM::LLVMPointerType::get(b.getContext()), "context");
  for (unsigned i = 0; i < host.getNumArguments(); ++i)
    add(bufferType(host.getArgumentTypes()[i]), "input",
        host.getArgAttrDict(i));
  for (unsigned i = 0; i < numOutputs(host); ++i)
    add(bufferType(host.getResultTypes()[i]), "output",
        host.getResultAttrDict(i));
  for (StateOp state : host.getOps<StateOp>()) {
    NamedAttrList list;
    list.set(attr::kName, state.getNameAttr());
    list.set(attr::kDType, state.getDtypeAttr());
    list.set(attr::kShape, state.getShapeAttr());
    list.set("lutra.axis", state.getAxisAttr());
    add(bufferType(state.getResult().getType()), "state", list);
  }
  for (unsigned i = 0; i < numDims(host); ++i)
    add(b.getIndexType(), "dim");
  auto bytes = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
  add(bytes, "workspace");
  add(bytes, "weights");
  auto main = func::FuncOp::create(b, host.getLoc(), "main.planned",
                                   b.getFunctionType(types, TypeRange()));
  if (Attribute dims = host->getAttr(attr::kDims))
    main->setAttr(attr::kDims, dims);
  main.setAllArgAttrs(attrs);
  return main;
}

void MainBuilder::takeArguments(ValueRange arguments) {
  auto take = [&](unsigned number) {
    ValueRange taken = arguments.take_front(number);
    arguments = arguments.drop_front(number);
    return taken;
  };
  SmallVector<StateOp> states(host.getOps<StateOp>());
  context = take(1).front();
  ValueRange inputs = take(host.getNumArguments());
  outputs = take(numOutputs(host));
  ValueRange stateBuffers = take(states.size()), dims = take(numDims(host));
  workspace = take(1).front();
  weights = take(1).front();
  values = layout.emit(b, host, dims);
  values.map.map(host.getArguments(), inputs);
  for (auto [state, buffer] : llvm::zip_equal(states, stateBuffers))
    values.map.map(state.getResult(), buffer);
}

/// A buffer of the host seen in another shape. All are dense, so that this is
/// another header. Upstream's expand_shape cannot be lowered where a group has
/// several sizes that are not known.
static Value reshaped(OpBuilder &b, Location loc, MemRefType type, Value buffer,
                      ArrayRef<OpFoldResult> extents) {
  SmallVector<OpFoldResult> strides(type.getRank());
  OpFoldResult stride = b.getIndexAttr(1);
  AffineExpr x, y;
  bindSymbols(b.getContext(), x, y);
  for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
    strides[dim] = stride;
    stride = affine::makeComposedFoldedAffineApply(b, loc, x * y,
                                                   {stride, extents[dim]});
  }
  return memref::ReinterpretCastOp::create(b, loc, type, buffer,
                                           b.getIndexAttr(0), extents, strides);
}

/// The buffer of `empty`: an output of the model, seen in the shape that the
/// kernel writes, or a place in the arena.
Value MainBuilder::place(tensor::EmptyOp empty) {
  MemRefType type = bufferType(empty.getType());
  SmallVector<Value> sizes;
  for (Value size : empty.getDynamicSizes())
    sizes.push_back(values.map.lookup(size));
  if (std::optional<unsigned> slot = layout.slotOf(empty))
    return memref::ViewOp::create(b, empty.getLoc(), type, workspace,
                                  values.offsets[*slot], sizes);
  const HostBuffer &buffer = *program.find(empty);
  Value output = outputs[*buffer.output];
  if (output.getType() == type)
    return output;
  SmallVector<OpFoldResult> extents;
  unsigned next = 0;
  for (int64_t dim : type.getShape())
    extents.push_back(ShapedType::isDynamic(dim) ? OpFoldResult(sizes[next++])
                                                 : b.getIndexAttr(dim));
  return reshaped(b, empty.getLoc(), type, output, extents);
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

void MainBuilder::lower(tensor::EmptyOp op) {
  if (program.find(op))
    values.map.map(op.getResult(), place(op));
}

void MainBuilder::lower(WeightOp op) {
  Value offset =
      arith::ConstantIndexOp::create(b, op.getLoc(), layout.imageOffset(op));
  values.map.map(op.getResult(),
                 memref::ViewOp::create(b, op.getLoc(),
                                        bufferType(op.getResult().getType()),
                                        weights, offset, ValueRange()));
}

void MainBuilder::lower(tensor::CollapseShapeOp op) {
  values.map.map(op.getResult(),
                 memref::CollapseShapeOp::create(
                     b, op.getLoc(), bufferType(op.getType()),
                     values.map.lookup(op.getSrc()), op.getReassociation()));
}

void MainBuilder::lower(tensor::ExpandShapeOp op) {
  SmallVector<OpFoldResult> sizes;
  for (OpFoldResult size : op.getMixedOutputShape())
    sizes.push_back(isa<Value>(size)
                        ? OpFoldResult(values.map.lookup(cast<Value>(size)))
                        : size);
  values.map.map(op.getResult(),
                 reshaped(b, op.getLoc(), bufferType(op.getType()),
                          values.map.lookup(op.getSrc()), sizes));
}

void MainBuilder::lower(tensor::CastOp op) {
  values.map.map(op.getResult(), memref::CastOp::create(
                                     b, op.getLoc(), bufferType(op.getType()),
                                     values.map.lookup(op.getSource())));
}

void MainBuilder::lower(DispatchOp op) {
  SmallVector<Value> operands = {context};
  for (Value operand : op->getOperands())
    operands.push_back(values.map.lookup(operand));
  auto call = func::CallOp::create(b, op.getLoc(), op.getKernel(), TypeRange(),
                                   operands);
  if (Attribute nodes = op->getAttr("nodes"))
    call->setAttr("lutra.nodes", nodes);
  for (auto [result, output] :
       llvm::zip_equal(op.getResults(), op.getOutputs()))
    values.map.map(result, values.map.lookup(output));
}

void MainBuilder::run() {
  func::FuncOp main = declare();
  Block *entry = main.addEntryBlock();
  b.setInsertionPointToStart(entry);
  takeArguments(entry->getArguments());
  for (Operation &op : host.getBody().front())
    llvm::TypeSwitch<Operation *>(&op)
        .Case<tensor::EmptyOp, WeightOp, tensor::CollapseShapeOp,
              tensor::ExpandShapeOp, tensor::CastOp, DispatchOp>(
            [&](auto op) { lower(op); });
  func::ReturnOp::create(b, host.getLoc());
  StringAttr name = host.getSymNameAttr();
  host.erase();
  main.setSymNameAttr(name);
}

void lutra::putHostOnBuffers(func::FuncOp host, const HostProgram &program,
                             const MemoryLayout &layout) {
  MainBuilder(host, program, layout).run();
}
