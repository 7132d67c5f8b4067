//===- LutraOps.td - Operations of the lutra dialect -------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_LUTRAOPS_TD
#define LUTRA_DIALECTS_LUTRA_LUTRAOPS_TD

include "dialects/Lutra/LutraBase.td"
include "dialects/Lutra/LutraAttrs.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"

class Lutra_Op<string mnemonic, list<Trait> traits = []>
    : Op<Lutra_Dialect, mnemonic, traits>;

def Lutra_DimOp : Lutra_Op<"dim", [Pure,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "the size of a symbolic dimension of the model";
  let description = [{
    Stands at the entry of the host program. The runtime has checked that the
    size is within [min, max] and a multiple of `multiple` before the program
    runs, so passes may rely on it.

    ```mlir
    %batch = lutra.dim "batch" {min = 1, max = 64, multiple = 1}
    ```
  }];
  let arguments = (ins StrAttr:$name, I64Attr:$min, I64Attr:$max, I64Attr:$multiple);
  let results = (outs Index:$size);
  let assemblyFormat = "$name `min` $min `max` $max `multiple` $multiple attr-dict";
  let hasVerifier = 1;
}

def Lutra_WeightOp : Lutra_Op<"weight", [Pure,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a constant tensor in the model's file, or an expression over one";
  let description = [{
    A typed reference to `size` bytes at `offset` in `source`, the model's own
    file or a file of external data. The bytes are dense, row-major,
    little-endian elements of `storage` unless `encoding` says "varint"
    (Protobuf's packed varints). `steps` then transform the tensor; the result
    type is the type after the last step. Nothing is read before the weight
    image is written. A tensor that no file holds is given as `value` instead of
    a source: a small one, or a table that was made from a node's attributes.

    ```mlir
    %w = lutra.weight "fc1" from "mlp.onnx"[1024, 8192] storage tensor<64x32xf32>
        steps [#lutra.transpose<[1, 0]>] : tensor<32x64xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<StrAttr>:$source,
                       DefaultValuedAttr<I64Attr, "0">:$offset,
                       DefaultValuedAttr<I64Attr, "0">:$size,
                       DefaultValuedStrAttr<StrAttr, "raw">:$encoding,
                       TypeAttr:$storage, OptionalAttr<ElementsAttr>:$value,
                       DefaultValuedAttr<ArrayAttr, "{}">:$steps);
  let results = (outs AnyTypeOf<[AnyStaticShapeTensor, AnyStaticShapeMemRef]>:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The largest tensor that is a constant rather than a weight, in bytes.
    static constexpr int64_t kMaxInlineBytes = 1024;
    /// The largest tensor that may be given as `value`, in bytes.
    static constexpr int64_t kMaxValueBytes = 1 << 26;
  }];
}

def Lutra_StateOp : Lutra_Op<"state", [Pure,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a tensor that the caller keeps between runs, as it is at entry";
  let description = [{
    As large as it may become: along `axis` it has the capacity, of which the
    first indices, as many as the dimension that is the states' length, hold what
    earlier runs have left, and the others nothing. `sizes` are its dynamic sizes,
    and `shape` is a map ()[dims] -> (sizes), as an input has it. What the program
    returns for it differs from it behind its length only, and is written in place.

    ```mlir
    %k = lutra.state "past.key" axis 2 (%batch)
        {dtype = "FLOAT", shape = affine_map<()[s0, s1] -> (s0, 2, 2048, 64)>} : tensor<?x2x2048x64xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, I64Attr:$axis, StrAttr:$dtype,
                       AffineMapAttr:$shape, Variadic<Index>:$sizes);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name `axis` $axis `(` $sizes `)` attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def AnyRankedOrMemRef : AnyTypeOf<[AnyRankedTensor, AnyMemRef]>;

def Lutra_DispatchOp : Lutra_Op<"dispatch", [AttrSizedOperandSegments,
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "runs a kernel, a function of this module, on whole tensors";
  let description = [{
    The kernel takes the index operands, the inputs and the outputs, in this order,
    and returns one tensor per output, into which the output was updated.
    After bufferization the operands are buffers and there are no results.

    ```mlir
    %y = lutra.dispatch @matmul[%n](%a, %b) outs(%e : tensor<?x8xf32>) {nodes = "fc1"}
        : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Index>:$indices,
                       Variadic<AnyRankedOrMemRef>:$inputs,
                       Variadic<AnyRankedOrMemRef>:$outputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $kernel `[` $indices `]` `(` $inputs `)` `outs` `(` $outputs `:` type($outputs) `)`
    attr-dict `:` functional-type($inputs, $results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutputsMutable(); }
  }];
}

#endif // LUTRA_DIALECTS_LUTRA_LUTRAOPS_TD
