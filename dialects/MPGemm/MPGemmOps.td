//===- MPGemmOps.td - Operations of the mpgemm dialect -----*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_MPGEMM_MPGEMMOPS_TD
#define LUTRA_DIALECTS_MPGEMM_MPGEMMOPS_TD

include "dialects/MPGemm/MPGemmAttrs.td"
include "dialects/MPGemm/ProductInterface.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/TilingInterface.td"

class MPGemm_Op<string mnemonic, list<Trait> traits = []>
    : Op<MPGemm_Dialect, mnemonic, traits>;

def MPGemm_Shaped : AnyTypeOf<[AnyRankedTensor, AnyNon0RankedMemRef]>;

def MPGemm_MatmulOp : MPGemm_Op<"matmul", [AttrSizedOperandSegments,
    MPGemm_ProductInterface, DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
      ["reifyResultShapes"]>,
    DeclareOpInterfaceMethods<TilingInterface, ["getLoopIteratorTypes",
      "getIterationDomain", "getTiledImplementation", "getResultTilePosition",
      "generateResultTileValue"]>]> {
  let summary = "a product with codes, scaled group by group";
  let description = [{
    With x [M, G, K], codes [N, G, K], scales [N, G] and zeros [N, G],

      y[m, n] = sum over g of scales[n, g] * xScales[m, g] *
                sum over k of x[m, g, k] * (number(codes[n, g, k]) - zeros[n, g])

    where `format` says what number a code stands for; without `zeros` nothing is
    subtracted. Groups are consecutive codes of a row. x is floats, or 8-bit
    integers with `xSums` [M, G], which are the sums over k of x, and `xScales`
    [M, G], without which scales of x are 1. Codes are unsigned, one in a byte;
    zeros are unsigned codes too, or floats. The sum over k of integers is exact:
    the verifier refuses groups for which it might not fit 32 bits. Where a format
    has planes, group g of codes meets group g / planes of x. Where codes stand for
    vectors there are fewer than K in a group, and `codebook` has what they stand
    for. Without `scales`, x is integers without `xScales`, in one group, and the
    result is the sums, in i32.

    Scales are floats, also of 8 bits, or signed bytes. With superScales [N, S] the
    scale of group g of codes is

      superScales[n, g / ceil(G / S)] * scales[n, g]

    where S is ceil(G / ceil(G / S)).

    The result is written to `init`, whose elements are not read. With `layout`,
    codes, scales, super-scales and zeros lie as that says, which `encode` chooses, and
    K is as in x.

    With a layout whose codes are in one plane, x may be tables [M, G, T, 16 *
    depth] of bytes, as `lut.build` makes them: for each half of a byte of codes
    (a key) what all that it stands for would add, so that products become look-ups.
    Then

      y[m, n] = sum over g of scales[n, g] * xScales[m, g] *
                (sum over keys of (tables[m, g, .., key] - 128) -
                 zeros[n, g] * xSums[m, g])

    and xSums, which are f32, are there where zeros are.

    ```mlir
    %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8>
        x(%x : tensor<?x128x32xf32>) codes(%w : tensor<4096x128x32xi8>)
        scales(%s : tensor<4096x128xf32>) outs(%e : tensor<?x4096xf32>)
        -> tensor<?x4096xf32>
    ```
  }];
  let arguments = (ins MPGemm_Shaped:$x, MPGemm_Shaped:$codes,
                       Optional<MPGemm_Shaped>:$scales,
                       Optional<MPGemm_Shaped>:$superScales,
                       Optional<MPGemm_Shaped>:$zeros,
                       Optional<MPGemm_Shaped>:$codebook,
                       Optional<MPGemm_Shaped>:$xScales,
                       Optional<MPGemm_Shaped>:$xSums, MPGemm_Shaped:$init,
                       MPGemm_FormatInterface:$format,
                       OptionalAttr<MPGemm_LayoutAttr>:$layout);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let assemblyFormat = [{
    $format (`layout` $layout^)? `x` `(` $x `:` type($x) `)`
    `codes` `(` $codes `:` type($codes) `)`
    (`scales` `(` $scales^ `:` type($scales) `)`)?
    (`superscales` `(` $superScales^ `:` type($superScales) `)`)?
    (`zeros` `(` $zeros^ `:` type($zeros) `)`)?
    (`codebook` `(` $codebook^ `:` type($codebook) `)`)?
    (`xscales` `(` $xScales^ `:` type($xScales) `)`)?
    (`xsums` `(` $xSums^ `:` type($xSums) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($result)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
  }];
}

def MPGemm_GatherMatmulOp : MPGemm_Op<"gather_matmul", [AttrSizedOperandSegments,
    Pure, MPGemm_ProductInterface, DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface,
      ["reifyResultShapes"]>,
    DeclareOpInterfaceMethods<TilingInterface, ["getLoopIteratorTypes",
      "getIterationDomain", "getTiledImplementation", "getResultTilePosition"]>]> {
  let summary = "a product with several matrices, one for each block of rows";
  let description = [{
    With x [M, G, K], experts [B], offsets [B + 1] and codes [E * N, G, K], which are
    E matrices one behind the other, rows [offsets[b], offsets[b + 1]) of block b are
    multiplied with matrix experts[b]:

      y[m, n] = as matmul, of x[m] and codes[experts[b] * N + n]

    Codes, scales, superScales, zeros, xScales, xSums, `format` and `layout` are those of a matmul
    of E * N columns, with scales, and each code stands for a number by itself; a
    layout pads the columns of each matrix. Without `format`, codes are floats that
    stand for themselves, without scales, and x is f32; these lie with `layout` as
    [E * ceil(N / rows), G, K, rows].

    experts are below E, and offsets go up from 0 to M. Of a block without rows
    nothing is read. Rows of no block are not written.

    A tile is of one block, and a `matmul`; without `format` it is a contraction.

    ```mlir
    %y = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8>
        experts(%e : tensor<?xi64>) offsets(%o : tensor<?xi64>)
        x(%x : tensor<?x32x32xf32>) codes(%w : tensor<32768x32x32xi8>)
        scales(%s : tensor<32768x32xf32>) outs(%i : tensor<?x2048xf32>)
        -> tensor<?x2048xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$experts, AnyRankedTensor:$offsets,
                       AnyRankedTensor:$x, AnyRankedTensor:$codes,
                       Optional<AnyRankedTensor>:$scales,
                       Optional<AnyRankedTensor>:$superScales,
                       Optional<AnyRankedTensor>:$zeros,
                       Optional<AnyRankedTensor>:$xScales,
                       Optional<AnyRankedTensor>:$xSums, AnyRankedTensor:$init,
                       OptionalAttr<MPGemm_FormatInterface>:$format,
                       OptionalAttr<MPGemm_LayoutAttr>:$layout);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    ($format^)? (`layout` $layout^)? `experts` `(` $experts `:` type($experts) `)`
    `offsets` `(` $offsets `:` type($offsets) `)`
    `x` `(` $x `:` type($x) `)` `codes` `(` $codes `:` type($codes) `)`
    (`scales` `(` $scales^ `:` type($scales) `)`)?
    (`superscales` `(` $superScales^ `:` type($superScales) `)`)?
    (`zeros` `(` $zeros^ `:` type($zeros) `)`)?
    (`xscales` `(` $xScales^ `:` type($xScales) `)`)?
    (`xsums` `(` $xSums^ `:` type($xSums) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    /// What `codes` has of each matrix along its first dimension: columns, or with
    /// a layout tiles of such.
    int64_t getMatrixSize();
  }];
}

def MPGemm_QuantizeActOp : MPGemm_Op<"quantize_act", [Pure]> {
  let summary = "groups of numbers as 8-bit integers with a scale";
  let description = [{
    Of x [M, G, K], each group k is divided by scale = max |x| / 127 and rounded to
    the nearest integer, ties to even; a group of zeros has the scale 0. Beside the
    integers and scales [M, G], it gives their sums [M, G]. A group with a NaN or
    an infinity has the scale NaN, and so is what is multiplied with it.

    ```mlir
    %q, %s, %sum = mpgemm.quantize_act %x : tensor<?x128x32xf32>
        -> tensor<?x128x32xi8>, tensor<?x128xf32>, tensor<?x128xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x);
  let results = (outs AnyRankedTensor:$codes, AnyRankedTensor:$scales,
                      AnyRankedTensor:$sums);
  let assemblyFormat = [{
    $x attr-dict `:` type($x) `->` type($codes) `,` type($scales) `,` type($sums)
  }];
  let hasVerifier = 1;
}

#endif // LUTRA_DIALECTS_MPGEMM_MPGEMMOPS_TD
