//===- TargetDescription.cpp - What a machine can do ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builds #lutra.target from a triple and a CPU's name. What LLVM knows of the
// CPU is spelled out as features; caches are the host's where code is generated
// for the host, and typical ones otherwise.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/TargetDescription.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <unistd.h>

using namespace mlir;
using namespace mlir::lutra;

namespace {

/// A feature that changes generated code: LLVM's name, and the name that
/// __builtin_cpu_supports has for it.
struct Feature {
  StringLiteral name, runtimeName;
  Feature(StringLiteral name) : name(name), runtimeName(name) {}
  Feature(StringLiteral name, StringLiteral runtimeName)
      : name(name), runtimeName(runtimeName) {}
};

using Subtarget = std::unique_ptr<llvm::MCSubtargetInfo>;

} // namespace

/// The features above the baseline of an architecture that the code generator
/// uses unasked or that a lowering asks for. Those that only special
/// instructions need (aes, sha, ...) do not count.
static ArrayRef<Feature> relevantFeatures(const llvm::Triple &triple) {
  static const Feature x86[] = {{"sse3"},         {"ssse3"},
                                {"sse4.1"},       {"sse4.2"},
                                {"sse4a"},        {"popcnt"},
                                {"lzcnt"},        {"bmi"},
                                {"bmi2"},         {"movbe"},
                                {"f16c"},         {"avx"},
                                {"fma"},          {"avx2"},
                                {"gfni"},         {"avx512f"},
                                {"avx512cd"},     {"avx512bw"},
                                {"avx512dq"},     {"avx512vl"},
                                {"avx512ifma"},   {"avx512vbmi"},
                                {"avx512vbmi2"},  {"avx512vnni"},
                                {"avx512bitalg"}, {"avx512vpopcntdq"},
                                {"avx512bf16"},   {"avx512fp16"},
                                {"avxvnni"},      {"avxvnniint8"},
                                {"avxneconvert"}, {"amx-tile"},
                                {"amx-int8"},     {"amx-bf16"}};
  static const Feature aarch64[] = {
      {"crc"},     {"lse"},  {"rdm"},  {"fullfp16", "fp16"},
      {"dotprod"}, {"bf16"}, {"i8mm"}, {"fp16fml"},
      {"sve"},     {"sve2"}};
  return triple.isAArch64() ? ArrayRef(aarch64) : ArrayRef(x86);
}

static llvm::Error error(const Twine &message) {
  return llvm::createStringError(message);
}

static void initializeTargets() {
  static const bool once = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    return true;
  }();
  (void)once;
}

static llvm::Expected<const llvm::Target *>
findTarget(const llvm::Triple &triple) {
  initializeTargets();
  // The artifact's records have pointers of 64 bits.
  bool hasShortPointers =
      triple.isX32() || triple.getEnvironment() == llvm::Triple::GNUILP32;
  if ((!triple.isX86_64() && triple.getArch() != llvm::Triple::aarch64) ||
      !triple.isOSLinux() || hasShortPointers)
    return error("unsupported target '" + triple.str() +
                 "', expected Linux on x86_64 or aarch64");
  std::string message;
  if (const llvm::Target *target =
          llvm::TargetRegistry::lookupTarget(triple, message))
    return target;
  return error(message);
}

/// Refuses a feature list that LLVM would only warn about.
static llvm::Error checkFeatures(const llvm::MCSubtargetInfo &subtarget,
                                 StringRef features) {
  for (StringRef item : llvm::split(features, ',')) {
    StringRef name = item;
    if (item.empty())
      continue;
    if (!name.consume_front("+") && !name.consume_front("-"))
      return error("expected a feature as +name or -name, got '" + item + "'");
    if (llvm::none_of(subtarget.getAllProcessorFeatures(),
                      [&](const auto &known) { return name == known.Key; }))
      return error("unknown CPU feature '" + name + "' for " +
                   subtarget.getTargetTriple().str());
  }
  return llvm::Error::success();
}

/// What this very machine has and lacks of the features that matter (a virtual
/// machine may hide some that its CPU's model has).
static std::string hostFeatures(const llvm::Triple &triple) {
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  SmallVector<std::string> list;
  for (const Feature &feature : relevantFeatures(triple))
    if (auto known = host.find(feature.name); known != host.end())
      list.push_back(((known->second ? "+" : "-") + feature.name).str());
  return llvm::join(list, ",");
}

/// The features of `subtarget` as a list in order: what matters, and where it
/// differs from `model`, the CPU as LLVM knows it.
static std::string spellFeatures(const llvm::MCSubtargetInfo &subtarget,
                                 const llvm::MCSubtargetInfo &model) {
  SmallVector<std::string> list;
  ArrayRef<Feature> relevant = relevantFeatures(subtarget.getTargetTriple());
  for (const auto &feature : subtarget.getAllProcessorFeatures()) {
    bool has = subtarget.hasFeature(feature.Value);
    bool matters = llvm::any_of(
        relevant, [&](const Feature &f) { return f.name == feature.Key; });
    if (has != model.hasFeature(feature.Value) || (has && matters))
      list.push_back(std::string(has ? "+" : "-") + feature.Key);
  }
  llvm::sort(list);
  return llvm::join(list, ",");
}

static int64_t hostCache(int name, int64_t otherwise) {
  long size = sysconf(name);
  return size > 0 ? size : otherwise;
}

llvm::Expected<TargetAttr> lutra::describeTarget(MLIRContext *context,
                                                 const TargetOptions &options) {
  llvm::Triple host(llvm::Triple::normalize(llvm::sys::getProcessTriple()));
  llvm::Triple triple(llvm::Triple::normalize(options.triple));
  if (options.triple.empty())
    triple = host;
  auto target = findTarget(triple);
  if (!target)
    return target.takeError();

  bool native = options.cpu == "native";
  bool onHost = native && triple.getArch() == host.getArch();
  std::string cpu = options.cpu;
  if (native)
    cpu = onHost ? llvm::sys::getHostCPUName().str()
                 : (triple.isAArch64() ? "generic" : "x86-64");

  Subtarget any((*target)->createMCSubtargetInfo(triple, "", ""));
  if (!any->isCPUStringValid(cpu))
    return error("unknown CPU '" + cpu + "' for " + triple.str());
  if (llvm::Error unknown = checkFeatures(*any, options.features))
    return unknown;
  std::string features = onHost ? hostFeatures(triple) : "";
  if (!options.features.empty())
    features += (features.empty() ? "" : ",") + options.features;

  Subtarget model((*target)->createMCSubtargetInfo(triple, cpu, ""));
  Subtarget subtarget((*target)->createMCSubtargetInfo(triple, cpu, features));
  if (triple.isX86_64() && !subtarget->checkFeatures("+64bit"))
    return error("CPU '" + cpu + "' does not run 64-bit code");

  int64_t vectorBits = 128, registers = triple.isAArch64() ? 32 : 16;
  if (triple.isX86_64()) {
    if (subtarget->checkFeatures("+avx512f,+avx512vl,+avx512dq,+avx512bw")) {
      vectorBits = 512;
      registers = 32;
    } else if (subtarget->checkFeatures("+avx2,+fma")) {
      vectorBits = 256;
    }
  }
  int64_t l1 = 32 << 10, l2 = 512 << 10;
  if (onHost) {
    l1 = hostCache(_SC_LEVEL1_DCACHE_SIZE, l1);
    l2 = hostCache(_SC_LEVEL2_CACHE_SIZE, l2);
  }
  context->getOrLoadDialect<LutraDialect>();
  return TargetAttr::get(context, triple.str(), cpu,
                         spellFeatures(*subtarget, *model), vectorBits,
                         registers, l1, l2);
}

std::string lutra::requiredFeatures(TargetAttr target) {
  SmallVector<StringRef> names;
  for (const Feature &feature :
       relevantFeatures(llvm::Triple(target.getTriple())))
    if (target.hasFeature(feature.name))
      names.push_back(feature.runtimeName);
  return llvm::join(names, ",");
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
lutra::createTargetMachine(TargetAttr description, unsigned level) {
  llvm::Triple triple(description.getTriple());
  auto target = findTarget(triple);
  if (!target)
    return target.takeError();
  Subtarget any((*target)->createMCSubtargetInfo(triple, "", ""));
  if (!any->isCPUStringValid(description.getCpu()))
    return error("unknown CPU '" + description.getCpu() + "' for " +
                 triple.str());
  if (llvm::Error unknown = checkFeatures(*any, description.getFeatures()))
    return unknown;
  // Without optimization LLVM 22 fails on matrix tiles that a loop carries.
  if (description.hasFeature("amx-tile"))
    level = std::max(level, 1u);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  options.UseInitArray = true;
  return std::unique_ptr<llvm::TargetMachine>((*target)->createTargetMachine(
      triple, description.getCpu(), description.getFeatures(), options,
      llvm::Reloc::PIC_, llvm::CodeModel::Small,
      static_cast<llvm::CodeGenOptLevel>(std::min(level, 3u))));
}
