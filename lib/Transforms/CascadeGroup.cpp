//===- CascadeGroup.cpp - Operations that are one cascade -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a reduction the group grows both ways: to what computes with its result
// along the reduced rank, and to what leads to the tensors that are gone over
// more than once, as long as all rows are there, so that nothing is computed
// again for each of them.
//
//===----------------------------------------------------------------------===//

#include "CascadeGroup.h"

#include "CoordinateTensors.h"
#include "GroupCost.h"
#include "RankLabels.h"
#include "dialects/Cascade/Cascade.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace mlir::lutra;

/// More operations than a cascade of any known model has.
static constexpr unsigned kMaxMembers = 64;
/// What a tile of rows has of the ranks that producers reduce is held over all
/// parts of the iterated rank, and more than so much for each does not stay in
/// a cache; with half of the rows there is room for twice as much.
static constexpr int64_t kMaxDepth = 512, kRowsOfTile = 64;

static bool isReduction(linalg::GenericOp op) {
  return op.getNumReductionLoops() != 0;
}

bool lutra::isCascadeMember(linalg::GenericOp op) {
  if (!op.hasPureTensorSemantics() || op.getNumResults() != 1 ||
      !cast<cascade::EinsumOpInterface>(op.getOperation()).getEinsumPoint())
    return false;
  AffineMap written = op.getIndexingMapsArray().back();
  bool isMap = !isReduction(op);
  if (!written.isProjectedPermutation() || (isMap && !written.isPermutation()))
    return false;
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray()))
    if ((kind == utils::IteratorType::parallel) !=
        written.isFunctionOfDim(loop))
      return false;
  Operation *init = op.getDpsInits()[0].getDefiningOp();
  if (isMap ? !isa_and_nonnull<tensor::EmptyOp>(init)
            : !isa_and_nonnull<linalg::FillOp>(init))
    return false;
  // What is gathered is no input of an Einsum.
  return llvm::all_of(op.getBlock()->without_terminator(), [](Operation &op) {
    return op.getNumRegions() == 0 && isMemoryEffectFree(&op) &&
           llvm::none_of(op.getOperandTypes(), llvm::IsaPred<RankedTensorType>);
  });
}

namespace {
class GroupFinder : RankLabels {
public:
  GroupFinder(linalg::GenericOp seed, function_ref<bool(Operation *)> isTaken)
      : seed(seed), isTaken(isTaken) {}

  std::optional<CascadeGroup> find();
  std::optional<CascadeGroup> findAround(OpOperand &intermediate);

private:
  using Labels = SmallVector<unsigned>;

  bool isCandidate(linalg::GenericOp op);
  bool addReader(OpOperand &use);
  bool addMember(linalg::GenericOp op);
  bool addProducer(linalg::GenericOp op);
  bool has(const Labels &labels, unsigned rank) {
    return llvm::is_contained(labels, rank);
  }
  bool hasRows(linalg::GenericOp op, const Labels &labels);
  bool isBounded(linalg::GenericOp op, const Labels &labels);
  int64_t rowsOfTile(linalg::GenericOp op, const Labels &labels);
  bool isShallow(linalg::GenericOp op, const Labels &labels);
  bool joinsResults(linalg::GenericOp op);
  bool isAboutRows(const Labels &labels) {
    return labels.size() == rows.size();
  }
  bool start(AffineMap rowLoops);
  void grow();
  bool isWorthIt();
  bool isConvex();
  CascadeGroup group();

  linalg::GenericOp seed;
  function_ref<bool(Operation *)> isTaken;
  SmallVector<unsigned> rows;
};
} // namespace

bool GroupFinder::isCandidate(linalg::GenericOp op) {
  return op && op->getBlock() == seed->getBlock() && !isTaken(op) &&
         !members.count(op) && isCascadeMember(op) &&
         members.size() < kMaxMembers;
}

/// Whether what `op` computes has all rows.
bool GroupFinder::hasRows(linalg::GenericOp op, const Labels &labels) {
  AffineMap written = op.getIndexingMapsArray().back();
  return llvm::all_of(rows, [&](unsigned row) {
    const unsigned *loop = llvm::find(labels, row);
    return loop != labels.end() &&
           written.isFunctionOfDim(loop - labels.begin());
  });
}

/// Whether what a reduction holds for each row is of a known size.
bool GroupFinder::isBounded(linalg::GenericOp op, const Labels &labels) {
  if (!isReduction(op))
    return true;
  for (auto [label, range] : llvm::zip_equal(labels, op.getStaticLoopRanges()))
    if (label != reduced && !llvm::is_contained(rows, label) &&
        ShapedType::isDynamic(range))
      return false;
  return true;
}

/// Adds what reads a member's result, where it goes along the reduced rank
/// again, or computes with what each row has one of.
bool GroupFinder::addReader(OpOperand &use) {
  auto op = dyn_cast<linalg::GenericOp>(use.getOwner());
  if (!isCandidate(op) || !op.isDpsInput(&use))
    return false;
  std::optional<Labels> labels = label(op);
  if (!labels || !hasRows(op, *labels) || !isBounded(op, *labels) ||
      !(has(*labels, reduced) || (isAboutRows(*labels) && !isReduction(op)) ||
        joinsResults(op)))
    return false;
  add(op, *labels);
  return true;
}

/// Whether `op` is a map of several results of the group and of nothing else.
bool GroupFinder::joinsResults(linalg::GenericOp op) {
  llvm::SmallSet<Operation *, 4> read;
  for (Value input : op.getDpsInputs()) {
    if (!isa<RankedTensorType>(input.getType()))
      continue;
    if (!members.count(input.getDefiningOp()))
      return false;
    read.insert(input.getDefiningOp());
  }
  return !isReduction(op) && read.size() > 1;
}

/// The rows of a tile, which are of the innermost rank that has several.
int64_t GroupFinder::rowsOfTile(linalg::GenericOp op, const Labels &labels) {
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  for (unsigned row : llvm::reverse(rows)) {
    int64_t extent = extents[llvm::find(labels, row) - labels.begin()];
    if (extent != 1)
      return ShapedType::isDynamic(extent) ? kRowsOfTile
                                           : std::min(extent, kRowsOfTile);
  }
  return 1;
}

bool GroupFinder::isShallow(linalg::GenericOp op, const Labels &labels) {
  int64_t most =
      rowsOfTile(op, labels) <= kRowsOfTile / 2 ? 2 * kMaxDepth : kMaxDepth;
  int64_t depth = 1;
  for (auto [range, kind] :
       llvm::zip_equal(op.getStaticLoopRanges(), op.getIteratorTypesArray())) {
    if (kind != utils::IteratorType::reduction)
      continue;
    if (ShapedType::isDynamic(range) || range > most)
      return false;
    depth *= range;
  }
  return depth <= most;
}

/// Adds what has all rows and is read by a member.
bool GroupFinder::addMember(linalg::GenericOp op) {
  std::optional<Labels> labels = label(op);
  if (!labels || !hasRows(op, *labels) ||
      (isReduction(op) && !(has(*labels, reduced) && isShallow(op, *labels))))
    return false;
  add(op, *labels);
  return true;
}

/// The same, of what only members read. What coordinates tell is computed where
/// it is read.
bool GroupFinder::addProducer(linalg::GenericOp op) {
  return isCandidate(op) && !isToldByCoordinates(op.getResult(0)) &&
         llvm::all_of(op->getUsers(),
                      [&](Operation *user) { return members.count(user); }) &&
         addMember(op);
}

/// Whether a second reduction goes along the rank, after what the first one
/// found.
bool GroupFinder::isWorthIt() {
  llvm::DenseSet<Operation *> depends = {seed};
  SmallVector<Operation *> ordered =
      llvm::map_to_vector(members, [](auto &entry) { return entry.first; });
  llvm::sort(ordered,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  bool isWorth = false;
  for (Operation *op : ordered) {
    if (op != seed && llvm::any_of(op->getOperands(), [&](Value operand) {
          return depends.contains(operand.getDefiningOp());
        }))
      depends.insert(op);
    auto generic = cast<linalg::GenericOp>(op);
    AffineMap written = generic.getIndexingMapsArray().back();
    bool reduces = false;
    for (auto [loop, rank] : llvm::enumerate(members[op]))
      reduces |= rank == reduced && !written.isFunctionOfDim(loop);
    isWorth |= reduces && op != seed && depends.contains(op);
  }
  return isWorth;
}

/// Whether nothing that the group reads from outside depends on the group.
bool GroupFinder::isConvex() {
  Operation *first = seed, *last = seed;
  for (auto &[op, labels] : members) {
    if (op->isBeforeInBlock(first))
      first = op;
    if (last->isBeforeInBlock(op))
      last = op;
  }
  llvm::DenseSet<Operation *> tainted;
  for (Operation *op = first; op != last->getNextNode();
       op = op->getNextNode()) {
    bool isMember = members.count(op), depends = false;
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *source = operand.getDefiningOp();
        depends |= tainted.contains(source) ||
                   (!isMember && source && members.count(source));
      }
    });
    if (depends && isMember)
      return false;
    if (depends)
      tainted.insert(op);
  }
  return true;
}

/// Begins with the seed alone. The loops that `rowLoops` is a function of are
/// rows, but for the one that is reduced. Returns whether there are any.
bool GroupFinder::start(AffineMap rowLoops) {
  if (!isCandidate(seed) || seed.getNumReductionLoops() != 1)
    return false;
  AffineMap written = seed.getIndexingMapsArray().back();
  Labels labels;
  for (unsigned loop = 0; loop < seed.getNumLoops(); ++loop) {
    labels.push_back(loop);
    if (!written.isFunctionOfDim(loop))
      reduced = loop;
    else if (rowLoops.isFunctionOfDim(loop))
      rows.push_back(loop);
  }
  add(seed, labels);
  return !rows.empty();
}

void GroupFinder::grow() {
  for (bool hasChanged = true; hasChanged;) {
    hasChanged = false;
    for (unsigned i = 0; i < members.size(); ++i) {
      auto op = cast<linalg::GenericOp>(members.begin()[i].first);
      for (OpOperand &use : op->getUses())
        hasChanged |= addReader(use);
      for (OpOperand *operand : op.getDpsInputOperands())
        hasChanged |=
            addProducer(operand->get().getDefiningOp<linalg::GenericOp>());
    }
  }
}

CascadeGroup GroupFinder::group() {
  CascadeGroup group;
  for (auto &[op, ranks] : members) {
    group.members.push_back(cast<linalg::GenericOp>(op));
    group.ranksOf[op] = ranks;
  }
  llvm::sort(group.members,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  group.numRanks = numRanks;
  group.rows = rows;
  group.reduced = reduced;
  return group;
}

std::optional<CascadeGroup> GroupFinder::find() {
  if (!start(seed.getIndexingMapsArray().back()))
    return std::nullopt;
  grow();
  if (!isWorthIt() || !isConvex())
    return std::nullopt;
  return group();
}

std::optional<CascadeGroup> GroupFinder::findAround(OpOperand &intermediate) {
  AffineMap read = seed.getMatchingIndexingMap(&intermediate);
  auto producer = intermediate.get().getDefiningOp<linalg::GenericOp>();
  // Others may read it too, if they turn out to be members.
  if (!read.isProjectedPermutation() || !start(read) ||
      !isCandidate(producer) || !addMember(producer))
    return std::nullopt;
  grow();
  CascadeGroup found = group();
  if (!isConvex() || !isCheaperTogether(found))
    return std::nullopt;
  return found;
}

std::optional<CascadeGroup>
lutra::findCascadeGroup(linalg::GenericOp seed,
                        function_ref<bool(Operation *)> isTaken) {
  return GroupFinder(seed, isTaken).find();
}

std::optional<CascadeGroup>
lutra::findProductGroup(linalg::GenericOp seed,
                        function_ref<bool(Operation *)> isTaken) {
  for (OpOperand *operand : seed.getDpsInputOperands())
    if (auto group = GroupFinder(seed, isTaken).findAround(*operand))
      return group;
  return std::nullopt;
}
