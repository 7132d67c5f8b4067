//===- ModelReports.h - A compiled model as text, JSON and HTML -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_DRIVER_MODELREPORTS_H
#define LUTRA_LIB_DRIVER_MODELREPORTS_H

#include "lutra/Analysis/ModelReport.h"
#include "lutra/Transforms/Phases.h"
#include "lutra/Transforms/QuantizationSpec.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::lutra {

/// The seconds that each phase took.
using PhaseTimes = std::vector<std::pair<Phase, double>>;

/// "12 kernels, 96 dispatches" and a paragraph for each kernel.
void printKernels(const ModelReport &report, llvm::raw_ostream &os);

/// All of the report. docs/GettingStarted.md names its fields.
void printReportAsJSON(const ModelReport &report, llvm::raw_ostream &os);

/// What became of the products with weights; `errors` are the relative errors
/// of their weights.
void printQuantization(ArrayRef<QuantizedLayer> layers, ArrayRef<double> errors,
                       llvm::raw_ostream &os);

/// The same as JSON. docs/Quantizing.md names its fields.
void printQuantizationAsJSON(StringRef model, ArrayRef<QuantizedLayer> layers,
                             ArrayRef<double> errors, llvm::raw_ostream &os);

/// A page of HTML that needs nothing but itself. `seconds` are of the
/// dispatches of a run, or empty.
void printPage(const ModelReport &report, const PhaseTimes &times,
               ArrayRef<double> seconds, llvm::raw_ostream &os);

/// The median seconds of each dispatch in a trace of lutra-run. The error says
/// what the file should hold.
llvm::Expected<std::vector<double>> readProfile(StringRef path,
                                                const ModelReport &report);

//===----------------------------------------------------------------------===//
// What the forms share
//===----------------------------------------------------------------------===//

/// "1 kernel, 2 dispatches".
std::string formatCounts(const ModelReport &report);
/// The names of dimensions, for people.
std::vector<std::string> printableDims(const ModelReport &report);
/// "f32[batch,64]".
std::string formatTensor(Type elementType, ArrayRef<AffineExpr> shape,
                         ArrayRef<std::string> dims);
/// "batch x 64, reduce 128".
std::string formatLoops(const KernelReport &kernel, ArrayRef<std::string> dims);
/// "distribute [192, 64], tile [12, 32], order [1, 0], vector 16".
std::string formatSchedule(ScheduleAttr schedule);
/// "f32[batch,128], f32[128,64] -> f32[batch,64]".
std::string formatOperands(const KernelReport &kernel,
                           ArrayRef<std::string> dims);

} // namespace mlir::lutra

#endif // LUTRA_LIB_DRIVER_MODELREPORTS_H
