//===- HostLowering.cpp - Lowers the nodes of a function ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Symbolic dimensions become `lutra.dim`s at entry, types become storage types,
// and what only shape arithmetic needed is dropped.
//
//===----------------------------------------------------------------------===//

#include "HostLowering.h"

#include "SizeAlgebra.h"
#include "dialects/Lutra/DimEntry.h"
#include "lutra/Analysis/Addressable.h"
#include "lutra/Frontend/ONNX/Registry.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// The same elements in storage types: bool as a byte, integers without signs,
/// narrow ones as codes.
static DenseElementsAttr storageElements(DenseElementsAttr elements,
                                         Type storage) {
  Type element = elements.getElementType();
  if (element == storage)
    return elements;
  if (isNarrowFloat(dtypeOf(element)))
    return cast<DenseFPElementsAttr>(elements).mapValues(
        storage,
        [](const APFloat &value) { return value.bitcastToAPInt().zext(8); });
  if (isNarrow(dtypeOf(element)))
    return elements.mapValues(storage, [&](APInt value) {
      if (!element.isUnsignedInteger())
        value.flipBit(value.getBitWidth() - 1);
      return value.zext(8);
    });
  if (element.isInteger(1))
    return elements.mapValues(storage,
                              [](const APInt &bit) { return bit.zext(8); });
  return elements.mapValues(storage, [](const APInt &value) { return value; });
}

namespace {
/// Lowers one host function.
class HostLowering {
public:
  HostLowering(func::FuncOp func, WeightSources &sources)
      : func(func), sources(sources),
        builder(func.getLoc(), OpBuilder::atBlockBegin(&func.front())) {}

  LogicalResult run();
  std::optional<Lowering::Relation> missing() const {
    return lowering ? lowering->missing : std::nullopt;
  }

private:
  bool isNested(Operation *op) { return op->getBlock() != &func.front(); }
  /// Has `op` erased at the end; subgraphs go with their nodes.
  void erase(Operation *op) {
    if (!isNested(op))
      lowered.push_back(op);
  }
  LogicalResult makeDims();
  LogicalResult lowerArgument(BlockArgument argument);
  LogicalResult lowerOp(Operation &op);
  LogicalResult lower(arith::ConstantOp op);
  LogicalResult lower(WeightOp op);
  LogicalResult lower(onnx::NodeOp op);
  LogicalResult lower(func::ReturnOp op);
  FailureOr<SmallVector<Tensor>> lowerGraph(Region &graph,
                                            ArrayRef<Tensor> arguments);
  void eraseDead();

  func::FuncOp func;
  WeightSources &sources;
  ImplicitLocOpBuilder builder;
  SmallVector<Value> dims;
  SmallVector<StringRef> dimNames;
  std::optional<Lowering> lowering;
  DenseMap<Value, Tensor> tensors;
  SmallVector<Operation *> lowered;
  /// Nodes of subgraphs, once for each time that they were lowered.
  int64_t numNested = 0;
};
} // namespace

/// A bound on what loops in loops unroll to.
static constexpr int64_t kMaxNested = 1 << 16;

LogicalResult HostLowering::makeDims() {
  auto list = func->getAttrOfType<ArrayAttr>(attr::kDims);
  for (Attribute element : list ? list.getValue() : ArrayRef<Attribute>()) {
    std::optional<DimEntry> dim = readDim(element);
    if (!dim)
      return func.emitError() << "expected name, min, max and multiple in "
                              << attr::kDims << ", got " << element;
    dimNames.push_back(dim->name.getValue());
    dims.push_back(DimOp::create(builder, builder.getIndexType(), dim->name,
                                 dim->min, dim->max, dim->multiple));
  }
  return success();
}

static bool isAddressable(const Shape &shape) {
  SmallVector<int64_t> known;
  for (AffineExpr expr : shape)
    if (auto size = dyn_cast<AffineConstantExpr>(expr))
      known.push_back(size.getValue());
  return isAddressable(ArrayRef<int64_t>(known));
}

/// The shape of an argument, from its attribute or its static type.
static FailureOr<Shape> argumentShape(func::FuncOp func,
                                      BlockArgument argument) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type)
    return func.emitError()
           << "expected a ranked tensor for argument "
           << argument.getArgNumber() << ", got " << argument.getType();
  auto map = func.getArgAttrOfType<AffineMapAttr>(argument.getArgNumber(),
                                                  attr::kShape);
  if (map) {
    AffineMap shape = map.getValue();
    if (auto dims = func->getAttrOfType<ArrayAttr>(attr::kDims))
      shape = resolveDims(dims, shape);
    return Shape(llvm::map_range(shape.getResults(), canonicalSize));
  }
  if (!type.hasStaticShape())
    return func.emitError() << "expected " << attr::kShape << " for argument "
                            << argument.getArgNumber() << " of " << type;
  Shape shape;
  for (int64_t size : type.getShape())
    shape.push_back(getAffineConstantExpr(size, func.getContext()));
  return shape;
}

LogicalResult HostLowering::lowerArgument(BlockArgument argument) {
  FailureOr<Shape> shape = argumentShape(func, argument);
  if (failed(shape))
    return failure();
  if (!isAddressable(*shape))
    return func.emitError()
           << "expected fewer than 2^57 elements in argument "
           << argument.getArgNumber() << ", got " << lowering->str(*shape);
  auto name =
      func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), attr::kDType);
  Type element = getElementTypeOrSelf(argument.getType());
  DType dtype = name ? parseDType(name.getValue()) : dtypeOf(element);
  if (!isSupported(dtype))
    return func.emitError() << "expected a supported element type for argument "
                            << argument.getArgNumber() << ", got " << element;
  argument.setType(lowering->type(*shape, dtype));
  tensors[argument] = lowering->tensor(argument, *shape, dtype);
  return success();
}

LogicalResult HostLowering::lower(arith::ConstantOp op) {
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements)
    return success(); // A scalar, which no node can read.
  DType dtype = dtypeOf(elements.getElementType());
  if (dtype == DType::Undefined)
    return op.emitError() << "expected a supported element type, got "
                          << elements.getElementType();
  Type storage = storageType(op.getContext(), dtype);
  tensors[op] =
      lowering->constantTensor(storageElements(elements, storage), dtype);
  erase(op);
  return success();
}

LogicalResult HostLowering::lower(WeightOp op) {
  if (isNested(op)) {
    // It is lowered once, for all iterations of a loop.
    op->moveBefore(builder.getInsertionBlock(), builder.getInsertionPoint());
  }
  auto type = cast<RankedTensorType>(op.getResult().getType());
  auto stored = cast<RankedTensorType>(op.getStorage());
  DType dtype = dtypeOf(type.getElementType());
  DType storedDType = dtypeOf(stored.getElementType());
  if (dtype == DType::Undefined || !isSupported(storedDType))
    return op.emitError() << "expected a supported element type, got " << type;
  Type storage = storageType(op.getContext(), storedDType);
  op.setStorage(stored.clone(storage));
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(op.getValueAttr()))
    op.setValueAttr(storageElements(value, storage));
  op.getResult().setType(type.clone(storageType(op.getContext(), dtype)));
  Tensor tensor = lowering->tensor(op.getResult(), dtype);
  if (tensor.rank() <= 1 && type.getNumElements() <= 64)
    if (auto ints = lowering->constantInts(tensor))
      tensor.ints = llvm::map_to_vector(
          *ints, [&](int64_t value) { return lowering->constant(value); });
  tensors[op.getResult()] = tensor;
  return success();
}

LogicalResult HostLowering::lower(onnx::NodeOp op) {
  std::optional<int64_t> since =
      sinceVersion(op.getDomain(), op.getOpType(), op.getVersion());
  const OpHandler *handler =
      Registry::get().find(op.getDomain(), op.getOpType());
  SmallVector<Tensor> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(tensors.lookup(input));
  Node node(op, since.value_or(0), inputs);
  for (auto [i, input] : llvm::enumerate(inputs))
    if (isNarrow(input.dtype) && !handler->takesNarrow)
      return node.error() << "expected a supported element type in input " << i
                          << ", got " << dtypeName(input.dtype);
  if (isNested(op)) {
    if (Support support = Registry::get().supports(op); !support)
      return node.error() << support.reason();
    if (++numNested > kMaxNested)
      return node.error() << "expected subgraphs that unroll to at most "
                          << kMaxNested << " nodes";
  }
  FailureOr<SmallVector<Tensor>> results = handler->lower(node, *lowering);
  if (failed(results))
    return failure();
  results->resize(op.getNumResults());
  for (auto [value, tensor] : llvm::zip(op.getResults(), *results)) {
    if (!tensor && !value.use_empty())
      return node.error() << "output "
                          << cast<OpResult>(value).getResultNumber()
                          << " not implemented";
    if (tensor && !isAddressable(tensor.shape))
      return node.error()
             << "expected fewer than 2^57 elements in an output, got "
             << lowering->str(tensor.shape);
    if (tensor &&
        tensor.value.getType() != lowering->type(tensor.shape, tensor.dtype))
      return node.error() << "expected a lowering to "
                          << lowering->type(tensor.shape, tensor.dtype)
                          << ", got " << tensor.value.getType();
    tensors[value] = tensor;
  }
  erase(op);
  return success();
}

FailureOr<SmallVector<Tensor>>
HostLowering::lowerGraph(Region &graph, ArrayRef<Tensor> arguments) {
  Location loc = builder.getLoc();
  for (auto [argument, tensor] :
       llvm::zip_equal(graph.getArguments(), arguments))
    tensors[argument] = tensor;
  for (Operation &op :
       llvm::make_early_inc_range(graph.front().without_terminator()))
    if (failed(lowerOp(op)))
      return failure();
  builder.setLoc(loc);
  return llvm::map_to_vector(
      graph.front().getTerminator()->getOperands(),
      [&](Value value) { return tensors.lookup(value); });
}

LogicalResult HostLowering::lower(func::ReturnOp op) {
  SmallVector<Value> values;
  SmallVector<Type> types;
  for (auto [i, operand] : llvm::enumerate(op.getOperands())) {
    Tensor tensor = tensors.lookup(operand);
    if (!tensor)
      return op.emitError() << "expected a tensor as result " << i;
    if (!isSupported(tensor.dtype))
      return op.emitError() << "expected a supported element type for result "
                            << i << ", got " << dtypeName(tensor.dtype);
    values.push_back(tensor.value);
    types.push_back(tensor.value.getType());
    AffineMap shape =
        AffineMap::get(0, dims.size(), tensor.shape, op.getContext());
    func.setResultAttr(i, attr::kShape, AffineMapAttr::get(shape));
    func.setResultAttr(i, attr::kDType,
                       builder.getStringAttr(dtypeName(tensor.dtype)));
  }
  op->setOperands(values);
  func.setType(FunctionType::get(op.getContext(),
                                 func.front().getArgumentTypes(), types));
  return success();
}

LogicalResult HostLowering::lowerOp(Operation &op) {
  // All code of a subgraph goes before the node that has it.
  if (!isNested(&op))
    builder.setInsertionPoint(&op);
  builder.setLoc(op.getLoc());
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<arith::ConstantOp, WeightOp, onnx::NodeOp, func::ReturnOp>(
          [&](auto op) { return lower(op); })
      .Case<onnx::AbsentOp>([&](auto op) {
        erase(op);
        return success();
      })
      .Default([](Operation *op) {
        return op->emitError() << "expected an operation of the import phase";
      });
}

/// Erases what only other shape arithmetic used. Dimensions stay: they are the
/// program's interface.
void HostLowering::eraseDead() {
  for (Operation *op : llvm::reverse(lowered))
    op->erase();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.front())))
    if (!isa<DimOp>(op) && isOpTriviallyDead(&op))
      op.erase();
}

LogicalResult HostLowering::run() {
  if (!func.getBody().hasOneBlock())
    return func.emitError() << "expected one block";
  // Ops of the graph; what lowering adds among them is not to be visited.
  SmallVector<Operation *> graph;
  for (Operation &op : func.front())
    graph.push_back(&op);
  if (failed(makeDims()))
    return failure();
  lowering.emplace(builder, dims, dimNames, sources);
  lowering->lowerGraph = [&](Region &graph, ArrayRef<Tensor> arguments) {
    return lowerGraph(graph, arguments);
  };
  for (BlockArgument argument : func.getArguments())
    if (failed(lowerArgument(argument)))
      return failure();
  for (Operation *op : graph)
    if (failed(lowerOp(*op)))
      return failure();
  eraseDead();
  return success();
}

LogicalResult lutra::lowerNodes(func::FuncOp func, WeightSources &sources,
                                std::optional<Lowering::Relation> &missing) {
  HostLowering lowering(func, sources);
  LogicalResult result = lowering.run();
  missing = lowering.missing();
  return result;
}
