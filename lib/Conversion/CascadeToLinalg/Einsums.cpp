//===- Einsums.cpp - Einsums as structured operations ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each Einsum is a linalg.generic. What an iteration carries is updated where
// it is, so that bufferization has nothing to copy.
//
//===----------------------------------------------------------------------===//

#include "CascadeLowering.h"
#include "References.h"

#include "lutra/Conversion/CascadeToLinalg.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// A tensor with the indices that `indices` gives, uninitialized.
Value CascadeLowering::emptyOf(AffineMap indices, EinsumOp op, Type element) {
  SmallVector<OpFoldResult> sizes;
  for (AffineExpr expr : indices.getResults())
    sizes.push_back(
        extents[op.getRankName(cast<AffineDimExpr>(expr).getPosition())]);
  return tensor::EmptyOp::create(b, loc, sizes, element);
}

Value CascadeLowering::fillOf(Value empty, TypedAttr value) {
  Value element = arith::ConstantOp::create(b, loc, value);
  return linalg::FillOp::create(b, loc, element, empty).getResult(0);
}

/// The input that a map may overwrite: what an iteration carries and this map
/// reads last, element by element.
OpOperand *CascadeLowering::updatedInput(EinsumOp op) {
  if (op.hasReduction() || !isa<IterateOp>(op->getParentOp()))
    return nullptr;
  auto isLast = [&](Value carried) {
    return llvm::count(op->getOperands(), carried) == 1 &&
           llvm::all_of(carried.getUsers(), [&](Operation *user) {
             return user == op || user->isBeforeInBlock(op);
           });
  };
  for (OpOperand &operand : op.getInputsMutable()) {
    auto carried = dyn_cast<BlockArgument>(operand.get());
    auto iterate = carried
                       ? dyn_cast<IterateOp>(carried.getOwner()->getParentOp())
                       : IterateOp();
    if (iterate && carried.getArgNumber() >= iterate.getStreams().size() &&
        isLast(carried) && carried.getType() == op.getType() &&
        op.getInputMap(operand.getOperandNumber()) == op.getResultMap())
      return &operand;
  }
  return nullptr;
}

/// What the results of an Einsum are written into.
Value CascadeLowering::destinationOf(EinsumOp op) {
  Type element = op.getType().getElementType();
  Value into = destinations.lookup(op.getResult());
  if (op.getInit())
    return lookup(op.getInit());
  if (OpOperand *updated = updatedInput(op))
    return lookup(updated->get());
  if (!into)
    into = emptyOf(op.getResultMap(), op, element);
  if (!op.hasReduction())
    return into;
  return fillOf(into, identityOf(*op.getMonoid(), element));
}

/// The coordinate of a rank in the whole of it.
Value CascadeLowering::coordinate(OpBuilder &b, StringRef rank, unsigned loop) {
  Value index = linalg::IndexOp::create(b, loc, loop);
  if (Value offset = offsets.lookup(rank))
    return arith::AddIOp::create(b, loc, index, offset);
  return index;
}

/// Whether a constraint of a filter of `op` holds wherever the iteration around
/// it goes.
bool CascadeLowering::isImplied(EinsumOp op, AffineExpr constraint) {
  auto iterate = dyn_cast<IterateOp>(op->getParentOp());
  if (!iterate)
    return false;
  SmallVector<AffineExpr> dims, symbols;
  for (StringRef rank : op.getIter().getAsValueRange<StringAttr>())
    dims.push_back(b.getAffineDimExpr(*root.findRank(rank)));
  for (Value symbol : op.getSymbols()) {
    auto it = llvm::find(iterate.getSymbols(), symbol);
    if (it == iterate.getSymbols().end())
      return false;
    symbols.push_back(b.getAffineSymbolExpr(it - iterate.getSymbols().begin()));
  }
  return lutra::isImplied(
      iterate, *root.findRank(iterate.getRank()), sizesOfRanks(),
      constraint.replaceDimsAndSymbols(dims, symbols), unit);
}

/// Whether the point that the body stands at is inside of a filter; null where
/// all are.
Value CascadeLowering::isInside(OpBuilder &b, EinsumOp op) {
  SmallVector<Value> operands;
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank)
    operands.push_back(coordinate(b, op.getRankName(rank), rank));
  for (Value symbol : op.getSymbols())
    operands.push_back(lookup(symbol));
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), any;
  for (IntegerSet set : op.getFilters()->getAsValueRange<IntegerSetAttr>()) {
    Value inside;
    for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
      if (!set.isEq(i) && isImplied(op, set.getConstraint(i)))
        continue;
      Value value = affine::AffineApplyOp::create(
          b, loc,
          AffineMap::get(set.getNumDims(), set.getNumSymbols(),
                         set.getConstraint(i)),
          operands);
      auto predicate =
          set.isEq(i) ? arith::CmpIPredicate::eq : arith::CmpIPredicate::sge;
      Value holds = arith::CmpIOp::create(b, loc, predicate, value, zero);
      inside = inside ? arith::AndIOp::create(b, loc, inside, holds) : holds;
    }
    if (!inside)
      return Value();
    any = any ? arith::OrIOp::create(b, loc, any, inside) : inside;
  }
  return any;
}

/// Whether the point that the body stands at takes part; null where all do.
Value CascadeLowering::isPresent(OpBuilder &b, EinsumOp op, Value mask) {
  Value present = op.getFilters() ? isInside(b, op) : Value();
  if (!mask)
    return present;
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(mask.getType()));
  Value isKept =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, mask, zero);
  return present ? arith::AndIOp::create(b, loc, present, isKept) : isKept;
}

static Value divide(OpBuilder &b, Location loc, DivideOp op, IRMapping &map) {
  Value numerator = map.lookupOrDefault(op.getNumerator());
  Value denominator = map.lookupOrDefault(op.getDenominator());
  auto type = cast<FloatType>(op.getType());
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  bool losesInfo;
  APFloat value = op.getEmpty();
  value.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  Value empty = arith::ConstantOp::create(b, loc, FloatAttr::get(type, value));
  Value isEmpty = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ,
                                        denominator, zero);
  Value quotient = arith::DivFOp::create(b, loc, numerator, denominator);
  return arith::SelectOp::create(b, loc, isEmpty, empty, quotient);
}

void CascadeLowering::cloneBody(OpBuilder &b, EinsumOp op, IRMapping &inner) {
  for (Operation &each : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<IndexOp>(each)) {
      unsigned loop = 0;
      while (op.getRankName(loop) != index.getRank())
        ++loop;
      inner.map(index.getResult(), coordinate(b, index.getRank(), loop));
    } else if (auto quotient = dyn_cast<DivideOp>(each)) {
      inner.map(quotient.getResult(), divide(b, loc, quotient, inner));
    } else {
      b.clone(each, inner);
    }
  }
}

/// The value of the point that the body stands at.
Value CascadeLowering::point(OpBuilder &b, EinsumOp op, ValueRange elements) {
  IRMapping inner(map);
  for (auto [argument, element] :
       llvm::zip(op.getBlock()->getArguments(), elements))
    inner.map(argument, element);
  cloneBody(b, op, inner);
  Value value =
      inner.lookupOrDefault(op.getBlock()->getTerminator()->getOperand(0));
  Value mask = op.getMask() ? elements[op.getInputs().size()] : Value();
  Value present = isPresent(b, op, mask);
  if (!present)
    return value;
  Value identity = arith::ConstantOp::create(
      b, loc, identityOf(*op.getMonoid(), value.getType()));
  return arith::SelectOp::create(b, loc, present, value, identity);
}

CascadeLowering::Operands CascadeLowering::operandsOf(EinsumOp op,
                                                      OpOperand *except) {
  Operands operands;
  for (auto [i, input] : llvm::enumerate(op.getInputsMutable()))
    if (&input != except) {
      operands.tensors.push_back(lookup(input.get()));
      operands.maps.push_back(op.getInputMap(i));
    }
  if (op.getMask()) {
    operands.tensors.push_back(lookup(op.getMask()));
    operands.maps.push_back(op.getMaskMap());
  }
  return operands;
}

/// What `op` computes of `operands`, into a tensor that has the start of a
/// reduction, or the input that is updated.
linalg::GenericOp CascadeLowering::build(EinsumOp op, const Operands &operands,
                                         Value into, OpOperand *updated) {
  SmallVector<AffineMap> maps(operands.maps);
  maps.push_back(op.getResultMap());
  SmallVector<utils::IteratorType> loops;
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank)
    loops.push_back(op.isReduced(rank) ? utils::IteratorType::reduction
                                       : utils::IteratorType::parallel);
  bool passesNaN = isReference(op);
  auto body = [&](OpBuilder &b, Location loc, ValueRange values) {
    SmallVector<Value> elements(values.drop_back());
    if (updated)
      elements.insert(elements.begin() + updated->getOperandNumber(),
                      values.back());
    Value value = point(b, op, elements);
    if (op.hasReduction() && passesNaN)
      value = arith::MaxNumFOp::create(b, loc, values.back(), value);
    else if (op.hasReduction())
      value = combine(b, loc, *op.getMonoid(), values.back(), value);
    linalg::YieldOp::create(b, loc, value);
  };
  return linalg::GenericOp::create(b, loc, into.getType(), operands.tensors,
                                   into, maps, loops, body);
}

/// What is carried, where it is corrected by something that seldom changes it:
/// then all of it is left alone. Null for any other Einsum.
Value CascadeLowering::correctIf(EinsumOp op, OpOperand *updated, Value into) {
  Value changes;
  for (Value input : op.getInputs())
    if (Value known = corrects.lookup(input);
        known && cast<RankedTensorType>(input.getType()).getRank() <
                     op.getType().getRank())
      changes = known;
  if (!updated || !changes)
    return nullptr;
  auto branch = scf::IfOp::create(b, loc, into.getType(), changes,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(
      b, loc, build(op, operandsOf(op, updated), into, updated).getResult(0));
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, loc, into);
  return branch.getResult(0);
}

/// Whether `op` corrects a sum that nothing was added to: 0 times a correction,
/// which is NaN only where what is added is, too.
bool CascadeLowering::movesNothing(EinsumOp op, OpOperand *updated) {
  auto product = op.getEinsumPoint().getDefiningOp<arith::MulFOp>();
  if (!hasOnePart || !updated || !product || op.getInputs().size() != 2 ||
      op.getBlock()->getOperations().size() != 2)
    return false;
  auto iterate = cast<IterateOp>(op->getParentOp());
  Value other = op.getInputs()[1 - updated->getOperandNumber()];
  unsigned number = cast<BlockArgument>(updated->get()).getArgNumber() -
                    iterate.getStreams().size();
  auto start = iterate.getInits()[number].getDefiningOp<EinsumOp>();
  return other.getDefiningOp<RebaseOp>() && start &&
         start.getInputs().empty() &&
         matchPattern(start.getEinsumPoint(), m_AnyZeroFloat());
}

void CascadeLowering::lower(EinsumOp op) {
  loc = op.getLoc();
  if (blocks.contains(op.getResult()))
    return;
  if (readsBlocks(op))
    return lowerInBlocks(op);
  Value into = destinationOf(op);
  Attribute constant;
  if (op.getInputs().empty() && !op.hasReduction() &&
      matchPattern(op.getEinsumPoint(), m_Constant(&constant))) {
    map.map(op.getResult(), fillOf(into, cast<TypedAttr>(constant)));
    return;
  }
  OpOperand *updated = updatedInput(op);
  if (movesNothing(op, updated)) {
    map.map(op.getResult(), into);
    return;
  }
  if (Value result = correctIf(op, updated, into)) {
    map.map(op.getResult(), result);
    return;
  }
  linalg::GenericOp generic = build(op, operandsOf(op, updated), into, updated);
  auto iterate = dyn_cast<IterateOp>(op->getParentOp());
  if (iterate && op.hasReduction() && !op.getMask())
    for (auto [i, input] : llvm::enumerate(op.getInputs()))
      if (llvm::is_contained(iterate.getParts(), input))
        generic->setAttr(kStreamAttr, b.getI64IntegerAttr(i));
  map.map(op.getResult(), generic.getResult(0));
}
