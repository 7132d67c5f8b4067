//===- MaskingMaps.cpp - Masks of a cascade apart from maps ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exporters scale scores and then mask them. Done the other way round, the
// scale is part of what reads the scores, and leaves their maximum; and in
// parts without a mask nothing is left between the two.
//
//===----------------------------------------------------------------------===//

#include "MaskingMaps.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

std::optional<double> lutra::constantOf(Value value) {
  APFloat number(0.0);
  if (!matchPattern(value, m_ConstantFloat(&number)))
    return std::nullopt;
  bool losesInfo;
  number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                 &losesInfo);
  return number.convertToDouble();
}

bool lutra::keepsOrder(Operation &op, Value x) {
  if (isa<arith::ExtFOp, arith::TruncFOp>(op))
    return true;
  if (isa<arith::AddFOp, arith::MulFOp>(op)) {
    std::optional<double> other =
        constantOf(op.getOperand(op.getOperand(0) == x ? 1 : 0));
    return other && std::isfinite(*other) &&
           (isa<arith::AddFOp>(op) || *other > 0);
  }
  return false;
}

/// Whether a body is no more than roundings and arithmetic with constants.
static bool isCheap(EinsumOp op) {
  return llvm::all_of(op.getBlock()->without_terminator(), [](Operation &op) {
    if (isa<arith::ExtFOp, arith::TruncFOp, arith::ConstantOp>(op))
      return true;
    return isa<arith::MulFOp, arith::AddFOp, arith::SubFOp>(op) &&
           llvm::any_of(op.getOperands(), constantOf);
  });
}

bool lutra::isCheapMap(EinsumOp op) {
  return op && !op.hasReduction() && !op.isFiltered() &&
         op.getInputs().size() == 1 && op.getSymbols().empty() &&
         op.getInputMap(0) == op.getResultMap() &&
         op.getInputMap(0).isIdentity() && isCheap(op);
}

static bool isMinusInfinity(Value value) {
  return constantOf(value) == -std::numeric_limits<double>::infinity();
}

namespace {
/// A body read backwards from its value to its one element.
struct MaskedBody {
  /// What masks the element, last first, and whether anything else is done.
  SmallVector<Operation *> masks;
  bool hasMaps = false;
};
} // namespace

/// The value that `op` masks, and where it does not.
static std::optional<std::pair<Value, Value>> maskedValue(Operation *op) {
  if (auto select = dyn_cast<arith::SelectOp>(op))
    if (isMinusInfinity(select.getFalseValue()))
      return std::pair(select.getTrueValue(), select.getCondition());
  if (auto sum = dyn_cast<arith::AddFOp>(op))
    for (unsigned side : {0, 1})
      if (auto select = sum->getOperand(side).getDefiningOp<arith::SelectOp>())
        if (constantOf(select.getTrueValue()) == 0.0 &&
            isMinusInfinity(select.getFalseValue()))
          return std::pair(sum->getOperand(1 - side), select.getCondition());
  return std::nullopt;
}

/// Whether `value` is computed from other values than `element`.
static bool isFreeOf(Value value, BlockArgument element) {
  SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.inclusive = true;
  Block *body = element.getOwner();
  options.filter = [&](Operation *op) { return op->getBlock() == body; };
  if (failed(getBackwardSlice(value, &slice, options)))
    return false;
  return value != element && llvm::none_of(slice, [&](Operation *op) {
           return op->getNumRegions() ||
                  llvm::is_contained(op->getOperands(), element);
         });
}

/// The operand of `op` that is no constant, if there is one alone.
static Value variableOf(Operation *op) {
  Value variable;
  for (Value operand : op->getOperands())
    if (!constantOf(operand)) {
      if (variable)
        return nullptr;
      variable = operand;
    }
  return variable;
}

static std::optional<MaskedBody> matchMasked(EinsumOp op) {
  if (op.hasReduction() || op.isFiltered() || op.getInputs().size() != 1 ||
      op.getInputMap(0) != op.getResultMap() || !op.getInputMap(0).isIdentity())
    return std::nullopt;
  BlockArgument element = op.getBlock()->getArgument(0);
  MaskedBody result;
  for (Value value = op.getEinsumPoint(); value != element;) {
    Operation *def = value.getDefiningOp();
    if (!def || def->getBlock() != op.getBlock())
      return std::nullopt;
    if (auto masked = maskedValue(def)) {
      if (!isFreeOf(masked->second, element))
        return std::nullopt;
      result.masks.push_back(def);
      value = masked->first;
      continue;
    }
    value = variableOf(def);
    if (!value || !keepsOrder(*def, value))
      return std::nullopt;
    result.hasMaps = true;
  }
  return result;
}

bool lutra::isMaskingMap(EinsumOp op) {
  auto masked = matchMasked(op);
  return masked && !masked->hasMaps && !masked->masks.empty() &&
         llvm::all_of(masked->masks, llvm::IsaPred<arith::SelectOp>);
}

void lutra::separateMask(EinsumOp op) {
  auto masked = matchMasked(op);
  if (!masked || masked->masks.empty() || isMaskingMap(op))
    return;
  IRRewriter b(op->getContext());
  b.setInsertionPoint(op);
  Block *body = op.getBlock();
  Type element = body->getArgument(0).getType();
  auto mask = EinsumOp::create(
      b, op.getLoc(), RankedTensorType::get(op.getType().getShape(), element),
      op.getIter(), op.getInputs(),
      [&](OpBuilder &b, Location loc, ValueRange elements) {
        IRMapping map;
        map.map(body->getArgument(0), elements[0]);
        for (Operation &each : body->without_terminator())
          b.clone(each, map);
        Value nothing =
            arith::ConstantOp::create(b, loc, identityOf(Monoid::Max, element));
        Value value = elements[0];
        for (Operation *each : masked->masks)
          value = arith::SelectOp::create(
              b, loc, map.lookupOrDefault(maskedValue(each)->second), value,
              nothing);
        return value;
      });
  // What is left is the map without its masks.
  op->setOperand(0, mask.getResult());
  for (Operation *each : masked->masks)
    each->getResult(0).replaceAllUsesWith(maskedValue(each)->first);
  (void)runRegionDCE(b, mask->getRegions());
  (void)runRegionDCE(b, op->getRegions());
  if (!masked->hasMaps)
    b.replaceOp(op, mask.getResult());
}
