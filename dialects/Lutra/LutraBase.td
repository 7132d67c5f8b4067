//===- LutraBase.td - The program around the kernels -------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_LUTRABASE_TD
#define LUTRA_DIALECTS_LUTRA_LUTRABASE_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"

def Lutra_Dialect : Dialect {
  let name = "lutra";
  let cppNamespace = "::mlir::lutra";
  let summary = "The program around the kernels: dimensions, weights, dispatches";
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
}

#endif // LUTRA_DIALECTS_LUTRA_LUTRABASE_TD
