//===- CascadeDialect.cpp - The cascade dialect ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

#include "dialects/Cascade/CascadeDialect.cpp.inc"
#include "dialects/Cascade/CascadeEnums.cpp.inc"
#include "dialects/Cascade/EinsumInterface.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Cascade/CascadeAttrs.cpp.inc"

void CascadeDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Cascade/CascadeAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Cascade/CascadeOps.cpp.inc"
      >();
}
