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
#include "mlir/Dialect/Arith/Utils/Utils.h"
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

static Value toIndex(ImplicitLocOpBuilder &b, Value value) {
  if (value.getType().isIndex())
    return value;
  return arith::IndexCastUIOp::create(b, b.getIndexType(), value);
}

/// `code` of `codes` [N, G, K] with the bits of those before it in its row, as
/// an index; `code` itself if it takes no others. `size` is K.
static Value windowOf(ImplicitLocOpBuilder &b, mpgemm::FormatInterface format,
                      Value codes, Value size, Value code) {
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, value);
  };
  int64_t bits = format.getBits(), shift = format.getWindow() - bits;
  if (shift == 0)
    return code;
  constexpr int64_t kStride = 4;
  Value row = linalg::IndexOp::create(b, 0), zero = index(0),
        window = arith::ShLIOp::create(b, toIndex(b, code), index(shift)),
        at = arith::MulIOp::create(b, linalg::IndexOp::create(b, 1), size);
  at = arith::AddIOp::create(b, at, linalg::IndexOp::create(b, 2));
  for (shift -= bits; shift > -bits; shift -= bits) {
    at = arith::SubIOp::create(b, at, index(kStride));
    Value isThere =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sge, at, zero);
    Value place = arith::MaxSIOp::create(b, at, zero);
    Value group = arith::DivUIOp::create(b, place, size),
          ofGroup = arith::RemUIOp::create(b, place, size);
    Value earlier = toIndex(b, tensor::ExtractOp::create(
                                   b, codes, ValueRange{row, group, ofGroup}));
    earlier = arith::SelectOp::create(b, isThere, earlier, zero);
    earlier = shift >= 0
                  ? arith::ShLIOp::create(b, earlier, index(shift)).getResult()
                  : arith::ShRUIOp::create(b, earlier, index(-shift));
    window = arith::OrIOp::create(b, window, earlier);
  }
  return window;
}

/// The numbers of all windows; null where they are codes less an offset, those
/// of vectors, or without a format.
static Value tableOf(ImplicitLocOpBuilder &b, mpgemm::FormatInterface format) {
  if (!format || isa<mpgemm::VectorsAttr>(format) ||
      (format.getOffset() && format.getNumberBits() == format.getBits()))
    return nullptr;
  SmallVector<float> values;
  for (unsigned window = 0; window < 1u << format.getWindow(); ++window)
    values.push_back(format.decode(window));
  auto type = RankedTensorType::get({int64_t(values.size())}, b.getF32Type());
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, ArrayRef(values)));
}

/// The number that a code or a window stands for, which `table` has if it is
/// not null.
static Value numberOf(ImplicitLocOpBuilder &b, mpgemm::FormatInterface format,
                      Value table, Value window) {
  if (table)
    return tensor::ExtractOp::create(b, table, toIndex(b, window));
  Value offset = f32Constant(b, *format.getOffset());
  return arith::SubFOp::create(b, toF32(b, window), offset);
}

/// A code or window with its zero point, which may be null, and scale.
static Value dequantize(ImplicitLocOpBuilder &b, mpgemm::FormatInterface format,
                        Value table, Value window, Value scale, Value zero) {
  Value number = numberOf(b, format, table, window);
  if (zero)
    number = arith::SubFOp::create(b, number, toF32(b, zero));
  return arith::MulFOp::create(b, number, toF32(b, scale));
}

/// The scales of `op`, [N, G] of floats, times its super-scales.
static Value scalesOf(NestBuilder &b, mpgemm::ProductOpInterface op) {
  Value scales = op.getScales(), superScales = op.getSuperScales();
  if (!superScales && !getElementTypeOrSelf(scales).isInteger())
    return scales;
  return b.map(
      b.sizesOf(scales), b.getF32Type(), {{scales, {0, 1}}},
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value scale =
            in[0].getType().isInteger()
                ? arith::SIToFPOp::create(b, b.getF32Type(), in[0]).getResult()
                : toF32(b, in[0]);
        if (!superScales)
          return scale;
        Value size = arith::ConstantIndexOp::create(b, op.getSuperBlock()),
              row = linalg::IndexOp::create(b, 0),
              block = arith::DivUIOp::create(b, linalg::IndexOp::create(b, 1),
                                             size);
        Value shared =
            tensor::ExtractOp::create(b, superScales, ValueRange{row, block});
        return arith::MulFOp::create(b, scale, toF32(b, shared));
      });
}

/// The numbers of `op`, whose codes stand for vectors, with scale, [N, G, K].
static Value dequantize(NestBuilder &b, mpgemm::MatmulOp op,
                        mpgemm::VectorsAttr vectors) {
  SmallVector<OpFoldResult> sizes = b.sizesOf(op.getCodes());
  sizes[2] = b.getIndexAttr(op.getGroupSize());
  auto emit = [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(b, value);
    };
    Value k = linalg::IndexOp::create(b, 2), block = index(vectors.getBlock()),
          inBlock = arith::RemUIOp::create(b, k, block),
          number = arith::DivUIOp::create(b, inBlock, index(4)),
          vector = arith::RemUIOp::create(b, inBlock, index(4)),
          codes = arith::MulIOp::create(
              b, arith::DivUIOp::create(b, k, block),
              index(vectors.getBlock() / vectors.getSpan())),
          first = arith::AddIOp::create(b, codes, vector), sum;
    for (int64_t book = 0; book < vectors.getBooks(); ++book) {
      SmallVector<Value> place = {
          linalg::IndexOp::create(b, 0), linalg::IndexOp::create(b, 1),
          arith::AddIOp::create(b, first, index(4 * book))};
      Value code =
                toIndex(b, tensor::ExtractOp::create(b, op.getCodes(), place)),
            added = tensor::ExtractOp::create(
                b, op.getCodebook(), ValueRange{index(book), number, code});
      sum = sum ? arith::AddIOp::create(b, sum, added).getResult() : added;
    }
    Value offset = f32Constant(b, *vectors.getOffset());
    return arith::MulFOp::create(
        b, arith::SubFOp::create(b, toF32(b, sum), offset), toF32(b, in[0]));
  };
  return b.map(sizes, b.getF32Type(), {{scalesOf(b, op), {0, 1}}}, emit);
}

/// The codes of `op` as numbers with zero point and scale, [N, G, K].
static Value dequantize(NestBuilder &b, mpgemm::MatmulOp op) {
  if (auto vectors = dyn_cast<mpgemm::VectorsAttr>(op.getFormat()))
    return dequantize(b, op, vectors);
  mpgemm::FormatInterface format = op.getFormat();
  SmallVector<OpFoldResult> sizes = b.sizesOf(op.getCodes());
  Value table = tableOf(b, format), size;
  if (table)
    size = getValueOrCreateConstantIndexOp(b, b.getLoc(), sizes[2]);
  SmallVector<NestBuilder::Read> reads = {{op.getCodes(), {0, 1, 2}},
                                          {scalesOf(b, op), {0, 1}}};
  if (op.getZeros())
    reads.push_back({op.getZeros(), {0, 1}});
  return b.map(sizes, b.getF32Type(), reads,
               [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                 Value window = windowOf(b, format, op.getCodes(), size, in[0]);
                 return dequantize(b, format, table, window, in[1],
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
                  b, b.getI32IntegerAttr(int32_t(*op.getFormat().getOffset())));
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
  SmallVector<NestBuilder::Read> reads = {{x, {0, 1, 2}}};
  if (op.getXScales())
    reads.push_back({op.getXScales(), {0, 1}});
  return b.map(
      b.sizesOf(x), b.getF32Type(), reads,
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value number = arith::SIToFPOp::create(b, b.getF32Type(), in[0]);
        return op.getXScales()
                   ? arith::MulFOp::create(b, number, in[1]).getResult()
                   : number;
      });
}

/// x and codes as the numbers that they stand for, with all scales.
static std::pair<Value, Value> scale(NestBuilder &b, mpgemm::MatmulOp op) {
  Value w = dequantize(b, op);
  return {numbersOfX(b, op), w};
}

/// `w` [N, G * planes, K] as [N, G, planes, K].
static Value splitPlanes(NestBuilder &b, mpgemm::MatmulOp op, Value w) {
  int64_t planes = op.getFormat().getPlanes();
  SmallVector<OpFoldResult> sizes = b.sizesOf(w);
  sizes[1] = b.sizesOf(op.getX())[1];
  sizes.insert(sizes.begin() + 2, b.getIndexAttr(planes));
  auto type = cast<RankedTensorType>(w.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[1] = op.getXType().getDimSize(1);
  shape.insert(shape.begin() + 2, planes);
  ReassociationIndices split[] = {{0}, {1, 2}, {3}};
  return tensor::ExpandShapeOp::create(b, type.clone(shape), w, split, sizes);
}

static void convert(mpgemm::MatmulOp op) {
  NestBuilder b(op.getLoc(), op);
  auto [x, w] = op.isUnscaled() ? widen(b, op) : scale(b, op);
  unsigned loops = 4;
  SmallVector<unsigned> ofX = {0, 2, 3}, ofW = {1, 2, 3};
  if (op.getFormat().getPlanes() > 1) {
    w = splitPlanes(b, op, w);
    loops = 5;
    ofX = {0, 2, 4};
    ofW = {1, 2, 3, 4};
  }
  Value init = b.filled(b.sizesOf(op.getInit()), getElementTypeOrSelf(x));
  Value sum = b.nest(loops, {{x, ofX}, {w, ofW}}, init, {0, 1},
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
        table = tableOf(b, op.getFormatAttr()),
        scales = op.getScales() ? scalesOf(b, op) : Value();
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
        Value scale = at(scales, place), zero = at(op.getZeros(), place);
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
