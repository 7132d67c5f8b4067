//===- Passes.td - The choice of tiles, and tiling -*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_SCHEDULE_PASSES_TD
#define LUTRA_SCHEDULE_PASSES_TD

include "mlir/Pass/PassBase.td"

def SelectSchedule : Pass<"select-schedule", "::mlir::ModuleOp"> {
  let summary = "chooses the tiles of each kernel from the target's description";
  let dependentDialects = ["::mlir::lutra::LutraDialect"];
}

def ApplySchedule : Pass<"apply-schedule", "::mlir::func::FuncOp"> {
  let summary = "tiles a kernel as its schedule says";
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::affine::AffineDialect"];
}

def DistributeCopies : Pass<"distribute-copies", "::mlir::func::FuncOp"> {
  let summary = "lets several threads copy what a kernel is given into a larger tensor";
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect",
                           "::mlir::affine::AffineDialect"];
}

#endif // LUTRA_SCHEDULE_PASSES_TD
