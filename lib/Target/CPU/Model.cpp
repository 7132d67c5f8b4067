//===- Model.cpp - What a planned program says of its model ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the attributes of @main and checks that the program has the form which
// emit-model relies on, so that a dump edited by hand gives an error and no
// wrong artifact.
//
//===----------------------------------------------------------------------===//

#include "Model.h"

#include "dialects/Lutra/DimEntry.h"
#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "runtime/include/lutra/abi.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::lutra;

std::string lutra::descriptorSymbol(StringRef name) {
  return ("lutra_model_" + name).str();
}

std::string lutra::weightsSymbol(StringRef name) {
  return ("lutra_weights_" + name).str();
}

static std::optional<int32_t> parseDType(StringRef name) {
  return llvm::StringSwitch<std::optional<int32_t>>(name)
      .Case("FLOAT", LUTRA_FLOAT32)
      .Case("UINT8", LUTRA_UINT8)
      .Case("INT8", LUTRA_INT8)
      .Case("UINT16", LUTRA_UINT16)
      .Case("INT16", LUTRA_INT16)
      .Case("INT32", LUTRA_INT32)
      .Case("INT64", LUTRA_INT64)
      .Case("BOOL", LUTRA_BOOL)
      .Case("FLOAT16", LUTRA_FLOAT16)
      .Case("DOUBLE", LUTRA_FLOAT64)
      .Case("UINT32", LUTRA_UINT32)
      .Case("UINT64", LUTRA_UINT64)
      .Case("BFLOAT16", LUTRA_BFLOAT16)
      .Default(std::nullopt);
}

static std::optional<Role> parseRole(StringRef name) {
  return llvm::StringSwitch<std::optional<Role>>(name)
      .Case("context", Role::Context)
      .Case("input", Role::Input)
      .Case("output", Role::Output)
      .Case("state", Role::State)
      .Case("dim", Role::Dim)
      .Case("workspace", Role::Workspace)
      .Case("weights", Role::Weights)
      .Default(std::nullopt);
}

static FailureOr<TensorArg> readTensor(func::FuncOp main, unsigned position) {
  auto error = [&]() {
    return main.emitOpError("argument ") << position << ": ";
  };
  auto name = main.getArgAttrOfType<StringAttr>(position, attr::kName);
  auto dtype = main.getArgAttrOfType<StringAttr>(position, attr::kDType);
  auto shape = main.getArgAttrOfType<AffineMapAttr>(position, attr::kShape);
  if (!name || !dtype || !shape)
    return error() << "expects " << attr::kName << ", " << attr::kDType
                   << " and " << attr::kShape;
  std::optional<int32_t> number = parseDType(dtype.getValue());
  if (!number)
    return error() << "has the unknown data type " << dtype;
  auto type = dyn_cast<MemRefType>(main.getArgumentTypes()[position]);
  if (!type || !type.getLayout().isIdentity())
    return error() << "expects a memref without layout, got "
                   << main.getArgumentTypes()[position];
  return TensorArg{name.getValue(), *number, dtype.getValue(),
                   shape.getValue()};
}

static void readDims(Model &model) {
  auto dims = model.main->getAttrOfType<ArrayAttr>(attr::kDims);
  for (Attribute item : dims ? dims.getValue() : ArrayRef<Attribute>()) {
    std::optional<DimEntry> dim = readDim(item);
    if (cast<DictionaryAttr>(item).contains("state"))
      model.stateDim = model.dims.size();
    model.dims.push_back({dim->name.getValue(), dim->min.getInt(),
                          dim->max.getInt(), dim->multiple.getInt()});
  }
}

/// Whether `type` fits an argument of a role that is no tensor.
static bool fitsRole(Role role, Type type) {
  switch (role) {
  case Role::Context:
    return isa<LLVM::LLVMPointerType>(type);
  case Role::Dim:
    return type.isIndex();
  case Role::Workspace:
  case Role::Weights: {
    auto buffer = dyn_cast<MemRefType>(type);
    return buffer && buffer.getRank() == 1 && buffer.getLayout().isIdentity() &&
           buffer.getElementType().isInteger(8);
  }
  case Role::Input:
  case Role::Output:
  case Role::State:
    return true;
  }
  llvm_unreachable("covered switch");
}

static FailureOr<StateArg> readState(func::FuncOp main, unsigned position) {
  FailureOr<TensorArg> tensor = readTensor(main, position);
  if (failed(tensor))
    return failure();
  auto axis = main.getArgAttrOfType<IntegerAttr>(position, "lutra.axis");
  auto isSize = [](AffineExpr size) {
    return isa<AffineConstantExpr, AffineSymbolExpr>(size);
  };
  if (!axis || axis.getInt() < 0 ||
      axis.getInt() >= tensor->shape.getNumResults() ||
      !isa<AffineConstantExpr>(tensor->shape.getResult(axis.getInt())) ||
      !llvm::all_of(tensor->shape.getResults(), isSize))
    return main.emitOpError("argument ")
           << position << ": expects lutra.axis, of constant size, and sizes "
           << "that are constants or dimensions";
  return StateArg{*tensor, axis.getInt()};
}

static LogicalResult readArguments(Model &model) {
  func::FuncOp main = model.main;
  unsigned numDims = 0;
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto name = main.getArgAttrOfType<StringAttr>(i, "lutra.role");
    std::optional<Role> role = name ? parseRole(name.getValue()) : std::nullopt;
    if (!role || !fitsRole(*role, main.getArgumentTypes()[i]))
      return main.emitOpError("argument ")
             << i << ": expects a lutra.role that fits its type";
    model.roles.push_back(*role);
    numDims += *role == Role::Dim;
    if (*role == Role::State) {
      auto state = readState(main, i);
      if (failed(state))
        return failure();
      model.states.push_back(*state);
    }
    if (*role != Role::Input && *role != Role::Output)
      continue;
    auto tensor = readTensor(main, i);
    if (failed(tensor))
      return failure();
    (*role == Role::Input ? model.inputs : model.outputs).push_back(*tensor);
  }
  if (numDims != model.dims.size())
    return main.emitOpError("expects ")
           << model.dims.size() << " dim arguments, got " << numDims;
  if (model.states.empty() != (model.stateDim < 0))
    return main.emitOpError("expects states and a dim that is their length, or "
                            "neither");
  if (model.roles.empty() || model.roles.front() != Role::Context)
    return main.emitOpError("expects the context as its first argument");
  return success();
}

static LogicalResult checkPlan(Model &model) {
  size_t results = model.states.empty() ? 1 : 2;
  for (const TensorArg &output : model.outputs)
    results += output.shape.getNumResults();
  auto type = model.plan.getFunctionType();
  auto isIndex = [](Type type) { return type.isIndex(); };
  if (type.getNumInputs() != model.dims.size() + 1 ||
      type.getNumResults() != results ||
      !llvm::all_of(type.getInputs(), isIndex) ||
      !llvm::all_of(type.getResults(), isIndex))
    return model.plan.emitOpError("expects ")
           << model.dims.size() + 1 << " index arguments and " << results
           << " index results, got " << type;
  return success();
}

FailureOr<Model> Model::read(ModuleOp module) {
  Model model;
  model.main = module.lookupSymbol<func::FuncOp>("main");
  model.plan = module.lookupSymbol<func::FuncOp>("plan");
  if (!model.main || !model.plan || model.main.isExternal() ||
      model.plan.isExternal())
    return module.emitOpError("expects @main and @plan");
  readDims(model);
  if (failed(readArguments(model)) || failed(checkPlan(model)))
    return failure();
  model.main.walk([&](func::CallOp call) {
    auto kernel = module.lookupSymbol<func::FuncOp>(call.getCallee());
    if (!kernel || !kernel->hasAttr(attr::kKernel))
      return;
    auto nodes = call->getAttrOfType<StringAttr>("lutra.nodes");
    model.dispatches.push_back(
        {call, kernel.getName(), nodes ? nodes.getValue() : ""});
  });
  return model;
}
