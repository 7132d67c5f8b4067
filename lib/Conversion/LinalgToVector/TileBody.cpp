//===- TileBody.cpp - A scalar body on lanes ------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Clones the body of a structured operation for each vector of a register tile.
// A value stays scalar while it is the same in all lanes, and an index stays
// scalar while it grows evenly from lane to lane, so that a load inside the
// body becomes a gather only where it must.
//
//===----------------------------------------------------------------------===//

#include "Nest.h"

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::lutra;

static bool isIntegerDivision(Operation *op) {
  return isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
             arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>(op);
}

bool lutra::isVectorizable(Block &body) {
  return llvm::all_of(body.without_terminator(), [](Operation &op) {
    if (isa<linalg::IndexOp, memref::LoadOp>(op))
      return true;
    if (op.getNumRegions() || op.getNumResults() != 1 ||
        !op.getResult(0).getType().isIntOrIndexOrFloat())
      return false;
    return isa<arith::ConstantOp>(op) ||
           OpTrait::hasElementwiseMappableTraits(&op);
  });
}

Operation *lutra::findCombiner(BlockArgument acc, unsigned result) {
  if (!acc.hasOneUse())
    return nullptr;
  Operation *combiner = *acc.user_begin();
  Operation *yield = acc.getOwner()->getTerminator();
  if (combiner->getNumOperands() != 2 || combiner->getNumResults() != 1 ||
      !combiner->hasOneUse() ||
      yield->getOperand(result) != combiner->getResult(0) ||
      !isa<arith::AddFOp, arith::MulFOp, arith::MaximumFOp, arith::MinimumFOp,
           arith::MaxNumFOp, arith::MinNumFOp, arith::AddIOp, arith::MulIOp,
           arith::MaxSIOp, arith::MinSIOp, arith::MaxUIOp, arith::MinUIOp,
           arith::AndIOp, arith::OrIOp, arith::XOrIOp>(combiner))
    return nullptr;
  return combiner;
}

/// Adds to what the arithmetic of `op` may do.
static void addFlags(Operation *op, arith::FastMathFlags flags) {
  if (auto math = dyn_cast<arith::ArithFastMathInterface>(op))
    op->setAttr(
        math.getFastMathAttrName(),
        arith::FastMathFlagsAttr::get(
            op->getContext(), math.getFastMathFlagsAttr().getValue() | flags));
}

void lutra::freeOrder(Operation *combiner) {
  // Which zero is found where there are some of both signs is not promised
  // either. On x86 that is half of the instructions.
  if (isa<arith::MaximumFOp, arith::MinimumFOp>(combiner))
    addFlags(combiner, arith::FastMathFlags::nsz);
}

TileBody::TileBody(linalg::GenericOp op, const Plan &plan)
    : op(op), plan(plan) {
  Block *body = op.getBlock();
  if (op.getNumReductionLoops() != 0)
    for (unsigned i : llvm::seq(op.getNumDpsInits()))
      if (Operation *combiner = findCombiner(op.getRegionOutputArgs()[i], i))
        combiners.insert(combiner);
  auto onLoop = [&](AffineMap map, std::optional<unsigned> loop) {
    return loop && map.isFunctionOfDim(*loop);
  };
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    bool isOutput = op.isDpsInit(&operand);
    dependences[body->getArgument(operand.getOperandNumber())] = {
        isOutput || onLoop(map, plan.row), isOutput || onLoop(map, plan.column),
        isOutput || onLoop(map, plan.loop)};
  }
  for (Operation &inner : body->without_terminator()) {
    Dependence all;
    for (Value operand : inner.getOperands()) {
      Dependence each = dependenceOf(operand);
      all = {all.row || each.row, all.column || each.column,
             all.vector || each.vector};
    }
    if (auto index = dyn_cast<linalg::IndexOp>(inner))
      all = {plan.row == index.getDim(), plan.column == index.getDim(),
             plan.loop == index.getDim()};
    for (Value result : inner.getResults())
      dependences[result] = all;
  }
}

TileBody::Dependence TileBody::dependenceOf(Value value) const {
  return dependences.lookup(value);
}

TileBody::Key TileBody::keyOf(Value value, Place place) const {
  Dependence on = dependenceOf(value);
  return {value, on.row ? place.row : -1, on.column ? place.column : -1,
          on.vector ? place.vector : -1};
}

Lanes TileBody::lookup(Value value, Place place) const {
  auto found = known.find(keyOf(value, place));
  return found == known.end() ? Lanes{value} : found->second;
}

Lanes TileBody::read(const VectorBuilder &builder, unsigned argument,
                     ArrayRef<Index> loops) const {
  OpOperand &operand = op->getOpOperand(argument);
  if (!isa<MemRefType>(operand.get().getType()))
    return {operand.get()};
  return builder.load(
      operand.get(),
      builder.index(op.getMatchingIndexingMap(&operand), loops, plan.loop));
}

/// An index that grows evenly stays so under these operations.
static std::optional<int64_t> strideAfter(Operation &op,
                                          ArrayRef<Lanes> operands) {
  if (llvm::any_of(operands, [](Lanes lanes) { return lanes.isVector(); }))
    return std::nullopt;
  if (llvm::all_of(operands, [](Lanes lanes) { return lanes.isUniform(); }))
    return 0;
  if (isa<arith::AddIOp>(op))
    return operands[0].stride + operands[1].stride;
  if (isa<arith::SubIOp>(op))
    return operands[0].stride - operands[1].stride;
  if (isa<arith::IndexCastOp>(op))
    return operands[0].stride;
  if (isa<arith::MulIOp>(op))
    for (unsigned side : {0, 1})
      if (auto factor = getConstantIntValue(operands[side].value))
        if (operands[side].isUniform())
          return operands[1 - side].stride * *factor;
  return std::nullopt;
}

Lanes TileBody::cloneOp(const VectorBuilder &builder, Operation &inner,
                        ArrayRef<Lanes> operands, ArrayRef<Index> loops) const {
  OpBuilder &b = builder.b;
  if (auto index = dyn_cast<linalg::IndexOp>(inner))
    return {loops[index.getDim()].materialize(b, builder.loc),
            index.getDim() == plan.loop ? 1 : 0};
  if (auto load = dyn_cast<memref::LoadOp>(inner))
    return builder.load(operands.front().value, operands.drop_front());

  std::optional<int64_t> stride = strideAfter(inner, operands);
  SmallVector<Value> values;
  for (Lanes operand : operands)
    values.push_back(stride ? operand.value : builder.materialize(operand));
  Type type = inner.getResult(0).getType();
  if (!stride && builder.mask && isIntegerDivision(&inner))
    // Lanes that do not exist must not divide by zero.
    values[1] = arith::SelectOp::create(b, builder.loc, builder.mask, values[1],
                                        builder.constant(type, 1));
  if (isa<arith::MaxNumFOp>(inner) && combiners.contains(&inner) &&
      isX86(targetOf(op))) {
    // One instruction where the maximum so far is a number, as where it begins.
    auto first = dyn_cast<BlockArgument>(inner.getOperand(0));
    bool isFirst =
        first && first.getArgNumber() >= unsigned(op.getNumDpsInputs());
    Value soFar = values[isFirst ? 0 : 1], each = values[isFirst ? 1 : 0];
    Value isMore = arith::CmpFOp::create(
        b, builder.loc, arith::CmpFPredicate::OGT, each, soFar);
    return {arith::SelectOp::create(b, builder.loc, isMore, each, soFar), 0};
  }
  Operation *clone =
      b.create(builder.loc, inner.getName().getIdentifier(), values,
               stride ? type : Type(builder.vectorOf(type)), inner.getAttrs());
  if (combiners.contains(&inner))
    freeOrder(clone);
  if (plan.isContraction && isa<arith::MulFOp, arith::AddFOp>(clone))
    addFlags(clone, arith::FastMathFlags::contract);
  return {clone->getResult(0), stride.value_or(0)};
}

SmallVector<Lanes> TileBody::clone(const VectorBuilder &builder, Place place,
                                   ArrayRef<Index> loops,
                                   ArrayRef<Lanes> outputs) {
  Block *body = op.getBlock();
  unsigned inputs = op.getNumDpsInputs();
  for (BlockArgument argument : body->getArguments()) {
    unsigned number = argument.getArgNumber();
    if (argument.use_empty())
      continue;
    Key key = keyOf(argument, place);
    if (number >= inputs)
      known[key] = outputs[number - inputs];
    else if (!known.contains(key))
      known[key] = read(builder, number, loops);
  }
  for (Operation &inner : body->without_terminator()) {
    Key key = keyOf(inner.getResult(0), place);
    if (known.contains(key))
      continue;
    SmallVector<Lanes> operands;
    for (Value operand : inner.getOperands())
      operands.push_back(lookup(operand, place));
    known[key] = cloneOp(builder, inner, operands, loops);
  }
  SmallVector<Lanes> results;
  for (Value value : body->getTerminator()->getOperands())
    results.push_back(lookup(value, place));
  return results;
}
