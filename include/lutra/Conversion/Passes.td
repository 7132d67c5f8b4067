//===- Passes.td - Conversions between dialects -*- tablegen -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_CONVERSION_PASSES_TD
#define LUTRA_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertLinalgToVector : Pass<"convert-linalg-to-vector", "::mlir::func::FuncOp"> {
  let summary = "turns each structured operation on buffers into loops over vectors, with masked tails";
  let description = [{
    Vectors are as wide as the kernel's `lutra.schedule` says, else as the
    module's `lutra.target`, else 128 bits. Reductions keep a register tile of
    the output in loop-carried values; that of a contraction is as scheduled if
    the registers hold it.
  }];
  let options = [Option<"reference", "reference", "bool", "false",
                        "scalar loops for every operation, as an oracle">];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::amx::AMXDialect",
                           "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::mlir::x86vector::X86VectorDialect"];
}

def ConvertLutToLinalg : Pass<"convert-lut-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "writes the building of tables as structured operations";
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def ConvertLutToLLVM : Pass<"convert-lut-to-llvm", "::mlir::func::FuncOp"> {
  let summary = "turns look-ups in registers into instructions of the target";
  let description = [{
    Of tables of 16 and 64 bytes, as the module's `lutra.target` has them, and of more
    in such parts. Others, and those of a module without a target, are looked up entry
    by entry: in memory, where a table was loaded from there.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::vector::VectorDialect"];
}

def ConvertMPGemmToLinalg : Pass<"convert-mpgemm-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "writes quantizations, and products with codes that have no layout, as structured operations";
  let description = [{
    Codes become numbers in f32, and are multiplied: the reference of all kernels,
    and what products become whose codes are computed.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def ConvertMPGemmToVector : Pass<"convert-mpgemm-to-vector", "::mlir::func::FuncOp"> {
  let summary = "turns each product with codes, on buffers, into register tiles";
  let description = [{
    Of products whose codes have a layout. How codes and numbers are multiplied
    depends on the module's `lutra.target`: by matrix tiles where there are some and
    rows for them, else by vectors; without a target by those of 128 bits that any
    machine has.
  }];
  let dependentDialects = ["::mlir::amx::AMXDialect", "::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect", "::mlir::lutra::lut::LutDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def ExpandMath : Pass<"expand-math", "::mlir::func::FuncOp"> {
  let summary = "replaces math functions by arithmetic, so that kernels call no libm";
  let description = [{
    Needs no FMA, but leaves sums and products free to fuse. Rounding, square roots
    and the like stay: see `expand-rounding`. f16 and bf16 go through f32. Where the
    module's `lutra.target` has AVX-512, exponentials use a table in a register.
    Those in f32 whose `fastmath` has `afn` have relative errors of up to 2^-13, and
    take half of the time.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def ExpandHalf : Pass<"expand-half", "::mlir::func::FuncOp"> {
  let summary = "computes f16 and bf16 in f32, and converts them by integer arithmetic where the target cannot";
  let description = [{
    Asks the module's `lutra.target` (without one, nothing is native). Every result
    is rounded to nearest even once; a NaN stays a NaN. Without this pass the code
    generator calls functions such as `__truncsfbf2`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

def ExpandQuantization : Pass<"expand-quantization", "::mlir::func::FuncOp"> {
  let summary = "replaces divisions by scales behind which is clamped to integers and rounded, by products";
  let description = [{
    Only of constant scales that give the same integers for all numbers, and
    where the module's `lutra.target` fuses products with sums. On x86-64, what
    is rounded to even and converted becomes one operation.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect"];
}

def ExpandRounding : Pass<"expand-rounding", "::mlir::func::FuncOp"> {
  let summary = "replaces floor, ceil, trunc, round, roundeven and fma by arithmetic where the target has no such instruction";
  let description = [{
    Asks the module's `lutra.target`: x86-64 rounds from SSE4.1 on and fuses with
    FMA. Elsewhere the code generator would call libm.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def ExpandWordProducts : Pass<"expand-word-products", "::mlir::func::FuncOp"> {
  let summary = "multiplies vectors of integers that 16 bits hold by the target's instruction for pairs of these";
  let description = [{
    On x86-64, by the module's `lutra.target`: a product of 32-bit integers takes
    twice as long.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::vector::VectorDialect"];
}

def ConvertCascadeToLinalg : Pass<"convert-cascade-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "writes cascades out as linalg.generic, and their iterations as loops";
  let options = [Option<"part", "part", "int64_t", "0",
                        "coordinates of an iterated rank in each turn of its loop; 0: all">];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

#endif // LUTRA_CONVERSION_PASSES_TD
