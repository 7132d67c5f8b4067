//===- PlanReport.cpp - Dispatches and the memory between them ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the host program once memory is planned: its calls are the dispatches
// of a run, in order, and its views are tensors. Views of one type at one place
// may be one value by then, so that a tensor begins where a dispatch writes.
//
//===----------------------------------------------------------------------===//

#include "HostNumbers.h"
#include "lutra/Analysis/Caches.h"
#include "lutra/Analysis/ModelReport.h"
#include "lutra/Analysis/SizeExpressions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

static constexpr StringLiteral kRole = "lutra.role";

static int64_t elementBytes(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isIntOrFloat()
             ? llvm::divideCeil(element.getIntOrFloatBitWidth(), 8)
             : 8;
}

/// The name of each weight by its place in the image, and the image's size.
static llvm::DenseMap<int64_t, std::string> weightNames(ModuleOp module,
                                                        int64_t &bytes) {
  llvm::DenseMap<int64_t, std::string> names;
  auto image = module->getAttrOfType<ArrayAttr>(attr::kImage);
  for (Attribute item : image ? image.getValue() : ArrayRef<Attribute>()) {
    auto entry = cast<DictionaryAttr>(item);
    int64_t at = entry.getAs<IntegerAttr>("at").getInt();
    auto type = cast<ShapedType>(entry.getAs<TypeAttr>("type").getValue());
    auto weight = entry.getAs<DictionaryAttr>("weight");
    names[at] = weight.getAs<StringAttr>("name").str();
    bytes = llvm::alignTo(at + elementBytes(type) * type.getNumElements(),
                          kTensorAlignment);
  }
  return names;
}

namespace mlir::lutra {
class PlanReader {
public:
  PlanReader(ReportCollector &collector, ModuleOp module, func::FuncOp main)
      : collector(collector), report(collector.report), main(main),
        sizes(main.getContext(),
              [this](auto... leaf) { return dimension(leaf...); }) {
    names = weightNames(module, report.weightBytes);
  }

  void read();

private:
  AffineExpr dimension(BlockArgument argument, std::optional<unsigned> dim);
  StringRef roleOf(Value value);
  void readArguments();
  void readCall(func::CallOp call);
  unsigned kernelOf(func::CallOp call);
  WorkReport workOf(func::CallOp call);
  unsigned addTensor(Value buffer);
  unsigned tensorRead(Value operand);
  unsigned tensorWritten(Value operand);
  Value bufferOf(Value operand);

  ReportCollector &collector;
  ModelReport &report;
  func::FuncOp main;
  SizeExpressions sizes;
  HostNumbers numbers;
  llvm::DenseMap<int64_t, std::string> names;
  llvm::StringMap<unsigned> kernels;
  /// The position of a dimension's argument among the dimensions.
  llvm::DenseMap<Value, unsigned> dims;
  /// What lies in a buffer as the program stands.
  llvm::DenseMap<Value, unsigned> tensors;
};
} // namespace mlir::lutra

StringRef PlanReader::roleOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto role =
      argument
          ? main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kRole)
          : StringAttr();
  return role ? role.getValue() : "";
}

void PlanReader::readArguments() {
  for (BlockArgument argument : main.getArguments()) {
    StringRef role = roleOf(argument);
    if (role == "input" || role == "state") {
      addTensor(argument);
    } else if (role == "dim") {
      unsigned position = dims.size();
      dims[argument] = position;
      numbers.set(argument, report.dims[position].size);
    }
  }
}

/// The leaves of the host's sizes: its dimensions, and the shapes of inputs and
/// outputs, which are maps over them.
AffineExpr PlanReader::dimension(BlockArgument argument,
                                 std::optional<unsigned> dim) {
  if (!dim) {
    auto it = dims.find(argument);
    return it == dims.end()
               ? AffineExpr()
               : getAffineSymbolExpr(it->second, main.getContext());
  }
  auto shape = main.getArgAttrOfType<AffineMapAttr>(argument.getArgNumber(),
                                                    attr::kShape);
  return shape && *dim < shape.getValue().getNumResults()
             ? shape.getValue().getResult(*dim)
             : AffineExpr();
}

/// The buffer that an operand is, or is a view of.
Value PlanReader::bufferOf(Value operand) {
  while (auto view = operand.getDefiningOp<ViewLikeOpInterface>()) {
    if (isa<memref::ViewOp>(view))
      return operand;
    operand = view.getViewSource();
  }
  return operand;
}

/// Begins a tensor in `buffer`.
unsigned PlanReader::addTensor(Value buffer) {
  TensorReport tensor;
  tensor.place = TensorReport::Arena;
  tensor.elementType = getElementTypeOrSelf(buffer);
  tensor.shape = sizes.sizes(buffer);
  if (auto argument = dyn_cast<BlockArgument>(buffer)) {
    StringRef role = roleOf(argument);
    tensor.place = role == "output"  ? TensorReport::Output
                   : role == "state" ? TensorReport::State
                                     : TensorReport::Input;
    if (auto name = main.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      attr::kName))
      tensor.name = name.str();
  } else if (auto view = buffer.getDefiningOp<memref::ViewOp>()) {
    tensor.offset = numbers.get(view.getByteShift());
    if (roleOf(view.getSource()) == "weights") {
      tensor.place = TensorReport::Weight;
      tensor.name = names.lookup(tensor.offset.value_or(-1));
    }
  }
  AffineExpr bytes = boundedProduct(
      tensor.shape, sizes.constant(elementBytes(tensor.elementType)));
  tensor.bytes = evaluate(bytes, report.dimSizes());
  report.tensors.push_back(std::move(tensor));
  return tensors[buffer] = report.tensors.size() - 1;
}

unsigned PlanReader::tensorRead(Value operand) {
  Value buffer = bufferOf(operand);
  auto it = tensors.find(buffer);
  return it == tensors.end() ? addTensor(buffer) : it->second;
}

unsigned PlanReader::tensorWritten(Value operand) {
  Value buffer = bufferOf(operand);
  auto it = tensors.find(buffer);
  // A part of a tensor that others wrote before.
  bool isPart = operand.getDefiningOp<memref::SubViewOp>();
  return isPart && it != tensors.end() ? it->second : addTensor(buffer);
}

/// The work of one call: the kernel's, with what it is called with for its
/// parameters.
WorkReport PlanReader::workOf(func::CallOp call) {
  WorkReport work;
  ValueRange operands = call.getOperands().drop_front();
  work.bytes = sizes.constant(0);
  for (Value operand : operands) {
    if (!isa<MemRefType>(operand.getType()))
      continue;
    work.shapes.push_back(sizes.sizes(operand));
    work.bytes = boundedSum(
        work.bytes,
        boundedProduct(work.shapes.back(),
                       sizes.constant(elementBytes(operand.getType()))));
  }
  auto it = collector.templates.find(call.getCallee());
  if (it == collector.templates.end())
    return work;
  const ReportCollector::Template &made = it->second;
  SmallVector<AffineExpr> bound;
  for (auto [number, dim] : made.parameters)
    bound.push_back(number >= operands.size() ? AffineExpr()
                    : dim ? sizes.size(operands[number], *dim)
                          : sizes.value(operands[number]));
  for (AffineExpr loop : made.kernel.work.loops)
    work.loops.push_back(substitute(loop, bound));
  work.flops = substitute(made.flops, bound);
  return work;
}

/// The kernel's place in the report, where its first call puts it.
unsigned PlanReader::kernelOf(func::CallOp call) {
  auto [it, isNew] =
      kernels.try_emplace(call.getCallee(), report.kernels.size());
  if (!isNew)
    return it->second;
  KernelReport kernel;
  auto made = collector.templates.find(call.getCallee());
  if (made != collector.templates.end())
    kernel = made->second.kernel;
  kernel.name = call.getCallee().str();
  for (Value operand : call.getOperands())
    if (isa<MemRefType>(operand.getType()))
      kernel.operandTypes.push_back(getElementTypeOrSelf(operand));
  kernel.outputs =
      std::min<unsigned>(kernel.outputs, kernel.operandTypes.size());
  auto func = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
      call, call.getCalleeAttr());
  if (func)
    kernel.schedule = func->getAttrOfType<ScheduleAttr>(attr::kSchedule);
  report.kernels.push_back(std::move(kernel));
  return it->second;
}

/// Forgets what two calls of a kernel do not have in common.
static void keepCommon(WorkReport &work, const WorkReport &other) {
  auto keep = [](AffineExpr &a, AffineExpr b) {
    a = a == b ? a : AffineExpr();
  };
  for (auto [a, b] : llvm::zip(work.loops, other.loops))
    keep(a, b);
  for (auto [as, bs] : llvm::zip(work.shapes, other.shapes))
    for (auto [a, b] : llvm::zip(as, bs))
      keep(a, b);
  keep(work.flops, other.flops);
  keep(work.bytes, other.bytes);
}

void PlanReader::readCall(func::CallOp call) {
  unsigned position = report.dispatches.size();
  DispatchReport dispatch;
  dispatch.kernel = kernelOf(call);
  if (auto nodes = call->getAttrOfType<StringAttr>("lutra.nodes"))
    dispatch.nodes = nodes.str();
  dispatch.work = workOf(call);
  KernelReport &kernel = report.kernels[dispatch.kernel];
  if (kernel.dispatches.empty())
    kernel.work = dispatch.work;
  else
    keepCommon(kernel.work, dispatch.work);
  kernel.dispatches.push_back(position);

  SmallVector<Value> buffers;
  for (Value operand : call.getOperands())
    if (isa<MemRefType>(operand.getType()))
      buffers.push_back(operand);
  size_t outputs = kernel.outputs;
  for (Value operand : ArrayRef(buffers).drop_back(outputs)) {
    dispatch.reads.push_back(tensorRead(operand));
    report.tensors[dispatch.reads.back()].readers.push_back(position);
  }
  for (Value operand : ArrayRef(buffers).take_back(outputs)) {
    dispatch.writes.push_back(tensorWritten(operand));
    TensorReport &tensor = report.tensors[dispatch.writes.back()];
    tensor.writer = tensor.writer.value_or(position);
  }
  report.dispatches.push_back(std::move(dispatch));
}

void PlanReader::read() {
  readArguments();
  for (Operation &op : main.getBody().front()) {
    // Every value is known before the next needs it: recursion stays shallow.
    if (op.getNumResults() == 1 && op.getResult(0).getType().isIndex())
      sizes.value(op.getResult(0));
    numbers.visit(&op);
    if (auto call = dyn_cast<func::CallOp>(op))
      readCall(call);
  }
  // What lies in the arena has no name in the model.
  for (auto [i, tensor] : llvm::enumerate(report.tensors))
    if (tensor.name.empty())
      tensor.name = "t" + std::to_string(i);
}

/// The first result of `plan`, the bytes of the arena, for these sizes and one
/// worker.
static std::optional<int64_t> arenaBytes(func::FuncOp plan,
                                         ArrayRef<int64_t> sizes) {
  if (plan.getNumArguments() != sizes.size() + 1)
    return std::nullopt;
  HostNumbers numbers;
  for (auto [argument, size] : llvm::zip(plan.getArguments(), sizes))
    numbers.set(argument, size);
  numbers.set(plan.getArguments().back(), 1);
  Block &body = plan.getBody().front();
  for (Operation &op : body)
    numbers.visit(&op);
  return numbers.get(body.getTerminator()->getOperand(0));
}

llvm::Error
ReportCollector::collectPlan(ModuleOp module,
                             const std::map<std::string, int64_t> &sizes) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto plan = module.lookupSymbol<func::FuncOp>("plan");
  if (!main || !plan)
    return llvm::createStringError("expected a module after phase 'plan'");
  llvm::Expected<std::vector<DimReport>> dims = reportDims(main, sizes);
  if (!dims)
    return dims.takeError();
  report.dims = std::move(*dims);
  report.model = module.getSymName().value_or("").str();
  report.target = module->getAttrOfType<TargetAttr>(attr::kTarget);
  PlanReader(*this, module, main).read();
  report.arenaBytes = arenaBytes(plan, report.dimSizes());
  return llvm::Error::success();
}
