//===- ReportProfile.cpp - Times of a run, from its trace -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the trace that `lutra-run --trace` writes and takes the median time of
// each dispatch from it.
//
//===----------------------------------------------------------------------===//

#include "ModelReports.h"
#include "lutra/Frontend/ONNX/Import.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace mlir::lutra;

/// Whether brackets nest no deeper than in any trace; the parser recurses.
static bool isShallow(StringRef text) {
  constexpr int kDeepest = 32;
  int depth = 0;
  bool isQuoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"')
      isQuoted = !isQuoted;
    else if (isQuoted)
      i += c == '\\';
    else if (c == '[' || c == '{')
      depth += 1;
    else if (c == ']' || c == '}')
      depth -= 1;
    if (depth > kDeepest)
      return false;
  }
  return true;
}

static llvm::Error wrongTrace(StringRef path, const llvm::Twine &what) {
  return llvm::createStringError(
      path + ": expected a trace that lutra-run wrote of this model, got " +
      what);
}

llvm::Expected<std::vector<double>>
lutra::readProfile(StringRef path, const ModelReport &report) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (std::error_code error = file.getError())
    return llvm::createFileError(path, error);
  StringRef text = (*file)->getBuffer();
  if (!isShallow(text))
    return wrongTrace(path, "brackets that nest too deeply");
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(text);
  if (!parsed)
    return wrongTrace(path, llvm::toString(parsed.takeError()));
  const llvm::json::Object *root = parsed->getAsObject();
  const llvm::json::Array *events =
      root ? root->getArray("traceEvents") : nullptr;
  if (!events)
    return wrongTrace(path, "no 'traceEvents'");

  std::vector<std::vector<double>> times(report.dispatches.size());
  for (const llvm::json::Value &value : *events) {
    const llvm::json::Object *event = value.getAsObject();
    if (!event || event->getString("cat") != "dispatch")
      continue;
    const llvm::json::Object *arguments = event->getObject("args");
    auto index = arguments ? arguments->getInteger("dispatch") : std::nullopt;
    auto name = event->getString("name");
    auto time = event->getNumber("dur");
    if (!index || !name || !time || !(*time >= 0))
      return wrongTrace(path, "a dispatch without its number, name or time");
    if (*index < 0 || *index >= int64_t(times.size()) ||
        report.kernels[report.dispatches[*index].kernel].name != *name)
      return wrongTrace(path, "'" + printable(*name) + "' as dispatch " +
                                  llvm::Twine(*index));
    times[*index].push_back(*time * 1e-6);
  }
  std::vector<double> medians;
  for (std::vector<double> &runs : times) {
    if (runs.empty())
      return wrongTrace(path, "dispatches that are missing");
    auto middle = runs.begin() + runs.size() / 2;
    std::nth_element(runs.begin(), middle, runs.end());
    medians.push_back(*middle);
  }
  return medians;
}
