//===- Pipeline.cpp - The passes of phase target --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Puts the way from a planned program to the llvm dialect together, in the
// order that the passes rely on.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/CPU.h"

#include "lutra/Conversion/Passes.h"
#include "lutra/Target/Passes.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::lutra;

void lutra::buildTargetPipeline(OpPassManager &pm, StringRef modelName) {
  pm.addPass(createConvertForallToTasks());
  EmitModelOptions options;
  options.name = modelName.str();
  pm.addPass(createEmitModel(options));
  pm.addPass(createSplitRun());
  pm.addNestedPass<func::FuncOp>(createExpandHalf());
  // While it is rounded.
  pm.addNestedPass<func::FuncOp>(createExpandQuantization());
  pm.addNestedPass<func::FuncOp>(createExpandRounding());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  // The last pass that may canonicalize: see lower-vectors.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createExpandWordProducts());
  pm.addNestedPass<func::FuncOp>(createConvertLutToLLVM());
  pm.addNestedPass<func::FuncOp>(createLowerVectors());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertToLLVM());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

void lutra::registerTargetDialects(DialectRegistry &registry) {
  registry.insert<LLVM::LLVMDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}
