//===- ConvertMPGemmToLinalg.cpp - Products with codes, plainly -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the operations of mpgemm mean, as structured operations: codes become
// numbers, in f32, and are multiplied. It is the oracle of the kernels, and
// what products of codes that are no weights become. Numbers are quantized so
// in any case: that is a reduction and a map.
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTMPGEMMTOLINALG
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Any float, or an unsigned byte, as f32.
static Value toF32(ImplicitLocOpBuilder &b, Value value) {
  if (value.getType().isF32())
    return value;
  if (isa<FloatType>(value.getType()))
    return arith::ExtFOp::create(b, b.getF32Type(), value);
  return arith::UIToFPOp::create(b, b.getF32Type(), value);
}

/// The number that a code stands for. `table` holds those of a codebook.
static Value numberOf(ImplicitLocOpBuilder &b, mpgemm::FormatInterface format,
                      Value table, Value code) {
  if (std::optional<int64_t> offset = format.getOffset())
    return arith::SubFOp::create(b, toF32(b, code), f32Constant(b, *offset));
  Value index = arith::IndexCastUIOp::create(b, b.getIndexType(), code);
  return tensor::ExtractOp::create(b, table, index);
}

/// The numbers of a codebook; null for other formats.
static Value tableOf(ImplicitLocOpBuilder &b, mpgemm::FormatInterface format) {
  auto codebook = dyn_cast_or_null<mpgemm::CodebookAttr>(format);
  if (!codebook)
    return nullptr;
  ArrayRef<float> values = codebook.getValues().asArrayRef();
  auto type = RankedTensorType::get({int64_t(values.size())}, b.getF32Type());
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, values));
}

/// A code with its zero point, which may be null, and scale.
static Value dequantize(ImplicitLocOpBuilder &b, mpgemm::FormatInterface format,
                        Value table, Value code, Value scale, Value zero) {
  Value number = numberOf(b, format, table, code);
  if (zero)
    number = arith::SubFOp::create(b, number, toF32(b, zero));
  return arith::MulFOp::create(b, number, toF32(b, scale));
}

/// The codes of `op` as numbers with zero point and scale, [N, G, K].
static Value dequantize(NestBuilder &b, mpgemm::MatmulOp op) {
  Value table = tableOf(b, op.getFormat());
  SmallVector<NestBuilder::Read> reads = {{op.getCodes(), {0, 1, 2}},
                                          {op.getScales(), {0, 1}}};
  if (op.getZeros())
    reads.push_back({op.getZeros(), {0, 1}});
  return b.map(b.sizesOf(op.getCodes()), b.getF32Type(), reads,
               [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                 return dequantize(b, op.getFormat(), table, in[0], in[1],
                                   op.getZeros() ? in[2] : Value());
               });
}

/// Codes less zero points, and x, in i32.
static std::pair<Value, Value> widen(NestBuilder &b, mpgemm::MatmulOp op) {
  SmallVector<NestBuilder::Read> reads = {{op.getCodes(), {0, 1, 2}}};
  if (op.getZeros())
    reads.push_back({op.getZeros(), {0, 1}});
  Value w =
      b.map(b.sizesOf(op.getCodes()), b.getI32Type(), reads,
            [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
              Value number = arith::ExtUIOp::create(b, b.getI32Type(), in[0]);
              Value offset = arith::ConstantOp::create(
                  b, b.getI32IntegerAttr(*op.getFormat().getOffset()));
              number = arith::SubIOp::create(b, number, offset);
              if (!op.getZeros())
                return number;
              Value zero = arith::ExtUIOp::create(b, b.getI32Type(), in[1]);
              return arith::SubIOp::create(b, number, zero);
            });
  Value x =
      b.map(b.sizesOf(op.getX()), b.getI32Type(), {{op.getX(), {0, 1, 2}}},
            [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
              return arith::ExtSIOp::create(b, b.getI32Type(), in[0]);
            });
  return {x, w};
}

/// x as the numbers that it stands for.
static Value numbersOfX(NestBuilder &b, mpgemm::ProductOpInterface op) {
  Value x = op.getX();
  if (!op.isInteger())
    return x;
  return b.map(
      b.sizesOf(x), b.getF32Type(), {{x, {0, 1, 2}}, {op.getXScales(), {0, 1}}},
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value number = arith::SIToFPOp::create(b, b.getF32Type(), in[0]);
        return arith::MulFOp::create(b, number, in[1]);
      });
}

/// x and codes as the numbers that they stand for, with all scales.
static std::pair<Value, Value> scale(NestBuilder &b, mpgemm::MatmulOp op) {
  Value w = dequantize(b, op);
  return {numbersOfX(b, op), w};
}

static void convert(mpgemm::MatmulOp op) {
  NestBuilder b(op.getLoc(), op);
  auto [x, w] = op.isUnscaled() ? widen(b, op) : scale(b, op);
  Value init = b.filled(b.sizesOf(op.getInit()), getElementTypeOrSelf(x));
  Value sum = b.nest(4, {{x, {0, 2, 3}}, {w, {1, 2, 3}}}, init, {0, 1},
                     [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                       if (in[2].getType().isInteger())
                         return arith::AddIOp::create(
                             b, in[2], arith::MulIOp::create(b, in[0], in[1]));
                       return arith::AddFOp::create(
                           b, in[2], arith::MulFOp::create(b, in[0], in[1]));
                     });
  b.replace(op, sum);
}

/// The expert of each row.
static Value expertsOfRows(NestBuilder &b, mpgemm::GatherMatmulOp op) {
  Value init = b.filled(b.sizesOf(op.getInit())[0], b.getI64Type());
  return b.nest(
      2, {{op.getExperts(), {1}}}, init, {0},
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value row = arith::IndexCastOp::create(b, b.getI64Type(),
                                               linalg::IndexOp::create(b, 0)),
              block = linalg::IndexOp::create(b, 1),
              one = arith::ConstantIndexOp::create(b, 1),
              next = arith::AddIOp::create(b, block, one);
        auto isFrom = [&](Value block) -> Value {
          Value begin = tensor::ExtractOp::create(b, op.getOffsets(), block);
          return arith::CmpIOp::create(b, arith::CmpIPredicate::sge, row,
                                       begin);
        };
        Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt,
                                             isFrom(block), isFrom(next));
        return arith::SelectOp::create(b, inside, in[0], in[1]);
      });
}

/// Reads the matrices of chosen experts where they lie.
static void convert(mpgemm::GatherMatmulOp op) {
  NestBuilder b(op.getLoc(), op);
  Value experts = expertsOfRows(b, op), x = numbersOfX(b, op),
        table = tableOf(b, op.getFormatAttr());
  Value init = b.filled(b.sizesOf(op.getInit()), b.getF32Type());
  Value sum = b.nest(
      4, {{x, {0, 2, 3}}, {experts, {0}}}, init, {0, 1},
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value first = arith::MulIOp::create(
            b, arith::IndexCastOp::create(b, b.getIndexType(), in[1]),
            arith::ConstantIndexOp::create(b, op.getMatrixSize()));
        SmallVector<Value> place = {
            arith::AddIOp::create(b, first, linalg::IndexOp::create(b, 1))};
        place.push_back(linalg::IndexOp::create(b, 2));
        auto at = [&](Value tensor, ValueRange place) -> Value {
          return tensor ? tensor::ExtractOp::create(b, tensor, place) : Value();
        };
        Value scale = at(op.getScales(), place),
              zero = at(op.getZeros(), place);
        place.push_back(linalg::IndexOp::create(b, 3));
        Value number = at(op.getCodes(), place);
        number = scale ? dequantize(b, op.getFormatAttr(), table, number, scale,
                                    zero)
                       : toF32(b, number);
        return arith::AddFOp::create(b, in[2],
                                     arith::MulFOp::create(b, in[0], number));
      });
  b.replace(op, sum);
}

/// The largest |x| of each group, NaN where there is one.
static Value largest(NestBuilder &b, Value x, ArrayRef<OpFoldResult> groups) {
  return b.nest(3, {{x, {0, 1, 2}}}, b.filled(groups, b.getF32Type()), {0, 1},
                [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                  return arith::MaximumFOp::create(
                      b, in[1], math::AbsFOp::create(b, in[0]));
                });
}

static void convert(mpgemm::QuantizeActOp op) {
  NestBuilder b(op.getLoc(), op);
  Value x = op.getX();
  SmallVector<OpFoldResult> sizes = b.sizesOf(x);
  ArrayRef<OpFoldResult> groups = ArrayRef(sizes).drop_back();
  Value most = largest(b, x, groups);
  Value scales = b.map(groups, b.getF32Type(), {{most, {0, 1}}},
                       [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                         return byteScale(b, in[0]);
                       });
  Value codes = b.map(sizes, b.getI8Type(), {{x, {0, 1, 2}}, {most, {0, 1}}},
                      [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                        Value number = inverseByteScale(b, in[1]);
                        number = arith::MulFOp::create(b, in[0], number);
                        return arith::FPToSIOp::create(b, b.getI8Type(),
                                                       roundToByte(b, number));
                      });
  Value sums =
      b.nest(3, {{codes, {0, 1, 2}}}, b.filled(groups, b.getI32Type()), {0, 1},
             [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
               Value wide = arith::ExtSIOp::create(b, b.getI32Type(), in[0]);
               return arith::AddIOp::create(b, in[1], wide);
             });
  b.replace(op, {codes, scales, sums});
}

namespace {
struct ConvertMPGemmToLinalg
    : lutra::impl::ConvertMPGemmToLinalgBase<ConvertMPGemmToLinalg> {
  using ConvertMPGemmToLinalgBase::ConvertMPGemmToLinalgBase;

  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      if (auto matmul = dyn_cast<mpgemm::MatmulOp>(op)) {
        if (!matmul.getLayoutAttr() && matmul.getResult())
          convert(matmul);
      } else if (auto gather = dyn_cast<mpgemm::GatherMatmulOp>(op)) {
        if (!gather.getLayoutAttr())
          convert(gather);
      } else if (auto quantize = dyn_cast<mpgemm::QuantizeActOp>(op)) {
        convert(quantize);
      }
    });
  }
};
} // namespace
