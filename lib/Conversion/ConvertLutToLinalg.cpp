//===- ConvertLutToLinalg.cpp - Tables of sums, plainly -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The codes of a key are chosen independently, so the largest and the smallest
// entry of a table are sums of what each number of x gives at most and at
// least; the scale of a group is thus known before its tables are. These are
// then a map, whose innermost loop is the 16 entries.
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"
#include "dialects/Lut/Lut.h"
#include "lutra/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTLUTTOLINALG
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using lut::BuildOp;

namespace {
class Tables {
public:
  explicit Tables(BuildOp op)
      : b(op.getLoc(), op), op(op), values(op.getValues()),
        codes(op.codesOfKey()), depth(op.getDepth()) {
    for (float value : values) {
      highest = std::max(highest, value);
      lowest = std::min(lowest, value);
    }
  }

  void convert() {
    SmallVector<OpFoldResult> sizes = b.sizesOf(op.getX());
    groups = {sizes[0], sizes[1]};
    Value most = emitMost();
    Value scales = b.map(groups, b.getF32Type(), {{most, {0, 1}}},
                         [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                           return byteScale(b, in[0]);
                         });
    Value tables = emitTables(most);
    Value sums = emitSums(most);
    b.replace(op, {tables, scales, sums});
  }

private:
  using Read = NestBuilder::Read;

  /// x as [M, G, T, codes, depth].
  Value split() {
    auto type = cast<RankedTensorType>(op.getX().getType());
    SmallVector<int64_t> shape(type.getShape().drop_back());
    shape.append({tables(), codes, depth});
    auto splitType = RankedTensorType::get(shape, type.getElementType());
    SmallVector<OpFoldResult> sizes = groups;
    for (int64_t size : {tables(), codes, depth})
      sizes.push_back(b.getIndexAttr(size));
    SmallVector<ReassociationIndices> dims = {{0}, {1}, {2, 3, 4}};
    return tensor::ExpandShapeOp::create(b, splitType, op.getX(), dims, sizes);
  }

  int64_t tables() {
    return cast<ShapedType>(op.getTables().getType()).getDimSize(2);
  }

  SmallVector<OpFoldResult> with(ArrayRef<int64_t> sizes) {
    SmallVector<OpFoldResult> result = groups;
    for (int64_t size : sizes)
      result.push_back(b.getIndexAttr(size));
    return result;
  }

  /// The largest magnitude of an entry of each group, NaN where there is one.
  Value emitMost() {
    Value most = emitExtreme(1);
    if (highest == -lowest)
      return most;
    Value other = emitExtreme(-1);
    return b.map(groups, b.getF32Type(), {{most, {0, 1}}, {other, {0, 1}}},
                 [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                   return arith::MaximumFOp::create(b, in[0], in[1]);
                 });
  }

  /// The largest entry of each group, of the negated ones if `sign` is -1.
  Value emitExtreme(float sign) {
    float factors[] = {sign * highest, sign * lowest};
    Value sums = b.nest(
        5, {{split(), {0, 1, 2, 4, 3}}},
        b.filled(with({tables(), depth}), b.getF32Type()), {0, 1, 2, 3},
        [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
          Value high =
              arith::MulFOp::create(b, in[0], f32Constant(b, factors[0]));
          Value low =
              arith::MulFOp::create(b, in[0], f32Constant(b, factors[1]));
          Value most = arith::MaximumFOp::create(b, high, low);
          return arith::AddFOp::create(b, in[1], most);
        });
    return b.nest(4, {{sums, {0, 1, 2, 3}}}, b.filled(groups, b.getF32Type()),
                  {0, 1}, [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                    return arith::MaximumFOp::create(b, in[0], in[1]);
                  });
  }

  /// What code `i` of each of the 16 keys stands for.
  Value valuesOfCode(int64_t i) {
    unsigned width = 4 / codes;
    SmallVector<float> numbers;
    for (unsigned key = 0; key < BuildOp::kEntries; ++key)
      numbers.push_back(values[key >> i * width & (values.size() - 1)]);
    auto type = RankedTensorType::get({BuildOp::kEntries}, b.getF32Type());
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, ArrayRef(numbers)));
  }

  /// Number `i` of each table, [M, G, T, depth].
  Value numbersOfCode(Value x, int64_t i) {
    SmallVector<OpFoldResult> sizes = with({tables(), 1, depth}),
                              strides(5, b.getIndexAttr(1)),
                              offsets(5, b.getIndexAttr(0));
    offsets[3] = b.getIndexAttr(i);
    auto type = cast<RankedTensorType>(x.getType());
    auto slice = RankedTensorType::get(
        {type.getDimSize(0), type.getDimSize(1), tables(), depth},
        type.getElementType());
    return tensor::ExtractSliceOp::create(b, slice, x, offsets, sizes, strides);
  }

  Value emitTables(Value most) {
    Value x = split();
    SmallVector<Read> reads = {{most, {0, 1}}};
    for (int64_t i = 0; i < codes; ++i) {
      reads.push_back({numbersOfCode(x, i), {0, 1, 2, 3}});
      reads.push_back({valuesOfCode(i), {4}});
    }
    Value entries = b.map(
        with({tables(), depth, BuildOp::kEntries}), b.getI8Type(), reads,
        [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
          Value sum;
          for (size_t at = 1; at + 1 < in.size(); at += 2) {
            Value product = arith::MulFOp::create(
                b, in[at], in[at + 1], arith::FastMathFlags::contract);
            sum = sum ? arith::AddFOp::create(b, sum, product,
                                              arith::FastMathFlags::contract)
                            .getResult()
                      : product;
          }
          Value number =
              arith::MulFOp::create(b, sum, inverseByteScale(b, in[0]));
          number = arith::AddFOp::create(b, roundToByte(b, number),
                                         f32Constant(b, 128));
          return arith::FPToUIOp::create(b, b.getI8Type(), number);
        });
    SmallVector<ReassociationIndices> dims = {{0}, {1}, {2}, {3, 4}};
    return tensor::CollapseShapeOp::create(b, entries, dims);
  }

  Value emitSums(Value most) {
    Value sums =
        b.nest(3, {{op.getX(), {0, 1, 2}}}, b.filled(groups, b.getF32Type()),
               {0, 1}, [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                 return arith::AddFOp::create(b, in[1], in[0]);
               });
    return b.map(groups, b.getF32Type(), {{sums, {0, 1}}, {most, {0, 1}}},
                 [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                   return arith::MulFOp::create(b, in[0],
                                                inverseByteScale(b, in[1]));
                 });
  }

  NestBuilder b;
  BuildOp op;
  ArrayRef<float> values;
  int64_t codes, depth;
  float highest = 0, lowest = 0;
  SmallVector<OpFoldResult> groups;
};

struct ConvertLutToLinalg
    : lutra::impl::ConvertLutToLinalgBase<ConvertLutToLinalg> {
  using ConvertLutToLinalgBase::ConvertLutToLinalgBase;

  void runOnOperation() override {
    getOperation().walk([](BuildOp op) { Tables(op).convert(); });
  }
};
} // namespace
