//===- Object.cpp - LLVM IR, assembly and object files --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs LLVM's optimizer and code generator in process. The output depends on
// the module and the options alone: it holds no path and no time. An object may
// ask for nothing from outside but memcpy, memmove and memset.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/Object.h"

#include "Model.h"
#include "lutra/Target/TargetDescription.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "runtime/include/lutra/abi.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/StandardInstrumentations.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace mlir::lutra;

static llvm::Error error(const Twine &message) {
  return llvm::createStringError(message);
}

static DictionaryAttr modelAttr(ModuleOp module) {
  return module->getAttrOfType<DictionaryAttr>(kModelAttr);
}

llvm::Expected<StringRef> lutra::modelName(ModuleOp module) {
  DictionaryAttr model = modelAttr(module);
  if (auto name = model ? model.getAs<StringAttr>("name") : StringAttr())
    return name.getValue();
  return error("expected a module after phase 'target', with '" + kModelAttr +
               "'");
}

/// Fields of lutra_model_desc by position.
enum DescriptorField { WeightsSize = 18, WeightsHash, WeightsFile, Weights };

/// Tells the descriptor about the weight image.
static llvm::Error describeImage(llvm::Module &module, StringRef name,
                                 const ObjectOptions &options) {
  llvm::GlobalVariable *descriptor =
      module.getNamedGlobal(descriptorSymbol(name));
  auto *fields =
      descriptor && descriptor->hasInitializer()
          ? dyn_cast<llvm::ConstantStruct>(descriptor->getInitializer())
          : nullptr;
  if (!fields || fields->getNumOperands() != Weights + 3)
    return error("expected the descriptor '" + descriptorSymbol(name) + "'");
  SmallVector<llvm::Constant *> values;
  for (llvm::Use &use : fields->operands())
    values.push_back(cast<llvm::Constant>(use));
  llvm::Type *i64 = llvm::Type::getInt64Ty(module.getContext());
  values[WeightsSize] = llvm::ConstantInt::get(i64, options.image.size);
  values[WeightsHash] = llvm::ConstantInt::get(i64, options.image.hash);
  if (!options.weightsFile.empty()) {
    auto *text = llvm::ConstantDataArray::getString(module.getContext(),
                                                    options.weightsFile);
    values[WeightsFile] = new llvm::GlobalVariable(
        module, text->getType(), /*isConstant=*/true,
        llvm::GlobalValue::InternalLinkage, text, "lutra_weights_file");
  } else if (options.image.size != 0) {
    auto *weights = new llvm::GlobalVariable(
        module,
        llvm::ArrayType::get(llvm::Type::getInt8Ty(module.getContext()),
                             options.image.size),
        /*isConstant=*/true, llvm::GlobalValue::ExternalLinkage, nullptr,
        weightsSymbol(name));
    weights->setVisibility(llvm::GlobalValue::HiddenVisibility);
    values[Weights] = weights;
  }
  descriptor->setInitializer(
      llvm::ConstantStruct::get(fields->getType(), values));
  return llvm::Error::success();
}

/// The only functions that optimization may introduce and code may call.
static bool isAllowed(StringRef symbol) {
  return symbol == "memcpy" || symbol == "memmove" || symbol == "memset";
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine,
                     unsigned level) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::TargetLibraryInfoImpl library(module.getTargetTriple());
  library.disableAllFunctions();
  for (llvm::LibFunc function :
       {llvm::LibFunc_memcpy, llvm::LibFunc_memmove, llvm::LibFunc_memset})
    library.setAvailable(function);
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });

  // Passes over functions that are not to be optimized are skipped by this.
  llvm::PassInstrumentationCallbacks callbacks;
  llvm::OptNoneInstrumentation skipping(/*DebugLogging=*/false);
  skipping.registerCallbacks(callbacks);
  llvm::PipelineTuningOptions tuning;
  llvm::PassBuilder builder(&machine, tuning, std::nullopt, &callbacks);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  const llvm::OptimizationLevel levels[] = {
      llvm::OptimizationLevel::O0, llvm::OptimizationLevel::O1,
      llvm::OptimizationLevel::O2, llvm::OptimizationLevel::O3};
  llvm::OptimizationLevel chosen = levels[std::min(level, 3u)];
  llvm::ModulePassManager passes =
      level == 0 ? builder.buildO0DefaultPipeline(chosen)
                 : builder.buildPerModuleDefaultPipeline(chosen);
  passes.run(module, modules);
}

static llvm::Error generate(llvm::Module &module, llvm::TargetMachine &machine,
                            ObjectKind kind, llvm::raw_pwrite_stream &os) {
  llvm::legacy::PassManager passes;
  llvm::TargetLibraryInfoImpl library(module.getTargetTriple());
  passes.add(new llvm::TargetLibraryInfoWrapperPass(library));
  auto type = kind == ObjectKind::Object ? llvm::CodeGenFileType::ObjectFile
                                         : llvm::CodeGenFileType::AssemblyFile;
  if (machine.addPassesToEmitFile(passes, os, nullptr, type))
    return error("the code generator cannot write such a file for " +
                 module.getTargetTriple().str());
  passes.run(module);
  return llvm::Error::success();
}

/// Refuses an object that would need a library when it is loaded.
static llvm::Error checkSymbols(StringRef bytes, StringRef weights) {
  auto object = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(bytes, "object"));
  if (!object)
    return object.takeError();
  for (const llvm::object::SymbolRef &symbol : (*object)->symbols()) {
    auto flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    if (!(*flags & llvm::object::SymbolRef::SF_Undefined))
      continue;
    auto name = symbol.getName();
    if (!name)
      return name.takeError();
    if (!name->empty() && !isAllowed(*name) && *name != weights)
      return error("the generated code calls '" + *name +
                   "', which an artifact may not; this is a bug in the "
                   "lowering of a kernel");
  }
  return llvm::Error::success();
}

/// The module as LLVM IR, complete but not optimized.
static llvm::Expected<std::unique_ptr<llvm::Module>>
translate(ModuleOp module, StringRef name, const ObjectOptions &options,
          llvm::TargetMachine &machine, llvm::LLVMContext &context) {
  // The verification of the translation prints by itself.
  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(
      module, context, name, /*disableVerification=*/true);
  if (!result)
    return error("cannot translate the module to LLVM IR");
  std::string problem;
  llvm::raw_string_ostream stream(problem);
  if (llvm::verifyModule(*result, &stream))
    return error("LLVM refuses the module: " +
                 StringRef(problem).split('\n').first);
  result->setSourceFileName(name);
  result->setDataLayout(machine.createDataLayout());
  result->setTargetTriple(machine.getTargetTriple());
  result->setPICLevel(llvm::PICLevel::BigPIC);
  if (llvm::Error failed = describeImage(*result, name, options))
    return failed;
  return result;
}

llvm::Error lutra::emitObject(ModuleOp module, const ObjectOptions &options,
                              llvm::raw_pwrite_stream &os) {
  auto name = modelName(module);
  if (!name)
    return name.takeError();
  auto target = module->getAttrOfType<TargetAttr>(attr::kTarget);
  if (!target)
    return error("expected '" + attr::kTarget + "' on the module");
  auto machine = createTargetMachine(target, options.optLevel);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto translated = translate(module, *name, options, **machine, context);
  if (!translated)
    return translated.takeError();
  optimize(**translated, **machine, options.optLevel);
  if (options.kind == ObjectKind::LLVMIR) {
    (*translated)->print(os, nullptr);
    return llvm::Error::success();
  }
  if (options.kind == ObjectKind::Assembly)
    return generate(**translated, **machine, options.kind, os);
  SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream buffer(bytes);
  if (llvm::Error failed =
          generate(**translated, **machine, options.kind, buffer))
    return failed;
  if (llvm::Error failed = checkSymbols(buffer.str(), weightsSymbol(*name)))
    return failed;
  os << buffer.str();
  return llvm::Error::success();
}

llvm::Expected<std::string> lutra::emitHeader(ModuleOp module) {
  auto name = modelName(module);
  if (!name)
    return name.takeError();
  std::string text;
  llvm::raw_string_ostream os(text);
  std::string symbol = descriptorSymbol(*name);
  std::string guard = StringRef(symbol).upper() + "_H";
  os << "/* The model " << *name << ", compiled by lutra " LUTRA_VERSION ".\n";
  for (StringRef key : {"inputs", "outputs"}) {
    os << " *\n * " << key << ":\n";
    if (auto lines = modelAttr(module).getAs<ArrayAttr>(key))
      for (auto line : lines.getAsRange<StringAttr>()) {
        // A name may hold anything, also the end of a comment.
        os << " *   ";
        for (char c : line.getValue())
          os << (llvm::isPrint(c) && c != '/' ? c : '_');
        os << '\n';
      }
  }
  os << " */\n#ifndef " << guard << "\n#define " << guard
     << "\n\n#include <lutra/runtime.h>\n\n#ifdef __cplusplus\nextern \"C\" "
        "{\n#endif\n\nextern const lutra_model_desc "
     << symbol << ";\n\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* " << guard
     << " */\n";
  return text;
}
