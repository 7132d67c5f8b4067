//===- Compiler.cpp - From a model to an artifact -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs the phases one after the other, writes what was asked for, and says
// whose fault it is where one fails.
//
//===----------------------------------------------------------------------===//

#include "lutra/Driver/Compiler.h"

#include "Compilation.h"
#include "DumpIR.h"
#include "OutputFile.h"
#include "lutra/Target/CPU.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::lutra;

std::string lutra::defaultModelName(StringRef path) {
  std::string name;
  for (char c : llvm::sys::path::stem(path))
    name += llvm::isAlnum(c) ? c : '_';
  return name.empty() ? "model" : name;
}

static llvm::Error writeObject(Compilation &compilation) {
  const CompilerOptions &options = compilation.options;
  if (!options.dumpDir.empty())
    if (llvm::Error error =
            dumpIR(compilation.getModule(), Phase::Object, options))
      return error;
  ArtifactOptions artifact;
  artifact.kind = options.artifact;
  artifact.output = options.output;
  artifact.header = options.header;
  artifact.linker = options.linker;
  artifact.optLevel = options.optLevel;
  artifact.embedWeights = options.embedWeights;
  artifact.progress = [&](StringRef part, double done) {
    compilation.showPart(part, done);
  };
  return writeArtifact(
      compilation.getModule(), artifact,
      [&](StringRef source) { return compilation.sources.open(source); });
}

static bool writeOutput(Compilation &compilation) {
  const CompilerOptions &options = compilation.options;
  if (options.compileTo == Phase::Object)
    return compilation.timed(Phase::Object, [&] {
      return compilation.succeeded(writeObject(compilation));
    });
  return compilation.succeeded(
      writeFile(options.output, [&](llvm::raw_ostream &os) {
        printIR(compilation.getModule(), options.compileTo, options.output,
                options, os);
      }));
}

Result lutra::compile(const CompilerOptions &options) {
  Compilation compilation(options);
  if (compilation.run() && writeOutput(compilation))
    compilation.writeReports();
  return compilation.takeResult();
}

Result lutra::emitIR(const CompilerOptions &options, std::string &ir) {
  Compilation compilation(options);
  if (compilation.run()) {
    llvm::raw_string_ostream os(ir);
    printIR(compilation.getModule(), options.compileTo, "-", options, os);
  }
  return compilation.takeResult();
}

Result lutra::report(const CompilerOptions &options, std::string &json) {
  CompilerOptions planOnly = options;
  planOnly.compileTo = Phase::Plan;
  planOnly.report.kernels = "-";
  Compilation compilation(planOnly);
  if (compilation.run()) {
    llvm::raw_string_ostream os(json);
    printReportAsJSON(compilation.getReport(), os);
  }
  return compilation.takeResult();
}

Result lutra::check(const CompilerOptions &options,
                    std::vector<Refusal> &refusals) {
  CompilerOptions importOnly = options;
  importOnly.compileTo = Phase::Import;
  Compilation compilation(importOnly);
  if (compilation.run()) {
    refusals = checkSupport(compilation.getModule());
    if (!refusals.empty())
      compilation.fail(ExitCode::InvalidModel);
  }
  return compilation.takeResult();
}
