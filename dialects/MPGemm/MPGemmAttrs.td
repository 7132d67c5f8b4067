//===- MPGemmAttrs.td - Formats of codes -------------------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_MPGEMM_MPGEMMATTRS_TD
#define LUTRA_DIALECTS_MPGEMM_MPGEMMATTRS_TD

include "dialects/MPGemm/FormatInterface.td"
include "dialects/MPGemm/MPGemmBase.td"

class MPGemm_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<MPGemm_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def MPGemm_AffineAttr : MPGemm_Attr<"Affine", "affine",
    [DeclareAttrInterfaceMethods<MPGemm_FormatInterface, ["decode", "getLevels", "getOffset"]>]> {
  let summary = "code c stands for c - zero";
  let description = [{
    Integers of 1 to 8 bits: ternary is 2 bits with zero 1 and codes below 3, two's
    complement of 4 bits is zero 8 with the top bit inverted. `zero` is the zero
    point that all codes share; those that differ are an operand. All codes are
    below `below`, if it is not 0.
  }];
  let parameters = (ins "unsigned":$bits, "int64_t":$zero,
                        DefaultValuedParameter<"unsigned", "0">:$below);
  let assemblyFormat = [{
    `<` `bits` `=` $bits `,` `zero` `=` $zero (`,` `below` `=` $below^)? `>`
  }];
  let builders = [AttrBuilder<(ins "unsigned":$bits, "int64_t":$zero),
                              [{ return $_get($_ctxt, bits, zero, 0); }]>];
  let genVerifyDecl = 1;
}

def MPGemm_CodebookAttr : MPGemm_Attr<"Codebook", "codebook",
    [DeclareAttrInterfaceMethods<MPGemm_FormatInterface, ["decode", "getLevels", "getOffset"]>]> {
  let summary = "code c stands for values[c]";
  let description = [{
    Any set of at most 2^bits numbers: NF4 and FP4 as bitsandbytes has them, the
    floats of MX and NV formats, fp8, posits, or what was learned.
  }];
  let parameters = (ins "unsigned":$bits, "::mlir::DenseF32ArrayAttr":$values);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def MPGemm_LayoutAttr : MPGemm_Attr<"Layout", "layout"> {
  let summary = "the codes, scales and zero points of `rows` columns of the product lie beside each other";
  let description = [{
    Codes [N, G, K] are bit planes, as `#lutra.planes<bits, rows, depth>` makes
    them of [N, G * K] (`dialects/Lutra/CodePlanes.h`); scales and zero points
    [N, G] lie as [ceil(N / rows), G, rows].
  }];
  let parameters = (ins "int64_t":$rows,
                        DefaultValuedParameter<"int64_t", "4">:$depth);
  let assemblyFormat = "`<` `rows` `=` $rows (`,` `depth` `=` $depth^)? `>`";
  let genVerifyDecl = 1;
}

#endif // LUTRA_DIALECTS_MPGEMM_MPGEMMATTRS_TD
