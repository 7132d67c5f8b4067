//===- MPGemmBase.td - Products with low-bit factors -------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_MPGEMM_MPGEMMBASE_TD
#define LUTRA_DIALECTS_MPGEMM_MPGEMMBASE_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"

def MPGemm_Dialect : Dialect {
  let name = "mpgemm";
  let cppNamespace = "::mlir::lutra::mpgemm";
  let summary = "Products of numbers with codes of few bits";
  let useDefaultAttributePrinterParser = 1;
}

#endif // LUTRA_DIALECTS_MPGEMM_MPGEMMBASE_TD
