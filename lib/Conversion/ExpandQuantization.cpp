//===- ExpandQuantization.cpp - Quantize without dividing -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is divided by a scale, clamped to a few integers and rounded is
// multiplied instead: by the reciprocal in two parts, the second of which is
// what the first lost. A vector of divisions takes as long as all else that is
// done to the results of a short product. The quotients differ in last bits at
// most, so that the integers may differ only beside the numbers that lie half
// way between two of them, and there each is tried here; where one differs, the
// division stays.
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/Passes.h"

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <cmath>

namespace mlir::lutra {
#define GEN_PASS_DEF_EXPANDQUANTIZATION
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// The most integers between the bounds; each is tried.
static constexpr float kMostIntegers = 1 << 17;
/// Scales whose reciprocals have all their bits.
static constexpr float kLeastScale = 0x1p-64f, kGreatestScale = 0x1p64f;
/// Neighbours of a number that quotients may change places with it.
static constexpr int kNeighbours = 3;

/// The number that an f32 value, or each element of it, is.
static std::optional<float> constantOf(Value value) {
  APFloat number(0.0f);
  if (!getElementTypeOrSelf(value.getType()).isF32() ||
      !matchPattern(value, m_ConstantFloat(&number)))
    return std::nullopt;
  return number.convertToFloat();
}

static Value constant(OpBuilder &b, Location loc, Type type, float number) {
  TypedAttr attr = b.getF32FloatAttr(number);
  if (auto shaped = dyn_cast<ShapedType>(type))
    attr = DenseElementsAttr::get(shaped, Attribute(attr));
  return arith::ConstantOp::create(b, loc, attr);
}

namespace {
/// What a value is clamped to from one side, and which value.
struct Bound {
  Value of;
  float bound;
};

/// A division by a constant.
struct Quotient {
  float scale, low, high;

  /// The bounds of the dividend.
  float lowest() const { return low * scale; }
  float highest() const { return high * scale; }
  float reciprocal() const { return 1 / scale; }
  /// What the reciprocal has lost.
  float rest() const { return float(1 / double(scale) - reciprocal()); }
  float divided(float x) const {
    return std::nearbyint(std::clamp(x / scale, low, high));
  }
  float multiplied(float x) const {
    x = std::clamp(x, lowest(), highest());
    return std::nearbyint(std::fma(x, reciprocal(), x * rest()));
  }
  bool isMultiplied() const;
};
} // namespace

/// Whether multiplying gives the integers that dividing does.
bool Quotient::isMultiplied() const {
  if (!(scale >= kLeastScale && scale <= kGreatestScale) || !(low < high) ||
      std::trunc(low) != low || std::trunc(high) != high ||
      std::max(std::abs(low), std::abs(high)) > kMostIntegers)
    return false;
  auto agreesBeside = [&](float x) {
    for (int side : {-1, 1}) {
      float y = x;
      for (int i = 0; i <= kNeighbours; ++i) {
        if (divided(y) != multiplied(y))
          return false;
        y = std::nextafter(y, side * INFINITY);
      }
    }
    return true;
  };
  for (float integer = low; integer < high; ++integer)
    if (!agreesBeside((integer + 0.5f) * scale))
      return false;
  return agreesBeside(lowest()) && agreesBeside(highest());
}

/// Matches select(x < bound, x, bound), or with > for the bound from below.
static std::optional<Bound> matchBound(Value value, bool isUpper) {
  using Predicate = arith::CmpFPredicate;
  auto select = value.getDefiningOp<arith::SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<arith::CmpFOp>()
                        : arith::CmpFOp();
  if (!compare)
    return std::nullopt;
  Value lesser = compare.getLhs(), greater = compare.getRhs();
  if (compare.getPredicate() == Predicate::OGT)
    std::swap(lesser, greater);
  else if (compare.getPredicate() != Predicate::OLT)
    return std::nullopt;
  Value x = isUpper ? lesser : greater, bound = isUpper ? greater : lesser;
  std::optional<float> number = constantOf(bound);
  if (!number || select.getTrueValue() != x || select.getFalseValue() != bound)
    return std::nullopt;
  return Bound{x, *number};
}

/// `x` without clamping to what it is clamped to anyway. A NaN passes through,
/// and is `low` in the end.
static Value withoutBounds(Value x, float low, float high) {
  Operation *op = x.getDefiningOp();
  if (!isa_and_nonnull<arith::MaximumFOp, arith::MinimumFOp>(op))
    return x;
  std::optional<float> bound = constantOf(op->getOperand(1));
  bool isWider =
      bound && (isa<arith::MaximumFOp>(op) ? *bound <= low : *bound >= high);
  return isWider ? withoutBounds(op->getOperand(0), low, high) : x;
}

namespace {
/// roundeven(clamp(x / scale)).
struct Multiply : OpRewritePattern<math::RoundEvenOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::RoundEvenOp op,
                                PatternRewriter &b) const override {
    std::optional<Bound> upper = matchBound(op.getOperand(), /*isUpper=*/true);
    std::optional<Bound> lower =
        upper ? matchBound(upper->of, /*isUpper=*/false) : std::nullopt;
    auto division = lower ? lower->of.getDefiningOp<arith::DivFOp>() : nullptr;
    std::optional<float> scale =
        division ? constantOf(division.getRhs()) : std::nullopt;
    if (!scale)
      return failure();
    Quotient quotient{*scale, lower->bound, upper->bound};
    if (!quotient.isMultiplied())
      return failure();
    Location loc = op.getLoc();
    Type type = op.getType();
    Value low = constant(b, loc, type, quotient.lowest()),
          high = constant(b, loc, type, quotient.highest());
    Value x =
        withoutBounds(division.getLhs(), quotient.lowest(), quotient.highest());
    auto clamp = [&](Value lesser, Value greater, Value bound) {
      Value isInside = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT,
                                             lesser, greater);
      x = arith::SelectOp::create(b, loc, isInside, x, bound);
    };
    clamp(low, x, low);
    clamp(x, high, high);
    Value rest = arith::MulFOp::create(b, loc, x,
                                       constant(b, loc, type, quotient.rest()));
    Value product = math::FmaOp::create(
        b, loc, x, constant(b, loc, type, quotient.reciprocal()), rest);
    b.modifyOpInPlace(op, [&] { op.getOperandMutable().assign(product); });
    return success();
  }
};

/// What rounds as it converts, on x86: fptosi(roundeven(x)), also where the
/// rounded is clamped to integers.
struct RoundAndConvert : OpRewritePattern<arith::FPToSIOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::FPToSIOp op,
                                PatternRewriter &b) const override {
    Type type = op.getType();
    if (getElementTypeOrSelf(type).getIntOrFloatBitWidth() > 32 ||
        !LLVM::isCompatibleType(type))
      return failure();
    Value x = op.getIn();
    SmallVector<Operation *> clamps;
    while (isa_and_nonnull<arith::MaxNumFOp, arith::MinNumFOp>(
        x.getDefiningOp())) {
      Operation *clamp = x.getDefiningOp();
      std::optional<float> bound = constantOf(clamp->getOperand(1));
      if (!bound || std::trunc(*bound) != *bound)
        return failure();
      clamps.push_back(clamp);
      x = clamp->getOperand(0);
    }
    auto rounding = x.getDefiningOp<math::RoundEvenOp>();
    if (!rounding || !getElementTypeOrSelf(x.getType()).isF32())
      return failure();
    Location loc = op.getLoc();
    x = rounding.getOperand();
    for (Operation *clamp : llvm::reverse(clamps))
      x = b.create(loc, clamp->getName().getIdentifier(),
                   {x, clamp->getOperand(1)}, x.getType(), clamp->getAttrs())
              ->getResult(0);
    Type i32 = b.getI32Type(), wide = i32;
    if (auto vector = dyn_cast<VectorType>(type))
      wide = vector.clone(i32);
    Value rounded = LLVM::LrintOp::create(b, loc, wide, x);
    if (type != wide)
      rounded = arith::TruncIOp::create(b, loc, type, rounded);
    b.replaceOp(op, rounded);
    return success();
  }
};

struct ExpandQuantization
    : lutra::impl::ExpandQuantizationBase<ExpandQuantization> {
  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    bool fuses =
        isAArch64(target) || (isX86(target) && target.hasFeature("fma"));
    // The one looks for the rounding that the other takes away.
    if ((fuses && failed(apply<Multiply>())) ||
        (isX86(target) && failed(apply<RoundAndConvert>())))
      return signalPassFailure();
  }

  template <typename Pattern>
  LogicalResult apply() {
    RewritePatternSet patterns(&getContext());
    patterns.add<Pattern>(&getContext());
    return applyPatternsGreedily(getOperation(), std::move(patterns));
  }
};
} // namespace
