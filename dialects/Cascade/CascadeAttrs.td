//===- CascadeAttrs.td - Attributes of the cascade dialect -*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_CASCADEATTRS_TD
#define LUTRA_DIALECTS_CASCADE_CASCADEATTRS_TD

include "dialects/Cascade/CascadeBase.td"

def Cascade_PolicyAttr : AttrDef<Cascade_Dialect, "Policy"> {
  let mnemonic = "policy";
  let summary = "when a state is moved to another reference";
  let description = [{
    Any reference gives the same result but for rounding, as long as nothing
    leaves the range of its type.

    - `final`: never; the reference is known before the state is summed.
    - `online`: whenever the reference changes.
    - `lazy`: when the new reference is above the old one by more than `value`.
    - `fixed`: never; the reference is `value`.
  }];
  let parameters = (ins "PolicyKind":$kind, OptionalParameter<"::mlir::FloatAttr">:$value);
  let assemblyFormat = "`<` $kind (`,` $value^)? `>`";
  let genVerifyDecl = 1;
}

#endif // LUTRA_DIALECTS_CASCADE_CASCADEATTRS_TD
