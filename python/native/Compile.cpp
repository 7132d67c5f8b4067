//===- Compile.cpp - The compiler, in process -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Binds lib/Driver. Options come as a dictionary of strings under the names of
// lutra-compile's flags, so that one reader serves both.
//
//===----------------------------------------------------------------------===//

#include "Native.h"
#include "lutra/Driver/Options.h"
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace mlir::lutra;

namespace {

using Flags = std::map<std::string, std::vector<std::string>>;
/// (exit code, errors, warnings, IR or report)
using Outcome = std::tuple<int, std::vector<std::string>,
                           std::vector<std::string>, std::string>;
/// (node, domain, op, version, reason)
using RefusalTuple =
    std::tuple<std::string, std::string, std::string, int64_t, std::string>;

Outcome outcome(Result result, std::string ir = {}) {
  return {static_cast<int>(result.code), std::move(result.errors),
          std::move(result.warnings), std::move(ir)};
}

Outcome refused(llvm::Error error) {
  Result result;
  result.code = ExitCode::CommandLine;
  result.errors.push_back(llvm::toString(std::move(error)));
  return outcome(std::move(result));
}

CompilerOptions makeOptions(std::string model, std::optional<nb::bytes> bytes) {
  CompilerOptions options;
  options.model = std::move(model);
  if (bytes)
    options.bytes.emplace(bytes->c_str(), bytes->size());
  return options;
}

llvm::Error read(const Flags &flags, CompilerOptions &options) {
  for (const auto &[flag, values] : flags)
    for (const std::string &value : values)
      if (llvm::Error error = readFlag(flag, value, options))
        return error;
  return llvm::Error::success();
}

Outcome compileModel(std::string model, std::optional<nb::bytes> bytes,
                     std::string output, const Flags &flags) {
  CompilerOptions options = makeOptions(std::move(model), std::move(bytes));
  options.output = std::move(output);
  emitBySuffix(options);
  nb::gil_scoped_release release;
  if (llvm::Error error = read(flags, options))
    return refused(std::move(error));
  return outcome(compile(options));
}

/// What `produce` says about a model in text.
Outcome textOf(std::string model, std::optional<nb::bytes> bytes,
               const Flags &flags,
               Result (*produce)(const CompilerOptions &, std::string &)) {
  CompilerOptions options = makeOptions(std::move(model), std::move(bytes));
  options.locations = false;
  nb::gil_scoped_release release;
  if (llvm::Error error = read(flags, options))
    return refused(std::move(error));
  std::string text;
  Result result = produce(options, text);
  return outcome(std::move(result), std::move(text));
}

Outcome emitModelIR(std::string model, std::optional<nb::bytes> bytes,
                    const Flags &flags) {
  return textOf(std::move(model), std::move(bytes), flags, emitIR);
}

Outcome reportModel(std::string model, std::optional<nb::bytes> bytes,
                    const Flags &flags) {
  return textOf(std::move(model), std::move(bytes), flags, report);
}

std::tuple<Outcome, std::vector<RefusalTuple>>
checkModel(std::string model, std::optional<nb::bytes> bytes) {
  CompilerOptions options = makeOptions(std::move(model), std::move(bytes));
  nb::gil_scoped_release release;
  std::vector<Refusal> refusals;
  Result result = check(options, refusals);
  std::vector<RefusalTuple> tuples;
  for (Refusal &refusal : refusals)
    tuples.emplace_back(refusal.node, refusal.domain, refusal.op,
                        refusal.version, refusal.reason);
  return {outcome(std::move(result)), std::move(tuples)};
}

} // namespace

void lutra::python::addCompile(nb::module_ &module) {
  module.def("compile", compileModel, nb::arg("model"), nb::arg("bytes").none(),
             nb::arg("output"), nb::arg("flags"));
  module.def("ir", emitModelIR, nb::arg("model"), nb::arg("bytes").none(),
             nb::arg("flags"));
  module.def("report", reportModel, nb::arg("model"), nb::arg("bytes").none(),
             nb::arg("flags"));
  module.def("check", checkModel, nb::arg("model"), nb::arg("bytes").none());
}
