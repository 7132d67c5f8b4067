//===- SimplifyCascades.cpp - Cheaper points of running references --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is done for each point of an iteration, but need not be. Masks leave the
// maps that they stand in. Maps that a machine has an instruction for move into
// what reads them. A map that keeps the order of numbers is applied to a
// maximum and not to each point of it. Exponentials of differences to a
// reference are taken to base 2, with the logarithm of e in a factor that is
// there anyway. A sum of them divides once a row. And conversions of results
// are done where these are computed.
//
//===----------------------------------------------------------------------===//

#include "CascadeDivisions.h"
#include "CascadeResults.h"
#include "MaskingMaps.h"
#include "dialects/Cascade/Cascade.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_SIMPLIFYCASCADES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

static constexpr double kLog2E = 1.4426950408889634074;

//===----------------------------------------------------------------------===//
// Maps that are one instruction move into what reads them.
//===----------------------------------------------------------------------===//

/// Whether a body is no more than roundings and arithmetic with constants.
static bool isCheap(EinsumOp op) {
  return llvm::all_of(op.getBlock()->without_terminator(), [](Operation &op) {
    if (isa<arith::ExtFOp, arith::TruncFOp, arith::ConstantOp>(op))
      return true;
    return isa<arith::MulFOp, arith::AddFOp, arith::SubFOp>(op) &&
           llvm::any_of(op.getOperands(), constantOf);
  });
}

/// Whether each point of `op` is read where it is written, and costs little.
static bool isCheapMap(EinsumOp op) {
  return op && !op.hasReduction() && !op.isFiltered() &&
         op.getInputs().size() == 1 && op.getSymbols().empty() &&
         op.getInputMap(0) == op.getResultMap() &&
         op.getInputMap(0).isIdentity() && isCheap(op);
}

/// Products take their factors from memory, where they should be ready.
static bool takesMaps(EinsumOp op) {
  return !op.hasReduction() || op.getInputs().size() == 1;
}

/// Puts the body of `producer` before that of `reader`, for its input `i`.
static void inlineMap(EinsumOp producer, EinsumOp reader, unsigned i) {
  BlockArgument argument = reader.getBlock()->getArgument(i);
  BlockArgument from = producer.getBlock()->getArgument(0);
  OpBuilder b = OpBuilder::atBlockBegin(reader.getBlock());
  Location loc = argument.getLoc();
  // A new argument in the place of the old one, which may be of another type.
  BlockArgument element =
      reader.getBlock()->insertArgument(i, from.getType(), loc);
  argument = reader.getBlock()->getArgument(i + 1);
  IRMapping map;
  map.map(from, element);
  for (Operation &op : producer.getBlock()->without_terminator())
    b.clone(op, map);
  argument.replaceAllUsesWith(map.lookupOrDefault(producer.getEinsumPoint()));
  reader.getBlock()->eraseArgument(i + 1);
  reader->setOperand(i, producer.getInputs()[0]);
}

static void inlineMaps(Block &block) {
  for (auto reader : block.getOps<EinsumOp>())
    for (unsigned i = 0; takesMaps(reader) && i < reader.getInputs().size();)
      if (auto producer = reader.getInputs()[i].getDefiningOp<EinsumOp>();
          producer && producer->getBlock() == &block && isCheapMap(producer))
        inlineMap(producer, reader, i);
      else
        ++i;
  eraseUnread(block);
}

//===----------------------------------------------------------------------===//
// Maps that keep the order of numbers leave maxima.
//===----------------------------------------------------------------------===//

/// The operations that lead from the body's argument to its value, if each of
/// them keeps the order of numbers.
static std::optional<SmallVector<Operation *>> orderedChain(EinsumOp op) {
  SmallVector<Operation *> chain;
  Value x = op.getBlock()->getArgument(0);
  while (x != op.getEinsumPoint()) {
    if (!x.hasOneUse() || !keepsOrder(**x.user_begin(), x))
      return std::nullopt;
    chain.push_back(*x.user_begin());
    x = chain.back()->getResult(0);
  }
  return chain;
}

/// max f(x) = f(max x).
static void hoistOutOfMaximum(EinsumOp op) {
  if (op.getMonoid() != Monoid::Max || op.getInputs().size() != 1 ||
      op.getInit())
    return;
  auto chain = orderedChain(op);
  Block *body = op.getBlock();
  if (!chain || chain->empty() ||
      body->getArgument(0).getType() != op.getEinsumPoint().getType())
    return;
  OpBuilder b(op->getContext());
  b.setInsertionPointAfter(op);
  auto map = EinsumOp::create(
      b, op.getLoc(), op.getType(), b.getStrArrayAttr(*ranksOf(op.getResult())),
      op.getResult(), [&](OpBuilder &b, Location, ValueRange elements) {
        IRMapping mapping;
        mapping.map(body->getArgument(0), elements[0]);
        for (Operation &each : body->without_terminator())
          b.clone(each, mapping);
        return mapping.lookupOrDefault(op.getEinsumPoint());
      });
  body->getTerminator()->setOperand(0, body->getArgument(0));
  for (Operation *each : llvm::reverse(*chain))
    each->erase();
  op.getResult().replaceAllUsesExcept(map.getResult(), map);
}

//===----------------------------------------------------------------------===//
// Exponentials to base 2.
//===----------------------------------------------------------------------===//

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

static void takeBaseTwo(Reference reference) {
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

namespace {
struct SimplifyCascades : lutra::impl::SimplifyCascadesBase<SimplifyCascades> {
  using SimplifyCascadesBase::SimplifyCascadesBase;

  void runOnOperation() override {
    SmallVector<IterateOp> iterations;
    getOperation().walk([&](IterateOp op) {
      if (op->getParentOfType<CascadeOp>().getReassoc())
        iterations.push_back(op);
    });
    for (IterateOp iterate : iterations) {
      takeConversions(iterate->getParentOfType<CascadeOp>());
      inlineMaps(*iterate.getBlock());
      for (auto op : llvm::to_vector(iterate.getBlock()->getOps<EinsumOp>()))
        separateMask(op);
      inlineMaps(*iterate.getBlock());
      for (auto op : llvm::to_vector(iterate.getBlock()->getOps<EinsumOp>()))
        hoistOutOfMaximum(op);
      for (auto op : iterate.getBlock()->getOps<RebaseOp>())
        if (auto reference = matchReference(iterate, op))
          takeBaseTwo(*reference);
      divideOnceARow(iterate);
    }
  }
};
} // namespace
