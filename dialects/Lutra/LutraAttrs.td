//===- LutraAttrs.td - Attributes of the lutra dialect -----*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_LUTRAATTRS_TD
#define LUTRA_DIALECTS_LUTRA_LUTRAATTRS_TD

include "dialects/Lutra/LutraBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"

class Lutra_Attr<string name, string attrMnemonic> : AttrDef<Lutra_Dialect, name> {
  let mnemonic = attrMnemonic;
}

//===----------------------------------------------------------------------===//
// Weight expressions: each step maps a dense tensor to a dense tensor. A list of
// steps, applied left to right, is evaluated when the weight image is written.
//===----------------------------------------------------------------------===//

def Lutra_TransposeAttr : Lutra_Attr<"Transpose", "transpose"> {
  let summary = "permutes dimensions: dimension i of the result is dimension permutation[i] of the operand";
  let parameters = (ins OptionalArrayRefParameter<"int64_t">:$permutation);
  let assemblyFormat = "`<` custom<Integers>($permutation) `>`";
}

def Lutra_ReshapeAttr : Lutra_Attr<"Reshape", "reshape"> {
  let summary = "gives the same elements in row-major order another shape";
  let parameters = (ins OptionalArrayRefParameter<"int64_t">:$shape);
  let assemblyFormat = "`<` custom<Integers>($shape) `>`";
}

def Lutra_ReverseAttr : Lutra_Attr<"Reverse", "reverse"> {
  let summary = "reverses the order of the elements along a dimension";
  let parameters = (ins "int64_t":$dim);
  let assemblyFormat = "`<` $dim `>`";
}

def Lutra_CastAttr : Lutra_Attr<"Cast", "cast"> {
  let summary = "converts each element as ONNX's Cast does";
  let description = [{
    `from` and `to` are element types in which signedness counts (`ui8`, `si8`
    or `i8` for signed, `i1` for bool, stored in one byte). A float of 8 bits
    or fewer is only cast from: bytes are its bits.
  }];
  let parameters = (ins "::mlir::Type":$from, "::mlir::Type":$to);
  let assemblyFormat = "`<` $from `to` $to `>`";
}

def Lutra_DequantizeAttr : Lutra_Attr<"Dequantize", "dequantize"> {
  let summary = "gives each element x the value (x - zero) * scale";
  let description = [{
    `from` and `to` are element types in which signedness counts. `scale` and
    `zero` are weights themselves: the attributes of a `lutra.weight` without
    steps but for one that unpacks, and behind it one that casts. They have one
    element, or one per index of dimension `axis`, or, where `block` is not 0, the
    shape of the tensor but for `axis`, of which every `block` indices share one.
    The value is computed in f32 and rounded once. It is the first step of its
    expression, or follows one that unpacks.
  }];
  let parameters = (ins "::mlir::Type":$from, "::mlir::Type":$to,
                        "int64_t":$axis, "int64_t":$block,
                        "::mlir::DictionaryAttr":$scale,
                        OptionalParameter<"::mlir::DictionaryAttr">:$zero);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Lutra_UnpackAttr : Lutra_Attr<"Unpack", "unpack"> {
  let summary = "reads bytes as a stream of codes of `bits` bits, one byte each";
  let description = [{
    A tensor of B bytes becomes a tensor of `shape`, whose n codes take
    ceil(n * bits / 8) = B bytes: the bits of all bytes follow each other, the
    lowest first, and code i is bits [i * bits, (i + 1) * bits), unsigned. `bits`
    is 1 to 8. With `flip` the top bit of each code is inverted, which takes two's
    complement to the number plus 2^(bits - 1). With `rows`, the bytes are that
    many streams of equal length, each of equally many codes and padded to a byte.
    It is the first step of its expression.
  }];
  let parameters = (ins "unsigned":$bits, "bool":$flip,
                        OptionalArrayRefParameter<"int64_t">:$shape,
                        DefaultValuedParameter<"int64_t", "1">:$rows);
  let assemblyFormat = [{
    `<` `bits` `=` $bits `,` `flip` `=` $flip `,` `shape` `=` custom<Integers>($shape)
        (`,` `rows` `=` $rows^)? `>`
  }];
}

def Lutra_PlanesAttr : Lutra_Attr<"Planes", "planes"> {
  let summary = "packs codes of `bits` bits as kernels read them";
  let description = [{
    A tensor [N, K] of bytes, of which only the lowest `bits` bits are not 0,
    becomes [ceil(N / rows), chunks, vectors, bytes of a vector], laid out as
    `CodePlanes.h` says. It is the last step of its expression.
  }];
  let parameters = (ins "unsigned":$bits, "int64_t":$rows,
                        DefaultValuedParameter<"int64_t", "4">:$depth,
                        DefaultValuedParameter<"bool", "false">:$rowsShareBytes);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Lutra_PackAttr : Lutra_Attr<"Pack", "pack"> {
  let summary = "splits dimension `dim` into tiles of `tile` and moves the position in the tile innermost";
  let description = [{
    A tensor [.., D, ..] becomes [.., ceil(D / tile), .., tile]; the outer part
    of the split dimension stays where it is unless `outer` names another
    position, to which it is moved. Elements beyond D are zero. So
    `pack<dim = 1, tile = 32, outer = 0>` takes [K, N] to [ceil(N / 32), K, 32].
  }];
  let parameters = (ins "int64_t":$dim, "int64_t":$tile, "int64_t":$outer);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Lutra_QuantizeAttr : Lutra_Attr<"Quantize", "quantize"> {
  let summary = "chooses codes for the weights of each group, their scale and zero point";
  let description = [{
    `part` says what of it the result is. A tensor [N, K] of f32 becomes its "codes",
    [N, G, group] bytes with G = ceil(K / group), or the "scales" or "zeros" of the
    groups, [N, G]. Zeros are bytes, and scales bf16 or of 8 bits, as the format has
    them; with `superBlock` they are signed bytes, and each superBlock of them are
    multiplied with one of the "superscales", [N, ceil(G / superBlock)] of bf16. Scales
    in E4M3 have one of a row. G is that times the planes for "bcq" formats. The
    "sums" are those over K of what codes stand for with their scales, [N] of f32.
    `format` is one of `WeightFormats.h`, `method`
    "nearest", "mse" or "gptq". Codes beyond K are zero. A weight that is not finite is
    an error when the expression is evaluated. There is one such step at most.

    Where codes stand for vectors, groups are multiples of what `#mpgemm.vectors` asks
    for, and may be longer than K; codes are then [N, G, group * books / size], and the
    "codebook" is [books, size, 2^bits] bytes.

    With `factors`, [K] of f32, columns are multiplied with these before, and those with
    a factor of 0 are the "rest", [N, R] of f32, as they were. Those with a negative
    factor are zeros; behind the other groups, as they were, they have groups of their
    own, which are there twice: with S of these G is ceil(K / group) +
    2 * ceil(S / group). `moments` is a plain
    weight of f32, as the scale of `#lutra.dequantize`: sums of squares of what each
    column is multiplied with in the model, [K], by which its errors count, or sums of
    products of any two, [K, K], which "gptq" needs.

    With `rows`, [R] of i64 that increase, it is of these rows alone, and N is R.
  }];
  let parameters = (ins StringRefParameter<>:$part, StringRefParameter<>:$format,
                        "int64_t":$group, StringRefParameter<>:$method,
                        OptionalParameter<"::mlir::DenseElementsAttr">:$factors,
                        OptionalParameter<"::mlir::DictionaryAttr">:$moments,
                        DefaultValuedParameter<"int64_t", "0">:$superBlock,
                        OptionalParameter<"::mlir::DenseElementsAttr">:$rows);
  let assemblyFormat = "`<` struct(params) `>`";
  let extraClassDeclaration = [{
    /// Super-scales of a row of `groups` groups; 0 where scales have none.
    int64_t numSuperScales(int64_t groups) const;
    /// How many columns have a factor of 0.
    int64_t numKept() const;
  }];
}

def Lutra_SumAttr : Lutra_Attr<"Sum", "sum"> {
  let summary = "adds up each row of unsigned bytes";
  let description = [{
    A tensor [N, K] of bytes becomes [N] of i32; K is at most 2^31 / 255, so that
    no sum overflows. It is the last step of its expression.
  }];
}

//===----------------------------------------------------------------------===//
// What a kernel is compiled for, and how it is tiled.
//===----------------------------------------------------------------------===//

def Lutra_TargetAttr : Lutra_Attr<"Target", "target"> {
  let summary = "the machine that code is generated for";
  let description = [{
    `vectorBits` and `vectorRegisters` describe the widest vectors that pay;
    caches are in bytes per core, as the cost models use them. `features` names
    all that matter, "+avx,+avx2", also those that `cpu` implies.
  }];
  let parameters = (ins StringRefParameter<>:$triple, StringRefParameter<>:$cpu,
                        StringRefParameter<>:$features, "int64_t":$vectorBits,
                        "int64_t":$vectorRegisters, "int64_t":$l1,
                        "int64_t":$l2);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Whether the machine has a feature, by LLVM's name ("avx512bf16").
    bool hasFeature(::llvm::StringRef feature) const;
  }];
}

def Lutra_ScheduleAttr : Lutra_Attr<"Schedule", "schedule"> {
  let summary = "how a kernel's root operation is tiled";
  let description = [{
    One size per loop of the root operation, 0 for a loop that is not tiled.
    `distribute` gives the tiles that run in parallel, `tile` the tiles inside
    them, which for a contraction are register tiles; `order` is the nesting of the
    inner tile loops, outermost first. `vector` is the number of elements in a
    vector register, of the kernel's widest element type. Where `depth` is given, a
    contraction goes over its reduction in blocks of so many steps, between which its
    sums rest in memory, and there are no inner tile loops.
  }];
  let parameters = (ins OptionalArrayRefParameter<"int64_t">:$distribute,
                        OptionalArrayRefParameter<"int64_t">:$tile,
                        OptionalArrayRefParameter<"int64_t">:$order,
                        "int64_t":$vector, OptionalParameter<"int64_t">:$depth);
  let builders = [AttrBuilder<
      (ins "::llvm::ArrayRef<int64_t>":$distribute, "::llvm::ArrayRef<int64_t>":$tile,
          "::llvm::ArrayRef<int64_t>":$order, "int64_t":$vector),
      [{ return $_get($_ctxt, distribute, tile, order, vector, /*depth=*/0); }]>];
  let assemblyFormat = [{
    `<` `distribute` `=` custom<Integers>($distribute) `,`
        `tile` `=` custom<Integers>($tile) `,`
        `order` `=` custom<Integers>($order) `,` `vector` `=` $vector
        (`,` `depth` `=` $depth^)? `>`
  }];
  let genVerifyDecl = 1;
}

#endif // LUTRA_DIALECTS_LUTRA_LUTRAATTRS_TD
