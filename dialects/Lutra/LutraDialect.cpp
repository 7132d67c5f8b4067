//===- LutraDialect.cpp - The lutra dialect -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra;

#include "dialects/Lutra/LutraDialect.cpp.inc"

/// A list of integers, `[1, 2]`, which may be empty.
static ParseResult parseIntegers(AsmParser &parser,
                                 SmallVectorImpl<int64_t> &list) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
    return parser.parseInteger(list.emplace_back());
  });
}

static void printIntegers(AsmPrinter &printer, ArrayRef<int64_t> list) {
  printer << '[';
  llvm::interleaveComma(list, printer);
  printer << ']';
}

#define GET_ATTRDEF_CLASSES
#include "dialects/Lutra/LutraAttrs.cpp.inc"

void LutraDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Lutra/LutraAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Lutra/LutraOps.cpp.inc"
      >();
}

AffineMap mlir::lutra::resolveDims(ArrayAttr dims, AffineMap shape) {
  SmallVector<AffineExpr> symbols;
  for (auto [i, entry] : llvm::enumerate(dims)) {
    auto dim = dyn_cast<DictionaryAttr>(entry);
    auto equals =
        dim ? dim.getAs<AffineMapAttr>(attr::kEquals) : AffineMapAttr();
    bool isSize = equals && equals.getValue().getNumResults() == 1;
    symbols.push_back(isSize ? equals.getValue().getResult(0)
                             : getAffineSymbolExpr(i, dims.getContext()));
  }
  return shape.replaceDimsAndSymbols({}, symbols, 0, symbols.size());
}
