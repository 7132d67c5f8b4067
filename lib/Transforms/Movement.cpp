//===- Movement.cpp - What only moves or scales elements ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Movement.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

bool lutra::isMovement(linalg::GenericOp op) {
  if (!op || op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumReductionLoops() != 0 ||
      op.getBlock()->getOperations().size() != 1 ||
      op.getBlock()->getTerminator()->getOperand(0) !=
          op.getBlock()->getArgument(0))
    return false;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  return maps[1].isPermutation() &&
         maps[0].isProjectedPermutation(/*allowZeroInResults=*/true);
}

Value lutra::readThrough(Value tensor, AffineMap &map) {
  for (;;) {
    auto movement = tensor.getDefiningOp<linalg::GenericOp>();
    if (!isMovement(movement))
      return tensor;
    SmallVector<AffineMap> maps = movement.getIndexingMapsArray();
    map = maps[0].compose(inversePermutation(maps[1])).compose(map);
    tensor = movement.getDpsInputs()[0];
  }
}

SmallVector<Value> Scaled::operands(Value tensor) const {
  SmallVector<Value> result = {tensor};
  if (isa<RankedTensorType>(factor.getType()))
    result.push_back(factor);
  return result;
}

SmallVector<AffineMap> Scaled::maps(OpBuilder &b, unsigned rank) const {
  SmallVector<AffineMap> result(2, b.getMultiDimIdentityMap(rank));
  if (auto type = dyn_cast<RankedTensorType>(factor.getType()))
    result.insert(
        result.begin() + 1,
        AffineMap::get(
            rank, 0,
            SmallVector<AffineExpr>(type.getRank(), b.getAffineConstantExpr(0)),
            b.getContext()));
  return result;
}

Value Scaled::point(OpBuilder &b, Location loc, ValueRange elements) const {
  Value x = elements[0];
  Value by = isa<RankedTensorType>(factor.getType()) ? elements[1] : factor;
  if (isQuotient)
    return arith::DivFOp::create(b, loc, x, by);
  return arith::MulFOp::create(b, loc, x, by);
}

std::optional<Scaled> lutra::scaledSource(Value tensor, AffineMap &map) {
  auto op = tensor.getDefiningOp<linalg::GenericOp>();
  if (!op || op.getNumDpsInits() != 1 || op.getNumReductionLoops() != 0 ||
      op.getBlock()->getOperations().size() != 2)
    return std::nullopt;
  Operation &scale = op.getBlock()->front();
  if (!isa<arith::MulFOp, arith::DivFOp>(scale) ||
      op.getBlock()->getTerminator()->getOperand(0) != scale.getResult(0))
    return std::nullopt;
  auto operandOf = [&](Value value) -> OpOperand * {
    auto argument = dyn_cast<BlockArgument>(value);
    return argument && argument.getOwner() == op.getBlock() &&
                   argument.getArgNumber() < op.getNumDpsInputs()
               ? op.getDpsInputOperand(argument.getArgNumber())
               : nullptr;
  };
  auto isNumber = [&](Value value) {
    OpOperand *operand = operandOf(value);
    return operand ? op.getMatchingIndexingMap(operand).isConstant() ||
                         op.getMatchingIndexingMap(operand).isEmpty()
                   : value.getParentBlock() != op.getBlock();
  };
  for (unsigned side : {0, 1}) {
    OpOperand *element = operandOf(scale.getOperand(side));
    Value number = scale.getOperand(1 - side);
    if (!element || !isNumber(number) ||
        (side == 1 && isa<arith::DivFOp>(scale)) ||
        !op.getMatchingIndexingMap(element).isPermutation() ||
        !op.getIndexingMapsArray().back().isPermutation())
      continue;
    map = op.getMatchingIndexingMap(element)
              .compose(inversePermutation(op.getIndexingMapsArray().back()))
              .compose(map);
    OpOperand *factor = operandOf(number);
    return Scaled{element->get(), factor ? factor->get() : number,
                  isa<arith::DivFOp>(scale)};
  }
  return std::nullopt;
}
