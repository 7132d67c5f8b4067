//===- GroupCost.cpp - Whether a group is one kernel ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two products with a map between them may be one iteration over the rank that
// the second one reduces. What they have between them then never is in memory,
// and nothing is computed twice, since a tile of rows has all of what it reads
// and writes. Apart, each is a product at its best, parallel in all of its
// dimensions. So:
//
// - What is between them must be longer, in each row, than what a row reads and
//   writes: else there is little to be gained.
// - No operand that is gone over may be a weight. A weight lies packed for its
//   product, which costs nothing; any other operand has to be packed for a
//   product and is read as it lies by a cascade. Layers with an activation
//   between two weights stay products for that reason.
// - Nothing else may read what is between them, as then it is written anyway.
//
//===----------------------------------------------------------------------===//

#include "GroupCost.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// A tile of rows holds what they have of other ranks; of more than that it
/// does not stay in a cache.
static constexpr int64_t kMaxOther = 512;
/// More operations than lead from a weight to a product.
static constexpr unsigned kMaxSteps = 64;

/// Whether `value` is computed of constants alone, by at most `budget`
/// operations.
static bool isConstant(Value value, unsigned &budget) {
  Operation *op = value.getDefiningOp();
  if (!op || budget == 0)
    return false;
  --budget;
  if (isa<WeightOp>(op) || op->hasTrait<OpTrait::ConstantLike>())
    return true;
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return llvm::all_of(generic.getDpsInputs(),
                        [&](Value input) { return isConstant(input, budget); });
  return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op) &&
         isConstant(op->getOperand(0), budget);
}

bool lutra::isComputedOfConstants(Value value) {
  unsigned budget = kMaxSteps;
  return isConstant(value, budget);
}

namespace {
/// Goes over the members of a group.
class Cost {
public:
  explicit Cost(const CascadeGroup &group)
      : group(group), members(group.members.begin(), group.members.end()) {}

  bool isCheaperTogether();

private:
  bool addMember(linalg::GenericOp op);
  bool isWeightStream(linalg::GenericOp op, OpOperand *operand);
  bool isRow(unsigned rank) { return llvm::is_contained(group.rows, rank); }
  bool has(linalg::GenericOp op, AffineMap map, unsigned rank) {
    for (auto [loop, label] : llvm::enumerate(group.ranksOf.lookup(op)))
      if (label == rank && map.isFunctionOfDim(loop))
        return true;
    return false;
  }

  const CascadeGroup &group;
  llvm::DenseSet<Operation *> members;
  /// Elements of a row.
  int64_t between = 0, around = 0;
  bool hasProducer = false;
};
} // namespace

bool Cost::isWeightStream(linalg::GenericOp op, OpOperand *operand) {
  AffineMap read = op.getMatchingIndexingMap(operand);
  return has(op, read, group.reduced) && !has(op, read, group.rows.back()) &&
         isComputedOfConstants(operand->get());
}

/// Counts a member. Returns whether it may be in a group at all.
bool Cost::addMember(linalg::GenericOp op) {
  AffineMap written = op.getIndexingMapsArray().back();
  bool isReduction = op.getNumReductionLoops() != 0;
  bool isBetween = has(op, written, group.reduced);
  if (isBetween && llvm::any_of(op->getUsers(), [&](Operation *user) {
        return !members.contains(user);
      }))
    return false;
  int64_t others = 1;
  bool hasOthers = false;
  SmallVector<unsigned> ranks = group.ranksOf.lookup(op);
  for (auto [loop, extent] : llvm::enumerate(op.getStaticLoopRanges())) {
    unsigned rank = ranks[loop];
    if (rank == group.reduced)
      between = std::max(between, extent == ShapedType::kDynamic
                                      ? std::numeric_limits<int64_t>::max()
                                      : extent);
    else if (!isRow(rank)) {
      // What is between has the rows and the rank, and nothing else.
      if (ShapedType::isDynamic(extent) || extent > kMaxOther ||
          (isBetween && written.isFunctionOfDim(loop)))
        return false;
      hasOthers = true;
      others = std::min(others * extent, kMaxOther + 1);
    }
  }
  if (others > kMaxOther)
    return false;
  if (!isReduction)
    return true;
  hasProducer |= isBetween;
  if (hasOthers)
    around += others;
  return llvm::none_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    return isWeightStream(op, operand);
  });
}

bool Cost::isCheaperTogether() {
  return llvm::all_of(group.members,
                      [&](linalg::GenericOp op) { return addMember(op); }) &&
         hasProducer && between > around;
}

bool lutra::isCheaperTogether(const CascadeGroup &group) {
  return Cost(group).isCheaperTogether();
}
