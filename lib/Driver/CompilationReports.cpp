//===- CompilationReports.cpp - Reports of a compilation ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Collects and writes what the options ask to be told. Whatever can be wrong
// with those options is said before the artifact is written.
//
//===----------------------------------------------------------------------===//

#include "Compilation.h"

#include "OutputFile.h"
#include "lutra/Target/WeightError.h"
#include "llvm/ADT/StringRef.h"

using namespace mlir;
using namespace mlir::lutra;

bool Compilation::checkReports() {
  const ReportOptions &report = options.report;
  auto refuse = [&](const llvm::Twine &message) {
    return fail(ExitCode::CommandLine, message);
  };
  if (report.page.empty() && !report.profile.empty())
    return refuse("expected --report=html:FILE with --report-profile");
  if (report.isWanted() &&
      (options.compileFrom.value_or(Phase::Import) > Phase::Form ||
       options.compileTo < Phase::Plan))
    return refuse("a report needs the phases from 'form' to 'plan'");
  if (!report.passes.empty() &&
      (options.compileFrom.value_or(Phase::Import) > Phase::Cascade ||
       options.compileTo < Phase::Cascade))
    return refuse("--report=passes needs the phase 'cascade'");
  if (!report.quantization.empty() &&
      (options.quantize.rules.empty() || options.compileTo < Phase::Quantize))
    return refuse("--report=quantization needs --quantize and the phase "
                  "'quantize'");
  StringRef lists[] = {report.kernels, report.passes, report.quantization};
  size_t printed = llvm::count(lists, "-");
  if (printed > 0 && options.output == "-")
    return refuse("expected -o FILE where a report goes to standard output");
  if (printed > 1)
    return refuse("expected one report for standard output, and a file for "
                  "others, as in --report=passes:FILE");
  for (StringRef path : {StringRef(report.kernels), StringRef(report.passes),
                         StringRef(report.quantization), StringRef(report.page),
                         StringRef(options.trace)})
    if (!path.empty() && !succeeded(checkWritable(path)))
      return false;
  return true;
}

/// The relative error of a weight that is quantized.
llvm::Expected<double> Compilation::measure(ArrayRef<QuantizedPart> parts) {
  QuantizationError sum;
  for (const QuantizedPart &part : parts) {
    auto error = measureQuantization(
        part.codes, module->getLoc(),
        [&](StringRef source) { return sources.open(source); });
    if (!error)
      return error.takeError();
    sum.squaredError += error->squaredError;
    sum.squaredWeights += error->squaredWeights;
  }
  return sum.relative();
}

llvm::Expected<std::vector<double>>
Compilation::measureRows(DictionaryAttr codes) {
  return lutra::measureRows(codes, module->getLoc(), [&](StringRef source) {
    return sources.open(source);
  });
}

llvm::Expected<ColumnSizes> Compilation::measureColumns(DictionaryAttr codes) {
  ColumnSizes sizes;
  llvm::Error error = lutra::measureColumns(
      codes, module->getLoc(),
      [&](StringRef source) { return sources.open(source); }, sizes.largest,
      sizes.squares);
  if (error)
    return std::move(error);
  return sizes;
}

/// Measures what the weights of quantized products lose.
bool Compilation::measureLayers() {
  for (const QuantizedLayer &layer : layers) {
    llvm::Expected<double> error = measure(layer.parts);
    if (!error)
      return succeeded(error.takeError());
    errors.push_back(*error);
  }
  return true;
}

bool Compilation::collectReports(Phase phase) {
  const ReportOptions &report = options.report;
  if (!report.passes.empty() && phase == Phase::Cascade)
    cascades = reportCascades(*module);
  if (!report.quantization.empty() && phase == Phase::Quantize &&
      !measureLayers())
    return false;
  if (!report.isWanted())
    return true;
  if (phase == Phase::Form)
    collector.collectKernels(*module);
  if (phase != Phase::Plan)
    return true;
  if (llvm::Error error = collector.collectPlan(*module, report.dims))
    return fail(ExitCode::CommandLine, llvm::toString(std::move(error)));
  if (report.profile.empty())
    return true;
  llvm::Expected<std::vector<double>> profile =
      readProfile(report.profile, collector.report);
  if (profile) {
    seconds = std::move(*profile);
    return true;
  }
  llvm::Error error = profile.takeError();
  if (error.isA<llvm::FileError>())
    return succeeded(std::move(error));
  return fail(ExitCode::InvalidModel, llvm::toString(std::move(error)));
}

bool Compilation::writeReports() {
  const ReportOptions &report = options.report;
  const ModelReport &model = collector.report;
  auto write = [&](StringRef path,
                   function_ref<void(llvm::raw_ostream &)> print) {
    return path.empty() || succeeded(writeFile(path, print));
  };
  return write(report.kernels,
               [&](llvm::raw_ostream &os) {
                 if (StringRef(report.kernels).ends_with(".json"))
                   printReportAsJSON(model, os);
                 else
                   printKernels(model, os);
               }) &&
         write(report.passes,
               [&](llvm::raw_ostream &os) {
                 if (StringRef(report.passes).ends_with(".json"))
                   printCascadesAsJSON(name, cascades, os);
                 else
                   printCascades(cascades, os);
               }) &&
         write(report.quantization,
               [&](llvm::raw_ostream &os) {
                 if (StringRef(report.quantization).ends_with(".json"))
                   printQuantizationAsJSON(name, layers, errors, os);
                 else
                   printQuantization(layers, errors, os);
               }) &&
         write(report.page,
               [&](llvm::raw_ostream &os) {
                 printPage(model, times, seconds, os);
               }) &&
         write(options.trace, [&](llvm::raw_ostream &os) {
           trace->print("lutra-compile", os);
         });
}
