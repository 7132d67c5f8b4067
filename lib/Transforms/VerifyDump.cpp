//===- VerifyDump.cpp - What no phase leaves and a person may write -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A dump comes from a person, who may have changed what all passes take for
// granted. Phases before `plan` take a program's interface from attributes that
// its importer has written: what is missing is refused before a pass asks for
// it. Whether an attribute is what it should be, its dialect verifies; but no
// dialect minds a map that divides by zero or sizes that no memory has, as cost
// models would, or all types that the translation to LLVM IR cannot have.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/DimEntry.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/Addressable.h"
#include "lutra/Transforms/Passes.h"
#include "lutra/Transforms/Phases.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IntegerSet.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_VERIFYDUMP
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Whether a tensor of the interface has all of `attributes`.
static LogicalResult verifyTensor(func::FuncOp host, const Twine &what,
                                  Type type, DictionaryAttr given,
                                  ArrayRef<StringRef> attributes) {
  if (!isa<RankedTensorType>(type))
    return host.emitOpError(what) << ": expects a ranked tensor, got " << type;
  for (StringRef name : attributes)
    if (!given || !given.get(name))
      return host.emitOpError(what) << ": expects '" << name << "'";
  return success();
}

static LogicalResult verifyTensors(func::FuncOp host, bool isImport) {
  const StringRef names[] = {attr::kName, attr::kDType, attr::kShape};
  ArrayRef<StringRef> all(names);
  for (auto [i, type] : llvm::enumerate(host.getArgumentTypes()))
    if (failed(verifyTensor(host, "argument " + Twine(i), type,
                            host.getArgAttrDict(i), all)))
      return failure();
  bool isState = false;
  for (auto [i, type] : llvm::enumerate(host.getResultTypes())) {
    if (isState && !host.getResultAttr(i, attr::kState))
      return host.emitOpError("expects the states behind all other results");
    isState = bool(host.getResultAttr(i, attr::kState));
    // Sizes of results are known when nodes are lowered.
    if (failed(verifyTensor(host, "result " + Twine(i), type,
                            host.getResultAttrDict(i),
                            isState    ? ArrayRef<StringRef>()
                            : isImport ? all.drop_back()
                                       : all)))
      return failure();
  }
  return success();
}

/// A run checks the sizes that lutra.dims lists; code is compiled for those of
/// the operations.
static LogicalResult verifyDims(func::FuncOp host) {
  llvm::StringMap<DimEntry> known;
  if (auto dims = host->getAttrOfType<ArrayAttr>(attr::kDims))
    for (Attribute element : dims)
      if (std::optional<DimEntry> dim = readDim(element))
        known.try_emplace(dim->name.getValue(), *dim);
  auto result = host.walk([&](DimOp op) {
    auto it = known.find(op.getName());
    if (it != known.end() && it->second.min == op.getMinAttr() &&
        it->second.max == op.getMaxAttr() &&
        it->second.multiple == op.getMultipleAttr())
      return WalkResult::advance();
    op.emitOpError("expects a dimension of ") << attr::kDims;
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

/// Each state is an operation, and a result that is its new value.
static LogicalResult verifyStates(func::FuncOp host) {
  llvm::StringSet<> states;
  for (auto state : host.getOps<StateOp>())
    if (!states.insert(state.getName()).second)
      return state.emitOpError("expects a name of its own");
  for (unsigned i = 0; i < host.getNumResults(); ++i)
    if (auto name = host.getResultAttrOfType<StringAttr>(i, attr::kState))
      if (!states.erase(name))
        return host.emitOpError("result ")
               << i << ": expects a state, got " << name;
  if (!states.empty())
    return host.emitOpError("expects a result for each state");
  return success();
}

/// What is dispatched is a kernel.
static LogicalResult verifyDispatches(ModuleOp module, func::FuncOp host) {
  for (auto dispatch : host.getOps<DispatchOp>()) {
    auto kernel = module.lookupSymbol<func::FuncOp>(dispatch.getKernel());
    if (!kernel || !kernel->hasAttr(attr::kKernel))
      return dispatch.emitOpError("expects a kernel, got ")
             << dispatch.getKernelAttr();
  }
  return success();
}

/// No affine map or set of `op` divides by a number that is not positive.
static LogicalResult verifyDivisions(Operation *op) {
  auto divides = [](AffineExpr expr) {
    auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
    if (!binary || binary.getKind() == AffineExprKind::Add ||
        binary.getKind() == AffineExprKind::Mul)
      return false;
    auto by = dyn_cast<AffineConstantExpr>(binary.getRHS());
    return by && by.getValue() <= 0;
  };
  auto verify = [&](auto attribute) {
    bool isValid = true;
    attribute.getValue().walkExprs(
        [&](AffineExpr expr) { isValid &= !divides(expr); });
    if (isValid)
      return WalkResult::advance();
    op->emitOpError("expects to divide by positive numbers, got ") << attribute;
    return WalkResult::interrupt();
  };
  return failure(op->getAttrDictionary()
                     .walk([&](AffineMapAttr map) { return verify(map); },
                           [&](IntegerSetAttr set) { return verify(set); })
                     .wasInterrupted());
}

/// What an operation of LLVM's says of memory has a type of LLVM's: neither its
/// dialect nor the translation minds the element type of a getelementptr.
static LogicalResult verifyLLVMTypes(Operation *op) {
  if (!isa_and_nonnull<LLVM::LLVMDialect>(op->getDialect()))
    return success();
  for (NamedAttribute attribute : op->getAttrDictionary())
    if (auto type = dyn_cast<TypeAttr>(attribute.getValue()))
      if (!LLVM::isCompatibleType(type.getValue()))
        return op->emitOpError("expects a type of LLVM's as ")
               << attribute.getName() << ", got " << type;
  return success();
}

/// Sizes are multiplied, and offsets computed, in 64 bits.
static LogicalResult verifySizes(Operation *op, TypeRange types) {
  for (Type type : types) {
    auto shaped = dyn_cast<ShapedType>(type);
    if (!shaped || !shaped.hasRank())
      continue;
    SmallVector<int64_t> known(
        llvm::make_filter_range(shaped.getShape(), ShapedType::isStatic));
    if (!isAddressable(known))
      return op->emitOpError("expects fewer than 2^57 elements, got ") << type;
  }
  return success();
}

/// All sizes of what `op` defines.
static LogicalResult verifySizes(Operation *op) {
  for (Region &region : op->getRegions())
    for (Block &block : region)
      if (failed(verifySizes(op, block.getArgumentTypes())))
        return failure();
  return verifySizes(op, op->getResultTypes());
}

namespace {
struct VerifyDump : lutra::impl::VerifyDumpBase<VerifyDump> {
  using VerifyDumpBase::VerifyDumpBase;

  void runOnOperation() override {
    if (failed(verify()))
      signalPassFailure();
  }

private:
  LogicalResult verify() {
    auto result = getOperation().walk([](Operation *op) {
      if (failed(verifyDivisions(op)) || failed(verifySizes(op)))
        return WalkResult::interrupt();
      return WalkResult(verifyLLVMTypes(op));
    });
    if (result.wasInterrupted())
      return failure();
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.getBody().hasOneBlock())
        return func.emitOpError("expects a body of one block");
    // From `plan` on the interface is in arguments, which emit-model reads.
    std::optional<Phase> last = parsePhase(phase);
    return last && *last < Phase::Plan ? verifyInterface(*last) : success();
  }

  LogicalResult verifyInterface(Phase last) {
    func::FuncOp host;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func->hasAttr(attr::kKernel))
        continue;
      if (host)
        return func.emitOpError("expects ")
               << attr::kKernel << ", since @" << host.getName()
               << " is the host program";
      host = func;
    }
    if (!host)
      return getOperation().emitError("expected a host program, a function "
                                      "without ")
             << attr::kKernel;
    if (failed(verifyTensors(host, last == Phase::Import)) ||
        failed(verifyDims(host)) || failed(verifyStates(host)))
      return failure();
    return verifyDispatches(getOperation(), host);
  }
};
} // namespace
