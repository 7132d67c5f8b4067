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

#include "dialects/Cascade/StateReader.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// What `value` is but for a guard against infinities, which no reference is: x
/// of `select(abs(x) < inf, x, 0)` and of `select(x == -inf, 0, x)`.
static Value stripGuard(Value value) {
  auto select = value.getDefiningOp<arith::SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<arith::CmpFOp>()
                        : arith::CmpFOp();
  FloatAttr bound;
  if (!compare || !matchPattern(compare.getRhs(), m_Constant(&bound)) ||
      !bound.getValue().isInfinity())
    return value;
  if (auto size = compare.getLhs().getDefiningOp<math::AbsFOp>())
    return compare.getPredicate() == arith::CmpFPredicate::OLT &&
                   !bound.getValue().isNegative() &&
                   select.getTrueValue() == size.getOperand() &&
                   matchPattern(select.getFalseValue(), m_AnyZeroFloat())
               ? select.getTrueValue()
               : value;
  return compare.getPredicate() == arith::CmpFPredicate::OEQ &&
                 bound.getValue().isNegative() &&
                 select.getFalseValue() == compare.getLhs() &&
                 matchPattern(select.getTrueValue(), m_AnyZeroFloat())
             ? select.getFalseValue()
             : value;
}

bool lutra::cascade::isReadByName(EinsumOp op, unsigned number) {
  auto ranks = ranksOf(op.getInputs()[number]);
  AffineMap map = op.getInputMap(number);
  if (!ranks || map.getNumResults() != ranks->size())
    return false;
  for (auto [expr, rank] : llvm::zip_equal(map.getResults(), *ranks)) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim || op.getRankName(dim.getPosition()) != rank)
      return false;
  }
  return true;
}

std::optional<unsigned> StateReader::numberOf(Value carried) {
  auto it = llvm::find(op.getCarried(), carried);
  return it == op.getCarried().end()
             ? std::nullopt
             : std::optional<unsigned>(it - op.getCarried().begin());
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
  bool result = !einsum.reduces(op.getRank()) &&
                llvm::all_of(einsum->getOperands(),
                             [&](Value value) { return isIndependent(value); });
  return independent[tensor] = result;
}

/// The same of a scalar.
bool StateReader::isIndependent(Scalar scalar, unsigned depth) {
  if (std::optional<unsigned> input = scalar.getInput())
    return isIndependent(scalar.einsum.getInputs()[*input]);
  Operation *inner = scalar.getDefinition();
  return !inner || (depth < kMaxDepth &&
                    llvm::all_of(
                        inner->getOperands(),
                        [&](Value v) {
                          return isIndependent({v, scalar.einsum}, depth + 1);
                        }));
}

/// What a scalar that maps have computed before is computed by.
Scalar StateReader::resolve(Scalar scalar) {
  for (unsigned step = 0; step < kMaxDepth; ++step) {
    std::optional<unsigned> input = scalar.getInput();
    auto map = input
                   ? scalar.einsum.getInputs()[*input].getDefiningOp<EinsumOp>()
                   : EinsumOp();
    if (!map || map->getParentOp() != op || map.hasReduction() ||
        !isReadByName(scalar.einsum, *input))
      break;
    scalar = {map.getEinsumPoint(), map};
  }
  return scalar;
}

/// Whether a scalar is the reference that `rebase` updates.
bool StateReader::isReference(Scalar scalar, RebaseOp rebase) {
  scalar = resolve(scalar);
  scalar = resolve({stripGuard(scalar.value), scalar.einsum});
  std::optional<unsigned> input = scalar.getInput();
  return input && scalar.einsum.getInputs()[*input] == rebase.getUpdated() &&
         isReadByName(scalar.einsum, *input);
}

/// Whether a scalar has the factor h(reference) of what `rebase` updates, once,
/// and depends on nothing else that is carried.
bool StateReader::isUnder(Scalar scalar, RebaseOp rebase, unsigned depth) {
  scalar = resolve(scalar);
  Operation *inner = scalar.getDefinition();
  if (depth > kMaxDepth || !inner)
    return false;
  auto under = [&](unsigned operand) {
    return isUnder({inner->getOperand(operand), scalar.einsum}, rebase,
                   depth + 1);
  };
  auto same = [&](unsigned operand) {
    return isIndependent({inner->getOperand(operand), scalar.einsum},
                         depth + 1);
  };
  if (isa<arith::ExtFOp, arith::TruncFOp, arith::NegFOp>(inner))
    return under(0);
  if (isa<arith::DivFOp>(inner))
    return under(0) && same(1);
  if (isa<arith::MulFOp>(inner))
    return (under(0) && same(1)) || (same(0) && under(1));
  if (isa<arith::SelectOp>(inner)) {
    auto isZero = [&](unsigned operand) {
      return matchPattern(inner->getOperand(operand), m_AnyZeroFloat());
    };
    return same(0) && (isZero(1) || under(1)) && (isZero(2) || under(2));
  }
  if (rebase.getFamily() == Family::Exp ? !isa<math::ExpOp>(inner)
                                        : !isa<math::Exp2Op>(inner))
    return false;
  Scalar exponent = resolve({inner->getOperand(0), scalar.einsum});
  auto difference = dyn_cast_or_null<arith::SubFOp>(exponent.getDefinition());
  return difference &&
         isReference({difference.getRhs(), exponent.einsum}, rebase) &&
         isIndependent({difference.getLhs(), exponent.einsum}, depth + 1);
}

/// The rebase by whose correction `moved` multiplies what is carried.
RebaseOp StateReader::correctionOf(EinsumOp moved, Value carried) {
  if (!moved || moved.hasReduction() || moved.getInputs().size() != 2 ||
      moved.getInputs()[0] != carried || !isReadByName(moved, 0) ||
      !isReadByName(moved, 1) || moved.getInputMap(0) != moved.getResultMap())
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
      local->getParentOp() != op || !local.reduces(op.getRank()) ||
      local.getInit() || local.getMonoid() != Monoid::Max ||
      !isIndependent({local.getEinsumPoint(), local}, 0))
    return std::nullopt;
  return CarriedState{
      Monoid::Max, std::nullopt, rebase.getFamily(),
      FloatAttr::get(type,
                     APFloat::getLargest(type.getFloatSemantics(), true))};
}

std::optional<CarriedState> StateReader::readSum(unsigned number,
                                                 EinsumOp sum) {
  BlockArgument carried = op.getCarried()[number];
  if (!sum || sum->getParentOp() != op || !sum.reduces(op.getRank()) ||
      !sum.getInit() || (sum.getMask() && !isIndependent(sum.getMask())))
    return std::nullopt;
  CarriedState state{
      *sum.getMonoid(), std::nullopt, Family::Exp,
      identityOf(*sum.getMonoid(), getElementTypeOrSelf(sum.getType()))};
  if (!state.neutral)
    return std::nullopt;
  if (sum.getInit() == carried)
    return isIndependent({sum.getEinsumPoint(), sum}, 0) ? std::optional(state)
                                                         : std::nullopt;
  auto moved = sum.getInit().getDefiningOp<EinsumOp>();
  RebaseOp rebase = correctionOf(moved, carried);
  state.reference = rebase ? numberOf(rebase.getReference()) : std::nullopt;
  Operation *yield = op.getBlock()->getTerminator();
  if (!state.reference || state.monoid != Monoid::Add ||
      yield->getOperand(*state.reference) != rebase.getUpdated() ||
      !isUnder({sum.getEinsumPoint(), sum}, rebase, 0))
    return std::nullopt;
  state.family = rebase.getFamily();
  return state;
}

std::optional<CarriedState> StateReader::read(unsigned number) {
  Value next = op.getBlock()->getTerminator()->getOperand(number);
  if (auto rebase = next.getDefiningOp<RebaseOp>())
    return next == rebase.getUpdated() ? readReference(number, rebase)
                                       : std::nullopt;
  auto einsum = next.getDefiningOp<EinsumOp>();
  if (std::optional<CarriedState> state = readSum(number, einsum))
    return state;
  if (std::optional<CarriedState> state = readPlainSum(number))
    return state;
  return readSquares(number, einsum);
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

IterateOp lutra::cascade::findDivisibleIteration(CascadeOp op) {
  auto iterations = op.getBlock()->getOps<IterateOp>();
  if (!op.getReassoc() || !llvm::hasSingleElement(iterations))
    return nullptr;
  IterateOp iterate = *iterations.begin();
  // Nothing else goes over the rank or is merged already.
  for (Operation &each : op.getBlock()->without_terminator()) {
    auto einsum = dyn_cast<EinsumOp>(each);
    if (&each != iterate &&
        (!einsum ||
         llvm::is_contained(einsum.getIter(), iterate.getRankAttr())))
      return nullptr;
  }
  for (Operation &each : iterate.getBlock()->without_terminator()) {
    auto rebase = dyn_cast<RebaseOp>(each);
    if (!isa<EinsumOp>(each) &&
        (!rebase ||
         !llvm::is_contained(iterate.getCarried(), rebase.getReference())))
      return nullptr;
  }
  return carriedStates(iterate) ? iterate : nullptr;
}
