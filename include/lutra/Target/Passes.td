//===- Passes.td - From kernels to LLVM -*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_PASSES_TD
#define LUTRA_TARGET_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertForallToTasks : Pass<"convert-forall-to-tasks", "::mlir::ModuleOp"> {
  let summary = "outlines each outermost scf.forall as a task for the executor";
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::func::FuncDialect", "::mlir::scf::SCFDialect"];
}

def EmitModel : Pass<"emit-model", "::mlir::ModuleOp"> {
  let summary = "adds the model's descriptor, `run` and `plan` as lutra/abi.h lays them out";
  let options = [Option<"name", "name", "std::string", "\"model\"", "the model's name, an identifier">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::func::FuncDialect"];
}

#endif // LUTRA_TARGET_PASSES_TD
