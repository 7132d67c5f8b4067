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

#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTMPGEMMTOLINALG
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

using Body = function_ref<Value(ImplicitLocOpBuilder &, ValueRange)>;

/// The sizes of a tensor as values that are there; asked of the tensor itself
/// only where a function has no dimensions.
static SmallVector<OpFoldResult> sizesOf(OpBuilder &b, Value tensor) {
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, tensor);
  return succeeded(sizes) ? *sizes
                          : tensor::getMixedSizes(b, tensor.getLoc(), tensor);
}

namespace {
/// An operand of a loop nest: the loops that it is read along.
struct Read {
  Value tensor;
  SmallVector<unsigned> loops;
};

class NestBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  AffineMap along(unsigned numLoops, ArrayRef<unsigned> loops) {
    return AffineMap::getMultiDimMapWithTargets(numLoops, loops, getContext());
  }

  /// `sizes` with an element of `body` at each index.
  Value map(ArrayRef<OpFoldResult> sizes, Type element, ArrayRef<Read> reads,
            Body body) {
    Value empty = tensor::EmptyOp::create(*this, sizes, element);
    return nest(sizes.size(), reads, empty,
                llvm::to_vector(llvm::seq<unsigned>(sizes.size())), body);
  }

  /// `body` takes the elements, and last what is there already.
  Value nest(unsigned numLoops, ArrayRef<Read> reads, Value init,
             ArrayRef<unsigned> written, Body body) {
    SmallVector<Value> inputs;
    SmallVector<AffineMap> maps;
    for (const Read &read : reads) {
      inputs.push_back(read.tensor);
      maps.push_back(along(numLoops, read.loops));
    }
    maps.push_back(along(numLoops, written));
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

  Value filled(ArrayRef<OpFoldResult> sizes, Type element) {
    Value empty = tensor::EmptyOp::create(*this, sizes, element);
    Value zero = arith::ConstantOp::create(*this, getZeroAttr(element));
    return linalg::FillOp::create(*this, zero, empty).getResult(0);
  }
};
} // namespace

static Value constant(ImplicitLocOpBuilder &b, float value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

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
    return arith::SubFOp::create(b, toF32(b, code), constant(b, *offset));
  Value index = arith::IndexCastUIOp::create(b, b.getIndexType(), code);
  return tensor::ExtractOp::create(b, table, index);
}

/// The codes of `op` as numbers with zero point and scale, [N, G, K].
static Value dequantize(NestBuilder &b, mpgemm::MatmulOp op) {
  Value table;
  if (auto codebook = dyn_cast<mpgemm::CodebookAttr>(op.getFormat())) {
    ArrayRef<float> values = codebook.getValues().asArrayRef();
    auto type = RankedTensorType::get({int64_t(values.size())}, b.getF32Type());
    table = arith::ConstantOp::create(b, DenseElementsAttr::get(type, values));
  }
  SmallVector<Read> reads = {{op.getCodes(), {0, 1, 2}},
                             {op.getScales(), {0, 1}}};
  if (op.getZeros())
    reads.push_back({op.getZeros(), {0, 1}});
  return b.map(sizesOf(b, op.getCodes()), b.getF32Type(), reads,
               [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                 Value number = numberOf(b, op.getFormat(), table, in[0]);
                 if (op.getZeros())
                   number = arith::SubFOp::create(b, number, toF32(b, in[2]));
                 return arith::MulFOp::create(b, number, toF32(b, in[1]));
               });
}

/// Codes less zero points, and x, in i32.
static std::pair<Value, Value> widen(NestBuilder &b, mpgemm::MatmulOp op) {
  SmallVector<Read> reads = {{op.getCodes(), {0, 1, 2}}};
  if (op.getZeros())
    reads.push_back({op.getZeros(), {0, 1}});
  Value w =
      b.map(sizesOf(b, op.getCodes()), b.getI32Type(), reads,
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
      b.map(sizesOf(b, op.getX()), b.getI32Type(), {{op.getX(), {0, 1, 2}}},
            [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
              return arith::ExtSIOp::create(b, b.getI32Type(), in[0]);
            });
  return {x, w};
}

/// x and codes as the numbers that they stand for, with all scales.
static std::pair<Value, Value> scale(NestBuilder &b, mpgemm::MatmulOp op) {
  Value w = dequantize(b, op), x = op.getX();
  if (op.isInteger())
    x = b.map(sizesOf(b, x), b.getF32Type(),
              {{x, {0, 1, 2}}, {op.getXScales(), {0, 1}}},
              [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                Value number =
                    arith::SIToFPOp::create(b, b.getF32Type(), in[0]);
                return arith::MulFOp::create(b, number, in[1]);
              });
  return {x, w};
}

static void convert(mpgemm::MatmulOp op) {
  NestBuilder b(op.getLoc(), op);
  auto [x, w] = op.isUnscaled() ? widen(b, op) : scale(b, op);
  Value init = b.filled(sizesOf(b, op.getInit()), getElementTypeOrSelf(x));
  Value sum = b.nest(4, {{x, {0, 2, 3}}, {w, {1, 2, 3}}}, init, {0, 1},
                     [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                       if (in[2].getType().isInteger())
                         return arith::AddIOp::create(
                             b, in[2], arith::MulIOp::create(b, in[0], in[1]));
                       return arith::AddFOp::create(
                           b, in[2], arith::MulFOp::create(b, in[0], in[1]));
                     });
  if (sum.getType() != op.getResult().getType())
    sum = tensor::CastOp::create(b, op.getResult().getType(), sum);
  op.replaceAllUsesWith(ValueRange(sum));
  op.erase();
}

/// The largest |x| of each group, NaN where there is one.
static Value largest(NestBuilder &b, Value x, ArrayRef<OpFoldResult> groups) {
  return b.nest(3, {{x, {0, 1, 2}}}, b.filled(groups, b.getF32Type()), {0, 1},
                [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                  return arith::MaximumFOp::create(
                      b, in[1], math::AbsFOp::create(b, in[0]));
                });
}

/// round(x * 127 / most), where that is a number.
static Value quantizeNumber(ImplicitLocOpBuilder &b, ValueRange in) {
  Value x = in[0], most = in[1];
  Value isZero =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, most, constant(b, 0));
  Value factor = arith::DivFOp::create(b, constant(b, 127), most);
  factor = arith::SelectOp::create(b, isZero, constant(b, 0), factor);
  Value number =
      math::RoundEvenOp::create(b, arith::MulFOp::create(b, x, factor));
  // Also takes a NaN, which must not be converted.
  number = arith::MaxNumFOp::create(b, number, constant(b, -127));
  number = arith::MinNumFOp::create(b, number, constant(b, 127));
  return arith::FPToSIOp::create(b, b.getI8Type(), number);
}

static void convert(mpgemm::QuantizeActOp op) {
  NestBuilder b(op.getLoc(), op);
  Value x = op.getX();
  SmallVector<OpFoldResult> sizes = sizesOf(b, x);
  ArrayRef<OpFoldResult> groups = ArrayRef(sizes).drop_back();
  Value most = largest(b, x, groups);
  Value scales = b.map(groups, b.getF32Type(), {{most, {0, 1}}},
                       [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                         // x - x is NaN for an infinity.
                         Value check = arith::SubFOp::create(b, in[0], in[0]);
                         Value scale = arith::MulFOp::create(
                             b, in[0], constant(b, 1.0f / 127));
                         return arith::AddFOp::create(b, scale, check);
                       });
  Value codes = b.map(sizes, b.getI8Type(), {{x, {0, 1, 2}}, {most, {0, 1}}},
                      quantizeNumber);
  Value sums =
      b.nest(3, {{codes, {0, 1, 2}}}, b.filled(groups, b.getI32Type()), {0, 1},
             [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
               Value wide = arith::ExtSIOp::create(b, b.getI32Type(), in[0]);
               return arith::AddIOp::create(b, in[1], wide);
             });
  Value results[] = {codes, scales, sums};
  for (auto [value, result] : llvm::zip_equal(results, op->getResults()))
    result.replaceAllUsesWith(
        value.getType() == result.getType()
            ? value
            : tensor::CastOp::create(b, result.getType(), value).getResult());
  op.erase();
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
      } else if (auto quantize = dyn_cast<mpgemm::QuantizeActOp>(op)) {
        convert(quantize);
      }
    });
  }
};
} // namespace
