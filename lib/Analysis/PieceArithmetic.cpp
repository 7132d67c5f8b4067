//===- PieceArithmetic.cpp - Operations on what is known ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Integers of coordinates stay affine, or become pieces where a sign decides.
// Of floating-point numbers it is followed how low they are: -inf and the least
// finite number stay below whatever data adds to them, and exp takes them to 0.
// Data is taken to be finite: NaN and +inf are masked by what they are masked
// with.
//
//===----------------------------------------------------------------------===//

#include "PieceArithmetic.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra;
using Kind = Content::Kind;

/// With numbers below these no expression leaves 64 bits, also when it is
/// multiplied by all that it divides by; and with the narrow ones none of 32
/// bits does, as sizes do not.
static constexpr int64_t kMaxFactor = 1 << 20, kMaxDivisors = 1 << 30,
                         kMaxConstant = int64_t(1) << 31;
static constexpr int64_t kMaxNarrowFactor = 4, kMaxNarrowConstant = 1 << 30;

static std::optional<int64_t> constantOf(const Content &what) {
  auto constant = dyn_cast_or_null<AffineConstantExpr>(what.integer);
  return constant ? std::optional(constant.getValue()) : std::nullopt;
}

namespace {
/// How large an expression can become: how often coordinates are in it, its
/// constants, and the product of all that it divides by.
struct Magnitude {
  int64_t factor = 0, constant = 0, divisor = 1;
};
} // namespace

/// Nothing for what is beyond all limits.
static std::optional<Magnitude> magnitudeOf(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    if (std::abs(constant.getValue()) > kMaxConstant)
      return std::nullopt;
    return Magnitude{0, std::abs(constant.getValue()), 1};
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return Magnitude{1, 0, 1};
  auto x = magnitudeOf(binary.getLHS()), y = magnitudeOf(binary.getRHS());
  if (!x || !y)
    return std::nullopt;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    x->factor += y->factor;
    x->constant += y->constant;
    x->divisor *= y->divisor;
    break;
  case AffineExprKind::Mul:
    if (y->factor != 0)
      return std::nullopt;
    if (y->constant != 0 && x->factor > kMaxFactor / y->constant)
      return std::nullopt;
    if (y->constant != 0 && x->constant > kMaxConstant / y->constant)
      return std::nullopt;
    x->factor *= y->constant;
    x->constant *= y->constant;
    break;
  default:
    if (y->factor != 0 || y->constant > kMaxFactor)
      return std::nullopt;
    x->divisor *= std::max<int64_t>(1, y->constant);
  }
  bool isSmall = x->factor <= kMaxFactor && x->constant <= kMaxConstant &&
                 x->divisor <= kMaxDivisors;
  return isSmall ? x : std::nullopt;
}

/// `expr` as a value of `type`, unless it may not fit there.
static Content integer(AffineExpr expr, Type type) {
  std::optional<Magnitude> size = magnitudeOf(expr);
  if (!size)
    return {};
  if (!type.isIndex() && type.getIntOrFloatBitWidth() < 64) {
    bool isTruth = size->factor == 0 && size->constant <= 1;
    if (!isTruth &&
        (type.getIntOrFloatBitWidth() < 32 || size->factor > kMaxNarrowFactor ||
         size->constant > kMaxNarrowConstant))
      return {};
  }
  return Content(expr);
}

Content lutra::contentOf(Attribute constant) {
  if (auto number = dyn_cast<FloatAttr>(constant))
    return Content(number.getValue());
  auto number = dyn_cast<IntegerAttr>(constant);
  if (!number || !number.getType().isSignlessIntOrIndex() ||
      number.getValue().getSignificantBits() > 64)
    return {};
  bool isTruth = number.getType().isInteger(1);
  int64_t value = isTruth ? number.getValue().getZExtValue()
                          : number.getValue().getSExtValue();
  return integer(getAffineConstantExpr(value, constant.getContext()),
                 number.getType());
}

static ValuePiece piece(Content what, Points where = {}) {
  return {std::move(where), std::move(what)};
}

/// `quotient` of x >= 0 and the like of x < 0, which is rounded towards 0.
static Pieces towardsZero(AffineExpr x, Type type,
                          function_ref<AffineExpr(AffineExpr)> quotient) {
  return {piece(integer(quotient(x), type), {x}),
          piece(integer(-quotient(-x), type), {-x - 1})};
}

static Pieces compare(arith::CmpIPredicate predicate, AffineExpr x,
                      AffineExpr y) {
  Content yes = Content(getAffineConstantExpr(1, x.getContext())),
          no = Content(getAffineConstantExpr(0, x.getContext()));
  auto notBelow = [](AffineExpr x, AffineExpr y, Content yes, Content no) {
    return Pieces{piece(yes, {x - y}), piece(no, {y - x - 1})};
  };
  auto equal = [](AffineExpr x, AffineExpr y, Content yes, Content no) {
    return Pieces{piece(yes, {x - y, y - x}), piece(no, {x - y - 1}),
                  piece(no, {y - x - 1})};
  };
  switch (predicate) {
  case arith::CmpIPredicate::sle:
    return notBelow(y, x, yes, no);
  case arith::CmpIPredicate::slt:
    return notBelow(x, y, no, yes);
  case arith::CmpIPredicate::sge:
    return notBelow(x, y, yes, no);
  case arith::CmpIPredicate::sgt:
    return notBelow(y, x, no, yes);
  case arith::CmpIPredicate::eq:
    return equal(x, y, yes, no);
  case arith::CmpIPredicate::ne:
    return equal(x, y, no, yes);
  default:
    return {piece(Kind::Any)};
  }
}

/// Operations whose operands are integers of coordinates.
static Pieces transferIntegers(Operation &op, ArrayRef<Content> operands) {
  Type type = op.getResult(0).getType();
  AffineExpr x = operands[0].integer;
  auto one = [&](AffineExpr expr) {
    return Pieces{piece(integer(expr, type))};
  };
  std::optional<int64_t> value = constantOf(operands[0]);
  if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::TruncIOp>(op)) {
    // A truth value is 1 here.
    bool isNegated =
        isa<arith::ExtSIOp>(op) && op.getOperand(0).getType().isInteger(1);
    bool isTruth = isa<arith::TruncIOp>(op) && type.isInteger(1);
    return isTruth && (!value || *value < 0 || *value > 1)
               ? Pieces{piece(Kind::Any)}
               : one(isNegated ? -x : x);
  }
  if (isa<arith::ExtUIOp>(op))
    return value && *value >= 0 ? one(x) : Pieces{piece(Kind::Any)};
  if (isa<arith::SIToFPOp, arith::UIToFPOp>(op)) {
    if (!value)
      return {piece(Kind::Ordinary)};
    if (isa<arith::UIToFPOp>(op) && *value < 0)
      return {piece(Kind::Any)};
    APFloat number(cast<FloatType>(type).getFloatSemantics());
    bool isNegated =
        isa<arith::SIToFPOp>(op) && op.getOperand(0).getType().isInteger(1);
    number.convertFromAPInt(APInt(64, isNegated ? -*value : *value, true), true,
                            APFloat::rmNearestTiesToEven);
    return {piece(Content(number))};
  }
  if (operands.size() != 2)
    return {piece(Kind::Any)};
  AffineExpr y = operands[1].integer;
  std::optional<int64_t> divisor = constantOf(operands[1]);
  bool isDivisor = divisor && *divisor > 0 && *divisor <= kMaxFactor;
  return TypeSwitch<Operation *, Pieces>(&op)
      .Case([&](arith::AddIOp) { return one(x + y); })
      .Case([&](arith::SubIOp) { return one(x - y); })
      .Case([&](arith::MulIOp) {
        return value || divisor ? one(value ? y * x : x * y)
                                : Pieces{piece(Kind::Any)};
      })
      .Case([&](arith::DivSIOp) {
        return isDivisor ? towardsZero(x, type,
                                       [&](AffineExpr x) {
                                         return x.floorDiv(*divisor);
                                       })
                         : Pieces{piece(Kind::Any)};
      })
      .Case([&](arith::RemSIOp) {
        return isDivisor
                   ? towardsZero(x, type,
                                 [&](AffineExpr x) { return x % *divisor; })
                   : Pieces{piece(Kind::Any)};
      })
      .Case([&](arith::FloorDivSIOp) {
        return isDivisor ? one(x.floorDiv(*divisor)) : Pieces{piece(Kind::Any)};
      })
      .Case([&](arith::MaxSIOp) {
        return Pieces{piece(operands[0], {x - y}),
                      piece(operands[1], {y - x - 1})};
      })
      .Case([&](arith::MinSIOp) {
        return Pieces{piece(operands[1], {x - y}),
                      piece(operands[0], {y - x - 1})};
      })
      .Case<arith::XOrIOp, arith::AndIOp, arith::OrIOp>([&](Operation *) {
        if (!value || !divisor || *value < 0 || *divisor < 0)
          return Pieces{piece(Kind::Any)};
        int64_t bits = isa<arith::XOrIOp>(op)   ? *value ^ *divisor
                       : isa<arith::AndIOp>(op) ? *value & *divisor
                                                : *value | *divisor;
        return one(getAffineConstantExpr(bits, op.getContext()));
      })
      .Case([&](arith::CmpIOp compared) {
        bool isTruth = compared.getLhs().getType().isInteger(1);
        auto predicate = compared.getPredicate();
        // A signed truth value is -1.
        if (isTruth && predicate != arith::CmpIPredicate::eq &&
            predicate != arith::CmpIPredicate::ne)
          return Pieces{piece(Kind::Any)};
        return compare(predicate, x, y);
      })
      .Default([](Operation *) { return Pieces{piece(Kind::Any)}; });
}

static Pieces transferSum(Content x, Content y) {
  for (const Content &each : {x, y})
    if (each.isLowest())
      return {piece(each)};
  if (x.isLeast() || y.isLeast())
    return {piece(Kind::Least)};
  if (x.isZero() || y.isZero())
    return {piece(x.isZero() ? y : x)};
  return {piece(x.isOrdinary() && y.isOrdinary() ? Content(Kind::Ordinary)
                                                 : Content())};
}

static Pieces transferDifference(Content x, Content y) {
  if (x.isLowest())
    return {piece(x)};
  if (x.isLeast() && y.kind == Kind::Reference)
    return {piece({Kind::Below, y.reference})};
  if (x.isLeast() && y.isOrdinary())
    return {piece(Kind::Least)};
  return {piece(x.isOrdinary() && y.isOrdinary() ? Content(Kind::Ordinary)
                                                 : Content())};
}

static Pieces transferProduct(Content x, Content y) {
  for (const Content &each : {x, y})
    if (each.isZero() || each.kind == Kind::Gone)
      return {piece(each)};
  if (x.number)
    std::swap(x, y);
  // What is low stays so where it does not become less.
  bool isAtLeastOne = y.number && !y.number->isNegative() &&
                      y.number->isFinite() && ilogb(*y.number) >= 0 &&
                      y.isOrdinary();
  if (isAtLeastOne && (x.kind == Kind::Least || x.kind == Kind::Below))
    return {piece(x)};
  return {piece(x.isOrdinary() && y.isOrdinary() ? Content(Kind::Ordinary)
                                                 : Content())};
}

/// The larger of two numbers, where that is seen.
static Pieces transferMaximum(Content x, Content y) {
  auto isLow = [](const Content &what) {
    return what.isLowest() || what.isLeast();
  };
  if (isLow(x) && isLow(y))
    return {piece(x.isLowest() ? y : y.isLowest() ? x : Content(Kind::Least))};
  for (auto [low, other] : {std::pair(x, y), std::pair(y, x)})
    if (isLow(low) && other.isOrdinary())
      return {piece(other)};
  return {piece(Kind::Any)};
}

static Pieces transferExp(Content x, FloatType type) {
  if (x.kind == Kind::Below)
    return {piece({Kind::Gone, x.reference})};
  if (x.isLowest() || x.isLeast())
    return {piece(Content(APFloat::getZero(type.getFloatSemantics())))};
  return {piece(Kind::Any)};
}

/// Two numbers that are known.
static std::optional<APFloat> fold(Operation &op, APFloat x, const APFloat &y) {
  auto nearest = APFloat::rmNearestTiesToEven;
  if (isa<arith::AddFOp>(op))
    x.add(y, nearest);
  else if (isa<arith::SubFOp>(op))
    x.subtract(y, nearest);
  else if (isa<arith::MulFOp>(op))
    x.multiply(y, nearest);
  else if (isa<arith::DivFOp>(op))
    x.divide(y, nearest);
  else
    return std::nullopt;
  return x;
}

static Pieces transferComparison(arith::CmpFOp op, const Content &x,
                                 const Content &y) {
  if (!x.number || !y.number)
    return {piece(Kind::Any)};
  bool holds =
      arith::applyCmpPredicate(op.getPredicate(), *x.number, *y.number);
  return {piece(Content(getAffineConstantExpr(holds, op.getContext())))};
}

/// Operations of one number.
static Pieces transferOne(Operation &op, Content x) {
  auto type = dyn_cast<FloatType>(op.getResult(0).getType());
  if (!type)
    return {piece(Kind::Any)};
  if (isa<math::ExpOp, math::Exp2Op>(op))
    return transferExp(x, type);
  if (isa<math::TanhOp>(op) && x.isOrdinary())
    return {piece(Kind::Ordinary)};
  if (isa<arith::NegFOp>(op)) {
    if (x.number)
      return {piece(Content(neg(*x.number)))};
    return {piece(x.isOrdinary() ? x : Content())};
  }
  if (!isa<arith::ExtFOp, arith::TruncFOp>(op))
    return {piece(Kind::Any)};
  if (x.number) {
    bool losesInfo;
    x.number->convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                      &losesInfo);
  }
  return {piece(x.kind == Kind::Reference ? Content() : x)};
}

Pieces lutra::transfer(Operation &op, ArrayRef<Content> operands) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return {piece(contentOf(constant.getValue()))};
  bool areIntegers = llvm::all_of(operands, [](const Content &operand) {
    return operand.kind == Kind::Integer;
  });
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    if (!areIntegers)
      return {piece(Kind::Any)};
    AffineMap map = apply.getAffineMap();
    auto exprs = llvm::map_to_vector(
        operands, [](const Content &operand) { return operand.integer; });
    auto dims = ArrayRef(exprs).take_front(map.getNumDims()),
         symbols = ArrayRef(exprs).drop_front(map.getNumDims());
    return {piece(integer(map.getResult(0).replaceDimsAndSymbols(dims, symbols),
                          apply.getType()))};
  }
  if (!operands.empty() && areIntegers)
    return transferIntegers(op, operands);
  if (operands.size() == 1)
    return transferOne(op, operands[0]);
  if (operands.size() != 2)
    return {piece(Kind::Any)};
  const Content &x = operands[0], &y = operands[1];
  if (x.number && y.number)
    if (auto number = fold(op, *x.number, *y.number))
      return {piece(Content(*number))};
  return TypeSwitch<Operation *, Pieces>(&op)
      .Case([&](arith::AddFOp) { return transferSum(x, y); })
      .Case([&](arith::SubFOp) { return transferDifference(x, y); })
      .Case([&](arith::MulFOp) { return transferProduct(x, y); })
      .Case([&](arith::DivFOp) {
        bool isDivisor = y.number && y.isOrdinary() && !y.isZero() &&
                         ilogb(*y.number) >= -27;
        return Pieces{piece(
            x.isOrdinary() && isDivisor ? Content(Kind::Ordinary) : Content())};
      })
      .Case([&](arith::MaximumFOp) { return transferMaximum(x, y); })
      .Case([&](arith::CmpFOp compared) {
        return transferComparison(compared, x, y);
      })
      .Default([](Operation *) { return Pieces{piece(Kind::Any)}; });
}
