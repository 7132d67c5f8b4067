//===- Compilation.h - One run through the phases ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_DRIVER_COMPILATION_H
#define LUTRA_LIB_DRIVER_COMPILATION_H

#include "Diagnostics.h"
#include "ModelReports.h"
#include "Trace.h"
#include "lutra/Analysis/CascadeReport.h"
#include "lutra/Driver/Compiler.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/Timing.h"

namespace mlir::lutra {

/// A model on its way: its module, where its weights are, and what went wrong.
class Compilation {
  friend class Observer;

public:
  explicit Compilation(const CompilerOptions &options);
  ~Compilation();

  /// Loads the model and runs the phases up to options.compileTo, without
  /// `object`.
  bool run();

  ModuleOp getModule() { return *module; }

  /// Runs `work` as a phase that reports its progress.
  bool timed(Phase phase, function_ref<bool()> work);

  /// Tells about a part of a phase: what is made, and how much of it, 0 to 1.
  void showPart(StringRef part, double done);

  /// Writes the reports and the trace that the options ask for.
  bool writeReports();
  const ModelReport &getReport() const { return collector.report; }

  /// Ends the compilation with `code`, and a message unless it is empty. The
  /// first code stays.
  bool fail(ExitCode code, const llvm::Twine &message = {});
  /// True for success; otherwise ends the compilation, as a fault of the files
  /// where the error names one, else of the compiler, or of a changed dump.
  bool succeeded(llvm::Error error);

  Result takeResult() { return std::move(result); }

  const CompilerOptions &options;
  WeightSources sources;

private:
  /// Ends the compilation with what no model can cause. A dump may: whether a
  /// person has changed it, nothing tells.
  bool failInternally(const llvm::Twine &what);
  bool checkOptions();
  bool load();
  bool import();
  bool parse();
  bool checkTarget();
  bool setTarget(const TargetOptions &options);
  bool runPasses(Phase phase, bool isDump);
  bool runPipeline(StringRef phase, function_ref<void(OpPassManager &)> build,
                   bool isDump);
  bool checkCalibration();
  bool calibrate();
  bool checkReports();
  bool collectReports(Phase phase);
  llvm::Expected<double> measure(ArrayRef<QuantizedPart> parts);
  llvm::Expected<std::vector<double>> measureRows(DictionaryAttr codes);
  llvm::Expected<ColumnSizes> measureColumns(DictionaryAttr codes);
  bool measureLayers();

  Result result;
  MLIRContext context;
  DiagnosticLines lines;
  DefaultTimingManager timing;
  TimingScope rootTiming;
  OwningOpRef<ModuleOp> module;
  std::string name;

  /// Null where no trace is asked for.
  std::unique_ptr<Trace> trace;
  std::string openPart;
  PhaseTimes times;
  ReportCollector collector;
  std::vector<CascadeReport> cascades;
  Calibration calibration;
  /// The products of a model that is quantized, and where the options ask for
  /// it, the relative error of the weights of each that is.
  std::vector<QuantizedLayer> layers;
  std::vector<double> errors;
  /// Of each dispatch, where the options name a profile.
  std::vector<double> seconds;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_DRIVER_COMPILATION_H
