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
    [DeclareAttrInterfaceMethods<MPGemm_FormatInterface, ["decode", "getLevels", "getOffset", "getNumberBits"]>]> {
  let summary = "code c stands for values[c]";
  let description = [{
    Any set of at most 2^bits numbers: NF4 and FP4 as bitsandbytes has them, the
    floats of MX and NV formats, fp8, posits, or what was learned. Where codes
    have at most 4 bits and stand for 8-bit integers, they are multiplied as such.
  }];
  let parameters = (ins "unsigned":$bits, "::mlir::DenseF32ArrayAttr":$values);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def MPGemm_BinaryAttr : MPGemm_Attr<"Binary", "binary",
    [DeclareAttrInterfaceMethods<MPGemm_FormatInterface,
      ["getBits", "decode", "getLevels", "getOffset", "getPlanes"]>]> {
  let summary = "code c stands for c - 1/2, in `planes` planes";
  let description = [{
    Binary coding: a number is the sum over planes of a scale, of which each group
    of a plane has its own, and a sign. The planes of a group follow each other, so
    that codes are [N, G * planes, K] and scales [N, G * planes].
  }];
  let parameters = (ins "unsigned":$planes);
  let assemblyFormat = "`<` `planes` `=` $planes `>`";
  let genVerifyDecl = 1;
}

def MPGemm_TrellisAttr : MPGemm_Attr<"Trellis", "trellis",
    [DeclareAttrInterfaceMethods<MPGemm_FormatInterface,
      ["decode", "getLevels", "getOffset", "getNumberBits", "getWindow"]>]> {
  let summary = "codes and those before them stand for what is computed from both";
  let description = [{
    Trellis-coded quantization. The window of a code has its bits on top, then those
    of the code 4 before it in the row, of that 8 before it and so on, over the
    borders of groups; codes before the row are 0. So every fourth code is of one
    of four sequences, which are decoded side by side. What a window stands for is
    an 8-bit integer (`dialects/Lutra/TrellisCode.h`).
  }];
  let parameters = (ins "unsigned":$bits);
  let assemblyFormat = "`<` `bits` `=` $bits `>`";
  let genVerifyDecl = 1;
}

def MPGemm_VectorsAttr : MPGemm_Attr<"Vectors", "vectors",
    [DeclareAttrInterfaceMethods<MPGemm_FormatInterface,
      ["decode", "getLevels", "getOffset", "getNumberBits", "isScalar", "getSpan"]>]> {
  let summary = "a code of each of `books` codebooks together stand for a vector of `size` numbers";
  let description = [{
    Vector quantization with additive codebooks, which are an operand [books, size,
    2^bits] of bytes: `codebook[b, j, c]` is what code c of book b adds to number j of
    a vector. Numbers are the sums modulo 256, less 128.

    Vectors lie along K, and four take turns: of each 4 * size numbers of a row,
    number 4 * j + i is number j of vector i. Their codes are [books, 4], so that
    groups have K * books / size codes. So the same codes give a quad of numbers
    (`dialects/Lutra/CodePlanes.h`) for each j, by one look-up in each book.
  }];
  let parameters = (ins "unsigned":$bits, "unsigned":$size, "unsigned":$books);
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Numbers of four vectors, of which groups have whole ones.
    int64_t getBlock() { return 4 * int64_t(getSize()); }
  }];
  let genVerifyDecl = 1;
}

def MPGemm_LayoutAttr : MPGemm_Attr<"Layout", "layout"> {
  let summary = "the codes, scales and zero points of `rows` columns of the product lie beside each other";
  let description = [{
    Codes [N, G, K] are bit planes, as `#lutra.planes<bits, rows, depth,
    rowsShareBytes>` makes them of [N, G * K] (`dialects/Lutra/CodePlanes.h`);
    scales and zero points [N, G] lie as [ceil(N / rows), G, rows].
  }];
  let parameters = (ins "int64_t":$rows,
                        DefaultValuedParameter<"int64_t", "4">:$depth,
                        DefaultValuedParameter<"bool", "false">:$rowsShareBytes);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // LUTRA_DIALECTS_MPGEMM_MPGEMMATTRS_TD
