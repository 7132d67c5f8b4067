//===- ExpandRounding.cpp - Rounding without instructions for it ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adding and subtracting 2^23 (2^52 for f64) rounds to the nearest integer;
// everything else is that and a correction by one. The sign is copied at the
// end, so that -0 stays -0.
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/Passes.h"

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_EXPANDROUNDING
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {

/// Builds arithmetic on the type of one value.
struct Rounder {
  Rounder(OpBuilder &b, Location loc, Value value)
      : b(b), loc(loc), value(value), type(value.getType()) {
    magnitude = math::AbsFOp::create(b, loc, value);
  }

  Value constant(double number) {
    auto element = b.getFloatAttr(getElementTypeOrSelf(type), number);
    if (auto shaped = dyn_cast<ShapedType>(type))
      return arith::ConstantOp::create(
          b, loc, DenseElementsAttr::get(shaped, Attribute(element)));
    return arith::ConstantOp::create(b, loc, element);
  }

  /// From here on every number is an integer.
  Value big() {
    return constant(getElementTypeOrSelf(type).isF64() ? 0x1p52 : 0x1p23);
  }

  /// The magnitude, rounded to nearest even; wrong where it is big.
  Value nearestMagnitude() {
    Value sum = arith::AddFOp::create(b, loc, magnitude, big());
    return arith::SubFOp::create(b, loc, sum, big());
  }

  /// `rounded` plus `by` where a `predicate` b holds.
  Value adjust(arith::CmpFPredicate predicate, Value lhs, Value rhs,
               Value rounded, double by) {
    Value wrong = arith::CmpFOp::create(b, loc, predicate, lhs, rhs);
    Value other = arith::AddFOp::create(b, loc, rounded, constant(by));
    return arith::SelectOp::create(b, loc, wrong, other, rounded);
  }

  /// A rounded number with the value's sign; big numbers, infinity and NaN are
  /// the value itself.
  Value finish(Value rounded) {
    Value isSmall = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT,
                                          magnitude, big());
    Value result = math::CopySignOp::create(b, loc, rounded, value);
    return arith::SelectOp::create(b, loc, isSmall, result, value);
  }

  OpBuilder &b;
  Location loc;
  Value value, magnitude;
  Type type;
};

using Predicate = arith::CmpFPredicate;

Value expand(math::RoundEvenOp, Rounder r) {
  return r.finish(r.nearestMagnitude());
}

Value expand(math::TruncOp, Rounder r) {
  Value nearest = r.nearestMagnitude();
  return r.finish(
      r.adjust(Predicate::OGT, nearest, r.magnitude, nearest, -1.0));
}

Value expand(math::RoundOp, Rounder r) {
  // Away from zero at one half: nearest even has gone down by just 0.5 there.
  Value nearest = r.nearestMagnitude();
  Value rest = arith::SubFOp::create(r.b, r.loc, r.magnitude, nearest);
  return r.finish(
      r.adjust(Predicate::OGE, rest, r.constant(0.5), nearest, 1.0));
}

/// Nearest even with the value's sign, but not yet for big numbers.
Value signedNearest(Rounder &r) {
  return math::CopySignOp::create(r.b, r.loc, r.nearestMagnitude(), r.value);
}

Value expand(math::FloorOp, Rounder r) {
  Value nearest = signedNearest(r);
  return r.finish(r.adjust(Predicate::OGT, nearest, r.value, nearest, -1.0));
}

Value expand(math::CeilOp, Rounder r) {
  Value nearest = signedNearest(r);
  return r.finish(r.adjust(Predicate::OLT, nearest, r.value, nearest, 1.0));
}

template <typename Op>
struct ExpandPattern : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Type element = getElementTypeOrSelf(op.getType());
    if (!element.isF32() && !element.isF64())
      return failure();
    rewriter.replaceOp(
        op, expand(op, Rounder(rewriter, op.getLoc(), op.getOperand())));
    return success();
  }
};

struct ExpandFma : OpRewritePattern<math::FmaOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::FmaOp op,
                                PatternRewriter &rewriter) const override {
    Value product =
        arith::MulFOp::create(rewriter, op.getLoc(), op.getA(), op.getB());
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, product, op.getC());
    return success();
  }
};

struct ExpandRounding : lutra::impl::ExpandRoundingBase<ExpandRounding> {
  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    if (!isX86(target))
      return;
    RewritePatternSet patterns(&getContext());
    if (!target.hasFeature("sse4.1"))
      patterns.add<ExpandPattern<math::FloorOp>, ExpandPattern<math::CeilOp>,
                   ExpandPattern<math::TruncOp>, ExpandPattern<math::RoundOp>,
                   ExpandPattern<math::RoundEvenOp>>(&getContext());
    if (!target.hasFeature("fma"))
      patterns.add<ExpandFma>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
  }
};

} // namespace
