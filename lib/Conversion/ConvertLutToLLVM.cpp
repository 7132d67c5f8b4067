//===- ConvertLutToLLVM.cpp - Look-ups in registers -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// By what a machine has for tables of 16 or 64 bytes, piece by piece where keys
// are more than its registers hold, and by single entries where it has nothing.
// Of larger tables all parts are looked up, and the bits of keys that these do
// not look at choose between them.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lut/Lut.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "lutra/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/TargetParser/Triple.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTLUTTOLLVM
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// An instruction for `keys` keys in a table of `entries` bytes.
struct Instruction {
  int64_t keys, entries;
  StringRef feature, name;
};
} // namespace

/// The widest first.
static ArrayRef<Instruction> instructionsOf(const llvm::Triple &triple) {
  static const Instruction x86[] = {
      {64, 64, "avx512vbmi", "llvm.x86.avx512.permvar.qi.512"},
      {64, 16, "avx512bw", "llvm.x86.avx512.pshuf.b.512"},
      {32, 16, "avx2", "llvm.x86.avx2.pshuf.b"},
      {16, 16, "ssse3", "llvm.x86.ssse3.pshuf.b.128"}};
  static const Instruction aarch64[] = {
      {16, 64, "neon", "llvm.aarch64.neon.tbl4.v16i8"},
      {16, 16, "neon", "llvm.aarch64.neon.tbl1.v16i8"}};
  if (triple.isAArch64())
    return aarch64;
  return triple.isX86() ? ArrayRef(x86) : ArrayRef<Instruction>();
}

static int64_t sizeOf(Value vector) {
  return cast<VectorType>(vector.getType()).getNumElements();
}

/// The instruction for `op` on the machine, or null.
static const Instruction *findInstruction(lut::LookupOp op, TargetAttr target) {
  if (!target)
    return nullptr;
  llvm::Triple triple(target.getTriple());
  for (const Instruction &candidate : instructionsOf(triple))
    if (llvm::isPowerOf2_64(sizeOf(op.getTable())) &&
        sizeOf(op.getTable()) >= candidate.entries &&
        sizeOf(op.getKeys()) % candidate.keys == 0 &&
        (triple.isAArch64() || target.hasFeature(candidate.feature)))
      return &candidate;
  return nullptr;
}

/// The operands for the table, as `instruction` wants it.
static SmallVector<Value> tablesFor(ImplicitLocOpBuilder &b, Value table,
                                    const Instruction &instruction) {
  constexpr int64_t kRegister = 16;
  SmallVector<Value> parts;
  if (instruction.entries <= instruction.keys) {
    // Each 16 bytes look into their own copy.
    SmallVector<int64_t> mask;
    for (int64_t i = 0; i < instruction.keys; ++i)
      mask.push_back(i % instruction.entries);
    parts.push_back(vector::ShuffleOp::create(b, table, table, mask));
    return parts;
  }
  for (int64_t first = 0; first < instruction.entries; first += kRegister)
    parts.push_back(vector::ExtractStridedSliceOp::create(
        b, table, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{kRegister},
        ArrayRef<int64_t>{1}));
  return parts;
}

/// Looks `keys` up in a table of as many entries as `instruction` takes.
static Value lookUpBy(ImplicitLocOpBuilder &b, Value keys, Value table,
                      const Instruction &instruction) {
  SmallVector<Value> operands = tablesFor(b, table, instruction);
  operands.push_back(Value());
  Value result = keys;
  auto type = VectorType::get({instruction.keys}, b.getI8Type());
  int64_t size = sizeOf(keys);
  for (int64_t first = 0; first < size; first += instruction.keys) {
    SmallVector<int64_t> at = {first}, one = {1}, count = {instruction.keys};
    operands.back() = keys;
    if (size != instruction.keys)
      operands.back() =
          vector::ExtractStridedSliceOp::create(b, keys, at, count, one);
    Value entries = LLVM::CallIntrinsicOp::create(
                        b, type, b.getStringAttr(instruction.name), operands)
                        .getResult(0);
    if (size == instruction.keys)
      return entries;
    result = vector::InsertStridedSliceOp::create(b, entries, result, at, one);
  }
  return result;
}

static Value lookUpBy(ImplicitLocOpBuilder &b, lut::LookupOp op,
                      const Instruction &instruction) {
  int64_t size = sizeOf(op.getTable()), entries = instruction.entries;
  Value keys = op.getKeys(), table = op.getTable();
  if (size == entries)
    return lookUpBy(b, keys, table, instruction);
  auto splat = [&](int64_t value) -> Value {
    auto type = cast<VectorType>(keys.getType());
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, b.getI8IntegerAttr(int8_t(value))));
  };
  Value low = arith::AndIOp::create(b, keys, splat(entries - 1));
  SmallVector<Value> parts;
  for (int64_t first = 0; first < size; first += entries)
    parts.push_back(
        lookUpBy(b, low,
                 vector::ExtractStridedSliceOp::create(
                     b, table, ArrayRef<int64_t>{first},
                     ArrayRef<int64_t>{entries}, ArrayRef<int64_t>{1}),
                 instruction));
  for (int64_t bit = entries; parts.size() > 1; bit *= 2) {
    Value isSet = arith::CmpIOp::create(
        b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, keys, splat(bit)),
        splat(0));
    for (size_t i = 0; i < parts.size() / 2; ++i)
      parts[i] =
          arith::SelectOp::create(b, isSet, parts[2 * i + 1], parts[2 * i]);
    parts.resize(parts.size() / 2);
  }
  return parts.front();
}

/// What loads the table of `op`, where nothing is written between.
static vector::LoadOp loadOfTable(lut::LookupOp op) {
  auto load = op.getTable().getDefiningOp<vector::LoadOp>();
  if (!load || load->getBlock() != op->getBlock())
    return nullptr;
  for (Operation *next = load; next != op; next = next->getNextNode())
    if (!isMemoryEffectFree(next) &&
        !hasSingleEffect<MemoryEffects::Read>(next))
      return nullptr;
  return load;
}

static Value lookUpEach(ImplicitLocOpBuilder &b, lut::LookupOp op) {
  vector::LoadOp load = loadOfTable(op);
  auto entryOf = [&](Value key) -> Value {
    if (!load)
      return vector::ExtractOp::create(b, op.getTable(), key);
    SmallVector<Value> place(load.getIndices());
    place.back() = arith::AddIOp::create(b, place.back(), key);
    return memref::LoadOp::create(b, load.getBase(), place);
  };
  Value result = op.getKeys();
  for (int64_t i = 0; i < sizeOf(op.getKeys()); ++i) {
    Value key = vector::ExtractOp::create(b, op.getKeys(), i);
    key = arith::IndexCastUIOp::create(b, b.getIndexType(), key);
    result = vector::InsertOp::create(b, entryOf(key), result, i);
  }
  return result;
}

namespace {
struct ConvertLutToLLVM : lutra::impl::ConvertLutToLLVMBase<ConvertLutToLLVM> {
  using ConvertLutToLLVMBase::ConvertLutToLLVMBase;

  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    getOperation().walk([&](lut::LookupOp op) {
      ImplicitLocOpBuilder b(op.getLoc(), op);
      const Instruction *instruction = findInstruction(op, target);
      op.replaceAllUsesWith(instruction ? lookUpBy(b, op, *instruction)
                                        : lookUpEach(b, op));
      op.erase();
    });
  }
};
} // namespace
