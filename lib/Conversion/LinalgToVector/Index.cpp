//===- Index.cpp - What is known of an index ------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluates the affine expressions of indexing maps on indices that are known
// to be a multiple plus a constant. A map of a packed operand, such as (n
// floordiv 32, k, n mod 32), costs one division per tile and none per lane.
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

Value Index::materialize(OpBuilder &b, Location loc) const {
  if (!base)
    return arith::ConstantIndexOp::create(b, loc, offset);
  if (offset == 0)
    return base;
  return arith::AddIOp::create(b, loc, base,
                               arith::ConstantIndexOp::create(b, loc, offset));
}

/// Splits `offset` into a multiple of `by` and a rest in [0, by).
static std::pair<int64_t, int64_t> splitOffset(int64_t offset, int64_t by) {
  int64_t rest = llvm::mod(offset, by);
  return {offset - rest, rest};
}

/// `x op c`, folded when `x` has no base.
static Value combine(OpBuilder &b, Location loc, Value x, int64_t c,
                     AffineExprKind kind) {
  Value constant = arith::ConstantIndexOp::create(b, loc, c);
  switch (kind) {
  case AffineExprKind::Mul:
    return c == 1 ? x : arith::MulIOp::create(b, loc, x, constant).getResult();
  case AffineExprKind::FloorDiv:
    return c == 1 ? x : arith::DivUIOp::create(b, loc, x, constant).getResult();
  default:
    return arith::RemUIOp::create(b, loc, x, constant);
  }
}

/// Whether `expr` is non-negative for non-negative loops by its form alone.
static bool isNonNegative(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() >= 0;
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr))
    return expr.getKind() == AffineExprKind::Mod ||
           (isNonNegative(binary.getLHS()) && isNonNegative(binary.getRHS()));
  return isa<AffineDimExpr>(expr);
}

/// The constant right-hand side of a multiplication, division or remainder.
static std::optional<int64_t> constantFactor(AffineBinaryOpExpr expr) {
  auto constant = dyn_cast<AffineConstantExpr>(expr.getRHS());
  if (!constant || constant.getValue() <= 0)
    return std::nullopt;
  return constant.getValue();
}

/// Evaluates by plain arithmetic, knowing nothing about the result.
static Index evaluateOpaque(OpBuilder &b, Location loc, AffineExpr expr,
                            ArrayRef<Index> loops) {
  SmallVector<Value> values;
  for (const Index &loop : loops)
    values.push_back(loop.base || loop.offset ? loop.materialize(b, loc)
                                              : Value());
  for (Value &value : values)
    if (!value)
      value = arith::ConstantIndexOp::create(b, loc, 0);
  return {affine::expandAffineExpr(b, loc, expr, values, {}), 1, 0};
}

static Index add(OpBuilder &b, Location loc, Index x, Index y) {
  if (!x.base || !y.base)
    return {x.base ? x.base : y.base, x.base ? x.multiple : y.multiple,
            x.offset + y.offset};
  return {arith::AddIOp::create(b, loc, x.base, y.base),
          std::gcd(x.multiple, y.multiple), x.offset + y.offset};
}

/// x floordiv c or x mod c, for a base that is not a constant.
static Index divide(OpBuilder &b, Location loc, Index x, int64_t c,
                    AffineExprKind kind) {
  bool isMod = kind == AffineExprKind::Mod;
  int64_t step = std::gcd(x.multiple, c);
  if (step == c && isMod)
    return {Value(), 0, llvm::mod(x.offset, c)};
  if (step == c)
    return {combine(b, loc, x.base, c, kind), x.multiple / c,
            llvm::divideFloorSigned(x.offset, c)};
  // base + whole is a multiple of `step`, as c is, so that a rest below `step`
  // does not carry.
  auto [whole, rest] = splitOffset(x.offset, step);
  Value base = Index{x.base, x.multiple, whole}.materialize(b, loc);
  return {combine(b, loc, base, c, kind), isMod ? step : 1, isMod ? rest : 0};
}

Index lutra::evaluate(OpBuilder &b, Location loc, AffineExpr expr,
                      ArrayRef<Index> loops) {
  if (auto loop = dyn_cast<AffineDimExpr>(expr))
    return loops[loop.getPosition()];
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return {Value(), 0, constant.getValue()};
  auto binary = cast<AffineBinaryOpExpr>(expr);
  if (expr.getKind() == AffineExprKind::Add)
    return add(b, loc, evaluate(b, loc, binary.getLHS(), loops),
               evaluate(b, loc, binary.getRHS(), loops));
  std::optional<int64_t> c = constantFactor(binary);
  bool divides = expr.getKind() != AffineExprKind::Mul;
  if (!c || expr.getKind() == AffineExprKind::CeilDiv ||
      (divides && !isNonNegative(binary.getLHS())))
    return evaluateOpaque(b, loc, expr, loops);
  Index x = evaluate(b, loc, binary.getLHS(), loops);
  if (x.base && divides)
    return divide(b, loc, x, *c, expr.getKind());
  if (!divides)
    return {x.base ? combine(b, loc, x.base, *c, expr.getKind()) : Value(),
            x.multiple * *c, x.offset * *c};
  return {Value(), 0,
          expr.getKind() == AffineExprKind::Mod
              ? llvm::mod(x.offset, *c)
              : llvm::divideFloorSigned(x.offset, *c)};
}

/// The multiple and the offset that evaluate() would find, without building.
static std::pair<int64_t, int64_t> congruence(AffineExpr expr,
                                              ArrayRef<Index> loops) {
  if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
    const Index &index = loops[loop.getPosition()];
    return {index.base ? index.multiple : 0, index.offset};
  }
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return {0, constant.getValue()};
  auto binary = cast<AffineBinaryOpExpr>(expr);
  auto [multiple, offset] = congruence(binary.getLHS(), loops);
  if (expr.getKind() == AffineExprKind::Add) {
    auto [other, more] = congruence(binary.getRHS(), loops);
    return {std::gcd(multiple, other), offset + more};
  }
  std::optional<int64_t> c = constantFactor(binary);
  if (!c)
    return {1, 0};
  int64_t step = std::gcd(multiple, *c);
  switch (expr.getKind()) {
  case AffineExprKind::Mul:
    return {multiple * *c, offset * *c};
  case AffineExprKind::Mod:
    return {step == *c ? 0 : step, llvm::mod(offset, step)};
  default:
    return {1, 0};
  }
}

std::optional<int64_t> lutra::laneStride(AffineExpr expr, ArrayRef<Index> loops,
                                         unsigned loop, int64_t lanes) {
  if (!expr.isFunctionOfDim(loop))
    return 0;
  if (isa<AffineDimExpr>(expr))
    return 1;
  auto binary = cast<AffineBinaryOpExpr>(expr);
  auto lhs = laneStride(binary.getLHS(), loops, loop, lanes);
  if (!lhs)
    return std::nullopt;
  if (expr.getKind() == AffineExprKind::Add) {
    auto rhs = laneStride(binary.getRHS(), loops, loop, lanes);
    return rhs ? std::optional(*lhs + *rhs) : std::nullopt;
  }
  auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (constant && expr.getKind() == AffineExprKind::Mul)
    return *lhs * constant.getValue();
  std::optional<int64_t> c = constantFactor(binary);
  if (!c || *lhs < 0 || expr.getKind() == AffineExprKind::CeilDiv ||
      !isNonNegative(binary.getLHS()))
    return std::nullopt;
  // Dividing is the same for all lanes, and a remainder grows as its operand
  // does, where the lanes do not cross a multiple of c.
  auto [multiple, offset] = congruence(binary.getLHS(), loops);
  int64_t step = std::gcd(multiple, *c);
  if (llvm::mod(offset, step) + *lhs * (lanes - 1) >= step)
    return std::nullopt;
  return expr.getKind() == AffineExprKind::Mod ? *lhs : 0;
}
