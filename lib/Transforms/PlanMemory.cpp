//===- PlanMemory.cpp - The arena of the host program ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The host program is a straight line of dispatches, so each tensor's life is a
// range of them. A tensor that a result of the model is made of lies in the
// caller's buffer, a weight in the weight image, and the rest in slots of the
// arena. The sizes are computed once, from the symbolic dimensions, in `plan`
// and again at the entry of `main`, by the same code.
//
//===----------------------------------------------------------------------===//

#include "Arena.h"
#include "HostProgram.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_PLANMEMORY
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

static constexpr int64_t kAlignment = 64;
static constexpr StringLiteral kRole = "lutra.role";

static MemRefType bufferType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

static int64_t elementBytes(Type tensor) {
  return llvm::divideCeil(
      cast<RankedTensorType>(tensor).getElementTypeBitWidth(), 8);
}

/// True for index arithmetic, which is repeated wherever sizes are needed.
static bool isIndexArithmetic(Operation *op) {
  return isMemoryEffectFree(op) && op->getNumRegions() == 0 &&
         op->getNumResults() == 1 && op->getResult(0).getType().isIndex();
}

/// The bytes of a buffer that is made by `empty`.
static Value byteSize(OpBuilder &b, tensor::EmptyOp empty, IRMapping &map) {
  Location loc = empty.getLoc();
  auto type = empty.getType();
  int64_t fixed = elementBytes(type);
  Value size;
  unsigned next = 0;
  for (int64_t dim : type.getShape()) {
    if (!ShapedType::isDynamic(dim)) {
      fixed *= dim;
      continue;
    }
    Value dynamic = map.lookup(empty.getDynamicSizes()[next++]);
    size = size ? arith::MulIOp::create(b, loc, size, dynamic) : dynamic;
  }
  Value constant = arith::ConstantIndexOp::create(b, loc, fixed);
  return size ? arith::MulIOp::create(b, loc, size, constant) : constant;
}

/// Rounds a size up to the alignment of slots.
static Value aligned(OpBuilder &b, Location loc, Value size) {
  Value mask = arith::ConstantIndexOp::create(b, loc, kAlignment - 1);
  Value sum = arith::AddIOp::create(b, loc, size, mask);
  return arith::AndIOp::create(
      b, loc, sum, arith::ConstantIndexOp::create(b, loc, -kAlignment));
}

/// Clones the host's index arithmetic at `b`, with `dims` for its lutra.dims.
static IRMapping cloneArithmetic(OpBuilder &b, func::FuncOp host,
                                 ValueRange dims) {
  IRMapping map;
  llvm::StringMap<Value> byName;
  if (auto names = host->getAttrOfType<ArrayAttr>(attr::kDims))
    for (auto [entry, value] : llvm::zip_equal(names, dims))
      byName[cast<DictionaryAttr>(entry).getAs<StringAttr>("name")] = value;
  for (Operation &op : host.getBody().front()) {
    if (auto dim = dyn_cast<DimOp>(op))
      map.map(dim.getSize(), byName.lookup(dim.getName()));
    else if (isIndexArithmetic(&op))
      b.clone(op, map);
  }
  return map;
}

namespace {
/// Offsets of the slots and the size of the arena, as values.
struct ArenaValues {
  SmallVector<Value> offsets;
  Value total;
};

class Planner {
public:
  explicit Planner(func::FuncOp host) : host(host), program(host) {}

  LogicalResult run();

private:
  void assign();
  ArenaValues arena(OpBuilder &b, IRMapping &map);
  void buildPlan();
  void buildMain();
  void layOutImage();
  Value place(OpBuilder &b, tensor::EmptyOp empty, IRMapping &map);

  func::FuncOp host;
  HostProgram program;
  /// The arena's buffers in order of their first use, and their slots.
  SmallVector<tensor::EmptyOp> buffers;
  SmallVector<unsigned> slots;
  llvm::DenseMap<Operation *, unsigned> slotOf;
  llvm::DenseMap<Operation *, int64_t> imageOffset;
  ArenaValues values;
  Value workspace, weights;
  SmallVector<Value> outputs;
};
} // namespace

void Planner::assign() {
  SmallVector<Lifetime> lives;
  for (HostBuffer &buffer : program.buffers) {
    if (buffer.output)
      continue;
    auto type = buffer.empty.getType();
    Lifetime life{buffer.first, buffer.last, ShapedType::kDynamic, ""};
    if (type.hasStaticShape()) {
      life.fixed = elementBytes(type) * type.getNumElements();
    } else {
      llvm::raw_string_ostream os(life.key);
      int64_t fixed = elementBytes(type);
      for (int64_t dim : type.getShape())
        if (!ShapedType::isDynamic(dim))
          fixed *= dim;
      os << fixed;
      for (Value size : buffer.empty.getDynamicSizes())
        os << '*' << program.numberOf(size);
    }
    lives.push_back(std::move(life));
    buffers.push_back(buffer.empty);
  }
  slots = assignSlots(lives);
  for (auto [empty, slot] : llvm::zip_equal(buffers, slots))
    slotOf[empty] = slot;
}

ArenaValues Planner::arena(OpBuilder &b, IRMapping &map) {
  Location loc = host.getLoc();
  SmallVector<Value> sizes;
  for (auto [empty, slot] : llvm::zip_equal(buffers, slots)) {
    Value size = byteSize(b, empty, map);
    if (slot == sizes.size())
      sizes.push_back(size);
    else
      sizes[slot] = arith::MaxUIOp::create(b, loc, sizes[slot], size);
  }
  ArenaValues result;
  result.total = arith::ConstantIndexOp::create(b, loc, 0);
  for (Value size : sizes) {
    result.offsets.push_back(result.total);
    result.total =
        arith::AddIOp::create(b, loc, result.total, aligned(b, loc, size));
  }
  return result;
}

/// `bytes`, or -2 - i where dims[i] is not what the other dimensions make it.
static Value checkedBytes(OpBuilder &b, ArrayAttr dims, ValueRange values,
                          Value bytes) {
  Location loc = bytes.getLoc();
  for (auto [i, entry] :
       llvm::enumerate(dims ? dims.getValue() : ArrayRef<Attribute>())) {
    auto equals =
        cast<DictionaryAttr>(entry).getAs<AffineMapAttr>(attr::kEquals);
    if (!equals)
      continue;
    Value wanted =
        affine::AffineApplyOp::create(b, loc, equals.getValue(), values);
    Value differs = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne,
                                          values[i], wanted);
    Value code = arith::ConstantIndexOp::create(b, loc, -2 - int64_t(i));
    bytes = arith::SelectOp::create(b, loc, differs, code, bytes);
  }
  return bytes;
}

/// func @plan(dims, workers) -> (workspace bytes, the sizes of all outputs, the
/// length of the states afterwards where there are any)
void Planner::buildPlan() {
  OpBuilder b(host);
  Location loc = host.getLoc();
  auto dims = host->getAttrOfType<ArrayAttr>(attr::kDims);
  unsigned numDims = dims ? dims.size() : 0, numSizes = 0;
  for (Type type : host.getResultTypes().take_front(numOutputs(host)))
    numSizes += cast<RankedTensorType>(type).getRank();
  auto length = host->getAttrOfType<AffineMapAttr>(attr::kLength);
  SmallVector<Type> arguments(numDims + 1, b.getIndexType());
  SmallVector<Type> results(numSizes + 1 + bool(length), b.getIndexType());
  auto plan = func::FuncOp::create(b, loc, "plan",
                                   b.getFunctionType(arguments, results));
  Block *entry = plan.addEntryBlock();
  b.setInsertionPointToStart(entry);
  ValueRange dimValues = entry->getArguments().take_front(numDims);
  IRMapping map = cloneArithmetic(b, host, dimValues);
  SmallVector<Value> answers = {
      checkedBytes(b, dims, dimValues, arena(b, map).total)};
  auto answer = [&](AffineMap sizes) {
    for (AffineExpr size : sizes.getResults())
      answers.push_back(affine::AffineApplyOp::create(
          b, loc, AffineMap::get(0, numDims, size), dimValues));
  };
  for (unsigned i = 0; i < numOutputs(host); ++i)
    answer(host.getResultAttrOfType<AffineMapAttr>(i, attr::kShape).getValue());
  if (length)
    answer(length.getValue());
  func::ReturnOp::create(b, loc, answers);
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
Value Planner::place(OpBuilder &b, tensor::EmptyOp empty, IRMapping &map) {
  MemRefType type = bufferType(empty.getType());
  SmallVector<Value> sizes;
  for (Value size : empty.getDynamicSizes())
    sizes.push_back(map.lookup(size));
  auto it = slotOf.find(empty);
  if (it != slotOf.end())
    return memref::ViewOp::create(b, empty.getLoc(), type, workspace,
                                  values.offsets[it->second], sizes);
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

/// Gives each different weight a place in the image.
void Planner::layOutImage() {
  Builder b(host.getContext());
  SmallVector<Attribute> image;
  llvm::MapVector<std::pair<Attribute, Type>, int64_t> known;
  int64_t end = 0;
  for (auto weight : host.getOps<WeightOp>()) {
    // Weights of equal expressions are one, whatever they are called.
    NamedAttrList expression(weight->getAttrDictionary());
    expression.erase("name");
    Type type = weight.getResult().getType();
    auto [it, isNew] = known.try_emplace(
        {expression.getDictionary(b.getContext()), type}, end);
    imageOffset[weight] = it->second;
    if (!isNew)
      continue;
    image.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("at", b.getI64IntegerAttr(end)),
         b.getNamedAttr("type", TypeAttr::get(type)),
         b.getNamedAttr("weight", weight->getAttrDictionary())}));
    int64_t bytes =
        elementBytes(type) * cast<ShapedType>(type).getNumElements();
    end = llvm::alignTo(end + bytes, kAlignment);
  }
  host->getParentOfType<ModuleOp>()->setAttr(attr::kImage,
                                             b.getArrayAttr(image));
}

/// func @main on buffers, in place of the one on tensors.
void Planner::buildMain() {
  OpBuilder b(host);
  Location loc = host.getLoc();
  auto dims = host->getAttrOfType<ArrayAttr>(attr::kDims);
  unsigned numDims = dims ? dims.size() : 0;
  unsigned numResults = numOutputs(host);
  SmallVector<StateOp> states(host.getOps<StateOp>());
  SmallVector<Type> types = {LLVM::LLVMPointerType::get(b.getContext())};
  SmallVector<DictionaryAttr> attrs;
  auto addRole = [&](StringRef role, NamedAttrList list) {
    list.set(kRole, b.getStringAttr(role));
    attrs.push_back(list.getDictionary(b.getContext()));
  };
  addRole("context", {});
  for (unsigned i = 0; i < host.getNumArguments(); ++i) {
    types.push_back(bufferType(host.getArgumentTypes()[i]));
    addRole("input", host.getArgAttrDict(i));
  }
  for (unsigned i = 0; i < numResults; ++i) {
    types.push_back(bufferType(host.getResultTypes()[i]));
    addRole("output", host.getResultAttrDict(i));
  }
  for (StateOp state : states) {
    types.push_back(bufferType(state.getResult().getType()));
    NamedAttrList list;
    list.set(attr::kName, state.getNameAttr());
    list.set(attr::kDType, state.getDtypeAttr());
    list.set(attr::kShape, state.getShapeAttr());
    list.set("lutra.axis", state.getAxisAttr());
    addRole("state", list);
  }
  for (unsigned i = 0; i < numDims; ++i) {
    types.push_back(b.getIndexType());
    addRole("dim", {});
  }
  auto bytes = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
  types.append(2, bytes);
  addRole("workspace", {});
  addRole("weights", {});

  auto main = func::FuncOp::create(b, loc, "main.planned",
                                   b.getFunctionType(types, TypeRange()));
  if (dims)
    main->setAttr(attr::kDims, dims);
  main.setAllArgAttrs(attrs);
  Block *entry = main.addEntryBlock();
  b.setInsertionPointToStart(entry);
  auto arguments = entry->getArguments();
  Value context = arguments.front();
  ValueRange inputs = arguments.slice(1, host.getNumArguments());
  outputs =
      llvm::to_vector_of<Value>(arguments.slice(1 + inputs.size(), numResults));
  ValueRange stateBuffers =
      arguments.slice(1 + inputs.size() + numResults, states.size());
  ValueRange dimValues = arguments.drop_back(2).take_back(numDims);
  workspace = arguments.drop_back(1).back();
  weights = arguments.back();

  IRMapping map = cloneArithmetic(b, host, dimValues);
  map.map(host.getArguments(), inputs);
  for (auto [state, buffer] : llvm::zip_equal(states, stateBuffers))
    map.map(state.getResult(), buffer);
  values = arena(b, map);
  for (Operation &op : host.getBody().front()) {
    Location at = op.getLoc();
    if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
      if (program.find(empty))
        map.map(empty.getResult(), place(b, empty, map));
    } else if (auto weight = dyn_cast<WeightOp>(op)) {
      Value offset = arith::ConstantIndexOp::create(b, at, imageOffset[weight]);
      map.map(weight.getResult(),
              memref::ViewOp::create(b, at,
                                     bufferType(weight.getResult().getType()),
                                     weights, offset, ValueRange()));
    } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
      map.map(collapse.getResult(),
              memref::CollapseShapeOp::create(
                  b, at, bufferType(collapse.getType()),
                  map.lookup(collapse.getSrc()), collapse.getReassociation()));
    } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
      SmallVector<OpFoldResult> sizes;
      for (OpFoldResult size : expand.getMixedOutputShape())
        sizes.push_back(isa<Value>(size)
                            ? OpFoldResult(map.lookup(cast<Value>(size)))
                            : size);
      map.map(expand.getResult(), reshaped(b, at, bufferType(expand.getType()),
                                           map.lookup(expand.getSrc()), sizes));
    } else if (auto cast = dyn_cast<tensor::CastOp>(op)) {
      map.map(cast.getResult(),
              memref::CastOp::create(b, at, bufferType(cast.getType()),
                                     map.lookup(cast.getSource())));
    } else if (auto dispatch = dyn_cast<DispatchOp>(op)) {
      SmallVector<Value> operands = {context};
      for (Value operand : dispatch->getOperands())
        operands.push_back(map.lookup(operand));
      auto call = func::CallOp::create(b, at, dispatch.getKernel(), TypeRange(),
                                       operands);
      if (Attribute nodes = dispatch->getAttr("nodes"))
        call->setAttr("lutra.nodes", nodes);
      for (auto [result, output] :
           llvm::zip_equal(dispatch.getResults(), dispatch.getOutputs()))
        map.map(result, map.lookup(output));
    }
  }
  func::ReturnOp::create(b, loc);
  StringAttr name = host.getSymNameAttr();
  host.erase();
  main.setSymNameAttr(name);
}

LogicalResult Planner::run() {
  if (failed(program.analyze()))
    return failure();
  assign();
  layOutImage();
  buildPlan();
  buildMain();
  return success();
}

namespace {
struct PlanMemory : lutra::impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;

  void runOnOperation() override {
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    func::FuncOp host;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (!func->hasAttr(attr::kKernel)) {
        host = func;
        continue;
      }
      // Every kernel takes the call's context, for its tasks.
      if (failed(func.insertArgument(0, pointer, {}, func.getLoc())))
        return signalPassFailure();
    }
    if (host && failed(Planner(host).run()))
      signalPassFailure();
  }
};
} // namespace
