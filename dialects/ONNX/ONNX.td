//===- ONNX.td - The imported graph ------------------------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_ONNX_ONNX_TD
#define LUTRA_DIALECTS_ONNX_ONNX_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def ONNX_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::mlir::onnx";
  let summary = "The imported ONNX graph, nothing more";
  let description = [{
    One generic op holds every node of a graph. There is no class per ONNX
    operator: the operator table is the handler registry in
    `lib/Frontend/ONNX`, which says what each node means.
  }];
}

class ONNX_Op<string mnemonic, list<Trait> traits = []>
    : Op<ONNX_Dialect, mnemonic, traits>;

def ONNX_NodeOp : ONNX_Op<"node"> {
  let summary = "a node of an ONNX graph";
  let description = [{
    `kind` is the operator's name, after its domain and a dot where the domain
    is not the default one ("com.microsoft.MatMulNBits"). `version` is the
    version of that domain which the model imports. The node's own attributes
    are in `attrs`; its name is the op's location. Omitted inputs are
    `onnx.absent`; an attribute that is a subgraph is the number of its region,
    an index; a result whose type inference did not find is of type `none`.

    ```mlir
    %y = onnx.node "Gemm" version 13 (%x, %w, %none) {transB = 1 : si64}
        : (tensor<?x64xf32>, tensor<10x64xf32>, none) -> tensor<?x10xf32>
    ```
  }];
  let arguments = (ins StrAttr:$kind, I64Attr:$version,
                       Variadic<AnyType>:$inputs,
                       DefaultValuedAttr<DictionaryAttr, "{}">:$attrs);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region VariadicRegion<AnyRegion>:$graphs);
  let assemblyFormat = [{
    $kind `version` $version `(` $inputs `)` ($attrs^)? ($graphs^)?
    attr-dict `:` functional-type($inputs, $outputs)
  }];
  let extraClassDeclaration = [{
    /// The operator's domain, empty for the default one.
    ::llvm::StringRef getDomain();
    /// The operator's name without its domain.
    ::llvm::StringRef getOpType();
    /// The name that the model gives this node, from its location.
    ::llvm::StringRef getNodeName();
  }];
}

def ONNX_AbsentOp : ONNX_Op<"absent", [Pure]> {
  let summary = "stands for an omitted optional input";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def ONNX_YieldOp : ONNX_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "ends the graph of a node's subgraph attribute";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

#endif // LUTRA_DIALECTS_ONNX_ONNX_TD
