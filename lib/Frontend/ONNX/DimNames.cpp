//===- DimNames.cpp - Dimensions named by a sum ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exporters name a dimension by how its size comes about. This reads such names
// by recursive descent; a name that is no arithmetic of the model's dimensions
// means nothing but itself.
//
//===----------------------------------------------------------------------===//

#include "DimNames.h"

#include "SizeAlgebra.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// Parentheses nest no deeper in any real name.
static constexpr int kMaxDepth = 8;

namespace {

using MaybeExpr = std::optional<AffineExpr>;

class NameParser {
public:
  NameParser(StringRef text, MLIRContext *context,
             llvm::function_ref<MaybeExpr(StringRef)> sizeOf)
      : text(text), context(context), sizeOf(sizeOf) {}

  MaybeExpr parse() {
    MaybeExpr result = sum(0);
    return isArithmetic && text.trim().empty() ? result : std::nullopt;
  }

private:
  bool take(StringRef token) {
    text = text.ltrim();
    return text.consume_front(token);
  }
  MaybeExpr sum(int depth);
  MaybeExpr product(int depth);
  MaybeExpr operand(int depth);

  StringRef text;
  MLIRContext *context;
  llvm::function_ref<MaybeExpr(StringRef)> sizeOf;
  bool isArithmetic = false;
};

} // namespace

MaybeExpr NameParser::sum(int depth) {
  MaybeExpr result = product(depth);
  while (result) {
    bool isSum = take("+");
    if (!isSum && !take("-"))
      break;
    isArithmetic = true;
    MaybeExpr next = product(depth);
    if (!next)
      return std::nullopt;
    result = isSum ? *result + *next : *result - *next;
  }
  return result;
}

MaybeExpr NameParser::product(int depth) {
  MaybeExpr result = operand(depth);
  while (result) {
    bool isProduct = take("*");
    if (!isProduct && !take("//") && !take("/"))
      break;
    isArithmetic = true;
    MaybeExpr next = operand(depth);
    auto divisor =
        dyn_cast_or_null<AffineConstantExpr>(next.value_or(AffineExpr()));
    if (!next || (!isProduct && (!divisor || divisor.getValue() < 1)))
      return std::nullopt;
    result = isProduct ? *result * *next : result->floorDiv(*next);
  }
  return result;
}

MaybeExpr NameParser::operand(int depth) {
  if (take("(")) {
    MaybeExpr inner = depth < kMaxDepth ? sum(depth + 1) : std::nullopt;
    return take(")") ? inner : std::nullopt;
  }
  text = text.ltrim();
  StringRef word = text.take_until(
      [](char c) { return StringRef("+-*/() \t").contains(c); });
  text = text.drop_front(word.size());
  int32_t number;
  if (!word.empty() && llvm::all_of(word, llvm::isDigit))
    return word.getAsInteger(10, number)
               ? MaybeExpr()
               : getAffineConstantExpr(number, context);
  return word.empty() ? MaybeExpr() : sizeOf(word);
}

MaybeExpr lutra::sizeFromName(StringRef name, MLIRContext *context,
                              llvm::function_ref<MaybeExpr(StringRef)> sizeOf) {
  MaybeExpr size = NameParser(name, context, sizeOf).parse();
  return size ? canonicalSize(*size) : size;
}
