//===- Calibration.cpp - What a model's products read ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiles the model as it is, for this machine and with statistics of what
// products read as its outputs, into a temporary folder; runs it on all samples
// and adds up what comes out. Sums of products of any two channels are large:
// the model is compiled again for as many of them as fit the memory, and they
// are kept in files until weights are written.
//
//===----------------------------------------------------------------------===//

#include "Compilation.h"

#include "OutputFile.h"
#include "Samples.h"
#include "lutra/Driver/Pipeline.h"
#include "lutra/Target/Artifact.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;
using Outputs = std::vector<::lutra::run::Array>;

/// Sums of products of two channels are for so many channels at most, 1 GiB.
static constexpr int64_t kMaxChannels = 16384;
/// The bytes of such sums that are made at once, unless one takes more.
static constexpr int64_t kMatrixBytes = int64_t(1) << 30;

bool Compilation::checkCalibration() {
  const std::vector<QuantizationRule> &rules = options.quantize.rules;
  if (options.calibrate.empty()) {
    auto rule =
        llvm::find_if(rules, [](auto &rule) { return rule.needsSamples(); });
    return rule == rules.end() ||
           fail(ExitCode::CommandLine, "'" + rule->text +
                                           "' needs samples of the model's "
                                           "inputs, --calibrate=FILE.npz");
  }
  if (rules.empty() || options.compileTo < Phase::Quantize)
    return fail(ExitCode::CommandLine,
                "--calibrate needs --quantize and the phase 'quantize'");
  for (const std::string &file : options.calibrate)
    if (std::error_code error =
            llvm::sys::fs::access(file, llvm::sys::fs::AccessMode::Exist))
      return fail(ExitCode::IO, file + ": " + error.message());
  return true;
}

namespace {
/// A folder that goes with all that is in it.
class ScratchFolder {
public:
  ScratchFolder()
      : error(llvm::sys::fs::createUniqueDirectory("lutra", path)) {}
  ~ScratchFolder() {
    if (!error)
      llvm::sys::fs::remove_directories(path);
  }

  std::string file(const Twine &name) const {
    SmallString<128> result = path;
    llvm::sys::path::append(result, name);
    return result.str().str();
  }

private:
  SmallString<128> path;

public:
  const std::error_code error;
};
} // namespace

namespace mlir::lutra {
/// Makes the statistics of a compilation.
class Observer {
public:
  explicit Observer(Compilation &compilation) : compilation(compilation) {}

  bool run();

private:
  bool observe(ArrayRef<size_t> matrices,
               function_ref<void(const Outputs &)> take);
  bool compile(ArrayRef<size_t> matrices, StringRef artifact);
  bool observeChannels();
  bool observePairs(ArrayRef<size_t> matrices);

  Compilation &compilation;
  ScratchFolder folder;
  std::vector<ObservedFactor> factors;
  /// Of each factor.
  std::vector<ChannelStatistics> statistics;
};
} // namespace mlir::lutra

/// Compiles the model for this machine, whatever it is compiled for later.
bool Observer::compile(ArrayRef<size_t> matrices, StringRef artifact) {
  std::vector<ObservedFactor> observed;
  auto build = [&](OpPassManager &pm) {
    buildObservation(pm, compilation.options.quantize, matrices, observed);
  };
  if (!compilation.runPipeline("calibrate", build, /*isDump=*/false))
    return false;
  // The same each time.
  factors = std::move(observed);
  if (factors.empty())
    return compilation.fail(ExitCode::CommandLine,
                            "--calibrate: expected a product that --quantize "
                            "has a rule for, and found none");
  if (!compilation.setTarget(TargetOptions()))
    return false;
  for (Phase phase : allPhases())
    if (phase > Phase::Quantize && phase < Phase::Object &&
        !compilation.runPasses(phase, /*isDump=*/false))
      return false;
  ArtifactOptions options;
  options.output = artifact.str();
  options.linker = compilation.options.linker;
  options.optLevel = compilation.options.optLevel;
  return compilation.succeeded(
      writeArtifact(compilation.getModule(), options, [&](StringRef source) {
        return compilation.sources.open(source);
      }));
}

/// Passes the statistics of each sample on.
bool Observer::observe(ArrayRef<size_t> matrices,
                       function_ref<void(const Outputs &)> take) {
  std::string artifact = folder.file(
      matrices.empty() ? "channels.so" : "pairs" + Twine(matrices[0]) + ".so");
  OwningOpRef<ModuleOp> observed = compilation.getModule().clone();
  std::swap(compilation.module, observed);
  bool isCompiled = compile(matrices, artifact);
  std::swap(compilation.module, observed);
  if (!isCompiled)
    return false;
  auto failure =
      ::lutra::run::runOnSamples(artifact, compilation.options.calibrate, take);
  return !failure || compilation.fail(ExitCode(failure->code), failure->what());
}

/// Makes `known` what `combine` makes of it and of `output`, element by
/// element; it begins with zeros.
template <typename T>
static void merge(std::vector<T> &known, const ::lutra::run::Array &output,
                  function_ref<T(T, T)> combine) {
  known.resize(output.count());
  for (int64_t i = 0; i < output.count(); ++i)
    known[i] = combine(known[i], output.get(i));
}

bool Observer::observeChannels() {
  auto most = [](float a, float b) { return std::max(a, b); };
  auto fewest = [](float a, float b) { return std::min(a, b); };
  // Sums of many runs, in double precision.
  std::vector<std::vector<double>> squares, excess;
  auto take = [&](const Outputs &outputs) {
    squares.resize(factors.size());
    excess.resize(factors.size());
    statistics.resize(factors.size());
    const ::lutra::run::Array *next = outputs.data();
    for (auto [i, known] : llvm::enumerate(statistics)) {
      merge<double>(squares[i], *next++, std::plus<>());
      merge<float>(known.largest, *next++, most);
      known.rows += (next++)->get(0);
      if (!factors[i].isStatic)
        continue;
      merge<float>(known.least, *next++, fewest);
      merge<float>(known.greatest, *next++, most);
      merge<double>(excess[i], *next++, std::plus<>());
    }
  };
  if (!observe({}, take))
    return false;
  for (auto [i, known] : llvm::enumerate(statistics)) {
    known.squares.assign(squares[i].begin(), squares[i].end());
    known.excess.assign(excess[i].begin(), excess[i].end());
    auto isFinite = [](float number) { return std::isfinite(number); };
    if (!llvm::all_of(known.squares, isFinite))
      return compilation.fail(ExitCode::InvalidModel,
                              "--calibrate: the product '" +
                                  printable(factors[i].name) +
                                  "' reads numbers that are not finite, or "
                                  "too large to be squared");
  }
  return true;
}

/// Adds up products of channels of some factors, and leaves the sums in files.
bool Observer::observePairs(ArrayRef<size_t> matrices) {
  std::vector<std::vector<float>> sums(matrices.size());
  auto take = [&](const Outputs &outputs) {
    for (auto [sum, output] : llvm::zip(sums, outputs)) {
      sum.resize(output.count());
      const auto *more = reinterpret_cast<const float *>(output.data());
      for (int64_t i = 0; i < output.count(); ++i)
        sum[i] += more[i];
    }
  };
  if (!observe(matrices, take))
    return false;
  for (size_t i = 0; i < matrices.size(); ++i) {
    size_t number = matrices[i];
    ArrayRef<float> sum = sums[i];
    std::string name = ("moments" + Twine(number)).str(),
                path = folder.file(name);
    auto write = [&](llvm::raw_ostream &os) {
      os.write(reinterpret_cast<const char *>(sum.data()),
               sum.size() * sizeof(float));
    };
    if (!compilation.succeeded(writeFile(path, write)))
      return false;
    // It is mapped, and outlives its name.
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    if (std::error_code error = buffer.getError())
      return compilation.fail(ExitCode::IO, path + ": " + error.message());
    compilation.sources.provide(name, std::move(*buffer));
    statistics[number].moments = name;
  }
  return true;
}

bool Observer::run() {
  if (folder.error)
    return compilation.fail(ExitCode::IO,
                            "a temporary folder: " + folder.error.message());
  if (!observeChannels())
    return false;
  SmallVector<size_t> batch;
  int64_t bytes = 0;
  for (size_t number = 0; number < factors.size(); ++number) {
    int64_t channels = factors[number].channels;
    if (!factors[number].needsMatrix || channels > kMaxChannels)
      continue;
    int64_t more = channels * channels * sizeof(float);
    if (!batch.empty() && bytes + more > kMatrixBytes) {
      if (!observePairs(batch))
        return false;
      batch.clear();
      bytes = 0;
    }
    batch.push_back(number);
    bytes += more;
  }
  if (!batch.empty() && !observePairs(batch))
    return false;
  for (auto [factor, known] : llvm::zip_equal(factors, statistics)) {
    // Inputs that are all 0, or none at all, tell nothing.
    if (llvm::all_of(known.largest, [](float input) { return input == 0; }))
      continue;
    for (size_t product : factor.products)
      compilation.calibration[product] = known;
  }
  return true;
}

bool Compilation::calibrate() {
  return options.calibrate.empty() || Observer(*this).run();
}
