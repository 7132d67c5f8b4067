//===- StateAlgebra.cpp - References and corrections of states ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StateAlgebra.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

Value lutra::atLeastLowest(OpBuilder &b, Location loc, Value reference) {
  auto type = cast<FloatType>(reference.getType());
  Value lowest = arith::ConstantOp::create(
      b, loc,
      FloatAttr::get(type,
                     APFloat::getLargest(type.getFloatSemantics(), true)));
  return arith::MaximumFOp::create(b, loc, reference, lowest);
}

Value lutra::correction(OpBuilder &b, Location loc, Family family, Value from,
                        Value to) {
  if (family == Family::Ratio) {
    // 1 where they are equal, which 0 and infinity may be too.
    Value one =
        arith::ConstantOp::create(b, loc, b.getFloatAttr(from.getType(), 1.0));
    Value same =
        arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, from, to);
    Value quotient = arith::DivFOp::create(b, loc, from, to);
    return arith::SelectOp::create(b, loc, same, one, quotient);
  }
  Value difference = arith::SubFOp::create(b, loc, from, to);
  return family == Family::Exp
             ? math::ExpOp::create(b, loc, difference).getResult()
             : math::Exp2Op::create(b, loc, difference).getResult();
}

Value lutra::newReference(OpBuilder &b, Location loc, RebaseOp op, Value local,
                          Value old) {
  auto type = cast<FloatType>(old.getType());
  Value combined = combine(b, loc, op.getMonoid(), old, local);
  if (op.getFamily() == Family::Ratio)
    return combined;
  combined = atLeastLowest(b, loc, combined);
  if (op.getPolicyKind() == PolicyKind::Online)
    return combined;
  Value tolerance = arith::ConstantOp::create(
      b, loc,
      b.getFloatAttr(type, op.getPolicyAttr().getValue().getValueAsDouble()));
  Value limit = arith::AddFOp::create(b, loc, old, tolerance);
  // Unordered, so that NaN moves it.
  Value isFar =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UGT, combined, limit);
  return arith::SelectOp::create(b, loc, isFar, combined, old);
}

Value lutra::reduceStates(OpBuilder &b, Location loc, Monoid monoid,
                          ValueRange inputs, ArrayRef<AffineMap> maps,
                          function_ref<Value(OpBuilder &, ValueRange)> point) {
  auto type = cast<RankedTensorType>(inputs[0].getType());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, inputs[0]);
  Value empty = tensor::EmptyOp::create(b, loc, ArrayRef(sizes).drop_front(),
                                        type.getElementType());
  Value identity = arith::ConstantOp::create(
      b, loc, identityOf(monoid, type.getElementType()));
  Value zero = linalg::FillOp::create(b, loc, identity, empty).getResult(0);
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  loops[0] = utils::IteratorType::reduction;
  return linalg::GenericOp::create(
             b, loc, zero.getType(), inputs, zero, maps, loops,
             [&](OpBuilder &b, Location loc, ValueRange values) {
               Value value = point(b, values.drop_back());
               linalg::YieldOp::create(
                   b, loc, combine(b, loc, monoid, values.back(), value));
             })
      .getResult(0);
}
