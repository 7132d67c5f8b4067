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
