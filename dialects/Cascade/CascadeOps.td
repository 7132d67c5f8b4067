//===- CascadeOps.td - Operations of the cascade dialect ---*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_CASCADEOPS_TD
#define LUTRA_DIALECTS_CASCADE_CASCADEOPS_TD

include "dialects/Cascade/CascadeAttrs.td"
include "dialects/Cascade/EinsumInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/TilingInterface.td"

class Cascade_Op<string mnemonic, list<Trait> traits = []>
    : Op<Cascade_Dialect, mnemonic, traits>;

def Cascade_CascadeOp : Cascade_Op<"cascade", [RecursiveMemoryEffects, SingleBlock,
    DeclareOpInterfaceMethods<TilingInterface, ["getLoopIteratorTypes",
      "getIterationDomain", "getTiledImplementation", "getResultTilePosition"]>,
    DeclareOpInterfaceMethods<PartialReductionOpInterface, [
      "generateInitialTensorForPartialReduction", "tileToPartialReduction",
      "mergeReductions", "getPartialResultTilePosition"]>]> {
  let summary = "Einsums over shared ranks, computed together";
  let description = [{
    The ranks are named, with their extents, and the Einsums inside speak of them by
    name. Tensors from outside are read as they are. With `reassoc`, sums may be
    taken in any order, and factors moved in and out of them.

    ```mlir
    %y = cascade.cascade reassoc ranks(p = %n, m = 128) {
      %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] { ... }
      ...
      cascade.yield %o : tensor<?x128xf32>
    } : tensor<?x128xf32>
    ```
  }];
  let arguments = (ins Variadic<Index>:$extents, StrArrayAttr:$ranks,
                       DenseI64ArrayAttr:$staticExtents, UnitAttr:$reassoc);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasCanonicalizer = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block *getBlock() { return &getBody().front(); }
    ::mlir::SmallVector<::mlir::OpFoldResult> getMixedExtents();
    /// The position of a rank among `ranks`, if there is one of that name.
    std::optional<unsigned> findRank(::llvm::StringRef name);
    /// The extent of a rank, kDynamic where it is a value.
    int64_t getStaticExtent(::llvm::StringRef name);
  }];
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$results,
      "::mlir::ArrayRef<::mlir::StringRef>":$ranks,
      "::mlir::ArrayRef<::mlir::OpFoldResult>":$extents, "bool":$reassoc)>];
}

def Cascade_EinsumOp : Cascade_Op<"einsum", [
    AttrSizedOperandSegments, RecursiveMemoryEffects, SingleBlock,
    HasParent<"CascadeOp, IterateOp">,
    DeclareOpInterfaceMethods<Cascade_EinsumOpInterface>]> {
  let summary = "maps each point of an iteration space to a value, and reduces ranks";
  let description = [{
    The body gives the value of a point from the elements that are read there. A rank
    of the iteration space that the result lacks is reduced by the monoid, starting
    from its identity or from `init`. A point is absent, and takes no part in the
    reduction, where it lies in none of the `filters` (affine sets over the ranks and
    the symbols) or where `mask` is 0. The body may extract elements of tensors from
    outside of the cascade, at indices that are data.

    ```mlir
    %s = cascade.einsum [p, m] (%q[p, m], %max[p]) reduce(add)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%offset])
        -> [p] {
    ^bb0(%x: f32, %d: f32):
      %e = arith.subf %x, %d : f32
      %r = math.exp %e : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, Optional<AnyRankedTensor>:$mask,
                       Variadic<Index>:$symbols, Optional<AnyRankedTensor>:$init,
                       StrArrayAttr:$iter, AffineMapArrayAttr:$maps,
                       OptionalAttr<Cascade_Monoid>:$monoid,
                       OptionalAttr<TypedArrayAttrBase<IntegerSetAttr, "affine sets">>:$filters);
  let results = (outs AnyRankedTensor:$result);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasCanonicalizer = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block *getBlock() { return &getBody().front(); }
    unsigned getNumRanks() { return getIter().size(); }
    ::llvm::StringRef getRankName(unsigned rank) {
      return ::llvm::cast<::mlir::StringAttr>(getIter()[rank]).getValue();
    }
    ::mlir::AffineMap getMap(unsigned i) {
      return ::llvm::cast<::mlir::AffineMapAttr>(getMaps()[i]).getValue();
    }
    ::mlir::AffineMap getInputMap(unsigned input) { return getMap(input); }
    ::mlir::AffineMap getMaskMap() { return getMap(getInputs().size()); }
    ::mlir::AffineMap getResultMap() { return getMap(getMaps().size() - 1); }
    bool isReduced(unsigned rank) { return !getResultMap().isFunctionOfDim(rank); }
    bool hasReduction() { return getMonoid().has_value(); }
    bool isFiltered() { return getFilters() || getMask(); }
    /// The position of a rank among `iter`, if there is one of that name.
    std::optional<unsigned> findRank(::llvm::StringRef name);
    /// Whether there is a rank of that name, and the result lacks it.
    bool reduces(::llvm::StringRef name);
    /// Whether there is a rank of that name, and `map` goes along it.
    bool goesAlong(::mlir::AffineMap map, ::llvm::StringRef name);
  }];
  let builders = [
    // Without mask, filters and start. `body` gives the value of a point from the
    // elements of the inputs, read and written by `maps`.
    OpBuilder<(ins "::mlir::RankedTensorType":$type, "::mlir::ArrayAttr":$iter,
      "::mlir::ValueRange":$inputs, "::mlir::ArrayRef<::mlir::AffineMap>":$maps,
      "std::optional<::mlir::lutra::cascade::Monoid>":$monoid,
      "::llvm::function_ref<::mlir::Value(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange)>":$body)>,
    // A map of tensors, each over the last of the ranks.
    OpBuilder<(ins "::mlir::RankedTensorType":$type, "::mlir::ArrayAttr":$iter,
      "::mlir::ValueRange":$inputs,
      "::llvm::function_ref<::mlir::Value(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange)>":$body)>];
}

def Cascade_IterateOp : Cascade_Op<"iterate", [
    AttrSizedOperandSegments, RecursiveMemoryEffects, SingleBlock,
    HasParent<"CascadeOp">]> {
  let summary = "goes over a rank part by part, with tensors that are carried along";
  let description = [{
    The body sees one part of the rank: `streams` are tensors cut along it, at the
    dimension that `dims` names. Einsums inside speak of the rank by its name and
    mean the part; the coordinates that filters and `cascade.index` see are those of
    the whole. The results are what is carried behind the last part. How long a part
    is is a matter of schedule. `filters`, affine sets over all ranks of the cascade
    and the symbols, say where anything happens: the results are the same without
    points that are in none of them, and parts without others may be left out.

    ```mlir
    %d, %s = cascade.iterate "m" (%k = %key[0]) carry(%d = %d0, %s = %s0) {
      ...
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    } : (tensor<?x64xf32>), (tensor<?xf32>, tensor<?xf32>)
    ```
  }];
  let arguments = (ins StrAttr:$rank, Variadic<AnyRankedTensor>:$streams,
                       Variadic<AnyRankedTensor>:$inits, Variadic<Index>:$symbols,
                       DenseI64ArrayAttr:$dims,
                       OptionalAttr<TypedArrayAttrBase<IntegerSetAttr, "affine sets">>:$filters);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasCanonicalizer = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Block *getBlock() { return &getBody().front(); }
    ::mlir::Block::BlockArgListType getParts() {
      return getBlock()->getArguments().take_front(getStreams().size());
    }
    ::mlir::Block::BlockArgListType getCarried() {
      return getBlock()->getArguments().drop_front(getStreams().size());
    }
    /// Whether a reduction reads streams along a rank: then each coordinate of it
    /// reads its own. Others read what they stream together.
    bool streamsAlong(::llvm::StringRef name);
    /// The type of a part of `stream`.
    static ::mlir::RankedTensorType partType(::mlir::Type stream, int64_t dim);
  }];
}

def Cascade_RebaseOp : Cascade_Op<"rebase", [Pure, HasParent<"CascadeOp, IterateOp">,
    AllTypesMatch<["reference", "local", "updated", "correction"]>]> {
  let summary = "a new reference, and the factor that moves a state from the old one to it";
  let description = [{
    `updated` is the old reference combined with `local`, and `correction` is
    h(updated) / h(reference) for the family's h: exp(reference - updated), the same
    to base 2, or reference / updated. It is finite where both are, and 1 where they
    are equal; a reference of -inf counts as the lowest finite number.

    ```mlir
    %d1, %c = cascade.rebase %d, %local exp max policy<lazy, 8.0 : f32> : tensor<?xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$reference, AnyRankedTensor:$local,
                       Cascade_Family:$family, Cascade_Monoid:$monoid,
                       OptionalAttr<Cascade_PolicyAttr>:$policy);
  let results = (outs AnyRankedTensor:$updated, AnyRankedTensor:$correction);
  let assemblyFormat = "$reference `,` $local $family $monoid (`policy` `` $policy^)? attr-dict `:` type($reference)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// When the state moves; whenever the reference does, unless it is said.
    PolicyKind getPolicyKind() {
      return getPolicy() ? getPolicyAttr().getKind() : PolicyKind::Online;
    }
  }];
}

def Cascade_MergeOp : Cascade_Op<"merge", [Pure, AttrSizedOperandSegments, HasParent<"CascadeOp, IterateOp">]> {
  let summary = "one state of several that were summed apart";
  let description = [{
    Dimension 0 of each operand counts the states. The result is the combined reference, if
    there is one, and each sum as if it had been taken over all points under it: the
    sum over the states of sum * h(combined) / h(reference). Without a reference, the
    plain sums. Merging is associative and commutative but for rounding.
  }];
  let arguments = (ins Optional<AnyRankedTensor>:$reference, Variadic<AnyRankedTensor>:$sums,
                       Cascade_Family:$family, Cascade_Monoid:$monoid);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "($reference^ `:` type($reference))? `sums` `(` $sums `)` $family $monoid attr-dict `:` functional-type($sums, $results)";
  let hasVerifier = 1;
}

def Cascade_TopKOp : Cascade_Op<"top_k", [Pure, HasParent<"CascadeOp">]> {
  let summary = "the best points along a rank, and where they are";
  let description = [{
    Goes over the rank `along` and has one place of the rank `as` for each point that
    it chooses, as many as that rank is long, from the largest (with `smallest`:
    the smallest) on; equal ones are in their order. `ranks` are those along the
    dimensions of the input. In the results `as` takes the place of `along`;
    `indices` are coordinates of that.

    It is a barrier: which points are chosen is known behind the last one, no factor
    leaves a choice, and no correction turns one into another.

    ```mlir
    %v, %i = cascade.top_k %x["p", "m"] along "m" as "n" : tensor<?x64xf32> -> tensor<?x4xf32>, tensor<?x4xi64>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, StrArrayAttr:$ranks, StrAttr:$along, StrAttr:$as,
                       UnitAttr:$smallest, UnitAttr:$isUnsigned);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$indices);
  let assemblyFormat = "$input `` $ranks `along` $along `as` $as (`smallest` $smallest^)? (`unsigned` $isUnsigned^)? attr-dict `:` type($input) `->` type($values) `,` type($indices)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The dimension of the input that is gone over, and of the results that
    /// counts what is chosen.
    unsigned getDim() {
      return ::llvm::find(getRanks(), getAlongAttr()) - getRanks().begin();
    }
    /// The ranks along the dimensions of the results.
    ::mlir::SmallVector<::llvm::StringRef> getResultRanks();
  }];
}

def Cascade_IndexOp : Cascade_Op<"index", [Pure]> {
  let summary = "the coordinate of a rank, in the body of an Einsum";
  let arguments = (ins StrAttr:$rank);
  let results = (outs Index:$result);
  let assemblyFormat = "$rank attr-dict";
  let hasVerifier = 1;
}

def Cascade_DivideOp : Cascade_Op<"divide", [Pure, SameOperandsAndResultType]> {
  let summary = "a quotient by a sum that may have no points";
  let description = [{
    `numerator / denominator`, and `empty` where the denominator is 0, since then no
    point was there to be summed: 0, as for a query that may attend to nothing, or NaN.
  }];
  let arguments = (ins AnyFloat:$numerator, AnyFloat:$denominator, F64Attr:$empty);
  let results = (outs AnyFloat:$result);
  let assemblyFormat = "$numerator `,` $denominator `empty` `(` $empty `)` attr-dict `:` type($result)";
}

def Cascade_YieldOp : Cascade_Op<"yield", [Pure, ReturnLike, Terminator,
    HasParent<"CascadeOp, EinsumOp, IterateOp">]> {
  let summary = "the value of a point, the results of a cascade, or what is carried on";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

#endif // LUTRA_DIALECTS_CASCADE_CASCADEOPS_TD
