//===- lutra-compile.cpp - The compiler's command line --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the command line, calls lib/Driver, prints what it says. Exit codes are
// in docs/Errors.md.
//
//===----------------------------------------------------------------------===//

#include "lutra/Driver/Options.h"
#include "lutra/Driver/Reports.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"
#include <unistd.h>

using namespace llvm;
using namespace mlir::lutra;

static cl::OptionCategory category("lutra-compile options");

static cl::opt<std::string> model(cl::Positional, cl::desc("MODEL"),
                                  cl::cat(category));
static cl::opt<std::string>
    output("o", cl::value_desc("file"), cl::cat(category),
           cl::desc("The artifact (default: MODEL.so), or the IR (default: "
                    "standard output)"));
static cl::opt<std::string> emit(
    "emit", cl::value_desc("kind"), cl::cat(category),
    cl::desc("What to write: onnx, tensor, llvm-dialect, llvm-ir, asm, obj "
             "or lib (default: by the suffix of -o, else lib)"));
static cl::opt<std::string>
    emitHeader("emit-header", cl::value_desc("file"), cl::cat(category),
               cl::desc("Also write a C header that declares the model"));
static cl::opt<std::string> name(
    "name", cl::value_desc("identifier"), cl::cat(category),
    cl::desc("The symbol is lutra_model_<name> (default: the file's name)"));
static cl::opt<std::string>
    cpu("mcpu", cl::value_desc("cpu"), cl::cat(category),
        cl::desc("The CPU to compile for (default: native)"));
static cl::opt<std::string>
    features("mattr", cl::value_desc("+a,-b"), cl::cat(category),
             cl::desc("CPU features to add or to remove"));
static cl::opt<std::string>
    triple("mtriple", cl::value_desc("triple"), cl::cat(category),
           cl::desc("The target triple (default: this machine's)"));
static cl::opt<std::string>
    optLevel("O", cl::Prefix, cl::value_desc("level"), cl::cat(category),
             cl::desc("Optimization: -O0 to -O3 (default: -O2)"));
static cl::list<std::string>
    dims("dim", cl::value_desc("name:sizes"), cl::cat(category),
         cl::desc("Sizes of a symbolic dimension: batch:8, batch:1..64, "
                  "seq:64..4096%64"));
static cl::list<std::string> states(
    "state", cl::value_desc("input:output:max=n"), cl::cat(category),
    cl::desc("Keep an input between runs, with what each run appends to it as "
             "output: 'past_key_values.*:present.*:max=2048'"));
static cl::opt<std::string>
    weights("weights", cl::value_desc("place"), cl::cat(category),
            cl::desc("external (a file beside the artifact, the default) or "
                     "embed"));
static cl::opt<std::string> references(
    "references", cl::value_desc("policy"), cl::cat(category),
    cl::desc("What exponentials are summed under before all are seen: online, "
             "their maximum so far; lazy:DISTANCE, one that stays until it is "
             "farther below (the default, lazy:8); fixed:DISTANCE, a number "
             "that they are proven to be so near"));
static cl::opt<std::string> lookups(
    "lookups", cl::value_desc("when"), cl::cat(category),
    cl::desc("Whether products with codes of 1 to 4 bits are looked up in "
             "tables of sums: auto, where that is faster; always, wherever "
             "the target can; never"));
static cl::opt<std::string> activations(
    "activations", cl::value_desc("rules"), cl::cat(category),
    cl::desc("What products that the model has quantized multiply with, "
             "whatever it says: a8, integers of 8 bits; a32; or by names, "
             "where the first that matches counts: '*lm_head*=a32;*=a8'"));
static cl::list<std::string> quantize(
    "quantize", cl::value_desc("rules"), cl::cat(category),
    cl::desc("Quantize the weights of products: int4, nf4:g64, int8:row:a8, or "
             "by names, where the first that matches counts: "
             "'*lm_head*=none;*=int4'"));
static cl::list<std::string> calibrate(
    "calibrate", cl::value_desc("file.npz"), cl::cat(category),
    cl::desc("Samples of the model's inputs that --quantize goes by"));
static cl::opt<std::string> linker("linker", cl::value_desc("file"),
                                   cl::cat(category),
                                   cl::desc("The ld.lld to use"));
static cl::opt<std::string>
    compileTo("compile-to", cl::value_desc("phase"), cl::cat(category),
              cl::desc("Stop after this phase and write its IR"));
static cl::opt<std::string>
    compileFrom("compile-from", cl::value_desc("phase"), cl::cat(category),
                cl::desc("MODEL is the IR of this phase; continue after it"));
static cl::opt<std::string>
    dumpDir("dump-ir", cl::value_desc("folder"), cl::cat(category),
            cl::desc("Write the IR of every phase to a numbered file"));
static cl::list<std::string> reports(
    "report", cl::value_desc("kind"), cl::cat(category),
    cl::desc("Tell what was compiled: kernels, passes of cascades, or "
             "quantization, each also as kernels:FILE (JSON where it ends in "
             ".json); html:FILE"));
static cl::list<std::string>
    reportDims("report-dim", cl::value_desc("name:size"), cl::cat(category),
               cl::desc("The size of a dimension that a report's numbers are "
                        "for (default: the smallest)"));
static cl::opt<std::string> reportProfile(
    "report-profile", cl::value_desc("file"), cl::cat(category),
    cl::desc("Put the times of a trace of lutra-run into the HTML report"));
static cl::opt<std::string>
    trace("trace", cl::value_desc("file"), cl::cat(category),
          cl::desc("Write phases and passes as a trace in Chrome's format"));
static cl::opt<bool> timing("mlir-timing", cl::cat(category),
                            cl::desc("Print the time of each pass"));
static cl::opt<std::string>
    checkFormat("check", cl::ValueOptional, cl::value_desc("text|json"),
                cl::cat(category),
                cl::desc("Only list every unsupported node, and why"));
static cl::opt<bool>
    supportedOps("print-supported-ops", cl::cat(category),
                 cl::desc("Print the table of supported operators"));
static cl::opt<bool> version("v", cl::cat(category),
                             cl::desc("The same as --version"));

static void printVersion(raw_ostream &os) {
  os << "lutra " LUTRA_VERSION " (LLVM " LLVM_VERSION_STRING ")\n";
}

static int exitWith(ExitCode code) { return static_cast<int>(code); }

static void print(const Result &result) {
  for (const std::string &line : result.warnings)
    errs() << "lutra-compile: warning: " << line << "\n";
  for (const std::string &line : result.errors)
    errs() << "lutra-compile: error: " << line << "\n";
}

static int refuse(const Twine &message) {
  errs() << "lutra-compile: error: " << message << "\n";
  return exitWith(ExitCode::CommandLine);
}

/// Says what LLVM found wrong with the command line in one line of this tool's.
/// About an option's value LLVM has already printed a line itself.
static int refuseCommandLine(StringRef text) {
  if (text.empty())
    return exitWith(ExitCode::CommandLine);
  StringRef line = text.split('\n').first.split(": ").second;
  std::string message = line.split(".  Try").first.rtrim('!').str();
  message[0] = toLower(message[0]);
  return refuse(message + "; see lutra-compile --help");
}

static Error readOutput(CompilerOptions &options) {
  options.output = output;
  emitBySuffix(options);
  for (auto *flag : {&emit, &compileTo, &compileFrom})
    if (flag->getNumOccurrences())
      if (Error error = readFlag(flag->ArgStr, *flag, options))
        return error;
  if (emitsIR(options) && output.empty())
    options.output = "-";
  else if (output.empty())
    options.output = (sys::path::stem(model) + ".so").str();
  if (!emitsIR(options) && options.output == "-")
    return createStringError("expected -o FILE for this kind of output");
  return Error::success();
}

static Error readOptions(CompilerOptions &options) {
  options.model = model;
  if (Error error = readOutput(options))
    return error;
  for (auto *flag : {&emitHeader, &name, &cpu, &features, &triple, &optLevel,
                     &weights, &references, &lookups, &activations, &linker,
                     &dumpDir, &trace, &reportProfile})
    if (flag->getNumOccurrences())
      if (Error error = readFlag(flag->ArgStr, *flag, options))
        return error;
  using Flag = std::pair<StringRef, const std::vector<std::string> *>;
  for (auto [flag, values] :
       {Flag("dim", &dims), Flag("state", &states), Flag("report", &reports),
        Flag("quantize", &quantize), Flag("calibrate", &calibrate),
        Flag("report-dim", &reportDims)})
    for (const std::string &value : *values)
      if (Error error = readFlag(flag, value, options))
        return error;
  options.timing = timing;
  return Error::success();
}

/// What LLVM cannot go on from is a fault of the compiler like any other.
static void reportFatal(void *, const char *reason, bool) {
  errs() << "lutra-compile: error: internal error: " << reason << "\n";
  sys::RunInterruptHandlers();
  _exit(exitWith(ExitCode::Internal));
}

/// Compiles a dump. Upstream's parser crashes on some of what a person may
/// write into one, such as `array<index: 1>`, and the person is to hear of the
/// dump.
static Result compileDump(const CompilerOptions &options) {
  Result result;
  CrashRecoveryContext::Enable();
  if (CrashRecoveryContext().RunSafely([&] { result = compile(options); }))
    return result;
  errs() << "lutra-compile: error: " << options.model
         << ": crashed; unless the dump was changed, this is an internal "
            "error\n";
  sys::RunInterruptHandlers();
  _exit(exitWith(ExitCode::InvalidModel));
}

/// One line per phase, where a person watches.
static void showProgress(Phase phase, std::optional<double> seconds) {
  errs() << "\r" << left_justify(phaseName(phase), 10);
  if (seconds)
    errs() << format("%8.2f s", *seconds) << "\x1b[K\n";
}

/// What the last phase is at, in the place of its time.
static void showPart(StringRef part, double done) {
  errs() << "\r" << left_justify(phaseName(Phase::Object), 10) << part;
  if (done > 0)
    errs() << format(" %3.0f %%", 100 * done);
  errs() << "\x1b[K";
}

static int runCheck(const CompilerOptions &options) {
  if (checkFormat != "" && checkFormat != "text" && checkFormat != "json")
    return refuse("expected --check=text or --check=json, got '" + checkFormat +
                  "'");
  std::vector<Refusal> refusals;
  Result result = check(options, refusals);
  print(result);
  if (!result && refusals.empty())
    return exitWith(result.code);
  if (checkFormat == "json")
    printRefusalsAsJSON(model, refusals, outs());
  else
    printRefusals(model, refusals, outs());
  return exitWith(result.code);
}

int main(int argc, char **argv) {
  setBugReportMsg(
      "lutra-compile crashed. Please report this with the model and "
      "the command line.\n");
  InitLLVM init(argc, argv);
  install_fatal_error_handler(reportFatal);
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter(printVersion);
  std::string wrong;
  raw_string_ostream os(wrong);
  if (!cl::ParseCommandLineOptions(
          argc, argv, "compiles an ONNX model into native code\n", &os))
    return refuseCommandLine(wrong);
  if (version) {
    printVersion(outs());
    return exitWith(ExitCode::Success);
  }
  if (supportedOps) {
    printSupportedOps(outs());
    return exitWith(ExitCode::Success);
  }
  if (model.empty())
    return refuse("expected a MODEL; see lutra-compile --help");
  CompilerOptions options;
  if (Error error = readOptions(options))
    return refuse(toString(std::move(error)));
  if (checkFormat.getNumOccurrences())
    return runCheck(options);
  if (sys::Process::StandardErrIsDisplayed()) {
    options.progress = showProgress;
    options.partProgress = showPart;
  }
  Result result = options.compileFrom ? compileDump(options) : compile(options);
  print(result);
  return exitWith(result.code);
}
