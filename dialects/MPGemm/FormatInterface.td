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
    InterfaceMethod<[{
      The number that a code below 2^bits stands for, or that the window does that
      ends with it. Not for codes of vectors.
    }], "double", "decode", (ins "unsigned":$code)>,
    InterfaceMethod<[{
      What is subtracted from an unsigned integer of getNumberBits() bits to give a
      number; nothing where numbers are not such. The integer is the code itself
      where it has as many bits.
    }], "std::optional<double>", "getOffset">,
    InterfaceMethod<"The bits of that integer: those of a code, or 8.", "unsigned", "getNumberBits",
                    (ins), "", "return $_attr.getBits();">,
    InterfaceMethod<[{
      The bits that decode() takes: those of a code, and below them those of codes
      before it in its row, of which some may be cut off.
    }], "unsigned", "getWindow", (ins), "", "return $_attr.getBits();">,
    InterfaceMethod<"Whether each code stands for a number by itself.", "bool", "isScalar", (ins), "",
                    "return $_attr.getWindow() == $_attr.getBits();">,
    InterfaceMethod<"How many numbers of a row there are for each code.", "unsigned", "getSpan",
                    (ins), "", "return 1;">,
    InterfaceMethod<[{
      How many groups of codes a group of x is multiplied with, each with a scale of
      its own, and what they give added up.
    }], "unsigned", "getPlanes", (ins), "", "return 1;">];
}

#endif // LUTRA_DIALECTS_MPGEMM_FORMATINTERFACE_TD
