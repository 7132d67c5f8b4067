//===- LutOps.td - Operations of the lut dialect -----------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUT_LUTOPS_TD
#define LUTRA_DIALECTS_LUT_LUTOPS_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Lut_Dialect : Dialect {
  let name = "lut";
  let cppNamespace = "::mlir::lutra::lut";
  let summary = "Tables as values";
}

class Lut_Op<string mnemonic, list<Trait> traits = []>
    : Op<Lut_Dialect, mnemonic, traits>;

def Lut_BuildOp : Lut_Op<"build", [Pure]> {
  let summary = "tables of what groups of codes add to a product with x";
  let description = [{
    A key is 4 bits, of one or more codes, the first in the lowest bits; a code c
    stands for values[c], of which there are 2, 4 or 16, so that a key has I = 4, 2
    or 1 codes. Of x [M, G, K] in f32, numbers (t * I + i) * depth + j of a group,
    for all i, belong to the same table, whose entry e is

      sum over i of values[code i of e] * x[m, g, (t * I + i) * depth + j]

    and lies at [m, g, t, 16 * j + e]. K is a multiple of depth * I.

    Entries are bytes: divided by a scale of the group, the largest magnitude of an
    entry / 127, rounded to the nearest integer, ties to even, and 128 added. The
    scale of a group of zeros is 0, and that of a group with a NaN or an infinity
    is NaN. `sums` are the sums over k of x divided by the scale, and 0 where that
    is 0.

    ```mlir
    %t, %scales, %sums = lut.build %x values [-1.0, 1.0] depth 4
        : tensor<?x32x128xf32> -> tensor<?x32x8x64xi8>, tensor<?x32xf32>, tensor<?x32xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$x, DenseF32ArrayAttr:$values,
                       I64Attr:$depth);
  let results = (outs AnyRankedTensor:$tables, AnyRankedTensor:$scales,
                      AnyRankedTensor:$sums);
  let assemblyFormat = [{
    $x `values` $values `depth` $depth attr-dict `:` type($x) `->`
    type($tables) `,` type($scales) `,` type($sums)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    static constexpr int64_t kEntries = 16;
    /// The codes of a key.
    int64_t codesOfKey();
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$x,
                                 "::llvm::ArrayRef<float>":$values,
                                 "int64_t":$depth)>];
}

def Lut_LookupOp : Lut_Op<"lookup", [Pure, AllTypesMatch<["keys", "result"]>]> {
  let summary = "the entries of a table that keys name";
  let description = [{
    Element i of the result is table[keys[i]], of keys without a sign. One that the
    table does not have gives any value.

    ```mlir
    %v = lut.lookup %keys in %table : vector<64xi8>, vector<16xi8>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [I8]>:$keys,
                       VectorOfRankAndType<[1], [I8]>:$table);
  let results = (outs VectorOfRankAndType<[1], [I8]>:$result);
  let assemblyFormat = [{
    $keys `in` $table attr-dict `:` type($keys) `,` type($table)
  }];
}

#endif // LUTRA_DIALECTS_LUT_LUTOPS_TD
