//===- MemoryLayout.cpp - Where the host's tensors lie --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MemoryLayout.h"

#include "Arena.h"
#include "lutra/Analysis/Caches.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

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
  Value mask = arith::ConstantIndexOp::create(b, loc, kTensorAlignment - 1);
  Value sum = arith::AddIOp::create(b, loc, size, mask);
  return arith::AndIOp::create(
      b, loc, sum, arith::ConstantIndexOp::create(b, loc, -kTensorAlignment));
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

MemoryLayout::MemoryLayout(func::FuncOp host, const HostProgram &program) {
  assign(program);
  layOutImage(host);
}

std::optional<unsigned> MemoryLayout::slotOf(tensor::EmptyOp empty) const {
  auto it = slots.find(empty);
  return it == slots.end() ? std::nullopt : std::optional(it->second);
}

void MemoryLayout::assign(const HostProgram &program) {
  SmallVector<Lifetime> lives;
  SmallVector<Operation *> buffers;
  for (const HostBuffer &buffer : program.buffers) {
    if (buffer.output)
      continue;
    tensor::EmptyOp empty = buffer.empty;
    auto type = empty.getType();
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
      for (Value size : empty.getDynamicSizes())
        os << '*' << program.numberOf(size);
    }
    lives.push_back(std::move(life));
    buffers.push_back(empty);
  }
  for (auto [empty, slot] : llvm::zip_equal(buffers, assignSlots(lives)))
    slots[empty] = slot;
}

MemoryValues MemoryLayout::emit(OpBuilder &b, func::FuncOp host,
                                ValueRange dims) const {
  Location loc = host.getLoc();
  MemoryValues result;
  result.map = cloneArithmetic(b, host, dims);
  SmallVector<Value> sizes;
  for (auto [empty, slot] : slots) {
    Value size = byteSize(b, cast<tensor::EmptyOp>(empty), result.map);
    if (slot == sizes.size())
      sizes.push_back(size);
    else
      sizes[slot] = arith::MaxUIOp::create(b, loc, sizes[slot], size);
  }
  result.total = arith::ConstantIndexOp::create(b, loc, 0);
  for (Value size : sizes) {
    result.offsets.push_back(result.total);
    result.total =
        arith::AddIOp::create(b, loc, result.total, aligned(b, loc, size));
  }
  return result;
}

/// Gives each different weight a place in the image.
void MemoryLayout::layOutImage(func::FuncOp host) {
  Builder b(host.getContext());
  SmallVector<Attribute> entries;
  llvm::MapVector<std::pair<Attribute, Type>, int64_t> known;
  int64_t end = 0;
  for (auto weight : host.getOps<WeightOp>()) {
    // Weights of equal expressions are one, whatever they are called.
    NamedAttrList expression(weight->getAttrDictionary());
    expression.erase("name");
    Type type = weight.getResult().getType();
    auto [it, isNew] = known.try_emplace(
        {expression.getDictionary(b.getContext()), type}, end);
    imageOffsets[weight] = it->second;
    if (!isNew)
      continue;
    entries.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("at", b.getI64IntegerAttr(end)),
         b.getNamedAttr("type", TypeAttr::get(type)),
         b.getNamedAttr("weight", weight->getAttrDictionary())}));
    int64_t bytes =
        elementBytes(type) * cast<ShapedType>(type).getNumElements();
    end = llvm::alignTo(end + bytes, kTensorAlignment);
  }
  image = b.getArrayAttr(entries);
}
