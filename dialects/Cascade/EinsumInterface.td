//===- EinsumInterface.td - What reads as an Einsum --------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_EINSUMINTERFACE_TD
#define LUTRA_DIALECTS_CASCADE_EINSUMINTERFACE_TD

include "mlir/IR/OpBase.td"

def Cascade_EinsumOpInterface : OpInterface<"EinsumOpInterface"> {
  let cppNamespace = "::mlir::lutra::cascade";
  let description = [{
    An operation that maps the points of an iteration space to values and reduces
    those along some ranks. Ranks are numbered by the dimensions of the maps; a
    rank that the result's map lacks is reduced.
  }];
  let methods = [
    InterfaceMethod<"The tensors and scalars that are read, one per argument of the body.",
      "::mlir::SmallVector<::mlir::Value>", "getEinsumInputs">,
    InterfaceMethod<"The maps of the inputs, and last that of the result.",
      "::mlir::SmallVector<::mlir::AffineMap>", "getEinsumMaps">,
    InterfaceMethod<"What combines the points of the reduced ranks; nothing where the operation is no Einsum.",
      "std::optional<::mlir::lutra::cascade::Monoid>", "getEinsumMonoid">,
    InterfaceMethod<[{The value of a point: the value in the body that the monoid combines with what
      there is, or that is the result where nothing is reduced. Null where the operation is no Einsum.}],
      "::mlir::Value", "getEinsumPoint">,
    InterfaceMethod<"The body, whose first arguments are the elements of the inputs.",
      "::mlir::Block *", "getEinsumBody">,
  ];
}

#endif // LUTRA_DIALECTS_CASCADE_EINSUMINTERFACE_TD
