//===- EmitModel.cpp - The functions that a runtime calls -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Wraps @main and @plan in functions of lutra/abi.h's types: buffers come as
// bare pointers, their sizes follow from the dimensions. Each call of a kernel
// is framed by the caller's hook, where there is one.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/Passes.h"

#include "Closure.h"
#include "Model.h"
#include "lutra/Target/CPU.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "runtime/include/lutra/abi.h"
#include "llvm/ADT/StringExtras.h"
#include <cstddef>

namespace mlir::lutra {
#define GEN_PASS_DEF_EMITMODEL
#include "lutra/Target/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

bool lutra::isModelName(StringRef name) {
  return !name.empty() && llvm::all_of(name, [](char c) {
    return llvm::isAlnum(c) || c == '_';
  });
}

namespace {

/// Builds code that reads C structs and arrays.
class Emitter {
public:
  Emitter(OpBuilder &b, Location loc)
      : b(b), loc(loc), converter(b.getContext()),
        pointer(LLVM::LLVMPointerType::get(b.getContext())),
        i64(b.getI64Type()) {}

  Value loadAt(Value base, int64_t offset, Type type) {
    return LLVM::LoadOp::create(b, loc, type, addressOf(base, offset));
  }

  /// Element `i` of an array of 64-bit numbers, as an index.
  Value loadIndex(Value base, int64_t i) {
    return arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                      loadAt(base, 8 * i, i64));
  }

  void storeIndex(Value index, Value base, int64_t i) {
    Value value = arith::IndexCastOp::create(b, loc, i64, index);
    LLVM::StoreOp::create(b, loc, value, addressOf(base, 8 * i));
  }

  Value number(int64_t value) {
    return arith::ConstantIntOp::create(b, loc, i64, value);
  }

  /// A dense row-major buffer of `type` at `data`. `sizes` are index values.
  Value buffer(MemRefType type, Value data, ValueRange sizes);

  OpBuilder &b;
  Location loc;
  LLVMTypeConverter converter;
  Type pointer, i64;

private:
  Value addressOf(Value base, int64_t offset) {
    if (offset == 0)
      return base;
    return LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), base,
                               ArrayRef<LLVM::GEPArg>{int32_t(offset)});
  }
};

} // namespace

Value Emitter::buffer(MemRefType type, Value data, ValueRange sizes) {
  auto result = MemRefDescriptor::poison(b, loc, converter.convertType(type));
  result.setAllocatedPtr(b, loc, data);
  result.setAlignedPtr(b, loc, data);
  result.setConstantOffset(b, loc, 0);
  Value stride = number(1);
  for (int64_t i = type.getRank(); i-- > 0;) {
    Value size = arith::IndexCastOp::create(b, loc, i64, sizes[i]);
    result.setSize(b, loc, i, size);
    result.setStride(b, loc, i, stride);
    stride = arith::MulIOp::create(b, loc, stride, size);
  }
  return castTo(b, loc, type, result);
}

/// Frames the call of each kernel in @main: `if (hook) hook(data, i, begin)`.
static void emitHooks(const Model &model) {
  func::FuncOp main = model.main;
  Value call = main.getArgument(0);
  OpBuilder entry = OpBuilder::atBlockBegin(&main.getBody().front());
  Emitter atEntry(entry, main.getLoc());
  Value hook =
      atEntry.loadAt(call, offsetof(lutra_call, hook), atEntry.pointer);
  Value data =
      atEntry.loadAt(call, offsetof(lutra_call, hook_data), atEntry.pointer);
  Value null = LLVM::ZeroOp::create(entry, main.getLoc(), atEntry.pointer);
  Value hooked = LLVM::ICmpOp::create(entry, main.getLoc(),
                                      LLVM::ICmpPredicate::ne, hook, null);
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(entry.getContext()),
                                  {atEntry.pointer, atEntry.i64, atEntry.i64});
  for (auto [i, dispatch] : llvm::enumerate(model.dispatches)) {
    Location loc = dispatch.call->getLoc();
    for (bool begin : {true, false}) {
      OpBuilder b(dispatch.call);
      if (!begin)
        b.setInsertionPointAfter(dispatch.call);
      auto guard = scf::IfOp::create(b, loc, hooked, /*withElseRegion=*/false);
      b.setInsertionPointToStart(guard.thenBlock());
      Emitter emitter(b, loc);
      LLVM::CallOp::create(
          b, loc, type,
          ValueRange{hook, data, emitter.number(i), emitter.number(begin)});
    }
  }
}

static func::FuncOp createFunction(ModuleOp module, StringRef name,
                                   TypeRange arguments) {
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  auto function = func::FuncOp::create(b, module.getLoc(), name,
                                       b.getFunctionType(arguments, {}));
  function.setPrivate();
  function.addEntryBlock();
  return function;
}

/// void run(const lutra_call *call)
static void emitRun(ModuleOp module, const Model &model, StringRef name) {
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  func::FuncOp run = createFunction(module, name, {pointer});
  OpBuilder b = OpBuilder::atBlockEnd(&run.getBody().front());
  Location loc = module.getLoc();
  Emitter emitter(b, loc);
  Value call = run.getArgument(0);
  auto field = [&](size_t offset) {
    return emitter.loadAt(call, offset, pointer);
  };
  Value inputs = field(offsetof(lutra_call, inputs));
  Value outputs = field(offsetof(lutra_call, outputs));
  Value dims = field(offsetof(lutra_call, dims));
  Value states = field(offsetof(lutra_call, states));
  SmallVector<Value> dimValues;
  for (size_t i = 0; i < model.dims.size(); ++i)
    dimValues.push_back(emitter.loadIndex(dims, i));

  auto tensor = [&](Type type, Value array, size_t i, const TensorArg &arg) {
    SmallVector<Value> sizes;
    for (AffineExpr size : arg.shape.getResults())
      sizes.push_back(affine::AffineApplyOp::create(
          b, loc, AffineMap::get(0, model.dims.size(), size), dimValues));
    Value data = emitter.loadAt(array, 8 * i, pointer);
    return emitter.buffer(cast<MemRefType>(type), data, sizes);
  };
  // The sizes of the arena and the image are not looked at.
  auto bytes = [&](Type type, size_t offset) {
    Value size = arith::ConstantIndexOp::create(b, loc, INT64_MAX);
    return emitter.buffer(cast<MemRefType>(type), field(offset), size);
  };

  SmallVector<Value> arguments;
  size_t input = 0, output = 0, state = 0, dim = 0;
  for (auto [role, type] : llvm::zip_equal(
           model.roles, func::FuncOp(model.main).getArgumentTypes())) {
    switch (role) {
    case Role::Context:
      arguments.push_back(call);
      break;
    case Role::Input:
      arguments.push_back(tensor(type, inputs, input, model.inputs[input]));
      ++input;
      break;
    case Role::Output:
      arguments.push_back(tensor(type, outputs, output, model.outputs[output]));
      ++output;
      break;
    case Role::State:
      arguments.push_back(
          tensor(type, states, state, model.states[state].tensor));
      ++state;
      break;
    case Role::Dim:
      arguments.push_back(dimValues[dim++]);
      break;
    case Role::Workspace:
      arguments.push_back(bytes(type, offsetof(lutra_call, workspace)));
      break;
    case Role::Weights:
      arguments.push_back(bytes(type, offsetof(lutra_call, weights)));
      break;
    }
  }
  // In place of a call: LLVM's time for a call grows with the square of the
  // number of its arguments, and a model may have thousands of inputs.
  func::FuncOp main = model.main;
  Block &body = main.getBody().front();
  for (auto [from, to] : llvm::zip_equal(body.getArguments(), arguments))
    from.replaceAllUsesWith(to);
  Block &entry = run.getBody().front();
  entry.getOperations().splice(entry.end(), body.getOperations());
  main.erase();
}

/// void plan(const int64_t *dims, int64_t workers, int64_t *workspace_bytes,
///           int64_t *output_shapes)
static void emitPlan(ModuleOp module, const Model &model, StringRef name) {
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  Type i64 = IntegerType::get(module.getContext(), 64);
  func::FuncOp plan =
      createFunction(module, name, {pointer, i64, pointer, pointer});
  OpBuilder b = OpBuilder::atBlockEnd(&plan.getBody().front());
  Location loc = module.getLoc();
  Emitter emitter(b, loc);
  SmallVector<Value> arguments;
  for (size_t i = 0; i < model.dims.size(); ++i)
    arguments.push_back(emitter.loadIndex(plan.getArgument(0), i));
  arguments.push_back(arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                                 plan.getArgument(1)));
  auto call = func::CallOp::create(b, loc, model.plan, arguments);
  emitter.storeIndex(call.getResult(0), plan.getArgument(2), 0);
  for (unsigned i = 1; i < call.getNumResults(); ++i)
    emitter.storeIndex(call.getResult(i), plan.getArgument(3), i - 1);
  func::ReturnOp::create(b, loc);
}

/// One line about an input or output: "x: FLOAT[batch, 8]".
static std::string describe(const TensorArg &tensor, const Model &model) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << tensor.name << ": " << tensor.dtypeName << '[';
  llvm::interleaveComma(tensor.shape.getResults(), os, [&](AffineExpr size) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(size))
      os << model.dims[symbol.getPosition()].name;
    else if (auto constant = dyn_cast<AffineConstantExpr>(size))
      os << constant.getValue();
    else
      os << '?';
  });
  os << ']';
  return text;
}

static DictionaryAttr modelAttr(const Model &model, StringRef name,
                                MLIRContext *context) {
  Builder b(context);
  auto list = [&](ArrayRef<TensorArg> tensors) {
    SmallVector<Attribute> lines;
    for (const TensorArg &tensor : tensors)
      lines.push_back(b.getStringAttr(describe(tensor, model)));
    return b.getArrayAttr(lines);
  };
  return b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr(name)),
                              b.getNamedAttr("inputs", list(model.inputs)),
                              b.getNamedAttr("outputs", list(model.outputs))});
}

namespace {

struct EmitModel : lutra::impl::EmitModelBase<EmitModel> {
  using EmitModelBase::EmitModelBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (!isModelName(name)) {
      module.emitError("expected a model name of letters, digits and '_', "
                       "got '")
          << name << "'";
      return signalPassFailure();
    }
    if (!module->getAttrOfType<TargetAttr>(attr::kTarget)) {
      module.emitError("expects ") << attr::kTarget;
      return signalPassFailure();
    }
    FailureOr<Model> model = Model::read(module);
    if (failed(model))
      return signalPassFailure();
    for (StringRef symbol : {"lutra_run", "lutra_plan"})
      if (module.lookupSymbol(symbol)) {
        module.emitError("expects no symbol @") << symbol;
        return signalPassFailure();
      }
    module->setAttr(kModelAttr, modelAttr(*model, name, &getContext()));
    // Said by the descriptor from here on; LLVM IR has no place for it.
    model->main.setAllArgAttrs(ArrayRef<DictionaryAttr>());
    emitHooks(*model);
    emitRun(module, *model, "lutra_run");
    emitPlan(module, *model, "lutra_plan");
    emitDescriptor(module, *model, name, "lutra_run", "lutra_plan");
  }
};

} // namespace
