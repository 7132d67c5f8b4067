//===- FilterAssembly.h - How filters are written ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_FILTERASSEMBLY_H
#define LUTRA_DIALECTS_CASCADE_FILTERASSEMBLY_H

#include "mlir/IR/OpImplementation.h"

namespace mlir::lutra::cascade {

/// `filters([sets][symbols])`, which may not be there.
inline ParseResult
parseFilters(OpAsmParser &parser, OperationState &result,
             SmallVectorImpl<OpAsmParser::UnresolvedOperand> &symbols) {
  if (failed(parser.parseOptionalKeyword("filters")))
    return success();
  ArrayAttr filters;
  return failure(
      parser.parseLParen() ||
      parser.parseAttribute(filters, "filters", result.attributes) ||
      parser.parseOperandList(symbols, AsmParser::Delimiter::OptionalSquare) ||
      parser.parseRParen());
}

inline void printFilters(OpAsmPrinter &p, std::optional<ArrayAttr> filters,
                         OperandRange symbols) {
  if (!filters)
    return;
  p << " filters(" << *filters;
  if (!symbols.empty())
    p << '[' << symbols << ']';
  p << ')';
}

} // namespace mlir::lutra::cascade

#endif // LUTRA_DIALECTS_CASCADE_FILTERASSEMBLY_H
