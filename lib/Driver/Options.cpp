//===- Options.cpp - Options as users spell them --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads flags and the suffixes of outputs, for the command line and for
// Python.
//
//===----------------------------------------------------------------------===//

#include "lutra/Driver/Options.h"

#include "lutra/Transforms/ActivationRules.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::lutra;

/// Reads a positive integer; false where `text` is anything else.
static bool parseSize(StringRef text, int64_t &size) {
  return !text.getAsInteger(10, size) && size > 0;
}

static bool parseRange(StringRef text, DimRange &range) {
  auto [bounds, multiple] = text.split('%');
  if (text.contains('%') && !parseSize(multiple, range.multiple))
    return false;
  auto [min, max] = bounds.split("..");
  if (min.getAsInteger(10, range.min) || range.min < 0)
    return false;
  if (!bounds.contains("..")) {
    range.max = range.min;
    return true;
  }
  if (max.empty())
    return true;
  return parseSize(max, range.max) && range.min <= range.max;
}

/// Whether a multiple lies in the range.
static bool hasSize(const DimRange &range) {
  int64_t largest = range.max - range.max % range.multiple;
  return largest >= range.min;
}

/// `name:min..max` or `name:value`, each with an optional `%multiple`.
static llvm::Error parseDim(StringRef text,
                            std::map<std::string, DimRange> &dims) {
  // A name may hold a ':' itself; the sizes cannot.
  auto [name, sizes] = text.rsplit(':');
  DimRange range;
  if (name.empty() || !parseRange(sizes, range) || !hasSize(range))
    return llvm::createStringError("expected a dimension as NAME:SIZE, "
                                   "NAME:MIN..MAX or NAME:MIN..MAX%MULTIPLE, "
                                   "got '" +
                                   text + "'");
  if (!dims.try_emplace(name.str(), range).second)
    return llvm::createStringError("dimension '" + name + "' is given twice");
  return llvm::Error::success();
}

/// `past:present:max=2048`
static llvm::Error parseState(StringRef text,
                              std::vector<StateOption> &states) {
  auto [names, capacity] = text.rsplit(":max=");
  auto [past, present] = names.split(':');
  StateOption state{past.str(), present.str(), 0};
  if (past.empty() || present.empty() || present.contains(':') ||
      past.count('*') > 1 || past.count('*') != present.count('*') ||
      !parseSize(capacity, state.capacity))
    return llvm::createStringError(
        "expected a state as INPUT:OUTPUT:max=LENGTH, with at most one '*' in "
        "each name, got '" +
        text + "'");
  states.push_back(std::move(state));
  return llvm::Error::success();
}

namespace {
struct Emit {
  StringLiteral name, suffix;
  Phase phase;
  ArtifactKind artifact;
};
} // namespace

static constexpr Emit kEmits[] = {
    {"onnx", "", Phase::Import, ArtifactKind::SharedLibrary},
    {"tensor", "", Phase::Tensor, ArtifactKind::SharedLibrary},
    {"llvm-dialect", ".mlir", Phase::Target, ArtifactKind::SharedLibrary},
    {"llvm-ir", ".ll", Phase::Object, ArtifactKind::LLVMIR},
    {"asm", ".s", Phase::Object, ArtifactKind::Assembly},
    {"obj", ".o", Phase::Object, ArtifactKind::Object},
    {"lib", ".so", Phase::Object, ArtifactKind::SharedLibrary}};

static llvm::Error parseEmit(StringRef text, CompilerOptions &options) {
  std::string names;
  for (const Emit &emit : kEmits) {
    if (emit.name == text) {
      options.compileTo = emit.phase;
      options.artifact = emit.artifact;
      return llvm::Error::success();
    }
    names += (names.empty() ? "" : ", ") + emit.name.str();
  }
  return llvm::createStringError("expected one of " + names +
                                 " to emit, got '" + text + "'");
}

void lutra::emitBySuffix(CompilerOptions &options) {
  StringRef suffix = llvm::sys::path::extension(options.output);
  for (const Emit &emit : kEmits) {
    if (suffix.empty() || emit.suffix != suffix)
      continue;
    options.compileTo = emit.phase;
    options.artifact = emit.artifact;
  }
}

static llvm::Error readPhase(StringRef flag, StringRef text,
                             CompilerOptions &options) {
  std::optional<Phase> phase = lutra::parsePhase(text);
  if (!phase)
    return llvm::createStringError("expected the name of a phase for --" +
                                   flag + ", got '" + text + "'");
  if (flag == "compile-to")
    options.compileTo = *phase;
  else
    options.compileFrom = *phase;
  return llvm::Error::success();
}

static llvm::Error parseOptLevel(StringRef text, CompilerOptions &options) {
  if (text.getAsInteger(10, options.optLevel) || options.optLevel > 3)
    return llvm::createStringError("expected -O0 to -O3, got '-O" + text + "'");
  return llvm::Error::success();
}

static llvm::Error parseWeights(StringRef text, CompilerOptions &options) {
  if (text != "external" && text != "embed")
    return llvm::createStringError("expected --weights=external or "
                                   "--weights=embed, got '--weights=" +
                                   text + "'");
  options.embedWeights = text == "embed";
  return llvm::Error::success();
}

/// Sums of exponentials may be so many times as large as under their maximum,
/// as a power of e: f32 has room for more.
static constexpr double kMaxDistance = 64;

/// online, lazy:DISTANCE or fixed:DISTANCE
static llvm::Error parseReferences(StringRef text,
                                   ReferenceOptions &references) {
  auto [policy, distance] = text.split(':');
  ReferenceOptions read;
  read.lazy = 0;
  double number = 0;
  bool isKnown = policy == "lazy" || policy == "fixed";
  if (isKnown ? distance.getAsDouble(number) || !(number > 0) ||
                    number > kMaxDistance
              : text != "online")
    return llvm::createStringError(
        "expected --references=online, --references=lazy:DISTANCE or "
        "--references=fixed:DISTANCE, a distance above 0 and at most 64, got "
        "'--references=" +
        text + "'");
  (policy == "lazy" ? read.lazy : read.fixed) = number;
  references = read;
  return llvm::Error::success();
}

static llvm::Error parseLookups(StringRef text, std::string &lookups) {
  if (text != "auto" && text != "always" && text != "never")
    return llvm::createStringError(
        "expected --lookups=auto, --lookups=always or --lookups=never, got "
        "'--lookups=" +
        text + "'");
  lookups = text.str();
  return llvm::Error::success();
}

static llvm::Error parseActivations(StringRef text, std::string &activations) {
  auto rules = ActivationRules::parse(text);
  if (!rules)
    return llvm::createStringError("--activations: " +
                                   llvm::toString(rules.takeError()));
  activations = text.str();
  return llvm::Error::success();
}

static llvm::Error parseQuantize(StringRef text, CompilerOptions &options) {
  auto spec = QuantizationSpec::parse(text);
  if (!spec)
    return llvm::createStringError("--quantize: " +
                                   llvm::toString(spec.takeError()));
  llvm::append_range(options.quantize.rules, spec->rules);
  return llvm::Error::success();
}

/// kernels, passes or quantization, each with or without :FILE, or html:FILE
static llvm::Error parseReport(StringRef text, ReportOptions &report) {
  auto [kind, file] = text.split(':');
  bool isPage = kind == "html", hasFile = text.contains(':');
  auto *path = llvm::StringSwitch<std::string *>(kind)
                   .Case("kernels", &report.kernels)
                   .Case("passes", &report.passes)
                   .Case("quantization", &report.quantization)
                   .Case("html", &report.page)
                   .Default(nullptr);
  if (!path || hasFile == file.empty() || (isPage && !hasFile))
    return llvm::createStringError(
        "expected --report=kernels, --report=passes or --report=quantization, "
        "each also with :FILE, or --report=html:FILE, got '--report=" +
        text + "'");
  if (!path->empty())
    return llvm::createStringError("--report=" + kind + " is given twice");
  *path = hasFile ? file.str() : "-";
  return llvm::Error::success();
}

static llvm::Error parseReportDim(StringRef text, ReportOptions &report) {
  auto [name, size] = text.rsplit(':');
  int64_t number = 0;
  if (name.empty() || !parseSize(size, number))
    return llvm::createStringError(
        "expected a size for --report-dim as NAME:SIZE, got '" + text + "'");
  if (!report.dims.try_emplace(name.str(), number).second)
    return llvm::createStringError("--report-dim is given twice for '" + name +
                                   "'");
  return llvm::Error::success();
}

/// Where the value of a flag that takes any text goes; null for other flags.
static std::string *textOf(StringRef flag, CompilerOptions &options) {
  return llvm::StringSwitch<std::string *>(flag)
      .Case("emit-header", &options.header)
      .Case("name", &options.name)
      .Case("mcpu", &options.target.cpu)
      .Case("mattr", &options.target.features)
      .Case("mtriple", &options.target.triple)
      .Case("linker", &options.linker)
      .Case("dump-ir", &options.dumpDir)
      .Case("trace", &options.trace)
      .Case("report-profile", &options.report.profile)
      .Default(nullptr);
}

llvm::Error lutra::readFlag(StringRef flag, StringRef value,
                            CompilerOptions &options) {
  if (std::string *text = textOf(flag, options)) {
    *text = value.str();
    return llvm::Error::success();
  }
  if (flag == "emit")
    return parseEmit(value, options);
  if (flag == "compile-to" || flag == "compile-from")
    return readPhase(flag, value, options);
  if (flag == "dim")
    return parseDim(value, options.dims);
  if (flag == "report")
    return parseReport(value, options.report);
  if (flag == "report-dim")
    return parseReportDim(value, options.report);
  if (flag == "state")
    return parseState(value, options.states);
  if (flag == "O")
    return parseOptLevel(value, options);
  if (flag == "weights")
    return parseWeights(value, options);
  if (flag == "quantize")
    return parseQuantize(value, options);
  if (flag == "calibrate") {
    options.calibrate.push_back(value.str());
    return llvm::Error::success();
  }
  if (flag == "references")
    return parseReferences(value, options.references);
  if (flag == "lookups")
    return parseLookups(value, options.lookups);
  if (flag == "activations")
    return parseActivations(value, options.activations);
  if (flag != "mlir-timing")
    return llvm::createStringError("unknown option '" + flag + "'");
  options.timing = value != "false";
  return llvm::Error::success();
}
