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

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

bool MatrixDot::supports(mpgemm::MatmulOp op, int64_t lanes,
                         TargetAttr target) {
  return isAArch64(target) && target.hasFeature("i8mm") && lanes == 4 &&
         op.isInteger() && !op.hasTables() && op.getGroupSize() % 8 == 0;
}

Value MatrixDot::shuffled(Value first, Value second, ArrayRef<int64_t> lanes) {
  return vector::ShuffleOp::create(b, loc, first, second, lanes);
}

/// Two columns of both, and the other two.
MatrixDot::Pair MatrixDot::interleaved(Value first, Value second) {
  return {shuffled(first, second, {0, 4, 1, 5}),
          shuffled(first, second, {2, 6, 3, 7})};
}

/// The same for quads.
MatrixDot::Pair MatrixDot::columns(Value first, Value second) {
  auto quads = VectorType::get({4}, b.getI32Type());
  Pair pair = interleaved(vector::BitCastOp::create(b, loc, quads, first),
                          vector::BitCastOp::create(b, loc, quads, second));
  for (Value &bytes : pair)
    bytes = vector::BitCastOp::create(b, loc, first.getType(), bytes);
  return pair;
}

Value MatrixDot::add(Value sum, Value codes, Value factor) {
  return LLVM::CallIntrinsicOp::create(
             b, loc, sum.getType(),
             b.getStringAttr("llvm.aarch64.neon.usmmla.v4i32.v16i8"),
             ValueRange{sum, codes, factor})
      .getResult(0);
}

void MatrixDot::start(MutableArrayRef<Value> sums) {
  for (int64_t at = 0; at < int64_t(sums.size()); at += 2 * parts)
    for (int64_t part = at; part < at + parts; ++part) {
      auto [first, second] = interleaved(sums[part], sums[part + parts]);
      sums[part] = first;
      sums[part + parts] = second;
    }
}

void MatrixDot::multiply(ArrayRef<Value> quad, ArrayRef<Value> next,
                         function_ref<SmallVector<Value>(int64_t)> place,
                         MutableArrayRef<Value> sums) {
  auto bytes = VectorType::get({8}, b.getI8Type());
  auto load = [&](int64_t row) -> Value {
    return vector::LoadOp::create(b, loc, bytes, x, place(row));
  };
  auto both = llvm::to_vector(llvm::seq<int64_t>(0, 16));
  SmallVector<Pair> codes;
  for (auto [first, second] : llvm::zip_equal(quad, next))
    codes.push_back(columns(first, second));
  for (int64_t row = 0; row * parts < int64_t(sums.size()); row += 2) {
    Value factor = shuffled(load(row), load(row + 1), both);
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t half = 0; half < 2; ++half) {
        Value &sum = sums[(row + half) * parts + part];
        sum = add(sum, codes[part][half], factor);
      }
  }
}

Value MatrixDot::finish(Value first, Value second, int64_t row) {
  return row % 2 == 0 ? shuffled(first, second, {0, 2, 4, 6})
                      : shuffled(first, second, {1, 3, 5, 7});
}
