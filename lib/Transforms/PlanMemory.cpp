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

#include "HostOnBuffers.h"
#include "dialects/Lutra/DimEntry.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_PLANMEMORY
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// What is asked of the host: that it is a straight line, whose dimensions have
/// values, and the sizes of outputs.
static LogicalResult verifyHost(func::FuncOp host) {
  if (!host.getBody().hasOneBlock())
    return host.emitOpError("expects a body of one block");
  llvm::StringSet<> dims;
  if (auto entries = host->getAttrOfType<ArrayAttr>(attr::kDims))
    for (Attribute entry : entries)
      dims.insert(readDim(entry)->name.getValue());
  for (auto dim : host.getOps<DimOp>())
    if (!dims.contains(dim.getName()))
      return dim.emitOpError("expects a dimension of ") << attr::kDims;
  for (unsigned i = 0; i < numOutputs(host); ++i)
    if (!host.getResultAttr(i, attr::kShape))
      return host.emitOpError("result ")
             << i << ": expects '" << attr::kShape << "'";
  return success();
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
static void buildPlan(func::FuncOp host, const MemoryLayout &layout) {
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
  SmallVector<Value> answers = {
      checkedBytes(b, dims, dimValues, layout.emit(b, host, dimValues).total)};
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
    if (!host)
      return;
    HostProgram program(host);
    if (failed(verifyHost(host)) || failed(program.analyze()))
      return signalPassFailure();
    MemoryLayout layout(host, program);
    getOperation()->setAttr(attr::kImage, layout.getImage());
    buildPlan(host, layout);
    putHostOnBuffers(host, program, layout);
  }
};
} // namespace
