//===- DumpIR.cpp - The IR of a phase as text -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes IR that --compile-from reads back: with locations, since they name the
// nodes, and headed by the command that continues.
//
//===----------------------------------------------------------------------===//

#include "DumpIR.h"

#include "OutputFile.h"
#include "lutra/Target/Object.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

using namespace mlir;
using namespace mlir::lutra;

/// The options that later phases read and the IR does not hold.
static void printOptions(Phase phase, const CompilerOptions &options,
                         llvm::raw_ostream &os) {
  if (phase < Phase::Encode) {
    if (options.target.cpu != TargetOptions().cpu)
      os << " --mcpu=" << options.target.cpu;
    if (!options.target.features.empty())
      os << " --mattr=" << options.target.features;
    if (!options.target.triple.empty())
      os << " --mtriple=" << options.target.triple;
  }
  os << " -O" << options.optLevel;
  if (options.embedWeights)
    os << " --weights=embed";
}

void lutra::printIR(ModuleOp module, Phase phase, StringRef path,
                    const CompilerOptions &options, llvm::raw_ostream &os) {
  if (options.locations) {
    os << "// lutra-compile ";
    llvm::sys::printArg(os, path, /*Quote=*/false);
    os << " --compile-from=" << phaseName(phase);
    printOptions(phase, options, os);
    os << " -o ";
    llvm::sys::printArg(os, defaultModelName(options.model) + ".so",
                        /*Quote=*/false);
    os << "\n";
  }
  OpPrintingFlags flags;
  flags.enableDebugInfo(options.locations);
  module.print(os, flags);
  os << "\n";
}

static llvm::Error dumpLLVM(ModuleOp module, StringRef path,
                            const CompilerOptions &options) {
  ObjectOptions object;
  object.kind = ObjectKind::LLVMIR;
  object.optLevel = options.optLevel;
  SmallString<0> text;
  llvm::raw_svector_ostream os(text);
  if (llvm::Error error = emitObject(module, object, os))
    return error;
  return writeFile(path, [&](llvm::raw_ostream &os) { os << text; });
}

llvm::Error lutra::dumpIR(ModuleOp module, Phase phase,
                          const CompilerOptions &options) {
  if (std::error_code error =
          llvm::sys::fs::create_directories(options.dumpDir))
    return llvm::createFileError(options.dumpDir, error);
  SmallString<128> path(options.dumpDir);
  bool isLast = phase == allPhases().back();
  std::string name = llvm::formatv("{0:D2}-{1}.{2}", unsigned(phase),
                                   phaseName(phase), isLast ? "ll" : "mlir");
  llvm::sys::path::append(path, name);
  if (isLast)
    return dumpLLVM(module, path, options);
  return writeFile(path, [&](llvm::raw_ostream &os) {
    printIR(module, phase, path, options, os);
  });
}
