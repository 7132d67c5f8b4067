//===- LutraDialect.cpp - The lutra dialect -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra;

#include "dialects/Lutra/LutraDialect.cpp.inc"

/// What LLVM can make vectors of, and what a core has as caches.
static constexpr int64_t kMaxVector = 64, kMinCache = 1 << 10,
                         kMaxCache = int64_t(1) << 30;

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

/// Cost models divide by these, and shift them.
LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> error,
                                 StringRef, StringRef, StringRef,
                                 int64_t vectorBits, int64_t vectorRegisters,
                                 int64_t l1, int64_t l2) {
  if (vectorBits != 128 && vectorBits != 256 && vectorBits != 512)
    return error() << "expects vectors of 128, 256 or 512 bits, got "
                   << vectorBits;
  if (vectorRegisters < 8 || vectorRegisters > 32)
    return error() << "expects 8 to 32 vector registers, got "
                   << vectorRegisters;
  if (l1 < kMinCache || l1 > kMaxCache || l2 < kMinCache || l2 > kMaxCache)
    return error() << "expects caches of " << kMinCache << " to " << kMaxCache
                   << " bytes, got " << l1 << " and " << l2;
  return success();
}

LogicalResult ScheduleAttr::verify(function_ref<InFlightDiagnostic()> error,
                                   ArrayRef<int64_t> distribute,
                                   ArrayRef<int64_t> tile,
                                   ArrayRef<int64_t> order, int64_t vector,
                                   int64_t depth) {
  auto isNegative = [](int64_t size) { return size < 0; };
  if (llvm::any_of(distribute, isNegative) || llvm::any_of(tile, isNegative) ||
      depth < 0)
    return error() << "expects tiles of at least 0";
  if (vector < 1 || vector > kMaxVector)
    return error() << "expects vectors of 1 to " << kMaxVector
                   << " elements, got " << vector;
  llvm::SmallDenseSet<int64_t> seen;
  for (int64_t loop : order)
    if (loop < 0 || loop >= int64_t(tile.size()) || !seen.insert(loop).second)
      return error() << "expects an order of the " << tile.size()
                     << " loops that have tiles, got loop " << loop;
  return success();
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
