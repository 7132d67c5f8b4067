//===- ExpandHalf.cpp - f16 and bf16 without instructions for them --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// First, arithmetic on f16 and bf16 becomes arithmetic on f32 between
// conversions; then, conversions that the target lacks become integer
// arithmetic, in a form that vectors of any length share with scalars. None of
// it depends on how the CPU treats subnormal f32 numbers. Floats of 8 bits,
// which are only read, are extended too.
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/Passes.h"

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_EXPANDHALF
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {

/// What the target does by itself.
struct Native {
  bool f16Convert = false, f16FromF64 = false, f16Arithmetic = false,
       bf16Truncate = false, bf16TruncatePairs = false;

  static Native of(TargetAttr target) {
    Native native;
    if (!target)
      return native;
    if (isAArch64(target)) {
      native.f16Convert = native.f16FromF64 = true;
      native.f16Arithmetic = target.hasFeature("fullfp16");
      native.bf16Truncate = target.hasFeature("bf16");
      return native;
    }
    native.f16Arithmetic = native.f16FromF64 = target.hasFeature("avx512fp16");
    native.f16Convert = native.f16Arithmetic || target.hasFeature("f16c");
    native.bf16TruncatePairs = target.hasFeature("avx512bf16");
    native.bf16Truncate =
        native.bf16TruncatePairs && target.hasFeature("avx512vl");
    return native;
  }
};

/// Builds elementwise arithmetic on values shaped like `like`.
class Lanes {
public:
  Lanes(OpBuilder &b, Location loc, Type like) : b(b), loc(loc), like(like) {}

  Type type(Type element) const {
    if (auto vector = dyn_cast<VectorType>(like))
      return vector.clone(element);
    return element;
  }
  Type i16() const { return type(b.getI16Type()); }
  Type i32() const { return type(b.getI32Type()); }
  Type f32() const { return type(b.getF32Type()); }

  Value constant(uint32_t bits) {
    return splat(b.getI32IntegerAttr(int32_t(bits)), i32());
  }
  Value constantF32(float value) {
    return splat(b.getF32FloatAttr(value), f32());
  }
  template <typename Op>
  Value make(Value lhs, Value rhs) {
    return Op::create(b, loc, lhs, rhs);
  }
  Value bitAnd(Value value, uint32_t mask) {
    return make<arith::AndIOp>(value, constant(mask));
  }
  Value shiftLeft(Value value, uint32_t by) {
    return make<arith::ShLIOp>(value, constant(by));
  }
  Value shiftRight(Value value, uint32_t by) {
    return make<arith::ShRUIOp>(value, constant(by));
  }
  Value add(Value value, uint32_t number) {
    return make<arith::AddIOp>(value, constant(number));
  }
  Value below(Value value, uint32_t bound) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, value,
                                 constant(bound));
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(b, loc, condition, yes, no);
  }
  Value bitcast(Type type, Value value) {
    return arith::BitcastOp::create(b, loc, type, value);
  }
  /// The bits of a float of fewer in 32 bits, and of one of 16 back.
  Value widen(Value small) {
    unsigned bits =
        getElementTypeOrSelf(small.getType()).getIntOrFloatBitWidth();
    return arith::ExtUIOp::create(b, loc, i32(),
                                  bitcast(type(b.getIntegerType(bits)), small));
  }
  Value shorten(Value bits, Type half) {
    return bitcast(half, arith::TruncIOp::create(b, loc, i16(), bits));
  }

  OpBuilder &b;
  Location loc;

private:
  Value splat(TypedAttr element, Type type) {
    if (auto vector = dyn_cast<VectorType>(type))
      return arith::ConstantOp::create(
          b, loc, DenseElementsAttr::get(vector, Attribute(element)));
    return arith::ConstantOp::create(b, loc, element);
  }

  Type like;
};

} // namespace

static Value extendBF16(Lanes &lanes, Value half) {
  return lanes.bitcast(lanes.f32(), lanes.shiftLeft(lanes.widen(half), 16));
}

/// A float of fewer bits and a smaller exponent than f32.
struct SmallFloat {
  unsigned bits, mantissa;
  /// The least magnitude that is no number.
  uint32_t special;

  unsigned exponent() const { return bits - 1 - mantissa; }
  unsigned bias() const { return (1u << (exponent() - 1)) - 1; }
};
static constexpr SmallFloat kF16 = {16, 10, 0x7c00};
/// OCP's, which has no infinity.
static constexpr SmallFloat kE4M3 = {8, 3, 0x7f};

static Value extend(Lanes &lanes, Value value, SmallFloat from) {
  Value bits = lanes.widen(value);
  uint32_t top = 1u << (from.bits - 1), allSet = (1u << from.exponent()) - 1;
  Value sign = lanes.shiftLeft(lanes.bitAnd(bits, top), 32 - from.bits);
  Value magnitude = lanes.bitAnd(bits, top - 1);
  Value shifted = lanes.shiftLeft(magnitude, 23 - from.mantissa);
  // Exponents are biased otherwise; what is no number keeps all bits of the
  // exponent set.
  Value normal = lanes.add(shifted, (127 - from.bias()) << 23);
  Value special = lanes.add(shifted, (255 - allSet) << 23);
  // A subnormal's mantissa, put behind a leading one, exceeds that by its
  // value.
  uint32_t one = (127 - from.bias() + 1) << 23;
  Value behindOne = lanes.bitcast(lanes.f32(), lanes.add(shifted, one));
  Value leadingOne = lanes.bitcast(lanes.f32(), lanes.constant(one));
  Value subnormal = lanes.bitcast(
      lanes.i32(), lanes.make<arith::SubFOp>(behindOne, leadingOne));
  Value result =
      lanes.select(lanes.below(magnitude, from.special), normal, special);
  result = lanes.select(lanes.below(magnitude, 1u << from.mantissa), subnormal,
                        result);
  return lanes.bitcast(lanes.f32(), lanes.make<arith::OrIOp>(result, sign));
}

/// OCP's powers of two. Upstream's pattern makes 0 of the least, which is
/// subnormal in f32.
static Value extendE8M0(Lanes &lanes, Value byte) {
  Value bits = lanes.widen(byte);
  Value result = lanes.select(lanes.below(bits, 1), lanes.constant(1u << 22),
                              lanes.shiftLeft(bits, 23));
  result =
      lanes.select(lanes.below(bits, 0xff), result, lanes.constant(0x7fc00000));
  return lanes.bitcast(lanes.f32(), result);
}

static Value truncateToBF16(Lanes &lanes, Value value, Type type) {
  Value bits = lanes.bitcast(lanes.i32(), value);
  Value odd = lanes.bitAnd(lanes.shiftRight(bits, 16), 1);
  Value rounded = lanes.shiftRight(
      lanes.make<arith::AddIOp>(lanes.add(bits, 0x7fff), odd), 16);
  Value quiet = lanes.make<arith::OrIOp>(lanes.shiftRight(bits, 16),
                                         lanes.constant(0x40));
  Value isNumber = lanes.below(lanes.bitAnd(bits, 0x7fffffff), 0x7f800001);
  return lanes.shorten(lanes.select(isNumber, rounded, quiet), type);
}

static Value truncateToF16(Lanes &lanes, Value value, Type type) {
  Value bits = lanes.bitcast(lanes.i32(), value);
  Value sign = lanes.bitAnd(lanes.shiftRight(bits, 16), 0x8000);
  Value magnitude = lanes.bitAnd(bits, 0x7fffffff);
  // Half an ulp less one, and one more where the last bit that stays is odd.
  Value odd = lanes.bitAnd(lanes.shiftRight(magnitude, 13), 1);
  Value rebiased = lanes.add(magnitude, uint32_t(15 - 127) << 23);
  Value normal = lanes.shiftRight(
      lanes.make<arith::AddIOp>(lanes.add(rebiased, 0xfff), odd), 13);
  // An ulp of 0.5 is the least f16: adding rounds, what exceeds 0.5 is the
  // result.
  Value added = lanes.make<arith::AddFOp>(lanes.bitcast(lanes.f32(), magnitude),
                                          lanes.constantF32(0.5f));
  Value subnormal = lanes.add(lanes.bitcast(lanes.i32(), added), -(126u << 23));
  Value payload = lanes.bitAnd(lanes.shiftRight(magnitude, 13), 0x1ff);
  Value quiet = lanes.make<arith::OrIOp>(payload, lanes.constant(0x7e00));
  Value special = lanes.select(lanes.below(magnitude, 0x7f800001),
                               lanes.constant(0x7c00), quiet);
  Value result =
      lanes.select(lanes.below(magnitude, 0x47800000), normal, special);
  result = lanes.select(lanes.below(magnitude, 0x38800000), subnormal, result);
  return lanes.shorten(lanes.make<arith::OrIOp>(result, sign), type);
}

/// An f64 as an f32, rounded to odd: rounding that once more to 16 bits gives
/// what rounding the f64 would.
static Value truncateToOdd(Lanes &lanes, Value value) {
  OpBuilder &b = lanes.b;
  Location loc = lanes.loc;
  Value nearest = arith::TruncFOp::create(b, loc, lanes.f32(), value);
  Value back = arith::ExtFOp::create(b, loc, value.getType(), nearest);
  Value bits = lanes.bitcast(lanes.i32(), nearest);
  auto absolute = [&](Value number) -> Value {
    return math::AbsFOp::create(b, loc, number);
  };
  Value tooFar = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT,
                                       absolute(back), absolute(value));
  Value nearer = lanes.select(tooFar, lanes.add(bits, -1u), bits);
  Value odd = lanes.make<arith::OrIOp>(nearer, lanes.constant(1));
  Value inexact =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ONE, back, value);
  return lanes.bitcast(lanes.f32(), lanes.select(inexact, odd, bits));
}

namespace {

struct ExpandExtend : OpRewritePattern<arith::ExtFOp> {
  ExpandExtend(MLIRContext *context, Native native)
      : OpRewritePattern(context), native(native) {}

  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    Type from = getElementTypeOrSelf(op.getIn().getType());
    if (!from.isBF16() && !isa<Float8E4M3FNType, Float8E8M0FNUType>(from) &&
        !(from.isF16() && !native.f16Convert))
      return failure();
    if (getElementTypeOrSelf(op.getType()).getIntOrFloatBitWidth() < 32)
      return failure();
    Lanes lanes(rewriter, op.getLoc(), op.getType());
    Value result = from.isBF16() ? extendBF16(lanes, op.getIn())
                   : isa<Float8E8M0FNUType>(from)
                       ? extendE8M0(lanes, op.getIn())
                       : extend(lanes, op.getIn(), from.isF16() ? kF16 : kE4M3);
    if (result.getType() == op.getType())
      rewriter.replaceOp(op, result);
    else
      rewriter.replaceOpWithNewOp<arith::ExtFOp>(op, op.getType(), result);
    return success();
  }

  Native native;
};

struct ExpandTruncate : OpRewritePattern<arith::TruncFOp> {
  ExpandTruncate(MLIRContext *context, Native native)
      : OpRewritePattern(context), native(native) {}

  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    Type from = getElementTypeOrSelf(op.getIn().getType());
    Type to = getElementTypeOrSelf(op.getType());
    if (!to.isBF16() && !to.isF16())
      return failure();
    bool converts = to.isBF16() ? native.bf16Truncate : native.f16Convert;
    bool fromF64 = from.isF64() && !(to.isF16() && native.f16FromF64);
    if (converts && !fromF64)
      return failure();
    Lanes lanes(rewriter, op.getLoc(), op.getType());
    Value value = op.getIn();
    if (fromF64)
      value = truncateToOdd(lanes, value);
    if (converts)
      value =
          arith::TruncFOp::create(rewriter, op.getLoc(), op.getType(), value);
    else if (to.isBF16())
      value = truncateToBF16(lanes, value, op.getType());
    else
      value = truncateToF16(lanes, value, op.getType());
    rewriter.replaceOp(op, value);
    return success();
  }

  Native native;
};

/// Pairs of bf16, as dot products take them: one instruction rounds both, and
/// one permutes the result, where two that round would be put together by
/// three.
struct TruncatePairs : OpRewritePattern<vector::InterleaveOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(vector::InterleaveOp op,
                                PatternRewriter &rewriter) const override {
    auto pairs = VectorType::get({32}, rewriter.getBF16Type());
    auto first = op.getLhs().getDefiningOp<arith::TruncFOp>();
    auto second = op.getRhs().getDefiningOp<arith::TruncFOp>();
    if (op.getType() != pairs || !first || !second || !first->hasOneUse() ||
        !second->hasOneUse() ||
        !getElementTypeOrSelf(first.getIn().getType()).isF32() ||
        !getElementTypeOrSelf(second.getIn().getType()).isF32())
      return failure();
    // The second half of the result is of the first operand.
    Value halves =
        LLVM::CallIntrinsicOp::create(
            rewriter, op.getLoc(), pairs,
            rewriter.getStringAttr("llvm.x86.avx512bf16.cvtne2ps2bf16.512"),
            ValueRange{second.getIn(), first.getIn()})
            .getResult(0);
    SmallVector<int64_t> order;
    for (int64_t lane = 0; lane < 16; ++lane)
      order.append({lane, 16 + lane});
    rewriter.replaceOpWithNewOp<vector::ShuffleOp>(op, halves, halves, order);
    return success();
  }
};

struct ExpandHalf : lutra::impl::ExpandHalfBase<ExpandHalf> {
  void runOnOperation() override {
    Native native = Native::of(targetOf(getOperation()));
    if (failed(computeInF32(native)))
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandExtend, ExpandTruncate>(&getContext(), native);
    if (native.bf16TruncatePairs)
      patterns.add<TruncatePairs>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
  }

  LogicalResult computeInF32(Native native) {
    MLIRContext *context = &getContext();
    SmallVector<Type> narrow = {BFloat16Type::get(context)};
    if (!native.f16Arithmetic)
      narrow.push_back(Float16Type::get(context));
    Type wide = Float32Type::get(context);
    {
      TypeConverter converter;
      // The converter may refer to the set as long as it lives.
      SetVector<Type> kept;
      kept.insert_range(supported(native));
      math::populateExtendToSupportedTypesTypeConverter(converter, kept, wide);
      ConversionTarget target(*context);
      math::populateExtendToSupportedTypesConversionTarget(target, converter);
      RewritePatternSet patterns(context);
      math::populateExtendToSupportedTypesPatterns(patterns, converter);
      if (failed(applyPartialConversion(getOperation(), target,
                                        std::move(patterns))))
        return failure();
    }
    TypeConverter converter;
    arith::populateEmulateUnsupportedFloatsConversions(converter, narrow, wide);
    ConversionTarget target(*context);
    arith::populateEmulateUnsupportedFloatsLegality(target, converter);
    RewritePatternSet patterns(context);
    arith::populateEmulateUnsupportedFloatsPatterns(patterns, converter);
    return applyPartialConversion(getOperation(), target, std::move(patterns));
  }

  SmallVector<Type> supported(Native native) {
    SmallVector<Type> types = {Float32Type::get(&getContext()),
                               Float64Type::get(&getContext())};
    if (native.f16Arithmetic)
      types.push_back(Float16Type::get(&getContext()));
    return types;
  }
};

} // namespace
