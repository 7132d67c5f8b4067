//===- QuantizationSpec.cpp - Which weights are quantized, and how --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lutra/Transforms/QuantizationSpec.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra;

static std::string formatNames() {
  std::string names;
  for (const WeightFormat &format : weightFormats())
    names += format.name.str() + ", ";
  return names + "or none";
}

/// Reads one of the settings behind a format; false where it is none.
static bool parseSetting(StringRef text, QuantizationRule &rule) {
  if (text == "row") {
    rule.group = 0;
  } else if (text == "a8" || text == "a32") {
    rule.integers = text == "a8";
  } else if (text == kLeastSquares || text == kNearest) {
    rule.leastSquares = text == kLeastSquares;
  } else {
    return text.consume_front("g") && !text.getAsInteger(10, rule.group) &&
           rule.group > 0;
  }
  return true;
}

/// Checks what settings together must be.
static llvm::Error checkRule(const QuantizationRule &rule) {
  const WeightFormat &format = *rule.format;
  if (format.hasFixedGroup && rule.group != format.group)
    return llvm::createStringError("expected groups of " + Twine(format.group) +
                                   " for " + format.name + ", got '" +
                                   rule.text + "'");
  if (rule.integers && !format.values.empty())
    return llvm::createStringError(
        "expected activations a32 for " + format.name +
        ", whose numbers are not integers, got '" + rule.text + "'");
  return llvm::Error::success();
}

static llvm::Expected<QuantizationRule> parseRule(StringRef text) {
  StringRef pattern = "*", settings = text;
  // A name may hold a '=' itself; what it is to become cannot.
  if (text.contains('='))
    std::tie(pattern, settings) = text.rsplit('=');
  auto glob = llvm::GlobPattern::create(pattern);
  if (!glob)
    return llvm::createStringError("expected a pattern of names, got '" +
                                   pattern +
                                   "': " + llvm::toString(glob.takeError()));
  QuantizationRule rule = {text.str(), std::move(*glob)};
  StringRef name = settings.split(':').first;
  if (settings == "none")
    return rule;
  rule.format = findWeightFormat(name);
  if (!rule.format)
    return llvm::createStringError("expected a format, " + formatNames() +
                                   ", got '" + name + "' in '" + text + "'");
  rule.group = rule.format->group;
  // Floats of 8 bits are dense where most weights are.
  rule.leastSquares = rule.format->values.size() <= 16;
  for (StringRef setting : llvm::drop_begin(llvm::split(settings, ':')))
    if (!parseSetting(setting, rule))
      return llvm::createStringError(
          "expected gN for groups of N weights, row, a8, a32, mse or nearest, "
          "got '" +
          setting + "' in '" + text + "'");
  if (llvm::Error error = checkRule(rule))
    return std::move(error);
  return rule;
}

llvm::Expected<QuantizationSpec> QuantizationSpec::parse(StringRef text) {
  QuantizationSpec spec;
  for (StringRef part : llvm::split(text, ';')) {
    auto rule = parseRule(part.trim());
    if (!rule)
      return rule.takeError();
    spec.rules.push_back(std::move(*rule));
  }
  return spec;
}

const QuantizationRule *
QuantizationSpec::find(ArrayRef<StringRef> names) const {
  for (const QuantizationRule &rule : rules)
    if (llvm::any_of(names,
                     [&](StringRef name) { return rule.pattern.match(name); }))
      return &rule;
  return nullptr;
}
