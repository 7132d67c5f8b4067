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

def SplitRun : Pass<"split-run", "::mlir::ModuleOp"> {
  let summary = "splits a host program of more than some calls into functions of as many";
  let options = [Option<"calls", "calls", "size_t", "170", "kernels that a part calls">];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def LowerVectors : Pass<"lower-vectors", "::mlir::func::FuncOp"> {
  let summary = "reduces vector operations to those which convert to the llvm dialect one by one";
  let description = [{
    Reductions over several dimensions become reductions over one, transfers become
    loads and stores, outer products fused multiply-adds. No canonicalization may
    follow, since it would turn chains of vector.insert into vector.from_elements
    with hundreds of operands.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

def ConvertToLLVM : Pass<"convert-kernels-to-llvm", "::mlir::ModuleOp"> {
  let summary = "converts what is left to the llvm dialect and marks each function for its target";
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // LUTRA_TARGET_PASSES_TD
