//===- DimEntry.cpp - Entries of lutra.dims -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/DimEntry.h"

using namespace mlir;
using namespace mlir::lutra;

std::optional<DimEntry> lutra::readDim(Attribute element) {
  auto dict = dyn_cast<DictionaryAttr>(element);
  if (!dict)
    return std::nullopt;
  auto number = [&](StringRef key) {
    auto found = dict.getAs<IntegerAttr>(key);
    return found && found.getType().isSignlessInteger(64) ? found
                                                          : IntegerAttr();
  };
  DimEntry dim{dict.getAs<StringAttr>("name"), number("min"), number("max"),
               number("multiple")};
  if (!dim.name || !dim.min || !dim.max || !dim.multiple)
    return std::nullopt;
  return dim;
}
