//===- QuantizationSpec.cpp - Which weights are quantized, and how --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lutra/Transforms/QuantizationSpec.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

static std::string formatNames() {
  std::string names;
  for (const WeightFormat &format : weightFormats())
    names += format.name.str() + ", ";
  return names + "two of them as FORMAT+PERCENT%FORMAT, auto:BITS or none";
}

static bool parsePositive(StringRef text, double &number) {
  return !text.getAsDouble(number) && number > 0 && std::isfinite(number);
}

/// Reads one of the settings behind a format; false where it is none.
static bool parseSetting(StringRef text, QuantizationRule &rule) {
  if (text == "row") {
    rule.group = 0;
  } else if (text == "a8" || text == "a8s" || text == "a32") {
    rule.integers = text != "a32";
    rule.isStatic = text == "a8s";
  } else if (text == kLeastSquares || text == kNearest ||
             text == kCompensated) {
    rule.leastSquares = text != kNearest;
    rule.compensates = text == kCompensated;
  } else if (text.consume_front("smooth")) {
    rule.smooth = 0.5;
    return text.empty() ||
           (parsePositive(text, rule.smooth) && rule.smooth <= 1);
  } else if (text.consume_front("outliers")) {
    rule.outliers = 6;
    return text.empty() || parsePositive(text, rule.outliers);
  } else if (text.consume_front("arc")) {
    rule.residuals = std::numeric_limits<size_t>::max();
    return text.empty() ||
           (!text.getAsInteger(10, rule.residuals) && rule.residuals > 0);
  } else if (text.starts_with("e")) {
    double percent;
    if (!text.consume_back("%") || !parsePositive(text.drop_front(), percent))
      return false;
    rule.mostError = percent / 100;
  } else if (text.consume_front("s")) {
    return !text.getAsInteger(10, rule.superBlock) && rule.superBlock > 0;
  } else {
    int64_t group;
    if (!text.consume_front("g") || text.getAsInteger(10, group) || group <= 0)
      return false;
    rule.group = group;
  }
  return true;
}

/// Checks what must be where channels are rounded twice: tables of sums and
/// weights that make up for others know nothing of it, and columns are padded
/// to groups.
static llvm::Error checkResiduals(const QuantizationRule &rule,
                                  const WeightFormat *format, int64_t group) {
  constexpr int64_t kMostGroup = 4096;
  auto error = [&](const Twine &expected) {
    return llvm::createStringError("expected " + expected + " with arc, got '" +
                                   rule.text + "'");
  };
  if (!format || format->bits < 4 || format->coding != WeightCoding::Numbers)
    return error("a format of 4 bits or more, a number for each code,");
  if (!rule.integers || rule.isStatic)
    return error("activations a8");
  if (group < 1 || group > kMostGroup)
    return error("groups of 1 to " + Twine(kMostGroup) + " weights");
  if (rule.compensates || rule.outliers > 0)
    return error("neither gptq nor outliers");
  return llvm::Error::success();
}

/// Checks what settings together must be for a format, or where bits choose
/// between some.
static llvm::Error checkRule(const QuantizationRule &rule,
                             const WeightFormat *chosen) {
  int64_t group = chosen ? rule.groupOf(*chosen) : *rule.group;
  if (rule.residuals > 0)
    if (llvm::Error error = checkResiduals(rule, chosen, group))
      return error;
  if (rule.superBlock > 0 && (group == 0 || rule.superBlock % group != 0))
    return llvm::createStringError(
        "expected super-blocks of a multiple of the weights of a group, got '" +
        rule.text + "'");
  if (!chosen)
    return llvm::Error::success();
  const WeightFormat &format = *chosen;
  if (rule.mostError > 0 && (format.hasFixedGroup || format.groupMultiple > 1))
    return llvm::createStringError("expected no error for " + format.name +
                                   ", whose groups are not halved, got '" +
                                   rule.text + "'");
  if (group % format.groupMultiple != 0)
    return llvm::createStringError("expected groups of a multiple of " +
                                   Twine(format.groupMultiple) + " for " +
                                   format.name + ", got '" + rule.text + "'");
  if (format.hasFixedGroup && group != format.group)
    return llvm::createStringError("expected groups of " + Twine(format.group) +
                                   " for " + format.name + ", got '" +
                                   rule.text + "'");
  if (rule.superBlock > 0 && !format.takesSuperBlocks())
    return llvm::createStringError("expected no super-blocks for " +
                                   format.name + ", got '" + rule.text + "'");
  if (rule.compensates && format.coding != WeightCoding::Numbers)
    return llvm::createStringError("expected mse or nearest for " +
                                   format.name +
                                   ", whose weights are not rounded one by "
                                   "one, got '" +
                                   rule.text + "'");
  if (rule.integers && !format.hasIntegers())
    return llvm::createStringError(
        "expected activations a32 for " + format.name +
        ", whose numbers are not integers, got '" + rule.text + "'");
  return llvm::Error::success();
}

/// Reads FORMAT or FORMAT+[PERCENT%]FORMAT.
static llvm::Error parseFormats(StringRef text, QuantizationRule &rule) {
  auto [first, second] = text.split('+');
  SmallVector<StringRef> names = {first};
  if (text.contains('+')) {
    double percent = 50;
    if (second.contains('%')) {
      auto [number, name] = second.split('%');
      if (!parsePositive(number, percent) || percent >= 100)
        return llvm::createStringError(
            "expected a percentage of outputs above 0 and below 100, got '" +
            number + "' in '" + rule.text + "'");
      second = name;
    }
    rule.share = percent / 100;
    names.push_back(second);
  }
  for (StringRef name : names) {
    rule.formats.push_back(findWeightFormat(name));
    if (!rule.formats.back())
      return llvm::createStringError("expected a format, " + formatNames() +
                                     ", got '" + name + "' in '" + rule.text +
                                     "'");
  }
  if (names.size() > 1 &&
      rule.formats[0]->codeBits() >= rule.formats[1]->codeBits())
    return llvm::createStringError(
        "expected a format of more bits behind '+', got '" + rule.text + "'");
  return llvm::Error::success();
}

/// Reads what the weights of a rule become.
static llvm::Error parseSettings(StringRef text, QuantizationRule &rule) {
  SmallVector<StringRef> parts;
  text.split(parts, ':');
  ArrayRef<StringRef> rest = ArrayRef(parts).drop_front();
  bool isAuto = parts[0] == "auto" && !rest.empty();
  if (isAuto) {
    if (!parsePositive(rest.consume_front(), rule.bits))
      return llvm::createStringError("expected bits per weight, got '" +
                                     parts[1] + "' in '" + rule.text + "'");
    rule.group = 32;
  } else if (llvm::Error error = parseFormats(parts[0], rule)) {
    return error;
  }
  // Floats of 8 bits are dense where most weights are.
  rule.leastSquares =
      isAuto || llvm::any_of(rule.formats, [](const WeightFormat *format) {
        return format->values.size() <= 16;
      });
  for (StringRef setting : rest)
    if (!parseSetting(setting, rule) || (isAuto && rule.mostError > 0))
      return llvm::createStringError(
          "expected gN for groups of N weights, row, sN for super-blocks of N "
          "weights, a8, a8s, a32, mse, nearest, gptq, smooth, smoothALPHA up "
          "to "
          "1, outliers, outliersMAGNITUDE, arc, arcCHANNELS or, "
          "unless bits are given, eN% for an error of N percent, got '" +
          setting + "' in '" + rule.text + "'");
  if (isAuto)
    return checkRule(rule, /*chosen=*/nullptr);
  for (const WeightFormat *format : rule.formats)
    if (llvm::Error error = checkRule(rule, format))
      return error;
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
  if (settings != "none")
    if (llvm::Error error = parseSettings(settings, rule))
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

LogicalResult QuantizationSpec::initialize(StringRef text,
                                           MLIRContext *context) {
  if (!rules.empty())
    return success();
  auto parsed = parse(text);
  if (!parsed)
    return emitError(UnknownLoc::get(context))
           << llvm::toString(parsed.takeError());
  *this = std::move(*parsed);
  return success();
}

QuantizeAttr QuantizedLayer::step(MLIRContext *context,
                                  const QuantizedPart &part,
                                  StringRef name) const {
  return QuantizeAttr::get(context, name, part.format->name, part.group, method,
                           factors, moments, part.superBlock, part.rows);
}

const QuantizationRule *
QuantizationSpec::find(ArrayRef<StringRef> names) const {
  for (const QuantizationRule &rule : rules)
    if (llvm::any_of(names,
                     [&](StringRef name) { return rule.pattern.match(name); }))
      return &rule;
  return nullptr;
}
