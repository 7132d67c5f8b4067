//===- VerifyPhase.cpp - What the IR may hold after each phase ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Holds the contract of every phase as a table and refuses whatever the table
// does not list, so that a half-done lowering is an error with a name and never
// a surprise three phases later.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"
#include "lutra/Transforms/Passes.h"
#include "lutra/Transforms/Phases.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringExtras.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_VERIFYPHASE
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {

/// A larger constant belongs in the weight image: as text it swells dumps, and
/// as data it is in memory several times before it reaches the object.
constexpr int64_t kMaxConstantBytes = 1024;

/// Operations as words: "arith.*" is a whole dialect, "affine.apply" one
/// operation, "-tensor.dim" an exception. Empty where there can be none.
struct Contract {
  StringLiteral module, host, kernel;
  bool hostTensors, kernelTensors, encodings;
};

constexpr StringLiteral kFunctions = "func.func";
constexpr StringLiteral kTensorHost =
    "linalg.* tensor.* -tensor.dim arith.* math.* scf.* affine.apply "
    "affine.min affine.max lutra.dim lutra.weight lutra.state cascade.* "
    "mpgemm.* func.return";
constexpr StringLiteral kDispatchHost =
    "lutra.dispatch lutra.dim lutra.weight lutra.state arith.* affine.apply "
    "affine.min "
    "affine.max tensor.empty tensor.cast tensor.collapse_shape "
    "tensor.expand_shape func.return";
/// A kernel may ask its own operands for their sizes, and is the same kernel
/// for all of them. A loop over time is distributed from the beginning, by an
/// scf.forall around it; any other kernel is when it is tiled.
constexpr StringLiteral kTensorKernel =
    "linalg.* tensor.* arith.* math.* scf.* affine.apply "
    "affine.min affine.max mpgemm.matmul func.return";
constexpr StringLiteral kCascadeKernel =
    "linalg.* tensor.* arith.* math.* scf.* affine.apply "
    "affine.min affine.max cascade.* mpgemm.matmul mpgemm.gather_matmul "
    "func.return";
/// Of math only what is one instruction or a short sequence on every target;
/// the rest would be calls into libm.
constexpr StringLiteral kBufferKernel =
    "vector.* x86vector.* amx.* lut.lookup memref.* -memref.alloc "
    "-memref.dealloc "
    "-memref.realloc scf.* "
    "arith.* affine.apply affine.min affine.max math.absf math.absi math.ceil "
    "math.copysign math.ctlz math.ctpop math.cttz math.floor math.fma "
    "math.roundeven math.sqrt math.trunc "
    "llvm.* ub.poison func.return";
constexpr StringLiteral kPlannedHost =
    "func.call arith.* affine.apply affine.min affine.max memref.view "
    "memref.subview memref.reinterpret_cast memref.cast memref.collapse_shape "
    "memref.expand_shape func.return";

Contract contractAfter(Phase phase) {
  switch (phase) {
  case Phase::Import:
    return {kFunctions, "onnx.* lutra.weight arith.constant func.return",
            "",         true,
            true,       true};
  case Phase::Tensor:
  case Phase::Quantize:
  case Phase::Cascade:
    return {kFunctions, kTensorHost, "", true, true, true};
  case Phase::Encode:
    return {kFunctions, kTensorHost, "", true, true, false};
  case Phase::Form:
    return {kFunctions, kDispatchHost, kCascadeKernel, true, true, false};
  case Phase::Tile:
    return {kFunctions, kDispatchHost, kTensorKernel, true, true, false};
  case Phase::Kernel:
    return {kFunctions, kDispatchHost, kBufferKernel, true, false, false};
  case Phase::Plan:
    return {kFunctions, kPlannedHost, kBufferKernel, false, false, false};
  case Phase::Target:
  case Phase::Object:
    return {"llvm.*", "llvm.*", "", false, false, false};
  }
  llvm_unreachable("unknown phase");
}

/// Decides about operation names by one list of words.
class AllowList {
public:
  explicit AllowList(StringRef text) { llvm::SplitString(text, words); }

  bool allows(OperationName name) {
    auto [it, isNew] = known.try_emplace(name, false);
    if (isNew)
      it->second = decide(name);
    return it->second;
  }

  std::string str() const {
    std::string text = llvm::join(words, ", ");
    for (size_t at; (at = text.find(", -")) != std::string::npos;)
      text.replace(at, 3, " but not ");
    return text;
  }

private:
  bool decide(OperationName name) const {
    bool isAllowed = false;
    for (StringRef word : words) {
      if (word.consume_front("-")) {
        if (word == name.getStringRef())
          return false;
        continue;
      }
      isAllowed |= word.consume_back(".*") ? word == name.getDialectNamespace()
                                           : word == name.getStringRef();
    }
    return isAllowed;
  }

  SmallVector<StringRef> words;
  llvm::DenseMap<OperationName, bool> known;
};

/// The bytes of a constant as they would lie in memory; a splat is one element.
int64_t constantBytes(Attribute value) {
  auto elements = dyn_cast_or_null<ElementsAttr>(value);
  if (!elements || elements.isSplat())
    return 0;
  Type type = elements.getElementType();
  int64_t bits = type.isIndex()        ? 64
                 : type.isIntOrFloat() ? type.getIntOrFloatBitWidth()
                                       : 8;
  return elements.getNumElements() * llvm::divideCeil(bits, 8);
}

struct VerifyPhasePass : public lutra::impl::VerifyPhaseBase<VerifyPhasePass> {
  using VerifyPhaseBase::VerifyPhaseBase;

  void runOnOperation() override {
    std::optional<Phase> parsed = parsePhase(phase);
    if (!parsed) {
      getOperation().emitError("unknown phase '") << phase << "'";
      return signalPassFailure();
    }
    contract = contractAfter(*parsed);
    if (failed(verifyModule()))
      signalPassFailure();
  }

private:
  LogicalResult verifyModule() {
    AllowList module(contract.module), host(contract.host),
        kernel(contract.kernel);
    bool isValid = true;
    for (Operation &op : *getOperation().getBody()) {
      if (!module.allows(op.getName())) {
        refuse(&op) << "the module may hold " << module.str();
        isValid = false;
        continue;
      }
      bool isKernel = op.hasAttr("lutra.kernel");
      if (isKernel && contract.kernel.empty()) {
        refuse(&op) << "there are no kernels in it";
        isValid = false;
        continue;
      }
      isValid &= verifyBody(&op, isKernel ? kernel : host, isKernel);
    }
    return success(isValid);
  }

  bool verifyBody(Operation *function, AllowList &list, bool isKernel) {
    bool tensors = isKernel ? contract.kernelTensors : contract.hostTensors;
    bool isValid = true;
    function->walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (op != function && !list.allows(op->getName())) {
        refuse(op) << (isKernel ? "a kernel" : "the host program")
                   << " may hold " << list.str();
        isValid = false;
        return WalkResult::skip();
      }
      isValid &= verifyConstant(op) && verifyTypes(op, tensors);
      return WalkResult::advance();
    });
    return isValid;
  }

  InFlightDiagnostic refuse(Operation *op) {
    return op->emitOpError("is not allowed after phase '") << phase << "': ";
  }

  bool verifyConstant(Operation *op) {
    if (isa<WeightOp>(op))
      return true; // It has a bound of its own.
    std::optional<Attribute> value = op->getInherentAttr("value");
    int64_t bytes = value ? constantBytes(*value) : 0;
    if (bytes <= kMaxConstantBytes)
      return true;
    op->emitOpError("holds a constant of ")
        << bytes << " bytes after phase '" << phase << "': expected at most "
        << kMaxConstantBytes << ", and a weight for anything larger";
    return false;
  }

  /// Checks what the operation defines: its results and its blocks' arguments.
  bool verifyTypes(Operation *op, bool tensors) {
    for (Type type : op->getResultTypes())
      if (!verifyType(op, type, tensors))
        return false;
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Type type : block.getArgumentTypes())
          if (!verifyType(op, type, tensors))
            return false;
    return true;
  }

  bool verifyType(Operation *op, Type type, bool tensors) {
    if (!isa<TensorType>(type))
      return true;
    if (!tensors) {
      op->emitOpError("has a tensor after phase '")
          << phase << "': expected buffers only, got " << type;
      return false;
    }
    auto ranked = dyn_cast<RankedTensorType>(type);
    if (contract.encodings || !ranked || !ranked.getEncoding())
      return true;
    op->emitOpError("has an encoded tensor after phase '")
        << phase << "': expected physical shapes only, got " << type;
    return false;
  }

  Contract contract = contractAfter(Phase::Import);
};

} // namespace
