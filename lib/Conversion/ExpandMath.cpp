//===- ExpandMath.cpp - Math functions as arithmetic ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Replaces math functions by arithmetic, so that kernels call no libm.
// Functions of narrow floats are computed in f32. What machines have
// instructions for is kept; expand-rounding and expand-half do without them.
// The formulas are in ExpandMath/; test/Unit/Conversion/ExpandMathTest.cpp
// bounds the error of each.
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/Passes.h"

#include "ExpandMath/Expr.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_EXPANDMATH
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace ex = mlir::lutra::expand;
using ex::Expr;

using Unary = Expr (*)(Expr);

/// The formula of a function of one argument.
static Unary unaryFormula(Operation *op) {
  return llvm::TypeSwitch<Operation *, Unary>(op)
      .Case([](math::ExpOp) { return ex::exp; })
      .Case([](math::Exp2Op) { return ex::exp2; })
      .Case([](math::ExpM1Op) { return ex::expm1; })
      .Case([](math::LogOp) { return ex::log; })
      .Case([](math::Log2Op) { return ex::log2; })
      .Case([](math::Log10Op) { return ex::log10; })
      .Case([](math::Log1pOp) { return ex::log1p; })
      .Case([](math::TanhOp) { return ex::tanh; })
      .Case([](math::SinhOp) { return ex::sinh; })
      .Case([](math::CoshOp) { return ex::cosh; })
      .Case([](math::AsinhOp) { return ex::asinh; })
      .Case([](math::AcoshOp) { return ex::acosh; })
      .Case([](math::AtanhOp) { return ex::atanh; })
      .Case([](math::ErfOp) { return ex::erf; })
      .Case([](math::SinOp) { return ex::sin; })
      .Case([](math::CosOp) { return ex::cos; })
      .Case([](math::TanOp) { return ex::tan; })
      .Case([](math::AtanOp) { return ex::atan; })
      .Case([](math::AsinOp) { return ex::asin; })
      .Case([](math::AcosOp) { return ex::acos; })
      .Case([](math::CbrtOp) { return ex::cbrt; })
      .Case([](math::RsqrtOp) -> Unary {
        return [](Expr x) { return 1.0 / x.sqrt(); };
      })
      .Default([](Operation *) { return nullptr; });
}

/// x^n for integers, by repeated squaring over all bits of n.
static Value integerPower(OpBuilder &b, Location loc, Value x, Value n) {
  Type type = x.getType();
  auto constant = [&](int64_t value) -> Value {
    TypedAttr attr = b.getIntegerAttr(getElementTypeOrSelf(type), value);
    if (auto shaped = dyn_cast<ShapedType>(type))
      attr = DenseElementsAttr::get(shaped, Attribute(attr));
    return arith::ConstantOp::create(b, loc, attr);
  };
  auto equals = [&](Value y, Value z) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, y, z);
  };
  Value zero = constant(0), one = constant(1), minusOne = constant(-1);
  unsigned width = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  auto loop = scf::ForOp::create(
      b, loc, arith::ConstantIndexOp::create(b, loc, 0),
      arith::ConstantIndexOp::create(b, loc, width),
      arith::ConstantIndexOp::create(b, loc, 1), ValueRange{one, x, n},
      [&](OpBuilder &b, Location loc, Value, ValueRange carried) {
        Value power = carried[0], square = carried[1], rest = carried[2];
        Value bit = arith::AndIOp::create(b, loc, rest, one);
        Value product = arith::MulIOp::create(b, loc, power, square);
        Value isClear = equals(bit, zero);
        Value next = arith::SelectOp::create(b, loc, isClear, power, product);
        scf::YieldOp::create(
            b, loc,
            ValueRange{next, arith::MulIOp::create(b, loc, square, square),
                       arith::ShRUIOp::create(b, loc, rest, one)});
      });
  // 1 and -1 have integer inverses; in two's complement the loop finds them.
  Value isUnit =
      arith::OrIOp::create(b, loc, equals(x, one), equals(x, minusOne));
  Value isNegative =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, n, zero);
  Value inverse =
      arith::SelectOp::create(b, loc, isUnit, loop.getResult(0), zero);
  return arith::SelectOp::create(b, loc, isNegative, inverse,
                                 loop.getResult(0));
}

/// Whether code generators need no function for `op`, at least after other
/// passes.
static bool isElementary(Operation *op) {
  return isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::ClampFOp,
             math::CopySignOp, math::CountLeadingZerosOp,
             math::CountTrailingZerosOp, math::CtPopOp, math::FloorOp,
             math::FmaOp, math::IsFiniteOp, math::IsInfOp, math::IsNaNOp,
             math::IsNormalOp, math::RoundEvenOp, math::RoundOp, math::SqrtOp,
             math::TruncOp>(op);
}

/// Whether `op` is an exponential in f32 of which few bits count.
static bool mayApproximate(Operation *op) {
  auto math = dyn_cast<arith::ArithFastMathInterface>(op);
  return isa<math::ExpOp, math::Exp2Op>(op) &&
         getElementTypeOrSelf(op->getResult(0).getType()).isF32() &&
         arith::bitEnumContainsAll(math.getFastMathFlagsAttr().getValue(),
                                   arith::FastMathFlags::afn);
}

/// The value of `op`, or null where there is no formula.
static Value buildFormula(Operation *op, ex::Context &context) {
  OpBuilder &b = context.b;
  SmallVector<Expr> args;
  for (Value operand : op->getOperands())
    args.emplace_back(context, operand);
  if (auto power = dyn_cast<math::IPowIOp>(op))
    return integerPower(b, context.loc, power.getLhs(), power.getRhs());
  if (auto power = dyn_cast<math::FPowIOp>(op)) {
    Value exponent = arith::SIToFPOp::create(b, context.loc, power.getType(),
                                             power.getRhs());
    return ex::pow(args[0], Expr(context, exponent));
  }
  if (isa<math::PowFOp>(op))
    return ex::pow(args[0], args[1]);
  if (isa<math::Atan2Op>(op))
    return ex::atan2(args[0], args[1]);
  if (mayApproximate(op))
    return isa<math::ExpOp>(op) ? ex::expRoughly(args[0])
                                : ex::exp2Roughly(args[0]);
  Unary formula = unaryFormula(op);
  return formula ? Value(formula(args[0])) : Value();
}

/// Replaces an operation on f16 or bf16 by one on f32.
static Operation *widen(OpBuilder &b, Operation *op) {
  Type type = op->getResult(0).getType(), element = b.getF32Type();
  Type wide = isa<ShapedType>(type)
                  ? Type(cast<ShapedType>(type).clone(element))
                  : element;
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(
        operand.getType() == type
            ? arith::ExtFOp::create(b, op->getLoc(), wide, operand).getResult()
            : operand);
  Operation *widened = b.create(op->getLoc(), op->getName().getIdentifier(),
                                operands, wide, op->getAttrs());
  Value narrow =
      arith::TruncFOp::create(b, op->getLoc(), type, widened->getResult(0));
  op->getResult(0).replaceAllUsesWith(narrow);
  op->erase();
  return widened;
}

static LogicalResult replace(Operation *op, TargetAttr target) {
  OpBuilder b(op);
  auto element =
      dyn_cast<FloatType>(getElementTypeOrSelf(op->getResult(0).getType()));
  if (element && element.getWidth() < 32) {
    op = widen(b, op);
    b.setInsertionPoint(op);
  }
  ex::Context context{b, op->getLoc(), target};
  Value value = buildFormula(op, context);
  if (!value)
    return op->emitError("no formula for ") << op->getName();
  op->getResult(0).replaceAllUsesWith(value);
  op->erase();
  return success();
}

namespace {

struct ExpandMath : lutra::impl::ExpandMathBase<ExpandMath> {
  void runOnOperation() override {
    // Powers by a constant become products.
    RewritePatternSet patterns(&getContext());
    populateMathAlgebraicSimplificationPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<math::MathDialect>(op->getDialect()) && !isElementary(op))
        ops.push_back(op);
    });
    TargetAttr target = targetOf(getOperation());
    for (Operation *op : ops)
      if (failed(replace(op, target)))
        return signalPassFailure();
  }
};

} // namespace
