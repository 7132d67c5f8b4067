//===- CascadeBase.td - Einsums over named ranks -----------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_CASCADEBASE_TD
#define LUTRA_DIALECTS_CASCADE_CASCADEBASE_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Cascade_Dialect : Dialect {
  let name = "cascade";
  let cppNamespace = "::mlir::lutra::cascade";
  let summary = "Cascades of extended Einsums over named ranks";
  let useDefaultAttributePrinterParser = 1;
}

def Cascade_Add : I32EnumAttrCase<"Add", 0, "add">;
def Cascade_Mul : I32EnumAttrCase<"Mul", 1, "mul">;
def Cascade_Max : I32EnumAttrCase<"Max", 2, "max">;
def Cascade_Min : I32EnumAttrCase<"Min", 3, "min">;
def Cascade_And : I32EnumAttrCase<"And", 4, "and">;
def Cascade_Or : I32EnumAttrCase<"Or", 5, "or">;

def Cascade_Monoid : I32EnumAttr<"Monoid", "what combines the points of a reduced rank",
    [Cascade_Add, Cascade_Mul, Cascade_Max, Cascade_Min, Cascade_And, Cascade_Or]> {
  let cppNamespace = "::mlir::lutra::cascade";
}

def Cascade_Exp : I32EnumAttrCase<"Exp", 0, "exp">;
def Cascade_Exp2 : I32EnumAttrCase<"Exp2", 1, "exp2">;
def Cascade_Ratio : I32EnumAttrCase<"Ratio", 2, "ratio">;

def Cascade_Family : I32EnumAttr<"Family", "how a state depends on its reference", [
    Cascade_Exp, Cascade_Exp2, Cascade_Ratio]> {
  let cppNamespace = "::mlir::lutra::cascade";
  let description = [{
    A state s that was computed under the reference d is a multiple of h(d): of
    exp(-d), of 2^-d, or of 1/d. Under the reference d' it is s * h(d') / h(d).
  }];
}

def Cascade_Final : I32EnumAttrCase<"Final", 0, "final">;
def Cascade_Online : I32EnumAttrCase<"Online", 1, "online">;
def Cascade_Lazy : I32EnumAttrCase<"Lazy", 2, "lazy">;
def Cascade_Fixed : I32EnumAttrCase<"Fixed", 3, "fixed">;

def Cascade_PolicyKind : I32EnumAttr<"PolicyKind", "when a state is moved to another reference",
    [Cascade_Final, Cascade_Online, Cascade_Lazy, Cascade_Fixed]> {
  let cppNamespace = "::mlir::lutra::cascade";
}

#endif // LUTRA_DIALECTS_CASCADE_CASCADEBASE_TD
