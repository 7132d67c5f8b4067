//===- Compiler.h - From a model to an artifact -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All that lutra-compile and the Python package do, as three calls. Nothing
// here prints; what a person should read is in the result.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DRIVER_COMPILER_H
#define LUTRA_DRIVER_COMPILER_H

#include "lutra/Driver/ExitCode.h"
#include "lutra/Driver/Pipeline.h"
#include "lutra/Frontend/ONNX/Import.h"
#include "lutra/Target/Artifact.h"
#include "lutra/Target/TargetDescription.h"
#include <functional>

namespace mlir::lutra {

/// What to write about a compiled model, besides the model.
struct ReportOptions {
  /// Where to list the kernels: "-" for standard output, JSON where the name
  /// ends in .json; nowhere if empty.
  std::string kernels;
  /// Where to list the cascades and their passes over ranks, in the same way.
  std::string passes;
  /// Where to list what quantization made of the weights of products, in the
  /// same way.
  std::string quantization;
  /// Where to write a page of HTML; nowhere if empty.
  std::string page;
  /// Sizes of dimensions for the memory plan and other numbers.
  std::map<std::string, int64_t> dims;
  /// A trace of lutra-run whose times go into the page, or empty.
  std::string profile;

  /// Whether a report is wanted that needs kernels and a plan.
  bool isWanted() const { return !kernels.empty() || !page.empty(); }
};

struct CompilerOptions {
  /// The model's file, or a dump where compileFrom is set.
  std::string model;
  /// The model's bytes instead of its file; `model` then only names them.
  std::optional<std::string> bytes;
  /// The artifact or the IR; "-" for standard output (IR only).
  std::string output;
  /// What is written after the last phase.
  ArtifactKind artifact = ArtifactKind::SharedLibrary;
  /// Where to write the C header; nowhere if empty.
  std::string header;
  /// Ends the artifact's only symbol. If empty, made from the model's file name
  /// or, where compilation continues from a dump, taken from there.
  std::string name;
  TargetOptions target;
  /// 0 to 3.
  unsigned optLevel = 2;
  std::map<std::string, DimRange> dims;
  std::vector<StateOption> states;
  bool embedWeights = false;
  ReferenceOptions references;
  /// Whether products with codes of few bits are look-ups: auto (where these
  /// are faster), always (wherever the target can) or never.
  std::string lookups = "auto";
  /// What activations of products that the model has quantized are rounded to,
  /// as `override-activations` takes it; what the model says if empty.
  std::string activations;
  /// Which weights are quantized, and how; none without rules.
  QuantizationSpec quantize;
  /// Samples of the model's inputs that quantizing goes by, as .npz files.
  std::vector<std::string> calibrate;
  /// The linker to use instead of the one that is found.
  std::string linker;

  /// The last phase. Before `object` the output is that phase's IR.
  Phase compileTo = Phase::Object;
  /// The phase whose IR `model` holds.
  std::optional<Phase> compileFrom;
  /// Where to write one file per phase; nowhere if empty.
  std::string dumpDir;
  /// Prints the passes' times on standard error at the end.
  bool timing = false;
  /// Where to write the phases and passes as a trace in Chrome's format;
  /// nowhere if empty.
  std::string trace;
  ReportOptions report;
  /// Whether IR as text carries locations. Without them it reads better, and
  /// nodes lose their names when compilation continues from it.
  bool locations = true;
  /// Called when a phase begins, without a time, and when it has ended.
  std::function<void(Phase, std::optional<double> seconds)> progress;
  /// Called while `object` runs, with what is made and how much of it, 0 to 1.
  std::function<void(StringRef part, double done)> partProgress;
};

/// How a compilation ended: the tool's exit code, and one line per error and
/// per warning.
struct Result {
  ExitCode code = ExitCode::Success;
  std::vector<std::string> errors, warnings;

  explicit operator bool() const { return code == ExitCode::Success; }
};

/// Compiles options.model into options.output. Where it fails no output is
/// written.
Result compile(const CompilerOptions &options);

/// Compiles up to options.compileTo and gives the IR as text.
Result emitIR(const CompilerOptions &options, std::string &ir);

/// Imports options.model and asks the registry about every node; the result is
/// InvalidModel where any is refused.
Result check(const CompilerOptions &options, std::vector<Refusal> &refusals);

/// Compiles options.model up to `plan`, writes nothing, and gives the report as
/// JSON.
Result report(const CompilerOptions &options, std::string &json);

/// The name of a model whose file is `path`, as an identifier.
std::string defaultModelName(StringRef path);

} // namespace mlir::lutra

#endif // LUTRA_DRIVER_COMPILER_H
