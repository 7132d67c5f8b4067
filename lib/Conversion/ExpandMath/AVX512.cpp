//===- AVX512.cpp - What formulas use of AVX-512 --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instructions that no operation of the generic dialects stands for: a table in
// a register, a bound of magnitudes, and a product with a power of two that is
// right to the ends of the range. They are called by name, for 16 lanes at a
// time.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra::expand;

namespace ex = mlir::lutra::expand;

static constexpr int64_t kLanes = 16;

bool ex::hasTables(Expr x) {
  lutra::TargetAttr target = x.getContext().target;
  auto type = dyn_cast<VectorType>(Value(x).getType());
  return target && target.hasFeature("avx512dq") && type &&
         type.getElementType().isF32() && type.getRank() == 1 &&
         !type.isScalable() && type.getNumElements() % kLanes == 0;
}

/// Calls `instruction` for each 16 lanes of vectors of the same length.
static Expr
onLanes(ArrayRef<Expr> arguments,
        function_ref<Value(OpBuilder &, Location, ValueRange)> instruction) {
  Context &c = arguments[0].getContext();
  int64_t length =
      cast<VectorType>(Value(arguments[0]).getType()).getDimSize(0);
  if (length == kLanes)
    return {c, instruction(c.b, c.loc, SmallVector<Value>(arguments))};
  Value result;
  for (int64_t lane = 0; lane < length; lane += kLanes) {
    SmallVector<Value> part;
    for (Value argument : arguments)
      part.push_back(vector::ExtractStridedSliceOp::create(c.b, c.loc, argument,
                                                           lane, kLanes, 1));
    Value each = instruction(c.b, c.loc, part);
    if (!result)
      result = arith::ConstantOp::create(
          c.b, c.loc,
          c.b.getZeroAttr(VectorType::get({length}, c.b.getF32Type())));
    result =
        vector::InsertStridedSliceOp::create(c.b, c.loc, each, result, lane, 1);
  }
  return {c, result};
}

/// Calls an intrinsic whose result is as its first argument, in all lanes.
static Value call(OpBuilder &b, Location loc, StringRef name,
                  SmallVector<Value> arguments) {
  return LLVM::CallIntrinsicOp::create(b, loc, arguments[0].getType(),
                                       b.getStringAttr(name), arguments)
      .getResult(0);
}

/// The mask of all lanes, and the rounding that is set.
static std::array<Value, 2> allLanes(OpBuilder &b, Location loc) {
  return {arith::ConstantOp::create(b, loc, b.getI16IntegerAttr(-1)),
          arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(4))};
}

static Value splat(OpBuilder &b, Location loc, ArrayRef<float> values) {
  auto type = VectorType::get({kLanes}, b.getF32Type());
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(type, values));
}

Expr ex::lookUp(Expr index, ArrayRef<double> table) {
  SmallVector<float> entries(table.begin(), table.end());
  return onLanes({index}, [&](OpBuilder &b, Location loc, ValueRange bits) {
    return call(b, loc, "llvm.x86.avx512.permvar.sf.512",
                {splat(b, loc, entries), bits[0]});
  });
}

Expr ex::boundMagnitude(Expr x, double bound) {
  return onLanes({x}, [&](OpBuilder &b, Location loc, ValueRange part) {
    // The lesser magnitude with its sign; of a NaN and a number, the number.
    Value kind = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(6));
    auto [mask, rounding] = allLanes(b, loc);
    return call(
        b, loc, "llvm.x86.avx512.mask.range.ps.512",
        {part[0], splat(b, loc, float(bound)), kind, part[0], mask, rounding});
  });
}

Expr ex::scaleByPower(Expr x, Expr n) {
  return onLanes({x, n}, [&](OpBuilder &b, Location loc, ValueRange part) {
    Value rounding = allLanes(b, loc)[1];
    // NaN among them.
    Value isNormal = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UGE,
                                           part[1], splat(b, loc, -126.0f));
    auto mask = VectorType::get({1}, b.getIntegerType(kLanes));
    Value lanes = vector::ExtractOp::create(
        b, loc, vector::BitCastOp::create(b, loc, mask, isNormal), 0);
    return call(b, loc, "llvm.x86.avx512.mask.scalef.ps.512",
                {part[0], part[1], splat(b, loc, 0.0f), lanes, rounding});
  });
}

Expr ex::fractionOf(Expr x) {
  return onLanes({x}, [&](OpBuilder &b, Location loc, ValueRange part) {
    // No fractional bits are kept in what is subtracted, which is rounded down.
    Value down = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(1));
    auto [mask, rounding] = allLanes(b, loc);
    return call(b, loc, "llvm.x86.avx512.mask.reduce.ps.512",
                {part[0], down, part[0], mask, rounding});
  });
}
