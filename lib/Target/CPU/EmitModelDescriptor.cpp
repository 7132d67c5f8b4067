//===- EmitModelDescriptor.cpp - lutra_model_desc as LLVM globals ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lays out the structs of lutra/abi.h. The fields about the weight image are
// left zero here, because the image is written later; emitObject fills them in.
//
//===----------------------------------------------------------------------===//

#include "Model.h"

#include "Closure.h"
#include "lutra/Target/TargetDescription.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/include/lutra/abi.h"
#include "llvm/Config/llvm-config.h"
#include <cstddef>

using namespace mlir;
using namespace mlir::lutra;

static_assert(sizeof(lutra_dim_desc) == 32 && sizeof(lutra_tensor_desc) == 24 &&
                  sizeof(lutra_dispatch_desc) == 16 &&
                  sizeof(lutra_state_desc) == 32 &&
                  sizeof(lutra_model_desc) == 160 &&
                  offsetof(lutra_model_desc, inputs) == 64 &&
                  offsetof(lutra_model_desc, weights_size) == 112 &&
                  offsetof(lutra_model_desc, plan) == 144,
              "EmitModelDescriptor.cpp lays these structs out");

namespace {

/// Adds constants to a module. A pointer to one is its symbol's name; an empty
/// name is a null pointer.
class Globals {
public:
  using Field = std::function<Value(OpBuilder &)>;

  Globals(ModuleOp module)
      : b(OpBuilder::atBlockEnd(module.getBody())), loc(module.getLoc()),
        pointer(LLVM::LLVMPointerType::get(module.getContext())) {}

  std::string string(StringRef text);
  std::string numbers(ArrayRef<int64_t> values);
  /// An array of structs; an empty one has no address.
  std::string structs(ArrayRef<SmallVector<Field>> rows,
                      ArrayRef<Type> fieldTypes);
  void structure(StringRef name, ArrayRef<Field> fields,
                 ArrayRef<Type> fieldTypes);

  Field text(StringRef value) { return address(string(value)); }
  Field address(std::string symbol);
  Field integer(Type type, int64_t value);
  /// The address of a function that is not yet of the llvm dialect.
  Field function(func::FuncOp function);

  OpBuilder b;
  Location loc;
  Type pointer;

private:
  std::string freshName() {
    return "lutra_constant_" + std::to_string(count++);
  }
  LLVM::GlobalOp create(StringRef name, Type type, Attribute value,
                        LLVM::Linkage linkage = LLVM::Linkage::Internal) {
    return LLVM::GlobalOp::create(b, loc, type, /*isConstant=*/true, linkage,
                                  name, value);
  }
  Value fill(OpBuilder &b, Type type, ArrayRef<Field> fields);

  unsigned count = 0;
};

} // namespace

std::string Globals::string(StringRef text) {
  std::string name = freshName();
  std::string bytes = text.str() + '\0';
  create(name, LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size()),
         b.getStringAttr(bytes));
  return name;
}

std::string Globals::numbers(ArrayRef<int64_t> values) {
  if (values.empty())
    return "";
  std::string name = freshName();
  create(name, LLVM::LLVMArrayType::get(b.getI64Type(), values.size()),
         b.getI64TensorAttr(values));
  return name;
}

Value Globals::fill(OpBuilder &b, Type type, ArrayRef<Field> fields) {
  Value result = LLVM::PoisonOp::create(b, loc, type);
  for (auto [i, field] : llvm::enumerate(fields))
    result = LLVM::InsertValueOp::create(b, loc, result, field(b),
                                         ArrayRef<int64_t>{int64_t(i)});
  return result;
}

std::string Globals::structs(ArrayRef<SmallVector<Field>> rows,
                             ArrayRef<Type> fieldTypes) {
  if (rows.empty())
    return "";
  std::string name = freshName();
  Type row = LLVM::LLVMStructType::getLiteral(b.getContext(), fieldTypes);
  Type type = LLVM::LLVMArrayType::get(row, rows.size());
  LLVM::GlobalOp global = create(name, type, {});
  OpBuilder init(&global.getInitializerRegion());
  init.createBlock(&global.getInitializerRegion());
  SmallVector<Field> elements;
  for (const SmallVector<Field> &fields : rows)
    elements.push_back([&, row](OpBuilder &b) { return fill(b, row, fields); });
  LLVM::ReturnOp::create(init, loc, fill(init, type, elements));
  return name;
}

void Globals::structure(StringRef name, ArrayRef<Field> fields,
                        ArrayRef<Type> fieldTypes) {
  Type type = LLVM::LLVMStructType::getLiteral(b.getContext(), fieldTypes);
  LLVM::GlobalOp global = create(name, type, {}, LLVM::Linkage::External);
  OpBuilder init(&global.getInitializerRegion());
  init.createBlock(&global.getInitializerRegion());
  LLVM::ReturnOp::create(init, loc, fill(init, type, fields));
}

Globals::Field Globals::address(std::string symbol) {
  return [this, symbol = std::move(symbol)](OpBuilder &b) -> Value {
    if (symbol.empty())
      return LLVM::ZeroOp::create(b, loc, pointer);
    return LLVM::AddressOfOp::create(b, loc, pointer, symbol);
  };
}

Globals::Field Globals::integer(Type type, int64_t value) {
  return [this, type, value](OpBuilder &b) -> Value {
    return LLVM::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
  };
}

Globals::Field Globals::function(func::FuncOp function) {
  return [this, function](OpBuilder &b) mutable -> Value {
    return castTo(b, loc, pointer,
                  func::ConstantOp::create(b, loc, function.getFunctionType(),
                                           function.getName()));
  };
}

/// The sizes of a tensor: a constant, -1 - i for dims[i], or -1 where others
/// are computed.
static SmallVector<int64_t> sizesOf(const TensorArg &tensor) {
  return llvm::map_to_vector(tensor.shape.getResults(), [](AffineExpr size) {
    if (auto constant = dyn_cast<AffineConstantExpr>(size))
      return constant.getValue();
    auto symbol = dyn_cast<AffineSymbolExpr>(size);
    return symbol ? -1 - int64_t(symbol.getPosition()) : int64_t(-1);
  });
}

/// The table of inputs or outputs.
static std::string tensorTable(Globals &globals, ArrayRef<TensorArg> tensors) {
  Type i32 = globals.b.getI32Type();
  SmallVector<SmallVector<Globals::Field>> rows;
  for (const TensorArg &tensor : tensors) {
    SmallVector<int64_t> shape = sizesOf(tensor);
    rows.push_back({globals.text(tensor.name),
                    globals.integer(i32, tensor.dtype),
                    globals.integer(i32, shape.size()),
                    globals.address(globals.numbers(shape))});
  }
  return globals.structs(rows, {globals.pointer, i32, i32, globals.pointer});
}

static std::string dimTable(Globals &globals, const Model &model) {
  Type i64 = globals.b.getI64Type();
  SmallVector<SmallVector<Globals::Field>> rows;
  for (const DimArg &dim : model.dims)
    rows.push_back({globals.text(dim.name), globals.integer(i64, dim.min),
                    globals.integer(i64, dim.max),
                    globals.integer(i64, dim.multiple)});
  return globals.structs(rows, {globals.pointer, i64, i64, i64});
}

static std::string stateTable(Globals &globals, const Model &model) {
  Type i32 = globals.b.getI32Type(), i64 = globals.b.getI64Type();
  SmallVector<SmallVector<Globals::Field>> rows;
  for (const StateArg &state : model.states) {
    SmallVector<int64_t> shape = sizesOf(state.tensor);
    rows.push_back({globals.text(state.tensor.name),
                    globals.integer(i32, state.tensor.dtype),
                    globals.integer(i32, shape.size()),
                    globals.address(globals.numbers(shape)),
                    globals.integer(i64, state.axis)});
  }
  return globals.structs(rows,
                         {globals.pointer, i32, i32, globals.pointer, i64});
}

static std::string dispatchTable(Globals &globals, const Model &model) {
  SmallVector<SmallVector<Globals::Field>> rows;
  for (const Dispatch &dispatch : model.dispatches)
    rows.push_back(
        {globals.text(dispatch.kernel), globals.text(dispatch.nodes)});
  return globals.structs(rows, {globals.pointer, globals.pointer});
}

void lutra::emitDescriptor(ModuleOp module, const Model &model, StringRef name,
                           StringRef run, StringRef plan) {
  Globals globals(module);
  auto target = module->getAttrOfType<TargetAttr>(attr::kTarget);
  Type i32 = globals.b.getI32Type(), i64 = globals.b.getI64Type(),
       pointer = globals.pointer;
  SmallVector<Globals::Field> fields;
  SmallVector<Type> types;
  auto add = [&](Type type, Globals::Field field) {
    types.push_back(type);
    fields.push_back(std::move(field));
  };
  auto function = [&](StringRef symbol) {
    return globals.function(module.lookupSymbol<func::FuncOp>(symbol));
  };

  add(i32, globals.integer(i32, LUTRA_MODEL_MAGIC));
  add(i32, globals.integer(i32, LUTRA_ABI_VERSION));
  add(pointer, globals.text(name));
  add(pointer,
      globals.text("lutra " LUTRA_VERSION " (LLVM " LLVM_VERSION_STRING ")"));
  add(pointer, globals.text(target.getTriple()));
  add(pointer, globals.text(target.getCpu()));
  add(pointer, globals.text(requiredFeatures(target)));
  add(i32, globals.integer(i32, model.inputs.size()));
  add(i32, globals.integer(i32, model.outputs.size()));
  add(i32, globals.integer(i32, model.dims.size()));
  add(i32, globals.integer(i32, model.dispatches.size()));
  add(pointer, globals.address(tensorTable(globals, model.inputs)));
  add(pointer, globals.address(tensorTable(globals, model.outputs)));
  add(pointer, globals.address(dimTable(globals, model)));
  add(pointer, globals.address(dispatchTable(globals, model)));
  add(i32, globals.integer(i32, model.states.size()));
  add(i32, globals.integer(i32, model.stateDim));
  add(pointer, globals.address(stateTable(globals, model)));
  add(i64, globals.integer(i64, 0)); // weights_size
  add(i64, globals.integer(i64, 0)); // weights_hash
  add(pointer, globals.address("")); // weights_file
  add(pointer, globals.address("")); // weights
  add(pointer, function(plan));
  add(pointer, function(run));
  globals.structure(descriptorSymbol(name), fields, types);
}
