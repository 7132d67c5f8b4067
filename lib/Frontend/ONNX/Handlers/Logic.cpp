//===- Logic.cpp - Comparisons, booleans, bits, Where ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators with a truth value among their operands or results. A stored bool
// is 0 or 1, so the boolean operators are bitwise ones.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"

#include "../SizeAlgebra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

template <Value (Scalars::*compare)(Value, Value) const>
static Value comparison(Scalars &s, ValueRange x, const Node &) {
  return Lowering::fromI1(s.b, (s.*compare)(x[0], x[1]));
}

template <typename Op>
static Value bitwise(Scalars &s, ValueRange x, const Node &) {
  return Op::create(s.b, x[0], x[1]);
}

static Value logicalNot(Scalars &s, ValueRange x, const Node &) {
  return arith::XOrIOp::create(s.b, x[0], s.constantInt(1));
}

static Value bitwiseNot(Scalars &s, ValueRange x, const Node &) {
  return arith::XOrIOp::create(s.b, x[0], s.constantInt(-1));
}

/// A shift by the width or more, or by a negative amount, leaves what the sign
/// extension alone gives: -1 to the right of a negative number, else 0.
static Value bitShift(Scalars &s, ValueRange x, const Node &node) {
  unsigned width = s.type().getIntOrFloatBitWidth();
  Value zero = s.constantInt(0), most = s.constantInt(width - 1);
  // As an unsigned number a negative amount is beyond the width too.
  Value tooFar =
      arith::CmpIOp::create(s.b, arith::CmpIPredicate::ugt, x[1], most);
  Value amount = s.select(tooFar, most, x[1]);
  if (node.stringAttr("direction", "") == "RIGHT" && isSigned(s.dtype))
    return arith::ShRSIOp::create(s.b, x[0], amount);
  Value shifted = node.stringAttr("direction", "") == "RIGHT"
                      ? Value(arith::ShRUIOp::create(s.b, x[0], amount))
                      : Value(arith::ShLIOp::create(s.b, x[0], amount));
  return s.select(tooFar, zero, shifted);
}

//===----------------------------------------------------------------------===//
// Known elements
//===----------------------------------------------------------------------===//

static AffineExpr truth(bool value, MLIRContext *context) {
  return getAffineConstantExpr(value, context);
}

/// Whether x < y where the expressions say.
static std::optional<bool> isLess(Lowering &lowering, AffineExpr x,
                                  AffineExpr y) {
  auto a = dyn_cast<AffineConstantExpr>(x), b = dyn_cast<AffineConstantExpr>(y);
  if (a && b)
    return a.getValue() < b.getValue();
  if (lowering.isNonNegative(canonicalSize(x - y)))
    return false;
  if (lowering.isNonNegative(canonicalSize(y - x - 1)))
    return true;
  return std::nullopt;
}

static AffineExpr foldEqual(Lowering &lowering, ArrayRef<AffineExpr> x) {
  if (x[0] == x[1])
    return truth(true, x[0].getContext());
  if (isLess(lowering, x[0], x[1]).value_or(false) ||
      isLess(lowering, x[1], x[0]).value_or(false))
    return truth(false, x[0].getContext());
  return {};
}

/// x < y, or y < x if `swapped`; negated if `negated`.
template <bool swapped, bool negated>
static AffineExpr foldOrder(Lowering &lowering, ArrayRef<AffineExpr> x) {
  std::optional<bool> less =
      swapped ? isLess(lowering, x[1], x[0]) : isLess(lowering, x[0], x[1]);
  return less ? truth(*less != negated, x[0].getContext()) : AffineExpr();
}

static AffineExpr foldNot(Lowering &, ArrayRef<AffineExpr> x) {
  auto known = dyn_cast<AffineConstantExpr>(x[0]);
  return known ? truth(!known.getValue(), x[0].getContext()) : AffineExpr();
}

/// x op y, where one operand alone may decide: false for And, true for Or.
template <bool decisive>
static AffineExpr foldJunction(Lowering &, ArrayRef<AffineExpr> x) {
  auto a = dyn_cast<AffineConstantExpr>(x[0]),
       b = dyn_cast<AffineConstantExpr>(x[1]);
  if ((a && bool(a.getValue()) == decisive) ||
      (b && bool(b.getValue()) == decisive))
    return truth(decisive, x[0].getContext());
  return a && b ? truth(!decisive, x[0].getContext()) : AffineExpr();
}

static AffineExpr foldXor(Lowering &, ArrayRef<AffineExpr> x) {
  auto a = dyn_cast<AffineConstantExpr>(x[0]),
       b = dyn_cast<AffineConstantExpr>(x[1]);
  return a && b ? truth(bool(a.getValue()) != bool(b.getValue()),
                        x[0].getContext())
                : AffineExpr();
}

static AffineExpr foldWhere(Lowering &, ArrayRef<AffineExpr> x) {
  if (x[1] == x[2])
    return x[1];
  auto condition = dyn_cast<AffineConstantExpr>(x[0]);
  return condition ? x[condition.getValue() ? 1 : 2] : AffineExpr();
}

//===----------------------------------------------------------------------===//
// Where
//===----------------------------------------------------------------------===//

static Support supportsWhere(const Node &node) {
  DType condition = node.input(0).dtype;
  if (condition != DType::Bool && condition != DType::Undefined)
    return Support::no("expected a BOOL condition, got " +
                       dtypeName(condition));
  if (node.numInputs() != 3)
    return Support::no("expected three inputs");
  return supportsTypes(node, Types::Any, /*first=*/1);
}

static FailureOr<SmallVector<Tensor>> lowerWhere(const Node &node,
                                                 Lowering &lowering) {
  if (Support support = supportsWhere(node); !support)
    return node.error() << support.reason();
  DType type = node.input(1).dtype;
  if (auto ints = foldInts(lowering, node.inputs(), foldWhere)) {
    bool isScalar = llvm::all_of(node.inputs(),
                                 [](const Tensor &t) { return t.rank() == 0; });
    return SmallVector<Tensor>{lowering.intsTensor(*ints, type, isScalar)};
  }
  FailureOr<Tensor> result = lowering.elementwise(
      node.inputs(), type, [](ImplicitLocOpBuilder &b, ValueRange x) -> Value {
        return arith::SelectOp::create(b, Lowering::toI1(b, x[0]), x[1], x[2]);
      });
  if (failed(result))
    return failure();
  return SmallVector<Tensor>{*result};
}

void lutra::addLogicHandlers(Registry &r) {
  constexpr Types any = Types::Any, number = Types::Number,
                  integer = Types::Integer, boolean = Types::Bool;
  constexpr DType truth = DType::Bool, same = DType::Undefined;
  addElementwise<comparison<&Scalars::eq>, any, truth, foldEqual>(
      r, "Equal", {7, 11, 13, 19});
  addElementwise<comparison<&Scalars::lt>, number, truth,
                 foldOrder<false, false>>(r, "Less", {7, 9, 13});
  addElementwise<comparison<&Scalars::le>, number, truth,
                 foldOrder<true, true>>(r, "LessOrEqual", {12, 16});
  addElementwise<comparison<&Scalars::gt>, number, truth,
                 foldOrder<true, false>>(r, "Greater", {7, 9, 13});
  addElementwise<comparison<&Scalars::ge>, number, truth,
                 foldOrder<false, true>>(r, "GreaterOrEqual", {12, 16});
  addElementwise<bitwise<arith::AndIOp>, boolean, same, foldJunction<false>>(
      r, "And", {7});
  addElementwise<bitwise<arith::OrIOp>, boolean, same, foldJunction<true>>(
      r, "Or", {7});
  addElementwise<bitwise<arith::XOrIOp>, boolean, same, foldXor>(r, "Xor", {7});
  addElementwise<logicalNot, boolean, same, foldNot>(r, "Not", {1});
  addElementwise<bitwise<arith::AndIOp>, integer>(r, "BitwiseAnd", {18});
  addElementwise<bitwise<arith::OrIOp>, integer>(r, "BitwiseOr", {18});
  addElementwise<bitwise<arith::XOrIOp>, integer>(r, "BitwiseXor", {18});
  addElementwise<bitwiseNot, integer>(r, "BitwiseNot", {18});
  addElementwise<bitShift, integer>(r, "BitShift", {11, 28});
  r.add({"", "Where", {9, 16}, supportsWhere, lowerWhere});
}
