//===- CarriedStates.cpp - What an iteration carries, as an algebra -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// States of parts that were gone over apart can be merged if each is a
// reduction of points that do not depend on what else was gone over, but for a
// factor h(reference) that the family of the reference knows how to replace.
// This is read off the body: the points of a sum must have that factor, and
// nothing else may depend on what is carried.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Parts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// Deeper expressions are not looked into.
static constexpr unsigned kMaxDepth = 32;

namespace {
class StateReader {
public:
  explicit StateReader(IterateOp op) : op(op) {}
  std::optional<SmallVector<CarriedState>> run();

private:
  std::optional<CarriedState> read(unsigned number);
  std::optional<CarriedState> readReference(unsigned number, RebaseOp rebase);
  std::optional<CarriedState> readSum(unsigned number, EinsumOp sum);
  bool reducesRank(EinsumOp einsum);
  bool isIndependent(Value tensor);
  bool isIndependent(Value scalar, EinsumOp einsum, unsigned depth);
  bool isUnder(Value scalar, EinsumOp einsum, RebaseOp rebase, unsigned depth);
  RebaseOp correctionOf(EinsumOp moved, Value carried);
  std::optional<unsigned> numberOf(Value carried);

  IterateOp op;
  llvm::DenseMap<Value, bool> independent;
};
} // namespace

std::optional<unsigned> StateReader::numberOf(Value carried) {
  auto it = llvm::find(op.getCarried(), carried);
  return it == op.getCarried().end()
             ? std::nullopt
             : std::optional<unsigned>(it - op.getCarried().begin());
}

bool StateReader::reducesRank(EinsumOp einsum) {
  for (unsigned rank = 0; rank < einsum.getNumRanks(); ++rank)
    if (einsum.getRankName(rank) == op.getRank())
      return einsum.hasReduction() && einsum.isReduced(rank);
  return false;
}

/// Whether a tensor is the same whatever was gone over before.
bool StateReader::isIndependent(Value tensor) {
  if (!op.getBody().isAncestor(tensor.getParentRegion()))
    return true;
  if (isa<BlockArgument>(tensor))
    return !numberOf(tensor);
  auto einsum = tensor.getDefiningOp<EinsumOp>();
  if (!einsum)
    return false;
  auto [it, isNew] = independent.try_emplace(tensor, false);
  if (!isNew)
    return it->second;
  // A reduction of a part alone would be another for another part.
  bool result = !reducesRank(einsum) &&
                llvm::all_of(einsum->getOperands(),
                             [&](Value value) { return isIndependent(value); });
  return independent[tensor] = result;
}

/// The same of a scalar in the body of `einsum`.
bool StateReader::isIndependent(Value scalar, EinsumOp einsum, unsigned depth) {
  if (auto argument = dyn_cast<BlockArgument>(scalar))
    return argument.getOwner() != einsum.getBlock() ||
           isIndependent(einsum.getInputs()[argument.getArgNumber()]);
  Operation *inner = scalar.getDefiningOp();
  return !einsum->isProperAncestor(inner) ||
         (depth < kMaxDepth &&
          llvm::all_of(
              inner->getOperands(),
              [&](Value v) { return isIndependent(v, einsum, depth + 1); }));
}

/// Whether a scalar in the body of `einsum` has the factor h(reference) of what
/// `rebase` updates, once, and depends on nothing else that is carried.
bool StateReader::isUnder(Value scalar, EinsumOp einsum, RebaseOp rebase,
                          unsigned depth) {
  if (depth > kMaxDepth)
    return false;
  auto under = [&](Value value) {
    return isUnder(value, einsum, rebase, depth + 1);
  };
  auto same = [&](Value value) {
    return isIndependent(value, einsum, depth + 1);
  };
  if (auto argument = dyn_cast<BlockArgument>(scalar)) {
    if (argument.getOwner() != einsum.getBlock())
      return false;
    auto map =
        einsum.getInputs()[argument.getArgNumber()].getDefiningOp<EinsumOp>();
    return map && map->getParentOp() == op && !map.hasReduction() &&
           !map.getMask() &&
           isUnder(map.getEinsumPoint(), map, rebase, depth + 1);
  }
  Operation *inner = scalar.getDefiningOp();
  if (!einsum->isProperAncestor(inner))
    return false;
  if (isa<arith::ExtFOp, arith::TruncFOp, arith::NegFOp>(inner))
    return under(inner->getOperand(0));
  if (isa<arith::DivFOp>(inner))
    return under(inner->getOperand(0)) && same(inner->getOperand(1));
  if (isa<arith::MulFOp>(inner))
    return (under(inner->getOperand(0)) && same(inner->getOperand(1))) ||
           (same(inner->getOperand(0)) && under(inner->getOperand(1)));
  if (auto select = dyn_cast<arith::SelectOp>(inner)) {
    auto isUnderOrZero = [&](Value value) {
      return matchPattern(value, m_AnyZeroFloat()) || under(value);
    };
    return same(select.getCondition()) &&
           isUnderOrZero(select.getTrueValue()) &&
           isUnderOrZero(select.getFalseValue());
  }
  bool isOfFamily = rebase.getFamily() == Family::Exp
                        ? isa<math::ExpOp>(inner)
                        : isa<math::Exp2Op>(inner);
  auto difference = isOfFamily
                        ? inner->getOperand(0).getDefiningOp<arith::SubFOp>()
                        : arith::SubFOp();
  auto reference = difference ? dyn_cast<BlockArgument>(difference.getRhs())
                              : BlockArgument();
  return reference && reference.getOwner() == einsum.getBlock() &&
         einsum.getInputs()[reference.getArgNumber()] == rebase.getUpdated() &&
         same(difference.getLhs());
}

/// The rebase by whose correction `moved` multiplies what is carried.
RebaseOp StateReader::correctionOf(EinsumOp moved, Value carried) {
  if (!moved || moved.hasReduction() || moved.getInputs().size() != 2 ||
      moved.getInputs()[0] != carried || moved.getMask() ||
      moved.getInputMap(0) != moved.getResultMap())
    return nullptr;
  auto product = moved.getEinsumPoint().getDefiningOp<arith::MulFOp>();
  Value factor = product ? product.getRhs() : Value();
  if (factor &&
      isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(factor.getDefiningOp()))
    factor = factor.getDefiningOp()->getOperand(0);
  auto rebase = moved.getInputs()[1].getDefiningOp<RebaseOp>();
  if (!product || product.getLhs() != moved.getBlock()->getArgument(0) ||
      factor != moved.getBlock()->getArgument(1) || !rebase ||
      moved.getInputs()[1] != rebase.getCorrection())
    return nullptr;
  return rebase;
}

std::optional<CarriedState> StateReader::readReference(unsigned number,
                                                       RebaseOp rebase) {
  auto local = rebase.getLocal().getDefiningOp<EinsumOp>();
  auto type = cast<FloatType>(getElementTypeOrSelf(rebase.getType(0)));
  bool moves = rebase.getPolicyKind() == PolicyKind::Online ||
               rebase.getPolicyKind() == PolicyKind::Lazy;
  if (rebase.getReference() != op.getCarried()[number] || !moves ||
      rebase.getFamily() == Family::Ratio || !local ||
      local->getParentOp() != op || !reducesRank(local) || local.getInit() ||
      local.getMonoid() != Monoid::Max ||
      !isIndependent(local.getEinsumPoint(), local, 0))
    return std::nullopt;
  return CarriedState{
      Monoid::Max, std::nullopt, rebase.getFamily(),
      FloatAttr::get(type,
                     APFloat::getLargest(type.getFloatSemantics(), true))};
}

std::optional<CarriedState> StateReader::readSum(unsigned number,
                                                 EinsumOp sum) {
  BlockArgument carried = op.getCarried()[number];
  if (!sum || sum->getParentOp() != op || !reducesRank(sum) || !sum.getInit() ||
      (sum.getMask() && !isIndependent(sum.getMask())))
    return std::nullopt;
  CarriedState state{
      *sum.getMonoid(), std::nullopt, Family::Exp,
      identityOf(*sum.getMonoid(), getElementTypeOrSelf(sum.getType()))};
  if (!state.neutral)
    return std::nullopt;
  if (sum.getInit() == carried)
    return isIndependent(sum.getEinsumPoint(), sum, 0) ? std::optional(state)
                                                       : std::nullopt;
  auto moved = sum.getInit().getDefiningOp<EinsumOp>();
  RebaseOp rebase = correctionOf(moved, carried);
  state.reference = rebase ? numberOf(rebase.getReference()) : std::nullopt;
  Operation *yield = op.getBlock()->getTerminator();
  if (!state.reference || state.monoid != Monoid::Add ||
      yield->getOperand(*state.reference) != rebase.getUpdated() ||
      !isUnder(sum.getEinsumPoint(), sum, rebase, 0))
    return std::nullopt;
  state.family = rebase.getFamily();
  return state;
}

std::optional<CarriedState> StateReader::read(unsigned number) {
  Value next = op.getBlock()->getTerminator()->getOperand(number);
  if (auto rebase = next.getDefiningOp<RebaseOp>())
    return next == rebase.getUpdated() ? readReference(number, rebase)
                                       : std::nullopt;
  return readSum(number, next.getDefiningOp<EinsumOp>());
}

std::optional<SmallVector<CarriedState>> StateReader::run() {
  SmallVector<CarriedState> states;
  for (unsigned number = 0; number < op.getCarried().size(); ++number) {
    std::optional<CarriedState> state = read(number);
    if (!state)
      return std::nullopt;
    states.push_back(*state);
  }
  return states;
}

std::optional<SmallVector<CarriedState>>
lutra::cascade::carriedStates(IterateOp op) {
  return StateReader(op).run();
}
