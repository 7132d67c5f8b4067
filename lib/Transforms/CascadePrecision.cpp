//===- CascadePrecision.cpp - Types inside of cascades --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sources round between operations, since each writes its result to memory.
// Inside of a cascade nothing is written, and numbers keep the type in which
// they are computed until a machine multiplies them in a narrower one.
//
//===----------------------------------------------------------------------===//

#include "CascadePrecision.h"

#include "lutra/Analysis/Contraction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

EinsumOp lutra::copyEinsum(OpBuilder &b, Location loc, Value tensor,
                           ArrayRef<Attribute> iter, AffineMap read,
                           AffineMap written, RankedTensorType type) {
  Type to = type.getElementType();
  return EinsumOp::create(
      b, loc, type, b.getArrayAttr(iter), tensor, {read, written}, std::nullopt,
      [&](OpBuilder &b, Location loc, ValueRange elements) -> Value {
        return elements[0].getType() == to
                   ? elements[0]
                   : arith::ExtFOp::create(b, loc, to, elements[0]);
      });
}

/// The type that a body widens all uses of `argument` to, if it does.
static FloatType widenedType(BlockArgument argument) {
  FloatType type;
  for (Operation *user : argument.getUsers()) {
    auto widen = dyn_cast<arith::ExtFOp>(user);
    if (!widen || (type && type != widen.getType()))
      return nullptr;
    type = cast<FloatType>(widen.getType());
  }
  return type;
}

/// Where an input of a reduction is bf16 by its values: the map inside of the
/// cascade that widens it last, or nothing for a tensor of bf16 that the body
/// widens. Fails where it is not.
static FailureOr<EinsumOp> narrowProducer(EinsumOp reader, unsigned input) {
  Value tensor = reader.getInputs()[input];
  BlockArgument argument = reader.getBlock()->getArgument(input);
  if (argument.getType().isBF16()) {
    if (!widenedType(argument))
      return failure();
    return EinsumOp();
  }
  auto producer = tensor.getDefiningOp<EinsumOp>();
  if (!producer || producer.hasReduction() || !tensor.hasOneUse())
    return failure();
  auto widen = producer.getEinsumPoint().getDefiningOp<arith::ExtFOp>();
  if (!widen || !widen.getIn().getType().isBF16())
    return failure();
  return producer;
}

DenseSet<Operation *> lutra::narrowFactors(IterateOp iterate,
                                           TargetAttr target) {
  DenseSet<Operation *> dots;
  for (auto reader : iterate.getBlock()->getOps<EinsumOp>()) {
    if (!reader.hasReduction() || reader.getInputs().size() != 2 ||
        reader.getMask() ||
        dotGroup(target, BFloat16Type::get(iterate.getContext()),
                 reader.getType().getElementType()) < 2)
      continue;
    FailureOr<EinsumOp> producers[] = {narrowProducer(reader, 0),
                                       narrowProducer(reader, 1)};
    if (failed(producers[0]) || failed(producers[1]))
      continue;
    dots.insert(reader);
    for (auto [i, producer] : llvm::enumerate(producers)) {
      if (!*producer)
        continue;
      auto widen = producer->getEinsumPoint().getDefiningOp<arith::ExtFOp>();
      producer->getBlock()->getTerminator()->setOperand(0, widen.getIn());
      auto type = cast<RankedTensorType>(producer->getType());
      Type narrow = widen.getIn().getType();
      producer->getResult().setType(
          RankedTensorType::get(type.getShape(), narrow));
      BlockArgument argument = reader.getBlock()->getArgument(i);
      argument.setType(narrow);
      OpBuilder b = OpBuilder::atBlockBegin(reader.getBlock());
      auto wide = arith::ExtFOp::create(b, reader.getLoc(),
                                        type.getElementType(), argument);
      argument.replaceAllUsesExcept(wide, wide);
    }
  }
  return dots;
}

void lutra::widenFactors(IterateOp iterate, const DenseSet<Operation *> &dots) {
  SmallVector<EinsumOp> readers(iterate.getBlock()->getOps<EinsumOp>());
  for (EinsumOp reader : readers)
    for (unsigned i = 0; reader.hasReduction() && !dots.contains(reader) &&
                         i < reader.getInputs().size();
         ++i) {
      Value input = reader.getInputs()[i];
      auto type = dyn_cast<RankedTensorType>(input.getType());
      AffineMap map = reader.getInputMap(i);
      BlockArgument argument = reader.getBlock()->getArgument(i);
      FloatType wide = widenedType(argument);
      if (!type || !wide || !map.isProjectedPermutation())
        continue;
      bool isInside = iterate.getBody().isAncestor(input.getParentRegion());
      OpBuilder b(isInside ? reader.getOperation() : iterate.getOperation());
      SmallVector<Attribute> iter;
      for (AffineExpr expr : map.getResults())
        iter.push_back(
            reader.getIter()[cast<AffineDimExpr>(expr).getPosition()]);
      AffineMap same = b.getMultiDimIdentityMap(iter.size());
      EinsumOp widened =
          copyEinsum(b, reader.getLoc(), input, iter, same, same,
                     RankedTensorType::get(type.getShape(), wide));
      reader->setOperand(i, widened.getResult());
      for (Operation *user : llvm::make_early_inc_range(argument.getUsers())) {
        user->getResult(0).replaceAllUsesWith(argument);
        user->erase();
      }
      argument.setType(wide);
    }
}

namespace {
/// Finds whether a sum of a cascade only divides. Then an error that its terms
/// may have is no greater in results.
class DivisorSearch {
public:
  bool onlyDivides(Value sum);

private:
  bool onlyDivides(OpOperand &use);

  SmallPtrSet<Value, 8> visited;
};
} // namespace

bool DivisorSearch::onlyDivides(Value sum) {
  return !visited.insert(sum).second ||
         llvm::all_of(sum.getUses(),
                      [&](OpOperand &use) { return onlyDivides(use); });
}

bool DivisorSearch::onlyDivides(OpOperand &use) {
  Operation *user = use.getOwner();
  unsigned number = use.getOperandNumber();
  auto iterate = dyn_cast<IterateOp>(user->getParentOp());
  if (isa<YieldOp>(user))
    return iterate && onlyDivides(iterate.getResult(number)) &&
           onlyDivides(iterate.getCarried()[number]);
  if (auto merge = dyn_cast<MergeOp>(user))
    return use.get() != merge.getReference() &&
           onlyDivides(merge.getResult(number));
  auto reader = dyn_cast<EinsumOp>(user);
  if (!reader || use.get() == reader.getMask())
    return false;
  // Where a sum begins.
  if (number >= reader.getInputs().size())
    return onlyDivides(reader.getResult());
  BlockArgument element = reader.getBlock()->getArgument(number);
  if (llvm::all_of(element.getUses(), [](OpOperand &inner) {
        return isa<arith::DivFOp, DivideOp>(inner.getOwner()) &&
               inner.getOperandNumber() == 1;
      }))
    return true;
  // Errors stay as small in sums of what is not negative and in products.
  bool isKept = llvm::all_of(*reader.getBlock(), [](Operation &inner) {
    return isa<arith::AddFOp, arith::MulFOp, YieldOp>(inner);
  });
  return isKept && !reader.hasReduction() && onlyDivides(reader.getResult());
}

/// Whether what is read is only rounded to bf16, as a factor of `dots`.
static bool onlyRounds(OpOperand &use, const DenseSet<Operation *> &dots) {
  auto reader = dyn_cast<EinsumOp>(use.getOwner());
  if (!reader || reader.hasReduction())
    return false;
  auto round = reader.getEinsumPoint().getDefiningOp<arith::TruncFOp>();
  return round && round.getType().isBF16() &&
         round.getIn() ==
             reader.getBlock()->getArgument(use.getOperandNumber()) &&
         llvm::all_of(reader->getUsers(),
                      [&](Operation *user) { return dots.contains(user); });
}

/// Whether what is read is only summed up, into a divisor.
static bool onlySums(OpOperand &use) {
  auto reader = dyn_cast<EinsumOp>(use.getOwner());
  return reader && reader.getMonoid() == Monoid::Add &&
         reader.getInputs().size() == 1 && use.getOperandNumber() == 0 &&
         reader.getEinsumPoint() == reader.getBlock()->getArgument(0) &&
         DivisorSearch().onlyDivides(reader.getResult());
}

void lutra::approximateExponentials(IterateOp iterate,
                                    const DenseSet<Operation *> &dots) {
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>()) {
    Operation *point = einsum.getEinsumPoint().getDefiningOp();
    if (einsum.hasReduction() ||
        !isa_and_present<math::ExpOp, math::Exp2Op>(point))
      continue;
    bool isRounded = false, isKept = false;
    for (OpOperand &use : einsum->getUses()) {
      bool rounds = onlyRounds(use, dots);
      isRounded |= rounds;
      isKept |= !rounds && !onlySums(use);
    }
    auto power = cast<arith::ArithFastMathInterface>(point);
    if (isRounded && !isKept)
      power->setAttr(power.getFastMathAttrName(),
                     arith::FastMathFlagsAttr::get(power->getContext(),
                                                   arith::FastMathFlags::afn));
  }
}

void lutra::dropRoundings(CascadeOp op) {
  SmallVector<arith::ExtFOp> widenings;
  op.walk([&](arith::ExtFOp widen) { widenings.push_back(widen); });
  for (arith::ExtFOp widen : widenings) {
    auto round = widen.getIn().getDefiningOp<arith::TruncFOp>();
    // Of 8 bits the rounding is what the source is about.
    if (!round || round.getIn().getType() != widen.getType() ||
        round.getType().getIntOrFloatBitWidth() < 16)
      continue;
    widen.replaceAllUsesWith(round.getIn());
    widen.erase();
    if (round->use_empty())
      round.erase();
  }
}
