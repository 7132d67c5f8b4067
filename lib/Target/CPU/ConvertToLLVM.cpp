//===- ConvertToLLVM.cpp - The last step to the llvm dialect --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One conversion of all dialects at once, so that no cast between old and new
// types is left behind, and the attributes by which LLVM knows the machine.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/Passes.h"

#include "dialects/Lutra/Lutra.h"
#include "lutra/Conversion/MatrixTiles.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/AMX/Transforms.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/X86Vector/Transforms.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/DialectConversion.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTTOLLVM
#include "lutra/Target/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

static void populate(LLVMTypeConverter &converter,
                     SymbolTableCollection &symbols,
                     RewritePatternSet &patterns) {
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  index::populateIndexToLLVMConversionPatterns(converter, patterns);
  populateFuncToLLVMConversionPatterns(converter, patterns, &symbols);
  populateMathToLLVMConversionPatterns(converter, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns, &symbols);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns,
                                         /*reassociateFPReductions=*/true,
                                         /*force32BitVectorIndices=*/true);
  populateX86VectorLegalizeForLLVMExportPatterns(converter, patterns);
  populateAMXLegalizeForLLVMExportPatterns(converter, patterns);
}

/// Moves 16-bit floats under a mask as integers: where the target has no such
/// type, LLVM would convert each element to f32 and back, by calls.
static void moveHalvesAsBits(ModuleOp module) {
  auto bitsOf = [](Type type) -> Type {
    auto vector = dyn_cast<VectorType>(type);
    if (!vector ||
        !(vector.getElementType().isBF16() || vector.getElementType().isF16()))
      return nullptr;
    return vector.clone(IntegerType::get(type.getContext(), 16));
  };
  module.walk([&](Operation *op) {
    if (!isa<LLVM::masked_gather, LLVM::masked_scatter, LLVM::MaskedLoadOp,
             LLVM::MaskedStoreOp>(op))
      return;
    OpBuilder b(op);
    for (OpOperand &operand : op->getOpOperands())
      if (Type bits = bitsOf(operand.get().getType()))
        operand.set(
            LLVM::BitcastOp::create(b, op->getLoc(), bits, operand.get()));
    b.setInsertionPointAfter(op);
    for (Value result : op->getResults())
      if (Type bits = bitsOf(result.getType())) {
        Type type = result.getType();
        result.setType(bits);
        auto cast = LLVM::BitcastOp::create(b, op->getLoc(), type, result);
        result.replaceAllUsesExcept(cast, cast);
      }
  });
}

/// Loads matrix tiles that are not read again past the first-level cache: AMX's
/// operations have one way to load, whose attributes its calls have too.
static void loadNontemporally(ModuleOp module) {
  module.walk([](LLVM::CallIntrinsicOp op) {
    if (op->removeAttr(kNontemporal))
      op.setIntrin("llvm.x86.tileloaddt164.internal");
  });
}

/// Whether a function multiplies matrix tiles.
static bool hasTiles(LLVM::LLVMFuncOp function) {
  return function
      .walk([](LLVM::CallIntrinsicOp op) {
        return op.getIntrin().starts_with("llvm.x86.tile")
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// What LLVM has to know of each function. Only the descriptor is exported.
static void markFunction(LLVM::LLVMFuncOp function, TargetAttr target) {
  if (function.isExternal())
    return;
  MLIRContext *context = function.getContext();
  function.setLinkage(LLVM::Linkage::Internal);
  function.setNoUnwind(true);
  function.setTargetCpu(target.getCpu());
  if (!target.getFeatures().empty())
    function.setTargetFeaturesAttr(
        LLVM::TargetFeaturesAttr::get(context, target.getFeatures()));
  function.setPreferVectorWidth(std::to_string(target.getVectorBits()));
  // Behind each call tiles are configured anew, which takes longer than filling
  // or copying a row: loops that do stay loops.
  if (hasTiles(function))
    function.setPassthroughAttr(Builder(context).getStrArrayAttr(
        {"no-builtin-memset", "no-builtin-memcpy"}));
  if (function->hasAttr(attr::kKernel)) {
    // A kernel keeps its own name in profiles.
    function.setNoInline(true);
    function->removeAttr(attr::kKernel);
  }
}

namespace {

struct ConvertToLLVM : lutra::impl::ConvertToLLVMBase<ConvertToLLVM> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto description = module->getAttrOfType<TargetAttr>(attr::kTarget);
    if (!description) {
      module.emitError("expects ") << attr::kTarget;
      return signalPassFailure();
    }
    MLIRContext *context = &getContext();
    LLVMTypeConverter converter(context);
    SymbolTableCollection symbols;
    RewritePatternSet patterns(context);
    populate(converter, symbols, patterns);
    LLVMConversionTarget target(*context);
    configureX86VectorLegalizeForExportTarget(target);
    configureAMXLegalizeForExportTarget(target);
    target.addLegalOp<ModuleOp>();
    if (failed(applyPartialConversion(module, target, std::move(patterns))))
      return signalPassFailure();
    moveHalvesAsBits(module);
    loadNontemporally(module);
    for (auto function : module.getOps<LLVM::LLVMFuncOp>())
      markFunction(function, description);
  }
};

} // namespace
