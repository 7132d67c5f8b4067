//===- Jit.cpp - Compile and run kernels in a test ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An execution engine around the passes under test.
//
//===----------------------------------------------------------------------===//

#include "Jit.h"

#include "dialects/Lutra/Lutra.h"
#include "lutra/Conversion/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace lutra_test;

struct Jit::Impl {
  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<ExecutionEngine> engine;
};

[[noreturn]] static void die(const std::string &text, const char *what) {
  llvm::report_fatal_error(llvm::Twine(what) + " of\n" + text, false);
}

static void lowerToLLVM(PassManager &pm) {
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(arith::createArithExpandOpsPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

static void initialize() {
  static bool once = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    lutra::registerLutraConversionPasses();
    return true;
  }();
  (void)once;
}

static std::unique_ptr<llvm::TargetMachine> makeTarget(Machine machine) {
  if (machine == Machine::Host)
    return nullptr; // The engine's own choice.
  llvm::orc::JITTargetMachineBuilder builder{
      llvm::Triple(llvm::sys::getProcessTriple())};
  return llvm::cantFail(builder.createTargetMachine());
}

Jit::Jit(const std::string &text, const std::string &pipeline, Machine machine)
    : impl(std::make_unique<Impl>()) {
  initialize();
  DialectRegistry registry;
  registry.insert<func::FuncDialect, linalg::LinalgDialect, math::MathDialect,
                  scf::SCFDialect, vector::VectorDialect,
                  mlir::lutra::LutraDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  impl->context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  impl->context->loadAllAvailableDialects();
  auto module = parseSourceString<ModuleOp>(text, impl->context.get());
  if (!module)
    die(text, "cannot parse the test");
  PassManager pm(impl->context.get());
  if (failed(parsePassPipeline(pipeline, pm)))
    die(pipeline, "cannot parse the pipeline");
  if (failed(pm.run(*module)))
    die(text, "failed conversion");
  PassManager lower(impl->context.get());
  lowerToLLVM(lower);
  (*module)->removeAttr(mlir::lutra::attr::kTarget);
  if (failed(lower.run(*module)))
    die(text, "failed lowering");
  ExecutionEngineOptions options;
  auto engine = ExecutionEngine::create(*module, options, makeTarget(machine));
  if (!engine)
    die(llvm::toString(engine.takeError()), "no code");
  impl->engine = std::move(*engine);
}

Jit::~Jit() = default;

void Jit::call(const std::string &name, const std::vector<Buffer> &arguments) {
  std::vector<std::vector<int64_t>> descriptors;
  for (const Buffer &buffer : arguments) {
    auto address = reinterpret_cast<int64_t>(buffer.data);
    std::vector<int64_t> &words =
        descriptors.emplace_back(std::vector{address, address, buffer.offset});
    words.insert(words.end(), buffer.sizes.begin(), buffer.sizes.end());
    words.insert(words.end(), buffer.strides.begin(), buffer.strides.end());
  }
  // Each argument of the packed call is a pointer to a pointer.
  std::vector<void *> pointers, packed;
  for (auto &words : descriptors)
    pointers.push_back(words.data());
  for (void *&pointer : pointers)
    packed.push_back(&pointer);
  if (llvm::Error error =
          impl->engine->invokePacked("_mlir_ciface_" + name, packed))
    die(llvm::toString(std::move(error)), "cannot call");
}
