//===- PackedCodes.cpp - Codes of few bits, one in a byte -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PackedCodes.h"

#include "../Scalars.h"
#include "CodedMatrix.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// The codes of each row of a matrix of bytes, where each row begins a stream
/// of bits.
static Tensor unpackAtRunTime(Lowering &lowering, const Tensor &bytes,
                              unsigned bits, AffineExpr codes) {
  Shape shape = {bytes.shape[0], codes};
  utils::IteratorType parallel[] = {utils::IteratorType::parallel,
                                    utils::IteratorType::parallel};
  return lowering.generic(
      {}, lowering.b.getMultiDimIdentityMap(2), parallel,
      lowering.empty(shape, DType::UInt8), shape, DType::UInt8,
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Scalars index(b, DType::Int64), i(b, DType::Int32);
        Value row = linalg::IndexOp::create(b, 0);
        Value code = arith::IndexCastOp::create(b, index.type(),
                                                linalg::IndexOp::create(b, 1));
        auto byteOf = [&](Value bit) -> Value {
          Value at = arith::ShRUIOp::create(b, bit, index.constantInt(3));
          at = arith::IndexCastOp::create(b, b.getIndexType(), at);
          Value byte =
              tensor::ExtractOp::create(b, bytes.value, ValueRange{row, at});
          return Lowering::castScalar(b, byte, DType::UInt8, DType::Int32);
        };
        // The last bit of a code may be in the next byte.
        Value bit = index.mul(code, index.constantInt(bits));
        Value last = index.add(bit, index.constantInt(bits - 1));
        Value high = arith::ShLIOp::create(b, byteOf(last), i.constantInt(8));
        Value pair = arith::OrIOp::create(b, byteOf(bit), high);
        Value shift = arith::TruncIOp::create(
            b, i.type(), arith::AndIOp::create(b, bit, index.constantInt(7)));
        Value value =
            arith::AndIOp::create(b, arith::ShRUIOp::create(b, pair, shift),
                                  i.constantInt((1 << bits) - 1));
        return Lowering::castScalar(b, value, DType::Int32, DType::UInt8);
      });
}

FailureOr<Tensor> lutra::unpackCodes(Lowering &lowering, const Tensor &bytes,
                                     unsigned bits, ArrayRef<int64_t> shape,
                                     int64_t rows) {
  ImplicitLocOpBuilder &b = lowering.b;
  Shape sizes = llvm::map_to_vector(
      shape, [&](int64_t size) { return lowering.constant(size); });
  int64_t perRow = ShapedType::getNumElements(shape) / rows;
  if (WeightOp weight = storedBytes(lowering, bytes)) {
    bool isPadded = perRow * bits % 8 != 0;
    auto step = UnpackAttr::get(b.getContext(), bits, /*flip=*/false, shape,
                                isPadded ? rows : 1);
    auto copy = cast<WeightOp>(b.clone(*weight));
    copy.setStepsAttr(b.getArrayAttr(step));
    copy.getResult().setType(lowering.type(sizes, DType::UInt8));
    return lowering.tensor(copy.getResult(), sizes, DType::UInt8);
  }
  int64_t rowBytes = llvm::divideCeil(perRow * bits, 8);
  FailureOr<Tensor> matrix = lowering.reshape(
      bytes, {lowering.constant(rows), lowering.constant(rowBytes)});
  if (failed(matrix))
    return failure();
  return lowering.reshape(
      unpackAtRunTime(lowering, *matrix, bits, lowering.constant(perRow)),
      sizes);
}
