//===- Closure.cpp - Values that travel to a task -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A buffer is flattened into its aligned pointer and the dynamic ones of its
// offset, sizes and strides; anything else is one field.
//
//===----------------------------------------------------------------------===//

#include "Closure.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;

Value lutra::castTo(OpBuilder &builder, Location loc, Type type, Value value) {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(builder, loc, type, value)
      .getResult(0);
}

namespace {

/// One number of a buffer's descriptor and how the type knows it.
struct Part {
  enum Kind { Offset, Size, Stride } kind;
  unsigned position;
  int64_t known; ///< kDynamic where the type does not say

  bool isDynamic() const { return ShapedType::isDynamic(known); }

  Value get(MemRefDescriptor &buffer, OpBuilder &b, Location loc) const {
    switch (kind) {
    case Offset:
      return buffer.offset(b, loc);
    case Size:
      return buffer.size(b, loc, position);
    case Stride:
      return buffer.stride(b, loc, position);
    }
    llvm_unreachable("covered switch");
  }

  void set(MemRefDescriptor &buffer, OpBuilder &b, Location loc,
           Value value) const {
    switch (kind) {
    case Offset:
      return buffer.setOffset(b, loc, value);
    case Size:
      return buffer.setSize(b, loc, position, value);
    case Stride:
      return buffer.setStride(b, loc, position, value);
    }
  }
};

} // namespace

/// The numbers of a descriptor, in order; fails for a layout without strides.
static FailureOr<SmallVector<Part>> partsOf(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return failure();
  SmallVector<Part> parts;
  parts.push_back({Part::Offset, 0, offset});
  for (auto [i, size] : llvm::enumerate(type.getShape()))
    parts.push_back({Part::Size, unsigned(i), size});
  for (auto [i, stride] : llvm::enumerate(strides))
    parts.push_back({Part::Stride, unsigned(i), stride});
  return parts;
}

LogicalResult Closure::capture(Value value) {
  if (matchPattern(value, m_Constant())) {
    constants.push_back(value.getDefiningOp());
    return success();
  }
  auto buffer = dyn_cast<MemRefType>(value.getType());
  if (!buffer) {
    Type type = converter.convertType(value.getType());
    if (!type)
      return failure();
    fields.push_back(type);
    values.push_back(value);
    return success();
  }
  auto parts = partsOf(buffer);
  if (failed(parts) || !converter.convertType(buffer))
    return failure();
  fields.push_back(LLVM::LLVMPointerType::get(buffer.getContext()));
  for (const Part &part : *parts)
    if (part.isDynamic())
      fields.push_back(converter.getIndexType());
  values.push_back(value);
  return success();
}

LLVM::LLVMStructType Closure::structType(MLIRContext *context) const {
  return LLVM::LLVMStructType::getLiteral(context, fields);
}

Value Closure::pack(OpBuilder &b, Location loc, Block *entry) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto type = structType(b.getContext());
  Value address;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(entry);
    Value one = LLVM::ConstantOp::create(b, loc, b.getI64IntegerAttr(1));
    address = LLVM::AllocaOp::create(b, loc, pointer, type, one);
  }
  int32_t field = 0;
  auto store = [&](Value value) {
    Value place = LLVM::GEPOp::create(b, loc, pointer, type, address,
                                      ArrayRef<LLVM::GEPArg>{0, field++});
    LLVM::StoreOp::create(b, loc, value, place);
  };
  for (Value value : values) {
    Type converted = converter.convertType(value.getType());
    auto buffer = dyn_cast<MemRefType>(value.getType());
    Value plain = castTo(b, loc, converted, value);
    if (!buffer) {
      store(plain);
      continue;
    }
    MemRefDescriptor descriptor(plain);
    store(descriptor.alignedPtr(b, loc));
    SmallVector<Part> parts = *partsOf(buffer);
    for (const Part &part : parts)
      if (part.isDynamic())
        store(part.get(descriptor, b, loc));
  }
  return address;
}

void Closure::unpack(OpBuilder &b, Location loc, Value address,
                     IRMapping &mapping) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto type = structType(b.getContext());
  int32_t field = 0;
  auto load = [&]() -> Value {
    Value place = LLVM::GEPOp::create(b, loc, pointer, type, address,
                                      ArrayRef<LLVM::GEPArg>{0, field});
    return LLVM::LoadOp::create(b, loc, fields[field++], place);
  };
  for (Operation *constant : constants)
    b.clone(*constant, mapping);
  for (Value value : values) {
    auto buffer = dyn_cast<MemRefType>(value.getType());
    if (!buffer) {
      mapping.map(value, castTo(b, loc, value.getType(), load()));
      continue;
    }
    auto descriptor = MemRefDescriptor::poison(
        b, loc, converter.convertType(value.getType()));
    Value data = load();
    descriptor.setAllocatedPtr(b, loc, data);
    descriptor.setAlignedPtr(b, loc, data);
    SmallVector<Part> parts = *partsOf(buffer);
    for (const Part &part : parts)
      part.set(descriptor, b, loc,
               part.isDynamic()
                   ? load()
                   : LLVM::ConstantOp::create(b, loc, converter.getIndexType(),
                                              b.getIndexAttr(part.known)));
    mapping.map(value, castTo(b, loc, buffer, descriptor));
  }
}
