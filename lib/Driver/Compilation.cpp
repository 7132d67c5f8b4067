//===- Compilation.cpp - One run through the phases -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loads a model or a dump and takes it through the phases' pipelines.
//
//===----------------------------------------------------------------------===//

#include "Compilation.h"

#include "DumpIR.h"
#include "lutra/Driver/Pipeline.h"
#include "lutra/Driver/Registration.h"
#include "lutra/Target/CPU.h"
#include "lutra/Target/TargetDescription.h"
#include "lutra/Target/WeightImage.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/Threading.h"
#include "llvm/Target/TargetMachine.h"
#include <chrono>

using namespace mlir;
using namespace mlir::lutra;

namespace {

/// Remembers which pass failed first, for the message of an internal error.
struct FailedPass : PassInstrumentation {
  explicit FailedPass(std::string &name) : name(name) {}
  void runAfterPassFailed(Pass *pass, Operation *) override {
    if (name.empty())
      name = pass->getArgument().str();
  }
  std::string &name;
};

DialectRegistry allDialects() {
  DialectRegistry registry;
  registerDialects(registry);
  return registry;
}

} // namespace

Compilation::Compilation(const CompilerOptions &options)
    : options(options),
      // Threads of MLIR's own cost more than they bring where there is no
      // second core to run them.
      context(allDialects(),
              llvm::hardware_concurrency().compute_thread_count() > 1
                  ? MLIRContext::Threading::ENABLED
                  : MLIRContext::Threading::DISABLED),
      lines(&context, options.model, result) {
  context.printOpOnDiagnostic(false);
  timing.setEnabled(options.timing);
  rootTiming = timing.getRootScope();
  if (!options.trace.empty())
    trace = std::make_unique<Trace>();
}

Compilation::~Compilation() = default;

bool Compilation::run() {
  if (!checkOptions() || !checkCalibration() || !checkReports())
    return false;
  Phase first = options.compileFrom.value_or(Phase::Import);
  if (!timed(first, [&] { return load(); }))
    return false;
  for (Phase phase : allPhases()) {
    if (phase < first || phase > options.compileTo || phase == Phase::Object)
      continue;
    // A dump is checked against its phase's contract but was made by it
    // already.
    if (phase != first && !timed(phase, [&] {
          return (phase != Phase::Quantize || calibrate()) &&
                 (phase != Phase::Encode || setTarget(options.target)) &&
                 runPasses(phase, /*isDump=*/false);
        }))
      return false;
    if (!collectReports(phase))
      return false;
    if (!options.dumpDir.empty() && !succeeded(dumpIR(*module, phase, options)))
      return false;
  }
  return true;
}

/// Refuses options of phases that lie behind a dump: they would do nothing.
bool Compilation::checkOptions() {
  if (!options.compileFrom)
    return true;
  Phase first = *options.compileFrom;
  auto refuse = [&](const llvm::Twine &what) {
    return fail(ExitCode::CommandLine,
                what + " cannot change after phase '" + phaseName(first) + "'");
  };
  if (options.compileTo < first || first == Phase::Object)
    return fail(ExitCode::CommandLine, "cannot compile from phase '" +
                                           phaseName(first) + "' to phase '" +
                                           phaseName(options.compileTo) + "'");
  if (!options.dims.empty())
    return refuse("dimensions");
  if (!options.states.empty())
    return refuse("states");
  if (first >= Phase::Quantize && !options.quantize.rules.empty())
    return refuse("quantization");
  if (first >= Phase::Quantize && !options.activations.empty())
    return refuse("activations");
  const TargetOptions &target = options.target, none;
  bool isDefault = target.cpu == none.cpu && target.features.empty() &&
                   target.triple.empty();
  if (first >= Phase::Encode && !isDefault)
    return refuse("the target");
  if (first >= Phase::Target && !options.name.empty())
    return refuse("the name");
  return true;
}

bool Compilation::timed(Phase phase, function_ref<bool()> work) {
  auto report = [&](std::optional<double> seconds) {
    if (options.progress)
      options.progress(phase, seconds);
  };
  report(std::nullopt);
  if (trace)
    trace->begin(phaseName(phase), "phase");
  auto start = std::chrono::steady_clock::now();
  bool isDone = work();
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  showPart("", 1);
  if (trace)
    trace->end();
  times.emplace_back(phase, time.count());
  report(time.count());
  return isDone;
}

void Compilation::showPart(StringRef part, double done) {
  if (!part.empty() && options.partProgress)
    options.partProgress(part, done);
  if (!trace || openPart == part)
    return;
  if (!openPart.empty())
    trace->end();
  if (!part.empty())
    trace->begin(part, "part");
  openPart = part.str();
}

bool Compilation::load() {
  if (!options.bytes) {
    auto file = llvm::MemoryBuffer::getFile(options.model);
    if (std::error_code error = file.getError())
      return fail(ExitCode::IO, options.model + ": " + error.message());
  } else {
    sources.provide(options.model, llvm::MemoryBuffer::getMemBuffer(
                                       *options.bytes, options.model, false));
  }
  if (!(options.compileFrom ? parse() : import()))
    return false;
  if (!isModelName(name))
    return fail(ExitCode::CommandLine,
                "expected a name of letters, digits and '_', got '" + name +
                    "'");
  module->setSymName(name);
  return true;
}

bool Compilation::import() {
  ImportOptions importOptions;
  importOptions.dims = options.dims;
  importOptions.states = options.states;
  module = importONNX(context, options.model, sources, importOptions);
  name = options.name.empty() ? defaultModelName(options.model) : options.name;
  if (module)
    return runPasses(Phase::Import, /*isDump=*/false);
  if (!result.errors.empty())
    return fail(ExitCode::InvalidModel);
  return fail(ExitCode::Internal, "internal error: the import of '" +
                                      options.model +
                                      "' failed without a reason");
}

bool Compilation::parse() {
  ParserConfig config(&context);
  module = options.bytes ? parseSourceString<ModuleOp>(*options.bytes, config,
                                                       options.model)
                         : parseSourceFile<ModuleOp>(options.model, config);
  if (!module)
    return fail(ExitCode::InvalidModel);
  name = options.name;
  if (name.empty())
    name = module->getSymName().value_or(defaultModelName(options.model)).str();
  return runPasses(*options.compileFrom, /*isDump=*/true) && checkTarget();
}

/// Refuses a machine that a dump names and LLVM does not know, before cost
/// models count with it.
bool Compilation::checkTarget() {
  if (*options.compileFrom < Phase::Encode)
    return true;
  auto refuse = [&](const llvm::Twine &what) {
    return fail(ExitCode::InvalidModel, options.model + ": " + what);
  };
  auto target = (*module)->getAttrOfType<TargetAttr>(attr::kTarget);
  if (!target)
    return refuse("expected '" + attr::kTarget +
                  "' on the module after phase '" +
                  phaseName(*options.compileFrom) + "'");
  auto machine = createTargetMachine(target, options.optLevel);
  return machine || refuse(llvm::toString(machine.takeError()));
}

bool Compilation::setTarget(const TargetOptions &options) {
  llvm::Expected<TargetAttr> target = describeTarget(&context, options);
  if (!target)
    return fail(ExitCode::CommandLine, llvm::toString(target.takeError()));
  (*module)->setAttr("lutra.target", *target);
  return true;
}

bool Compilation::runPasses(Phase phase, bool isDump) {
  auto build = [&](OpPassManager &pm) {
    if (isDump)
      return verifyDump(pm, phase);
    WeightMeasures measures = {
        [&](ArrayRef<QuantizedPart> parts) { return measure(parts); },
        [&](DictionaryAttr codes) { return measureRows(codes); },
        [&](DictionaryAttr codes) { return measureColumns(codes); }};
    buildPhase(pm, phase,
               {name, &sources, options.references, options.lookups,
                options.activations, options.quantize, calibration, measures,
                &layers});
  };
  return runPipeline(phaseName(phase), build, isDump);
}

/// Runs the passes of a phase.
bool Compilation::runPipeline(StringRef phase,
                              function_ref<void(OpPassManager &)> build,
                              bool isDump) {
  PassManager pm(&context);
  std::string failedPass;
  pm.addInstrumentation(std::make_unique<FailedPass>(failedPass));
  if (trace)
    pm.addInstrumentation(tracePasses(*trace));
  TimingScope scope = rootTiming.nest(phase);
  pm.enableTiming(scope);
  build(pm);
  if (mlir::succeeded(pm.run(*module)))
    return true;
  // What a dump holds is the user's, and so is what no handler lowers, which
  // input cannot be a state, and what weights cannot become.
  bool isUsers = isDump || failedPass == "convert-onnx-to-tensor" ||
                 failedPass == "materialize-state" ||
                 failedPass == "quantize-contractions";
  if (isUsers && !result.errors.empty())
    return fail(ExitCode::InvalidModel);
  return failInternally("pass '" + failedPass + "' failed in phase '" + phase +
                        "'");
}

bool Compilation::fail(ExitCode code, const llvm::Twine &message) {
  if (result.code == ExitCode::Success)
    result.code = code;
  if (!message.isTriviallyEmpty())
    result.errors.push_back(message.str());
  return false;
}

bool Compilation::failInternally(const llvm::Twine &what) {
  if (!options.compileFrom)
    return fail(ExitCode::Internal, "internal error: " + what);
  return fail(ExitCode::InvalidModel,
              options.model + ": " + what +
                  "; unless the dump was changed, this is an internal error");
}

bool Compilation::succeeded(llvm::Error error) {
  // Only an error of the system has a code.
  bool isDone = true;
  llvm::handleAllErrors(
      std::move(error),
      [&](const llvm::FileError &file) {
        isDone = fail(ExitCode::IO, file.getFileName() + ": " +
                                        file.messageWithoutFileInfo());
      },
      [&](const InvalidWeight &weight) {
        isDone = fail(ExitCode::InvalidModel, weight.message());
      },
      [&](const llvm::ErrorInfoBase &other) {
        bool isFile =
            other.convertToErrorCode() != llvm::inconvertibleErrorCode();
        isDone = isFile ? fail(ExitCode::IO, other.message())
                        : failInternally(other.message());
      });
  return isDone;
}
