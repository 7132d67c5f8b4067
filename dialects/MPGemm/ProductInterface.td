//===- ProductInterface.td - Products with codes -----------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_MPGEMM_PRODUCTINTERFACE_TD
#define LUTRA_DIALECTS_MPGEMM_PRODUCTINTERFACE_TD

include "mlir/IR/OpBase.td"

class MPGemm_Operand<string name>
    : InterfaceMethod<"", "::mlir::Value", "get" # name>;

def MPGemm_ProductInterface : OpInterface<"ProductOpInterface"> {
  let cppNamespace = "::mlir::lutra::mpgemm";
  let description = [{
    The operands that products with codes have in common; those that are optional
    may be null.
  }];
  let methods = [
    MPGemm_Operand<"X">, MPGemm_Operand<"Codes">, MPGemm_Operand<"Scales">,
    MPGemm_Operand<"SuperScales">,
    MPGemm_Operand<"Zeros">, MPGemm_Operand<"XScales">, MPGemm_Operand<"XSums">,
    MPGemm_Operand<"Init">,
    InterfaceMethod<"", "::mlir::lutra::mpgemm::FormatInterface", "getFormatAttr">,
    InterfaceMethod<"", "::mlir::lutra::mpgemm::LayoutAttr", "getLayoutAttr">];
  let extraSharedClassDeclaration = [{
    ::mlir::ShapedType getXType() { return ::llvm::cast<::mlir::ShapedType>($_op.getX().getType()); }
    ::mlir::ShapedType getInitType() { return ::llvm::cast<::mlir::ShapedType>($_op.getInit().getType()); }
    /// Whether x is 8-bit integers, or tables of such.
    bool isInteger() { return getXType().getElementType().isInteger(8); }
    /// Whether x is tables.
    bool hasTables() { return getXType().getRank() == 4; }
    /// The numbers of a group of x.
    int64_t getGroupSize() {
      int64_t size = getXType().getDimSize(2);
      if (!hasTables() || ::mlir::ShapedType::isDynamic(size))
        return size;
      return size * $_op.getLayoutAttr().getDepth() *
             (4 / $_op.getFormatAttr().getBits());
    }
    /// The codes of a group.
    int64_t getCodesOfGroup() {
      int64_t size = getGroupSize();
      return ::mlir::ShapedType::isDynamic(size)
                 ? size
                 : size / $_op.getFormatAttr().getSpan();
    }
    /// Groups of codes: those of x for each plane.
    int64_t getCodeGroups() {
      int64_t groups = getXType().getDimSize(1);
      return ::mlir::ShapedType::isDynamic(groups)
                 ? groups
                 : groups * $_op.getFormatAttr().getPlanes();
    }
    /// Groups of codes that share a super-scale.
    int64_t getSuperBlock() {
      auto superScales = ::llvm::cast<::mlir::ShapedType>($_op.getSuperScales().getType());
      return ::llvm::divideCeil(getCodeGroups(), superScales.getDimSize(1));
    }
    /// How codes lie, where there is a layout.
    ::mlir::lutra::CodePlanes getPlanes() {
      return {$_op.getFormatAttr().getBits(), $_op.getLayoutAttr().getRows(),
              $_op.getLayoutAttr().getDepth(),
              $_op.getLayoutAttr().getRowsShareBytes()};
    }
    /// Whether the result is sums of integers, without scales.
    bool isUnscaled() { return !$_op.getScales(); }
  }];
}

#endif // LUTRA_DIALECTS_MPGEMM_PRODUCTINTERFACE_TD
