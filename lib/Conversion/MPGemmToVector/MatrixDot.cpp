//===- MatrixDot.cpp - Small matrices of codes and numbers ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// usmmla multiplies a 2x8 matrix of unsigned bytes with the transpose of a 2x8
// matrix of signed ones, and adds that to a 2x2 matrix of 32-bit integers.
//
//===----------------------------------------------------------------------===//

#include "MatrixDot.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;
using namespace mlir::lutra;

bool MatrixDot::supports(mpgemm::MatmulOp op, int64_t lanes,
                         TargetAttr target) {
  return target && llvm::Triple(target.getTriple()).isAArch64() &&
         target.hasFeature("i8mm") && lanes == 4 && op.isInteger() &&
         !op.hasTables() && op.getGroupSize() % 8 == 0;
}

Value MatrixDot::shuffled(Value first, Value second, ArrayRef<int64_t> lanes) {
  return vector::ShuffleOp::create(b, loc, first, second, lanes);
}

MatrixDot::Pair MatrixDot::interleaved(Value first, Value second) {
  return {shuffled(first, second, {0, 4, 1, 5}),
          shuffled(first, second, {2, 6, 3, 7})};
}

MatrixDot::Pair MatrixDot::separated(Value first, Value second) {
  return {shuffled(first, second, {0, 2, 4, 6}),
          shuffled(first, second, {1, 3, 5, 7})};
}

MatrixDot::Pair MatrixDot::codes(Value first, Value second) {
  auto quads = VectorType::get({4}, b.getI32Type());
  Pair columns = interleaved(vector::BitCastOp::create(b, loc, quads, first),
                             vector::BitCastOp::create(b, loc, quads, second));
  for (Value &bytes : columns)
    bytes = vector::BitCastOp::create(b, loc, first.getType(), bytes);
  return columns;
}

Value MatrixDot::factor(Value x, ValueRange first, ValueRange second) {
  auto bytes = VectorType::get({8}, b.getI8Type());
  SmallVector<int64_t> both = llvm::to_vector(llvm::seq<int64_t>(0, 16));
  return shuffled(vector::LoadOp::create(b, loc, bytes, x, first),
                  vector::LoadOp::create(b, loc, bytes, x, second), both);
}

Value MatrixDot::add(Value sum, Value codes, Value factor) {
  return LLVM::CallIntrinsicOp::create(
             b, loc, sum.getType(),
             b.getStringAttr("llvm.aarch64.neon.usmmla.v4i32.v16i8"),
             ValueRange{sum, codes, factor})
      .getResult(0);
}
