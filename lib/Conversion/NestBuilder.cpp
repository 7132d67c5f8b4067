//===- NestBuilder.cpp - Loop nests over tensors --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"

#include "lutra/Analysis/TensorSizes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

SmallVector<OpFoldResult> NestBuilder::sizesOf(Value tensor) {
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(*this, tensor);
  return succeeded(sizes) ? *sizes
                          : tensor::getMixedSizes(*this, getLoc(), tensor);
}

Value NestBuilder::map(ArrayRef<OpFoldResult> sizes, Type element,
                       ArrayRef<Read> reads, Body body) {
  Value empty = tensor::EmptyOp::create(*this, sizes, element);
  return nest(sizes.size(), reads, empty,
              llvm::to_vector(llvm::seq<unsigned>(sizes.size())), body);
}

Value NestBuilder::nest(unsigned numLoops, ArrayRef<Read> reads, Value init,
                        ArrayRef<unsigned> written, Body body) {
  auto along = [&](ArrayRef<unsigned> loops) {
    return AffineMap::getMultiDimMapWithTargets(numLoops, loops, getContext());
  };
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (const Read &read : reads) {
    inputs.push_back(read.tensor);
    maps.push_back(along(read.loops));
  }
  maps.push_back(along(written));
  SmallVector<utils::IteratorType> loops(numLoops,
                                         utils::IteratorType::reduction);
  for (unsigned loop : written)
    loops[loop] = utils::IteratorType::parallel;
  return linalg::GenericOp::create(
             *this, init.getType(), inputs, init, maps, loops,
             [&](OpBuilder &b, Location loc, ValueRange elements) {
               ImplicitLocOpBuilder inner(loc, b);
               linalg::YieldOp::create(b, loc, body(inner, elements));
             })
      .getResult(0);
}

Value NestBuilder::filled(ArrayRef<OpFoldResult> sizes, Type element) {
  Value empty = tensor::EmptyOp::create(*this, sizes, element);
  Value zero = arith::ConstantOp::create(*this, getZeroAttr(element));
  return linalg::FillOp::create(*this, zero, empty).getResult(0);
}

void NestBuilder::replace(Operation *op, ValueRange values) {
  for (auto [value, result] : llvm::zip_equal(values, op->getResults()))
    result.replaceAllUsesWith(
        value.getType() == result.getType()
            ? value
            : tensor::CastOp::create(*this, result.getType(), value)
                  .getResult());
  op->erase();
}

Value lutra::f32Constant(ImplicitLocOpBuilder &b, float value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

Value lutra::byteScale(ImplicitLocOpBuilder &b, Value most) {
  // An infinity less itself is NaN.
  Value check = arith::SubFOp::create(b, most, most);
  Value scale = arith::MulFOp::create(b, most, f32Constant(b, 1.0f / 127));
  return arith::AddFOp::create(b, scale, check);
}

Value lutra::inverseByteScale(ImplicitLocOpBuilder &b, Value most) {
  Value zero = f32Constant(b, 0);
  Value isZero =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, most, zero);
  Value factor = arith::DivFOp::create(b, f32Constant(b, 127), most);
  return arith::SelectOp::create(b, isZero, zero, factor);
}

Value lutra::roundToByte(ImplicitLocOpBuilder &b, Value number) {
  number = math::RoundEvenOp::create(b, number);
  // Also takes a NaN, which must not be converted.
  number = arith::MaxNumFOp::create(b, number, f32Constant(b, -127));
  return arith::MinNumFOp::create(b, number, f32Constant(b, 127));
}
