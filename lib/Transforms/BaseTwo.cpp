//===- BaseTwo.cpp - Exponentials to base 2 -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An exponential of a difference to a running reference is one to base 2 where
// both are taken times log2(e): of a point, that factor joins another that it
// has anyway, and of the reference, it is that of the points that it comes
// from.
//
//===----------------------------------------------------------------------===//

#include "BaseTwo.h"

#include "MaskingMaps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

static constexpr double kLog2E = 1.4426950408889634074;

/// Whether a tensor is a sum of products, masked or not, or the maximum of
/// such: -inf and numbers that are far from the ends of their type, unlike
/// biases that stand for a mask.
static bool isSum(Value tensor) {
  auto einsum = tensor.getDefiningOp<EinsumOp>();
  if (einsum && isMaskingMap(einsum))
    return isSum(einsum.getInputs()[0]);
  if (!einsum || !einsum.hasReduction())
    return false;
  if (einsum.getMonoid() == Monoid::Add)
    return einsum.getInputs().size() > 1;
  return einsum.getInputs().size() == 1 &&
         einsum.getEinsumPoint() == einsum.getBlock()->getArgument(0) &&
         isSum(einsum.getInputs()[0]);
}

namespace {
/// A value of a body times log2(e), as cheaply as its form allows.
class Scaling {
public:
  explicit Scaling(EinsumOp op) : op(op) {}

  bool isPossible(Value x) const;
  Value scale(OpBuilder &b, Value x) const;

private:
  static std::optional<double> scaled(Value x);
  /// The tensor element that `x` is but for roundings.
  BlockArgument elementOf(Value x) const;

  mutable EinsumOp op;
};
} // namespace

std::optional<double> Scaling::scaled(Value x) {
  std::optional<double> number = constantOf(x);
  auto type = dyn_cast<FloatType>(x.getType());
  if (!number || !type)
    return std::nullopt;
  double product = *number * kLog2E;
  APFloat rounded(product);
  bool losesInfo;
  rounded.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
  // The lowest finite number, which stands for a mask, has no such product.
  if (std::isfinite(*number) && rounded.isInfinity())
    return std::nullopt;
  return product;
}

BlockArgument Scaling::elementOf(Value x) const {
  while (isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(x.getDefiningOp()))
    x = x.getDefiningOp()->getOperand(0);
  auto argument = dyn_cast<BlockArgument>(x);
  return argument && argument.getOwner() == op.getBlock() ? argument
                                                          : BlockArgument();
}

/// What `x` rounds and widens again, which a cascade does not do in the end
/// (`dropRoundings`); else `x`.
static Value withoutRounding(Value x) {
  auto widen = x.getDefiningOp<arith::ExtFOp>();
  auto round = widen ? widen.getIn().getDefiningOp<arith::TruncFOp>()
                     : arith::TruncFOp();
  return round && round.getIn().getType() == x.getType() &&
                 round.getType().getIntOrFloatBitWidth() >= 16
             ? withoutRounding(round.getIn())
             : x;
}

bool Scaling::isPossible(Value x) const {
  x = withoutRounding(x);
  if (scaled(x))
    return true;
  if (BlockArgument element = elementOf(x))
    return isSum(op.getInputs()[element.getArgNumber()]);
  Operation *def = x.getDefiningOp();
  if (isa_and_nonnull<arith::MulFOp>(def))
    for (unsigned side : {0, 1})
      if (constantOf(def->getOperand(side)))
        return scaled(def->getOperand(side)).has_value() &&
               isPossible(def->getOperand(1 - side));
  if (isa_and_nonnull<arith::AddFOp>(def))
    return isPossible(def->getOperand(0)) && isPossible(def->getOperand(1));
  if (auto select = dyn_cast_or_null<arith::SelectOp>(def))
    return isPossible(select.getTrueValue()) &&
           isPossible(select.getFalseValue());
  return false;
}

Value Scaling::scale(OpBuilder &b, Value x) const {
  x = withoutRounding(x);
  Location loc = x.getLoc();
  auto type = cast<FloatType>(x.getType());
  // Products and the differences that read them may become one operation.
  auto fused = arith::FastMathFlags::contract;
  auto constant = [&](double number) -> Value {
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, number));
  };
  if (std::optional<double> number = scaled(x))
    return constant(*number);
  Operation *def = x.getDefiningOp();
  if (isa_and_nonnull<arith::MulFOp>(def))
    for (unsigned side : {0, 1})
      if (std::optional<double> number = scaled(def->getOperand(side)))
        return arith::MulFOp::create(b, loc, def->getOperand(1 - side),
                                     constant(*number), fused);
  if (isa_and_nonnull<arith::AddFOp>(def))
    return arith::AddFOp::create(b, loc, scale(b, def->getOperand(0)),
                                 scale(b, def->getOperand(1)), fused);
  if (auto select = dyn_cast_or_null<arith::SelectOp>(def))
    return arith::SelectOp::create(b, loc, select.getCondition(),
                                   scale(b, select.getTrueValue()),
                                   scale(b, select.getFalseValue()));
  return arith::MulFOp::create(b, loc, x, constant(kLog2E), fused);
}

/// The exponentials of differences to argument `i` of the body, if it is read
/// for nothing else.
static std::optional<SmallVector<math::ExpOp>> exponentials(EinsumOp op,
                                                            unsigned i) {
  SmallVector<math::ExpOp> result;
  BlockArgument reference = op.getBlock()->getArgument(i);
  for (Operation *user : reference.getUsers()) {
    auto difference = dyn_cast<arith::SubFOp>(user);
    if (!difference || difference.getRhs() != reference ||
        !difference->hasOneUse())
      return std::nullopt;
    auto exp = dyn_cast<math::ExpOp>(*difference->user_begin());
    if (!exp || !Scaling(op).isPossible(difference.getLhs()))
      return std::nullopt;
    result.push_back(exp);
  }
  return result;
}

namespace {
/// A running reference whose states and points can do with base 2.
struct Reference {
  RebaseOp rebase;
  EinsumOp local;
  SmallVector<std::pair<EinsumOp, math::ExpOp>> exponentials;
  /// What merges the reference of parts, if they are gone over apart.
  MergeOp merge;
};
} // namespace

/// The one reader of a tensor.
template <typename Op>
static Op readerOf(Value value) {
  return value.hasOneUse() ? dyn_cast<Op>(*value.user_begin()) : Op();
}

/// The merge in another cascade that alone reads a reference, if nothing reads
/// what that becomes.
static MergeOp mergeOf(Value reference) {
  auto yield = readerOf<YieldOp>(reference);
  auto cascade =
      yield ? dyn_cast<CascadeOp>(yield->getParentOp()) : CascadeOp();
  if (!cascade)
    return nullptr;
  unsigned number = reference.use_begin()->getOperandNumber();
  auto copy = readerOf<EinsumOp>(cascade.getResult(number));
  auto merge = copy && isCheapMap(copy) &&
                       copy.getEinsumPoint() == copy.getBlock()->getArgument(0)
                   ? readerOf<MergeOp>(copy.getResult())
                   : MergeOp();
  return merge && merge.getReference() == copy.getResult() &&
                 merge.getFamily() == Family::Exp &&
                 merge.getResult(0).use_empty()
             ? merge
             : MergeOp();
}

static std::optional<Reference> matchReference(IterateOp iterate,
                                               RebaseOp rebase) {
  Reference result{rebase, rebase.getLocal().getDefiningOp<EinsumOp>(), {}, {}};
  auto carried = dyn_cast<BlockArgument>(rebase.getReference());
  if (rebase.getFamily() != Family::Exp || !result.local ||
      !result.local->hasOneUse() || result.local.getInit() || !carried ||
      !carried.hasOneUse() ||
      !Scaling(result.local).isPossible(result.local.getEinsumPoint()) ||
      rebase.getPolicyKind() == PolicyKind::Fixed)
    return std::nullopt;
  unsigned number = carried.getArgNumber() - iterate.getStreams().size();
  Operation *yield = iterate.getBlock()->getTerminator();
  result.merge = mergeOf(iterate.getResult(number));
  if ((!result.merge && !iterate.getResult(number).use_empty()) ||
      yield->getOperand(number) != rebase.getUpdated())
    return std::nullopt;
  for (OpOperand &use : rebase.getUpdated().getUses()) {
    if (use.getOwner() == yield && use.getOperandNumber() == number)
      continue;
    auto reader = dyn_cast<EinsumOp>(use.getOwner());
    if (!reader || use.getOperandNumber() >= reader.getInputs().size())
      return std::nullopt;
    auto found = exponentials(reader, use.getOperandNumber());
    if (!found)
      return std::nullopt;
    for (math::ExpOp exp : *found)
      result.exponentials.emplace_back(reader, exp);
  }
  return result;
}

static void takeBaseTwo(const Reference &reference) {
  auto [rebase, local, exponentials, merge] = reference;
  if (merge)
    merge.setFamily(Family::Exp2);
  OpBuilder b(rebase);
  Operation *yield = local.getBlock()->getTerminator();
  b.setInsertionPoint(yield);
  yield->setOperand(0, Scaling(local).scale(b, local.getEinsumPoint()));
  rebase.setFamily(Family::Exp2);
  if (PolicyAttr policy = rebase.getPolicyAttr(); policy && policy.getValue())
    rebase.setPolicyAttr(PolicyAttr::get(
        b.getContext(), policy.getKind(),
        FloatAttr::get(policy.getValue().getType(),
                       policy.getValue().getValueAsDouble() * kLog2E)));
  for (auto [reader, exp] : exponentials) {
    b.setInsertionPoint(exp);
    auto difference = exp.getOperand().getDefiningOp<arith::SubFOp>();
    Value scaled = arith::SubFOp::create(
        b, exp.getLoc(), Scaling(reader).scale(b, difference.getLhs()),
        difference.getRhs(), arith::FastMathFlags::contract);
    exp.replaceAllUsesWith(
        math::Exp2Op::create(b, exp.getLoc(), scaled).getResult());
    exp.erase();
    difference.erase();
  }
}

void lutra::takeBaseTwo(IterateOp iterate) {
  for (auto op : iterate.getBlock()->getOps<RebaseOp>())
    if (auto reference = matchReference(iterate, op))
      ::takeBaseTwo(*reference);
}
