//===- CarriedMoments.cpp - Squares of distances to the mean so far -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Three states make a variance: the sum of the points, how many they are, and
// their squares about the mean so far. When the mean moves by d, n squares
// become larger by n * d^2; and just so those of two parts are squares about
// the mean of both (Chan, Golub and LeVeque, 1983). As with references, that a
// state is such is read off the body: what it adds for a move, where from and
// where to, and that its points are distances from there of what is summed.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/StateReader.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// The number of the state that a scalar is an element of.
std::optional<unsigned> StateReader::carriedElement(Scalar scalar) {
  scalar = resolve(scalar);
  std::optional<unsigned> input = scalar.getInput();
  return input && isReadByName(scalar.einsum, *input)
             ? numberOf(scalar.einsum.getInputs()[*input])
             : std::nullopt;
}

/// Whether a scalar is an element of a tensor of the iteration.
bool StateReader::isElement(Scalar scalar, Value tensor) {
  scalar = resolve(scalar);
  std::optional<unsigned> input = scalar.getInput();
  return input && scalar.einsum.getInputs()[*input] == tensor &&
         isReadByName(scalar.einsum, *input);
}

/// Whether two scalars are computed alike from elements of the same tensors.
bool StateReader::isSame(Scalar a, Scalar b, unsigned depth) {
  a = resolve(a);
  b = resolve(b);
  std::optional<unsigned> i = a.getInput(), j = b.getInput();
  if (i && j) {
    auto ranks = ranksRead(a.einsum, *i);
    return a.einsum.getInputs()[*i] == b.einsum.getInputs()[*j] && ranks &&
           ranks == ranksRead(b.einsum, *j);
  }
  Operation *x = a.getDefinition(), *y = b.getDefinition();
  if (!x || !y)
    return a.value == b.value;
  return depth < kMaxDepth && x->getName() == y->getName() &&
         x->getAttrDictionary() == y->getAttrDictionary() &&
         x->getResultTypes() == y->getResultTypes() &&
         x->getNumRegions() == 0 &&
         x->getNumOperands() == y->getNumOperands() &&
         llvm::all_of(
             llvm::seq(x->getNumOperands()),
             [&](unsigned operand) {
               return isSame({x->getOperand(operand), a.einsum},
                             {y->getOperand(operand), b.einsum}, depth + 1);
             });
}

/// What a scalar is computed from by a binary operation.
template <typename Op>
std::optional<std::pair<Scalar, Scalar>> StateReader::operands(Scalar scalar) {
  scalar = resolve(scalar);
  auto inner = dyn_cast_or_null<Op>(scalar.getDefinition());
  if (!inner)
    return std::nullopt;
  return std::pair(Scalar{inner->getOperand(0), scalar.einsum},
                   Scalar{inner->getOperand(1), scalar.einsum});
}

/// x of x * x.
std::optional<Scalar> StateReader::squared(Scalar scalar) {
  auto factors = operands<arith::MulFOp>(scalar);
  return factors && factors->first.value == factors->second.value
             ? std::optional(factors->first)
             : std::nullopt;
}

/// The reduction of a part that a state becomes larger by.
EinsumOp StateReader::addedTo(unsigned number) {
  auto next = op.getBlock()->getTerminator()->getOperand(number);
  auto einsum = next.getDefiningOp<EinsumOp>();
  if (!einsum || einsum->getParentOp() != op || einsum.hasReduction() ||
      einsum.getInputs().size() != 2)
    return nullptr;
  auto sides = operands<arith::AddFOp>({einsum.getEinsumPoint(), einsum});
  if (!sides || !isElement(sides->first, op.getCarried()[number]))
    return nullptr;
  auto local = einsum.getInputs()[1].getDefiningOp<EinsumOp>();
  return local && local->getParentOp() == op &&
                 isElement(sides->second, local.getResult()) &&
                 local.reduces(op.getRank()) && !local.getInit() &&
                 local.getMonoid() == Monoid::Add &&
                 isIndependent({local.getEinsumPoint(), local}, 0) &&
                 (!local.getMask() || isIndependent(local.getMask()))
             ? local
             : EinsumOp();
}

/// A sum whose part is a tensor of its own, since something else reads it too.
std::optional<CarriedState> StateReader::readPlainSum(unsigned number) {
  EinsumOp local = addedTo(number);
  if (!local)
    return std::nullopt;
  CarriedState state{Monoid::Add};
  state.neutral =
      identityOf(Monoid::Add, getElementTypeOrSelf(local.getType()));
  return state.neutral ? std::optional(state) : std::nullopt;
}

/// What tells the mean of what was gone over before, if `scalar` is that.
std::optional<Moments> StateReader::meanBefore(Scalar scalar) {
  auto quotient = operands<DivideOp>(scalar);
  if (!quotient)
    return std::nullopt;
  auto sum = carriedElement(quotient->first),
       count = carriedElement(quotient->second);
  return sum && count ? std::optional(Moments{*sum, *count}) : std::nullopt;
}

/// Whether `scalar` is that mean with the part that is gone over.
bool StateReader::isMeanAfter(Scalar scalar, const Moments &about) {
  auto isAfter = [&](Scalar total, unsigned number) {
    auto sides = operands<arith::AddFOp>(total);
    EinsumOp local = addedTo(number);
    return sides && local && carriedElement(sides->first) == number &&
           isElement(sides->second, local.getResult());
  };
  auto quotient = operands<DivideOp>(scalar);
  return quotient && isAfter(quotient->first, about.sum) &&
         isAfter(quotient->second, about.count);
}

std::optional<CarriedState> StateReader::readSquares(unsigned number,
                                                     EinsumOp sum) {
  auto moved = sum && sum.getInit() ? sum.getInit().getDefiningOp<EinsumOp>()
                                    : EinsumOp();
  if (!moved || moved.hasReduction() || sum->getParentOp() != op ||
      sum.getMonoid() != Monoid::Add || !sum.reduces(op.getRank()))
    return std::nullopt;
  // squares + count * (from - to)^2
  auto sides = operands<arith::AddFOp>({moved.getEinsumPoint(), moved});
  auto move = sides ? operands<arith::MulFOp>(sides->second) : std::nullopt;
  auto by = move ? squared(move->second) : std::nullopt;
  auto ends = by ? operands<arith::SubFOp>(*by) : std::nullopt;
  auto about = ends ? meanBefore(ends->first) : std::nullopt;
  if (!about || carriedElement(sides->first) != number ||
      carriedElement(move->first) != about->count ||
      !isMeanAfter(ends->second, *about))
    return std::nullopt;
  // Its points are (x - to)^2, where those of the sum are x and of the count 1.
  auto distance = squared({sum.getEinsumPoint(), sum});
  auto terms = distance ? operands<arith::SubFOp>(*distance) : std::nullopt;
  EinsumOp total = addedTo(about->sum), count = addedTo(about->count);
  if (!terms || !isMeanAfter(terms->second, *about) ||
      !isSame(terms->first, {total.getEinsumPoint(), total}, 0) ||
      !matchPattern(count.getEinsumPoint(), m_OneFloat()) ||
      !hasSamePoints(sum, total) || !hasSamePoints(sum, count) ||
      sum.getType() != total.getType() || sum.getType() != count.getType())
    return std::nullopt;
  CarriedState state{Monoid::Add};
  state.about = about;
  state.neutral = identityOf(Monoid::Add, getElementTypeOrSelf(sum.getType()));
  return state;
}
