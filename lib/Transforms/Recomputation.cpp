//===- Recomputation.cpp - What is computed again for others --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What has both rows and the rank that a group reduces may be read along
// either: the weights of an attention give a result for each query, along the
// keys, and sums for each key, along the queries. No order of loops has both in
// one pass, so that it would have to be kept whole. But a point of it is known
// from what the rows have when the group is done, and can be computed again for
// the other direction, in a group of its own that goes over the rows once.
//
//===----------------------------------------------------------------------===//

#include "Recomputation.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
class Recomputer {
public:
  explicit Recomputer(const CascadeGroup &group)
      : group(group), members(group.members.begin(), group.members.end()) {}

  /// The operands of other operations that read what is along the rank.
  SmallVector<OpOperand *> uses() const;
  /// Whether the owner of `use` sums it along a row.
  bool isSumOfRow(OpOperand &use) const;
  /// Makes the owner read a copy of all that leads there from the rows.
  void compute(OpOperand &use);
  /// Erases the copies, which nothing may read any longer.
  void undo();

private:
  std::optional<unsigned> loopOf(linalg::GenericOp op, unsigned rank) const;
  bool goesAlong(Operation *op) const {
    auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
    if (!generic || !members.contains(generic))
      return false;
    std::optional<unsigned> loop = loopOf(generic, group.reduced);
    return loop && generic.getIndexingMapsArray().back().isFunctionOfDim(*loop);
  }
  Value copy(OpBuilder &b, Value tensor, IRMapping &map);
  void divideRows(OpBuilder &b, linalg::GenericOp op);
  bool isSumOfExponentials(Value tensor) const;
  Value reciprocal(OpBuilder &b, linalg::GenericOp sum);

  const CascadeGroup &group;
  llvm::DenseSet<Operation *> members;
  SmallVector<Operation *> copies;
};
} // namespace

std::optional<unsigned> Recomputer::loopOf(linalg::GenericOp op,
                                           unsigned rank) const {
  SmallVector<unsigned> ranks = group.ranksOf.lookup(op);
  const unsigned *loop = llvm::find(ranks, rank);
  if (loop == ranks.end())
    return std::nullopt;
  return loop - ranks.begin();
}

SmallVector<OpOperand *> Recomputer::uses() const {
  SmallVector<OpOperand *> found;
  for (linalg::GenericOp member : group.members)
    if (goesAlong(member))
      for (OpOperand &use : member->getUses())
        if (!members.contains(use.getOwner()))
          found.push_back(&use);
  // Uses come in no order that a reader would know.
  llvm::sort(found, [](OpOperand *a, OpOperand *b) {
    return a->getOwner() == b->getOwner()
               ? a->getOperandNumber() < b->getOperandNumber()
               : a->getOwner()->getBlock() == b->getOwner()->getBlock() &&
                     a->getOwner()->isBeforeInBlock(b->getOwner());
  });
  return found;
}

bool Recomputer::isSumOfRow(OpOperand &use) const {
  auto reader = dyn_cast<linalg::GenericOp>(use.getOwner());
  if (!reader || !reader.isDpsInput(&use) || !isCascadeMember(reader) ||
      reader.getNumReductionLoops() != 1)
    return false;
  auto member = cast<linalg::GenericOp>(use.get().getDefiningOp());
  AffineMap written = member.getIndexingMapsArray().back();
  AffineMap read = reader.getMatchingIndexingMap(&use);
  SmallVector<utils::IteratorType> kinds = reader.getIteratorTypesArray();
  for (auto [here, there] :
       llvm::zip_equal(written.getResults(), read.getResults())) {
    auto loop = dyn_cast<AffineDimExpr>(there);
    if (!loop || kinds[loop.getPosition()] != utils::IteratorType::reduction)
      continue;
    unsigned rank =
        group.ranksOf.lookup(member)[cast<AffineDimExpr>(here).getPosition()];
    return llvm::is_contained(group.rows, rank);
  }
  return false;
}

Value Recomputer::copy(OpBuilder &b, Value tensor, IRMapping &map) {
  Operation *op = tensor.getDefiningOp();
  if (!goesAlong(op) || map.contains(tensor))
    return map.lookupOrDefault(tensor);
  for (Value operand : op->getOperands())
    copy(b, operand, map);
  copies.push_back(b.clone(*op, map));
  divideRows(b, cast<linalg::GenericOp>(copies.back()));
  return map.lookup(tensor);
}

/// Whether `point` is an exponential of a difference to a maximum.
static bool isUnderMaximum(linalg::GenericOp op, Value point) {
  auto exp = point.getDefiningOp<math::ExpOp>();
  auto below =
      exp ? exp.getOperand().getDefiningOp<arith::SubFOp>() : arith::SubFOp();
  auto reference =
      below ? dyn_cast<BlockArgument>(below.getRhs()) : BlockArgument();
  if (!reference || reference.getOwner() != op.getBlock())
    return false;
  auto maximum = op->getOperand(reference.getArgNumber())
                     .getDefiningOp<linalg::GenericOp>();
  return maximum && maximum.getNumReductionLoops() != 0 &&
         isa_and_nonnull<arith::MaximumFOp>(maximum.getBlock()
                                                ->getTerminator()
                                                ->getOperand(0)
                                                .getDefiningOp());
}

/// Whether `tensor` has sums of exponentials of the rows that are 1 at most,
/// and 1 where the maximum is: their reciprocals are no larger than that.
bool Recomputer::isSumOfExponentials(Value tensor) const {
  auto isMember = [&](linalg::GenericOp op) {
    return op && members.contains(op);
  };
  auto sum = tensor.getDefiningOp<linalg::GenericOp>();
  if (!isMember(sum) || sum.getNumReductionLoops() != 1 ||
      sum.getNumDpsInputs() != 1)
    return false;
  Operation *add =
      sum.getBlock()->getTerminator()->getOperand(0).getDefiningOp();
  auto points = sum.getDpsInputs()[0].getDefiningOp<linalg::GenericOp>();
  return isa_and_nonnull<arith::AddFOp>(add) &&
         llvm::hasNItems(sum.getBlock()->getOperations(), 2) &&
         isMember(points) &&
         isUnderMaximum(points,
                        points.getBlock()->getTerminator()->getOperand(0));
}

Value Recomputer::reciprocal(OpBuilder &b, linalg::GenericOp sum) {
  auto fill = sum.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  auto type = cast<RankedTensorType>(sum.getResult(0).getType());
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(type.getRank()));
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(
      b, sum.getLoc(), type, sum.getResult(0), fill.getOutputs()[0], maps,
      loops, [](OpBuilder &b, Location loc, ValueRange elements) {
        Value one = arith::ConstantOp::create(
            b, loc, b.getFloatAttr(elements[0].getType(), 1));
        Value quotient = arith::DivFOp::create(b, loc, one, elements[0]);
        linalg::YieldOp::create(b, loc, quotient);
      });
  copies.insert(std::prev(copies.end()), op);
  return op.getResult(0);
}

/// Divides once for each row, and multiplies all that is along it.
void Recomputer::divideRows(OpBuilder &b, linalg::GenericOp op) {
  for (OpOperand *operand : op.getDpsInputOperands()) {
    BlockArgument divisor = op.getMatchingBlockArgument(operand);
    auto quotient = divisor.hasOneUse()
                        ? dyn_cast<arith::DivFOp>(*divisor.user_begin())
                        : arith::DivFOp();
    if (!quotient || quotient.getRhs() != divisor ||
        quotient.getLhs() == divisor || !isSumOfExponentials(operand->get()))
      continue;
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(op);
    operand->set(
        reciprocal(b, operand->get().getDefiningOp<linalg::GenericOp>()));
    b.setInsertionPoint(quotient);
    quotient.replaceAllUsesWith(
        arith::MulFOp::create(b, quotient.getLoc(), quotient.getLhs(), divisor)
            .getResult());
    quotient.erase();
  }
}

void Recomputer::compute(OpOperand &use) {
  OpBuilder b(use.getOwner());
  IRMapping map;
  use.set(copy(b, use.get(), map));
}

void Recomputer::undo() {
  for (Operation *op : llvm::reverse(copies))
    op->erase();
}

SmallVector<CascadeGroup>
lutra::recomputeForOthers(const CascadeGroup &group,
                          function_ref<bool(Operation *)> isTaken,
                          std::string &refusal) {
  Recomputer recomputer(group);
  SmallVector<OpOperand *> uses = recomputer.uses();
  unsigned numSums = llvm::count_if(
      uses, [&](OpOperand *use) { return recomputer.isSumOfRow(*use); });
  if (numSums != uses.size()) {
    if (numSums != 0)
      refusal = "D compute again for sums of rows: others read all of it";
    return {};
  }
  llvm::DenseSet<Operation *> taken(group.members.begin(), group.members.end());
  auto isTakenHere = [&](Operation *op) {
    return taken.contains(op) || isTaken(op);
  };
  SmallVector<Value> before;
  SmallVector<CascadeGroup> groups;
  for (OpOperand *use : uses) {
    before.push_back(use->get());
    recomputer.compute(*use);
    auto reader = cast<linalg::GenericOp>(use->getOwner());
    std::optional<CascadeGroup> found = findProductGroup(reader, isTakenHere);
    if (!found) {
      refusal = "D compute again for sums of rows: it costs less to keep it";
      break;
    }
    for (linalg::GenericOp member : found->members)
      taken.insert(member);
    groups.push_back(std::move(*found));
  }
  if (refusal.empty())
    return groups;
  for (auto [use, value] : llvm::zip(uses, before))
    use->set(value);
  recomputer.undo();
  return {};
}
