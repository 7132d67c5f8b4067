//===- Rotation.cpp - Rotary position embedding ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sees the rows as pairs and turns both elements of a pair in one elementwise
// operation. Positions are data: they are clamped to those that have angles.
//
//===----------------------------------------------------------------------===//

#include "Rotation.h"

#include "Elementwise.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// Turns pairs: `x` is [batch, .., .., 2, pairs], or [.., pairs, 2] where they
/// are interleaved.
class Turn {
public:
  Turn(Lowering &lowering, const Tensor &x, int64_t heads,
       const Rotation &rotation)
      : lowering(lowering), x(x), rotation(rotation),
        sequence(heads == 1 ? 2 : 1), part(rotation.interleaved ? 4 : 3),
        angle(7 - part) {
    for (int64_t which : {0, 1})
      read(x, halfMap(which));
    AffineExpr batch = lowering.b.getAffineDimExpr(0),
               place = lowering.b.getAffineDimExpr(sequence);
    if (rotation.ids) {
      read(rotation.ids, mapTo({batch, place}));
    } else if (!rotation.first) {
      AffineMap map = mapTo({batch, place, lowering.b.getAffineDimExpr(angle)});
      read(rotation.cos, map);
      read(rotation.sin, map);
    } else if (rotation.first->numbers) {
      const Tensor &numbers = rotation.first->numbers;
      bool isShared = numbers.shape[0] != x.shape[0];
      read(numbers, mapTo(isShared ? lowering.constant(0) : batch));
    }
    maps.push_back(lowering.b.getMultiDimIdentityMap(5));
  }

  Tensor emit() {
    SmallVector<utils::IteratorType> iterators(5,
                                               utils::IteratorType::parallel);
    return lowering.generic(operands, maps, iterators,
                            lowering.empty(x.shape, x.dtype), x.shape, x.dtype,
                            [&](ImplicitLocOpBuilder &b, ValueRange in) {
                              return body(b, in.drop_back());
                            });
  }

private:
  void read(const Tensor &operand, AffineMap map) {
    operands.push_back(operand);
    maps.push_back(map);
  }
  AffineMap mapTo(ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(5, 0, exprs, lowering.context());
  }
  AffineMap halfMap(int64_t which) {
    SmallVector<AffineExpr> exprs(
        lowering.b.getMultiDimIdentityMap(5).getResults());
    exprs[part] = lowering.constant(which);
    return mapTo(exprs);
  }
  std::pair<Value, Value> angles(ImplicitLocOpBuilder &b, ValueRange in);
  Value body(ImplicitLocOpBuilder &b, ValueRange in);

  Lowering &lowering;
  const Tensor &x;
  const Rotation &rotation;
  int64_t sequence, part, angle;
  SmallVector<Tensor> operands;
  SmallVector<AffineMap> maps;
};
} // namespace

/// The cosine and the sine, given what was read behind the two halves.
std::pair<Value, Value> Turn::angles(ImplicitLocOpBuilder &b, ValueRange in) {
  if (!rotation.ids && !rotation.first)
    return {in[0], in[1]};
  Value id;
  DType type = DType::Int64;
  if (rotation.ids) {
    id = in[0];
    type = rotation.ids.dtype;
  } else {
    Value first =
        batchNumber(lowering, b, *rotation.first, in.empty() ? Value() : in[0]);
    Value place =
        arith::AddIOp::create(b, first, linalg::IndexOp::create(b, sequence));
    id = arith::IndexCastOp::create(b, b.getI64Type(), place);
  }
  SmallVector<Value> at = {
      position(lowering, b, id, type, rotation.cos.shape[0]),
      linalg::IndexOp::create(b, angle)};
  return {tensor::ExtractOp::create(b, rotation.cos.value, at),
          tensor::ExtractOp::create(b, rotation.sin.value, at)};
}

Value Turn::body(ImplicitLocOpBuilder &b, ValueRange in) {
  Scalars s(b, computeType(x.dtype));
  auto [cos, sin] = angles(b, in.drop_front(2));
  auto wide = [&](Value scalar, const Tensor &of) {
    return Lowering::castScalar(b, scalar, of.dtype, s.dtype);
  };
  Value c = wide(cos, rotation.cos), d = wide(sin, rotation.sin);
  Value x0 = wide(in[0], x), x1 = wide(in[1], x);
  Value real = s.sub(s.mul(c, x0), s.mul(d, x1));
  Value imaginary = s.add(s.mul(d, x0), s.mul(c, x1));
  Value isReal = arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                       linalg::IndexOp::create(b, part),
                                       arith::ConstantIndexOp::create(b, 0));
  return Lowering::castScalar(b, s.select(isReal, real, imaginary), s.dtype,
                              x.dtype);
}

FailureOr<Tensor> lutra::rotate(Lowering &lowering, const Tensor &x,
                                int64_t heads, const Rotation &rotation) {
  int64_t size = x.staticSize(3);
  int64_t pairs = rotation.cos.staticSize(rotation.cos.rank() - 1);
  auto part = [&](int64_t from, int64_t count) {
    SmallVector<AffineExpr> offsets(4, lowering.constant(0));
    offsets[3] = lowering.constant(from);
    Shape shape = x.shape;
    shape[3] = lowering.constant(count);
    return lowering.slice(x, offsets, shape, {1, 1, 1, 1});
  };
  Tensor first = part(0, 2 * pairs);
  Shape shape(first.shape.begin(), first.shape.end() - 1);
  AffineExpr two = lowering.constant(2), half = lowering.constant(pairs);
  shape.append(
      {rotation.interleaved ? half : two, rotation.interleaved ? two : half});
  FailureOr<Tensor> split = lowering.reshape(first, shape);
  if (failed(split))
    return failure();
  FailureOr<Tensor> result = lowering.reshape(
      Turn(lowering, *split, heads, rotation).emit(), first.shape);
  if (failed(result) || 2 * pairs == size)
    return result;
  return lowering.concat({*result, part(2 * pairs, size - 2 * pairs)}, 3);
}
