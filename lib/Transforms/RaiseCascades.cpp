//===- RaiseCascades.cpp - Groups of reductions become cascades -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reductions along one rank that depend on each other, and what is computed
// between them, become one cascade.cascade. What only moves elements on the way
// to it, a transposition or a repetition, is read through. A choice of what a
// cascade computes joins it, if nothing else reads that.
//
//===----------------------------------------------------------------------===//

#include "CoordinateTensors.h"
#include "GatheredSources.h"
#include "GroupRanks.h"
#include "GroupSearch.h"
#include "JoinChoice.h"
#include "Movement.h"
#include "NarrowSources.h"
#include "UnitDims.h"
#include "dialects/Cascade/Cascade.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_RAISECASCADES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

namespace {
class Raiser {
public:
  explicit Raiser(FoundGroup found)
      : group(std::move(found.group)), narrow(group), gathered(group),
        rewrite(found.rewrite), refusal(found.refusal),
        names(rankNames(group)) {}
  LogicalResult run();

private:
  void moveUsersBehind(Operation *cascade);

  struct Reads {
    SmallVector<Value> inputs;
    SmallVector<AffineMap> maps;
    /// For each operand of the member what it is computed of, or itself.
    SmallVector<std::optional<SmallVector<Leaf>>> computed;
  };
  Value raise(OpBuilder &b, linalg::GenericOp op);
  Reads readsOf(OpBuilder &b, linalg::GenericOp op, ArrayAttr iter);
  void fillBody(OpBuilder &b, EinsumOp raised, linalg::GenericOp op,
                const Reads &reads);
  Value compute(OpBuilder &b, linalg::GenericOp op, OpOperand &operand,
                ArrayRef<Value> leaves);
  std::optional<SmallVector<Leaf>> computedOf(linalg::GenericOp op,
                                              OpOperand &operand);
  void moveFactors(OpBuilder &b, linalg::GenericOp op, ArrayAttr iter,
                   MutableArrayRef<Value> inputs,
                   MutableArrayRef<AffineMap> maps);
  Value scale(OpBuilder &b, Location loc, ArrayAttr iter, Value tensor,
              AffineMap map, const Scaled &by);
  Value source(OpBuilder &b, Value tensor, AffineMap &map,
               ArrayRef<Attribute> iter);
  StringRef nameOf(linalg::GenericOp op, unsigned loop) {
    return names[group.ranksOf[op][loop]];
  }

  CascadeGroup group;
  NarrowSources narrow;
  GatheredSources gathered;
  std::string rewrite, refusal;
  SmallVector<std::string> names;
  IRMapping map;
};
} // namespace

/// What to read instead of `tensor`, which is streamed, where the cascade makes
/// it of something that takes less to read.
Value Raiser::source(OpBuilder &b, Value tensor, AffineMap &map,
                     ArrayRef<Attribute> iter) {
  // A task has one coordinate of each rank of the rows but the last.
  auto isSingle = [&](StringRef rank) {
    return llvm::any_of(ArrayRef(group.rows).drop_back(),
                        [&](unsigned row) { return names[row] == rank; });
  };
  if (Value blocks =
          gathered.raise(b, tensor, map, iter, names[group.reduced], isSingle))
    return blocks;
  return narrow.raise(b, tensor, map, iter);
}

/// `tensor`, which is read by `map`, times or divided by a number.
Value Raiser::scale(OpBuilder &b, Location loc, ArrayAttr iter, Value tensor,
                    AffineMap map, const Scaled &by) {
  SmallVector<Attribute> ranks;
  for (AffineExpr expr : map.getResults())
    ranks.push_back(iter[cast<AffineDimExpr>(expr).getPosition()]);
  return EinsumOp::create(b, loc, cast<RankedTensorType>(tensor.getType()),
                          b.getArrayAttr(ranks), by.operands(tensor),
                          by.maps(b, ranks.size()), std::nullopt,
                          [&](OpBuilder &b, Location loc, ValueRange elements) {
                            return by.point(b, loc, elements);
                          });
}

/// A product is linear: what scales an operand that is streamed scales the one
/// that a tile of rows holds instead, and the stream is read as it lies.
/// Exports divide the scale of attention so between queries and keys.
void Raiser::moveFactors(OpBuilder &b, linalg::GenericOp op, ArrayAttr iter,
                         MutableArrayRef<Value> inputs,
                         MutableArrayRef<AffineMap> maps) {
  auto einsum = cast<EinsumOpInterface>(op.getOperation());
  Operation *product = einsum.getEinsumPoint().getDefiningOp();
  Block *body = op.getBlock();
  if (op.getNumDpsInputs() != 2 || body->getOperations().size() != 3 ||
      !isa_and_nonnull<arith::MulFOp>(product) ||
      !isa<BlockArgument>(product->getOperand(0)) ||
      !isa<BlockArgument>(product->getOperand(1)))
    return;
  for (unsigned side : {0, 1}) {
    unsigned other = 1 - side;
    if (hasRows(group, op, maps[side]) || !hasRows(group, op, maps[other]) ||
        !maps[other].isProjectedPermutation())
      continue;
    while (true) {
      std::optional<Scaled> scaled = scaledSource(inputs[side], maps[side]);
      if (!scaled)
        break;
      inputs[side] = readThrough(scaled->source, maps[side]);
      AffineMap before = maps[other];
      inputs[other] =
          scale(b, op.getLoc(), iter, inputs[other], before, *scaled);
    }
  }
}

/// What an element that `operand` reads is computed of in the body of the
/// Einsum, if it is. That must be no more to be read: of what has all of
/// queries and keys one tensor, of elements that are no wider. What has not is
/// small.
std::optional<SmallVector<Leaf>> Raiser::computedOf(linalg::GenericOp op,
                                                    OpOperand &operand) {
  if (map.contains(operand.get()) || op.getNumReductionLoops() != 0)
    return std::nullopt;
  ArrayRef<unsigned> ranks = group.ranksOf[op];
  auto isLarge = [&](AffineMap read) {
    for (unsigned rank : {group.reduced, group.rows.back()}) {
      const unsigned *loop = llvm::find(ranks, rank);
      if (loop == ranks.end() || !read.isFunctionOfDim(loop - ranks.begin()))
        return false;
    }
    return true;
  };
  Type type = getElementTypeOrSelf(operand.get());
  AffineMap whole = op.getMatchingIndexingMap(&operand);
  unsigned numLarge = 0;
  auto isLeaf = [&](const Leaf &leaf) {
    Type read = getElementTypeOrSelf(leaf.tensor);
    if (!isLarge(whole) || !read.isIntOrFloat() || !type.isIntOrFloat() ||
        !leaf.read.isProjectedPermutation(/*allowZeroInResults=*/true))
      return false;
    return !isLarge(leaf.read) ||
           (++numLarge == 1 &&
            read.getIntOrFloatBitWidth() <= type.getIntOrFloatBitWidth());
  };
  return toldElements(operand.get(), whole, isLeaf);
}

/// The element that `operand` reads, computed in the body of the Einsum.
Value Raiser::compute(OpBuilder &b, linalg::GenericOp op, OpOperand &operand,
                      ArrayRef<Value> leaves) {
  Location loc = op.getLoc();
  SmallVector<Value> loops, at;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
    loops.push_back(
        IndexOp::create(b, loc, b.getIndexType(), nameOf(op, loop)));
  for (AffineExpr expr : op.getMatchingIndexingMap(&operand).getResults())
    at.push_back(affine::AffineApplyOp::create(
        b, loc, AffineMap::get(loops.size(), 0, expr), loops));
  return elementAt(b, loc, operand.get(), at, leaves);
}

/// What a member reads, as inputs of an Einsum over the ranks `iter`.
Raiser::Reads Raiser::readsOf(OpBuilder &b, linalg::GenericOp op,
                              ArrayAttr iter) {
  Reads reads;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    reads.computed.push_back(computedOf(op, *operand));
    for (auto [tensor, read] : reads.computed.back().value_or(SmallVector<Leaf>{
             {operand->get(), op.getMatchingIndexingMap(operand)}})) {
      if (!map.contains(tensor))
        tensor = readThrough(tensor, read);
      reads.inputs.push_back(map.lookupOrDefault(tensor));
      reads.maps.push_back(read);
    }
  }
  if (op.getNumReductionLoops() == 0)
    return reads;
  moveFactors(b, op, iter, reads.inputs, reads.maps);
  for (auto [input, read] : llvm::zip_equal(reads.inputs, reads.maps))
    if (isStreamed(group, op, read))
      input = source(b, input, read, iter.getValue());
  return reads;
}

/// The body of `raised`, which reads `reads`, from that of the member `op`.
void Raiser::fillBody(OpBuilder &b, EinsumOp raised, linalg::GenericOp op,
                      const Reads &reads) {
  Location loc = op.getLoc();
  OpBuilder::InsertionGuard guard(b);
  Block *body = b.createBlock(&raised.getBody());
  IRMapping inner;
  for (Value input : reads.inputs)
    body->addArgument(getElementTypeOrSelf(input), loc);
  ValueRange elements = body->getArguments();
  for (auto [operand, leaves] :
       llvm::zip_equal(op.getDpsInputOperands(), reads.computed)) {
    unsigned number = leaves ? leaves->size() : 1;
    SmallVector<Value> own(elements.take_front(number));
    elements = elements.drop_front(number);
    inner.map(op.getMatchingBlockArgument(operand),
              leaves ? compute(b, op, *operand, own) : own[0]);
  }
  Operation *last = op.getBlock()->getTerminator();
  for (Operation &each : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(each))
      inner.map(index.getResult(), IndexOp::create(b, loc, b.getIndexType(),
                                                   nameOf(op, index.getDim()))
                                       .getResult());
    // What combines with what there is comes last, and is the monoid.
    else if (!raised.getMonoid() || each.getResult(0) != last->getOperand(0))
      b.clone(each, inner);
  }
  Value point = cast<EinsumOpInterface>(op.getOperation()).getEinsumPoint();
  YieldOp::create(b, loc, inner.lookupOrDefault(point));
}

Value Raiser::raise(OpBuilder &b, linalg::GenericOp op) {
  SmallVector<Attribute> names;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
    names.push_back(b.getStringAttr(nameOf(op, loop)));
  ArrayAttr iter = b.getArrayAttr(names);
  Reads reads = readsOf(b, op, iter);
  SmallVector<AffineMap> maps(reads.maps);
  maps.push_back(op.getIndexingMapsArray().back());
  auto type = cast<RankedTensorType>(op.getResult(0).getType());
  MonoidAttr monoid;
  Value init;
  if (op.getNumReductionLoops() != 0) {
    auto einsum = cast<EinsumOpInterface>(op.getOperation());
    monoid = MonoidAttr::get(b.getContext(), *einsum.getEinsumMonoid());
    auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
    TypedAttr identity = identityOf(monoid.getValue(), type.getElementType());
    Attribute start;
    if (!matchPattern(fill.value(), m_Constant(&start)) || start != identity)
      init = fill.getResult(0);
  }
  auto raised = EinsumOp::create(
      b, op.getLoc(), type, reads.inputs, /*mask=*/Value(),
      /*symbols=*/ValueRange(), init, iter, b.getAffineMapArrayAttr(maps),
      monoid, /*filters=*/ArrayAttr());
  fillBody(b, raised, op, reads);
  return raised.getResult();
}

/// Moves what lies between the members and depends on them behind the cascade.
void Raiser::moveUsersBehind(Operation *cascade) {
  llvm::DenseSet<Operation *> tainted(group.members.begin(),
                                      group.members.end());
  Operation *behind = cascade;
  for (Operation *op = group.members.front(), *next; op != cascade; op = next) {
    next = op->getNextNode();
    if (tainted.contains(op))
      continue;
    bool depends = false;
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        depends |= tainted.contains(operand.getDefiningOp());
    });
    if (!depends)
      continue;
    tainted.insert(op);
    op->moveAfter(behind);
    behind = op;
  }
}

LogicalResult Raiser::run() {
  linalg::GenericOp last = group.members.back();
  OpBuilder b(last);
  b.setInsertionPointAfter(last);
  FailureOr<SmallVector<OpFoldResult>> sizes = rankExtents(b, group);
  // What goes over nothing is as good as it is.
  if (failed(sizes) || llvm::any_of(*sizes, isZeroInteger))
    return failure();
  SmallVector<Value> results;
  llvm::DenseSet<Operation *> members(group.members.begin(),
                                      group.members.end());
  SmallVector<Location> locations;
  for (linalg::GenericOp op : group.members) {
    locations.push_back(op.getLoc());
    if (llvm::any_of(op->getUsers(),
                     [&](Operation *user) { return !members.contains(user); }))
      results.push_back(op.getResult(0));
  }
  auto cascade = CascadeOp::create(
      b, b.getFusedLoc(locations), ValueRange(results).getTypes(),
      llvm::map_to_vector(names, [](std::string &n) { return StringRef(n); }),
      *sizes, /*reassoc=*/true);
  if (!rewrite.empty())
    cascade->setAttr("rewrites", b.getStrArrayAttr(StringRef(rewrite)));
  if (!refusal.empty())
    cascade->setAttr("refusals", b.getStrArrayAttr(StringRef(refusal)));
  b.setInsertionPointToStart(cascade.getBlock());
  for (linalg::GenericOp op : group.members)
    map.map(op.getResult(0), raise(b, op));
  YieldOp::create(
      b, cascade.getLoc(),
      llvm::map_to_vector(results, [&](Value v) { return map.lookup(v); }));
  moveUsersBehind(cascade);
  for (auto [before, after] : llvm::zip_equal(results, cascade.getResults()))
    before.replaceUsesWithIf(after, [&](OpOperand &use) {
      return !members.contains(use.getOwner());
    });
  for (linalg::GenericOp op : llvm::reverse(group.members))
    op->erase();
  return success();
}

namespace {
struct RaiseCascades : lutra::impl::RaiseCascadesBase<RaiseCascades> {
  using RaiseCascadesBase::RaiseCascadesBase;

  void runOnOperation() override {
    // A reduction that keeps its dimension is read through a reshape.
    RewritePatternSet patterns(&getContext());
    populateDropUnitDimsPatterns(patterns);
    SmallVector<Operation *> ops;
    for (auto op : getOperation().getOps<linalg::GenericOp>())
      ops.push_back(op);
    GreedyRewriteConfig config;
    config.setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
    if (failed(applyOpPatternsGreedily(ops, std::move(patterns), config)))
      return signalPassFailure();
    // What reads a member has to be a reader.
    IRRewriter rewriter(&getContext());
    (void)runRegionDCE(rewriter, getOperation()->getRegions());
    for (FoundGroup &found : findGroups(getOperation()))
      (void)Raiser(std::move(found)).run();
    SmallVector<TopKOp> choices;
    getOperation().walk([&](TopKOp op) { choices.push_back(op); });
    for (TopKOp op : choices)
      joinProducer(op);
  }
};
} // namespace
