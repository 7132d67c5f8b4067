//===- FormatInterface.td - What codes stand for -----------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_MPGEMM_FORMATINTERFACE_TD
#define LUTRA_DIALECTS_MPGEMM_FORMATINTERFACE_TD

include "mlir/IR/OpBase.td"

def MPGemm_FormatInterface : AttrInterface<"FormatInterface"> {
  let cppNamespace = "::mlir::lutra::mpgemm";
  let description = [{
    What number a code stands for, before zero point and scale. Says nothing of how
    codes lie in memory, nor of how they are multiplied.
  }];
  let methods = [
    InterfaceMethod<"The bits of a code, 1 to 8.", "unsigned", "getBits">,
    InterfaceMethod<"How many codes there are, at most 2^bits: those below this.",
                    "unsigned", "getLevels">,
    InterfaceMethod<"The number that a code below 2^bits stands for.", "double",
                    "decode", (ins "unsigned":$code)>,
    InterfaceMethod<[{
      What is subtracted from a code, taken as an unsigned integer, to give its
      number; nothing where numbers are not evenly spaced.
    }], "std::optional<int64_t>", "getOffset">];
}

#endif // LUTRA_DIALECTS_MPGEMM_FORMATINTERFACE_TD
