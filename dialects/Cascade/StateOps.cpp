//===- StateOps.cpp - The algebra of states -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks what moves states to other references and merges them.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

LogicalResult PolicyAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 PolicyKind kind, FloatAttr value) {
  bool wantsValue = kind == PolicyKind::Lazy || kind == PolicyKind::Fixed;
  if (wantsValue != bool(value))
    return emitError() << "expects " << (wantsValue ? "a" : "no")
                       << " value for the policy '" << stringifyPolicyKind(kind)
                       << "'";
  if (value && (!value.getValue().isFinite() ||
                (kind == PolicyKind::Lazy && value.getValue().isNegative())))
    return emitError() << "expects a "
                       << (kind == PolicyKind::Lazy ? "distance of at least 0"
                                                    : "finite reference")
                       << " for the policy '" << stringifyPolicyKind(kind)
                       << "', got " << value;
  return success();
}

/// Checks what a reference is made of and combined by.
static LogicalResult verifyReference(Operation *op, Type type, Family family,
                                     Monoid monoid) {
  Type element = getElementTypeOrSelf(type);
  if (!isa<FloatType>(element))
    return op->emitOpError("expects floating-point references, got ") << type;
  if (family != Family::Ratio && monoid != Monoid::Max)
    return op->emitOpError("expects the reference of an exponential family to "
                           "be a maximum, got '")
           << stringifyMonoid(monoid) << "'";
  if (!isMonoidOver(monoid, element))
    return op->emitOpError("expects '")
           << stringifyMonoid(monoid)
           << "' over a type that it is defined for, got " << element;
  return success();
}

LogicalResult RebaseOp::verify() {
  if (failed(verifyReference(*this, getReference().getType(), getFamily(),
                             getMonoid())))
    return failure();
  PolicyKind policy = getPolicyKind();
  if ((policy == PolicyKind::Lazy || policy == PolicyKind::Fixed) &&
      getFamily() == Family::Ratio)
    return emitOpError("expects an exponential family under the policy '")
           << stringifyPolicyKind(policy) << "'";
  auto reference = ranksBefore(getReference(), *this),
       local = ranksBefore(getLocal(), *this);
  if (reference && local && *reference != *local)
    return emitOpError("expects references over the same ranks, got [")
           << llvm::join(*reference, ", ") << "] and ["
           << llvm::join(*local, ", ") << "]";
  return success();
}

/// Checks that a state is over the ranks of its reference, and as many of them
/// are merged.
static LogicalResult verifyState(MergeOp op, Value state, Type count) {
  int64_t size = cast<ShapedType>(state.getType()).getDimSize(0),
          expected = cast<ShapedType>(count).getDimSize(0);
  if (!ShapedType::isDynamic(size) && !ShapedType::isDynamic(expected) &&
      size != expected)
    return op.emitOpError("expects ")
           << expected << " states of each kind, got " << size;
  if (!op.getReference())
    return success();
  auto ranks = ranksBefore(state, op),
       wanted = ranksBefore(op.getReference(), op);
  if (!ranks || !wanted)
    return success();
  for (StringRef rank : *wanted)
    if (!llvm::is_contained(*ranks, rank))
      return op.emitOpError("expects each sum to have rank '")
             << rank << "' of the reference";
  return success();
}

LogicalResult MergeOp::verify() {
  if (getNumOperands() == 0)
    return emitOpError("expects states to merge");
  if (getNumResults() != getNumOperands())
    return emitOpError("expects ")
           << getNumOperands() << " results, got " << getNumResults();
  for (auto [operand, result] : llvm::zip_equal(getOperands(), getResults())) {
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.getRank() == 0 ||
        result.getType() != RankedTensorType::get(type.getShape().drop_front(),
                                                  type.getElementType()))
      return emitOpError("expects results like the operands without their "
                         "first dimension, got ")
             << result.getType();
    if (!isa<FloatType>(type.getElementType()))
      return emitOpError("expects floating-point states, got ") << type;
  }
  for (Value operand : getOperands())
    if (failed(verifyState(*this, operand, getOperand(0).getType())))
      return failure();
  return getReference() ? verifyReference(*this, getReference().getType(),
                                          getFamily(), getMonoid())
                        : success();
}

LogicalResult IndexOp::verify() {
  auto einsum = (*this)->getParentOfType<EinsumOp>();
  if (!einsum || !llvm::is_contained(einsum.getIter(), getRankAttr()))
    return emitOpError("expects a rank of the Einsum around it, got '")
           << getRank() << "'";
  return success();
}
