//===- ActivationRules.cpp - What activations are rounded to --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lutra/Transforms/ActivationRules.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra;

static llvm::Expected<ActivationRule> parseRule(StringRef text) {
  StringRef pattern = "*", kind = text;
  // A name may hold a '=' itself.
  if (text.contains('='))
    std::tie(pattern, kind) = text.rsplit('=');
  if (kind != "a8" && kind != "a32")
    return llvm::createStringError(
        "expected a8 or a32, each also as PATTERN=, got '" + text + "'");
  auto glob = llvm::GlobPattern::create(pattern);
  if (!glob)
    return llvm::createStringError("expected a pattern of names, got '" +
                                   pattern +
                                   "': " + llvm::toString(glob.takeError()));
  return ActivationRule{text.str(), std::move(*glob), kind == "a8"};
}

llvm::Expected<ActivationRules> ActivationRules::parse(StringRef text) {
  ActivationRules result;
  for (StringRef part : llvm::split(text, ';')) {
    auto rule = parseRule(part.trim());
    if (!rule)
      return rule.takeError();
    result.rules.push_back(std::move(*rule));
  }
  return result;
}

const ActivationRule *ActivationRules::find(ArrayRef<StringRef> names) const {
  for (const ActivationRule &rule : rules)
    if (llvm::any_of(names,
                     [&](StringRef name) { return rule.pattern.match(name); }))
      return &rule;
  return nullptr;
}
