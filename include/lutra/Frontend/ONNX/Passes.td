//===- Passes.td - Passes of the ONNX frontend -------------*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_FRONTEND_ONNX_PASSES_TD
#define LUTRA_FRONTEND_ONNX_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertONNXToTensor : Pass<"convert-onnx-to-tensor", "::mlir::ModuleOp"> {
  let summary = "lowers every onnx.node by its handler, with symbolic shapes";
  let description = [{
    Each symbolic dimension becomes one `lutra.dim` at the entry of the host
    function; every size is an affine expression over them. Bool tensors become
    i8, integers signless. All unsupported nodes are reported, not only the
    first.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::lutra::LutraDialect",
    "::mlir::lutra::cascade::CascadeDialect",
    "::mlir::lutra::mpgemm::MPGemmDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect"];
}

#endif // LUTRA_FRONTEND_ONNX_PASSES_TD
