//===- FuseReductions.cpp - Sums on the way -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a tile computes for a reduction and for somebody else too, as exponents
// are for their sum and for a product, is computed by the reduction, which
// stores it on the way, as the other reader wants to have it.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_FUSEREDUCTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// A map, a reduction that reads it, and a map that alone reads it too.
struct Trio {
  linalg::GenericOp map;
  OpOperand *summed;
  OpOperand *read;

  linalg::GenericOp reduction() const {
    return cast<linalg::GenericOp>(summed->getOwner());
  }
  linalg::GenericOp reader() const {
    return cast<linalg::GenericOp>(read->getOwner());
  }
};
} // namespace

static bool isMap(linalg::GenericOp op) {
  return op && op.hasPureTensorSemantics() && op.getNumResults() == 1 &&
         op.getNumReductionLoops() == 0 &&
         op.getRegionOutputArgs()[0].use_empty() &&
         op.getIndexingMapsArray().back().isPermutation();
}

/// Whether `map` visits each element of `type` once, by loops of `op`: its
/// results are loops, or one loop in groups that another counts.
static bool isSplit(AffineMap map, linalg::GenericOp op,
                    RankedTensorType type) {
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  llvm::SmallBitVector seen(map.getNumDims());
  auto take = [&](AffineExpr expr) -> int64_t {
    auto loop = dyn_cast<AffineDimExpr>(expr);
    if (!loop || seen.test(loop.getPosition()))
      return 0;
    seen.set(loop.getPosition());
    return extents[loop.getPosition()];
  };
  for (auto [expr, size] : llvm::zip_equal(map.getResults(), type.getShape())) {
    if (isa<AffineDimExpr>(expr)) {
      if (!take(expr))
        return false;
      continue;
    }
    auto sum = dyn_cast<AffineBinaryOpExpr>(expr);
    auto product = sum && sum.getKind() == AffineExprKind::Add
                       ? dyn_cast<AffineBinaryOpExpr>(sum.getLHS())
                       : AffineBinaryOpExpr(nullptr);
    if (!product || product.getKind() != AffineExprKind::Mul)
      return false;
    auto group = dyn_cast<AffineConstantExpr>(product.getRHS());
    int64_t groups = take(product.getLHS()), each = take(sum.getRHS());
    if (!group || each != group.getValue() || ShapedType::isDynamic(groups) ||
        groups * each != size)
      return false;
  }
  return seen.all();
}

/// The loops of the reduction by those of the reader.
static SmallVector<AffineExpr> loopsOf(Trio trio) {
  AffineMap summed = trio.reduction().getMatchingIndexingMap(trio.summed),
            read = trio.reader().getMatchingIndexingMap(trio.read);
  SmallVector<AffineExpr> loops(summed.getNumDims());
  for (auto [loop, expr] :
       llvm::zip_equal(summed.getResults(), read.getResults()))
    loops[cast<AffineDimExpr>(loop).getPosition()] = expr;
  return loops;
}

/// Whether `before` can move to where `after` is, in the same block.
static bool canMove(Operation *before, Operation *after) {
  return llvm::all_of(before->getUsers(), [&](Operation *user) {
    Operation *own = after->getBlock()->findAncestorOpInBlock(*user);
    return own && after->isBeforeInBlock(own);
  });
}

static std::optional<Trio> matchTrio(linalg::GenericOp op) {
  if (!isMap(op) || !llvm::hasNItems(op->getUses(), 2))
    return std::nullopt;
  Trio trio{op, nullptr, nullptr};
  for (OpOperand &use : op->getUses()) {
    auto user = dyn_cast<linalg::GenericOp>(use.getOwner());
    if (!user || user->getBlock() != op->getBlock() || user.isDpsInit(&use))
      return std::nullopt;
    (isMap(user) ? trio.read : trio.summed) = &use;
  }
  if (!trio.read || !trio.summed)
    return std::nullopt;
  linalg::GenericOp reduction = trio.reduction(), reader = trio.reader();
  if (!reduction.hasPureTensorSemantics() || matchContraction(reduction) ||
      reduction.getNumResults() != 1 || reduction.getNumReductionLoops() == 0 ||
      !reduction.getMatchingIndexingMap(trio.summed).isPermutation() ||
      !isSplit(reader.getMatchingIndexingMap(trio.read), reader,
               cast<RankedTensorType>(op.getResult(0).getType())))
    return std::nullopt;
  // Sums of some coordinates lie along loops of the reader.
  SmallVector<AffineExpr> loops = loopsOf(trio);
  for (auto [loop, kind] : llvm::enumerate(reduction.getIteratorTypesArray()))
    if (kind == utils::IteratorType::parallel &&
        !isa<AffineDimExpr>(loops[loop]))
      return std::nullopt;
  bool isFirst = reduction->isBeforeInBlock(reader);
  if (!canMove(isFirst ? reduction : reader, isFirst ? reader : reduction))
    return std::nullopt;
  return trio;
}

namespace {
/// What three operations become.
class Fusion {
public:
  Fusion(RewriterBase &b, Trio trio)
      : b(b), trio(trio), map(trio.map), reduction(trio.reduction()),
        reader(trio.reader()),
        toReader(AffineMap::get(reader.getNumLoops(), 0, loopsOf(trio),
                                b.getContext())) {}
  void run();

private:
  void addInputs(linalg::GenericOp op, AffineMap loops, OpOperand *except);
  Value inlineBody(OpBuilder &b, linalg::GenericOp op, AffineMap loops,
                   ValueRange &inputs, OpOperand *except, Value value,
                   Value sum);

  RewriterBase &b;
  Trio trio;
  linalg::GenericOp map, reduction, reader;
  /// Loops of the reduction by those of the reader.
  AffineMap toReader;
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
};
} // namespace

/// Adds the inputs of `op`, whose loops are `loops`.
void Fusion::addInputs(linalg::GenericOp op, AffineMap loops,
                       OpOperand *except) {
  for (OpOperand *input : op.getDpsInputOperands())
    if (input != except) {
      inputs.push_back(input->get());
      maps.push_back(op.getMatchingIndexingMap(input).compose(loops));
    }
}

/// The value of `map` where the loops stand.
static Value evaluate(OpBuilder &b, Location loc, AffineMap map) {
  SmallVector<Value> loops;
  for (unsigned loop : llvm::seq(map.getNumDims()))
    loops.push_back(linalg::IndexOp::create(b, loc, loop));
  return affine::makeComposedAffineApply(b, loc, map, getAsOpFoldResult(loops));
}

/// Clones the body of `op`, whose loops are `loops`, which reads `value` for
/// `except`, takes the rest of what it reads from `inputs`, and adds to `sum`.
Value Fusion::inlineBody(OpBuilder &b, linalg::GenericOp op, AffineMap loops,
                         ValueRange &inputs, OpOperand *except, Value value,
                         Value sum) {
  IRMapping mapping;
  for (OpOperand *input : op.getDpsInputOperands()) {
    bool isRead = input != except;
    mapping.map(op.getMatchingBlockArgument(input),
                isRead ? inputs.front() : value);
    inputs = inputs.drop_front(isRead);
  }
  if (sum)
    mapping.map(op.getRegionOutputArgs()[0], sum);
  for (Operation &inner : op.getBlock()->without_terminator())
    if (auto index = dyn_cast<linalg::IndexOp>(inner))
      mapping.map(index,
                  evaluate(b, index.getLoc(), loops.getSubMap(index.getDim())));
    else
      b.clone(inner, mapping);
  return mapping.lookupOrDefault(op.getBlock()->getTerminator()->getOperand(0));
}

void Fusion::run() {
  // The map's loops are those of what it stores.
  AffineMap read = reader.getMatchingIndexingMap(trio.read),
            mapLoops = inversePermutation(map.getIndexingMapsArray().back())
                           .compose(read),
            own = b.getMultiDimIdentityMap(reader.getNumLoops());
  addInputs(map, mapLoops, nullptr);
  addInputs(reduction, toReader, trio.summed);
  addInputs(reader, own, trio.read);
  maps.push_back(reduction.getIndexingMapsArray().back().compose(toReader));
  maps.push_back(reader.getIndexingMapsArray().back());
  SmallVector<utils::IteratorType> kinds = reader.getIteratorTypesArray();
  for (auto [expr, kind] : llvm::zip_equal(toReader.getResults(),
                                           reduction.getIteratorTypesArray()))
    for (unsigned loop : llvm::seq(reader.getNumLoops()))
      if (expr.isFunctionOfDim(loop))
        kinds[loop] = kind;
  b.setInsertionPoint(reduction->isBeforeInBlock(reader) ? reader : reduction);
  auto fused = linalg::GenericOp::create(
      b, b.getFusedLoc({map.getLoc(), reduction.getLoc(), reader.getLoc()}),
      TypeRange{reduction.getResultTypes().front(),
                reader.getResultTypes().front()},
      inputs, ValueRange{reduction.getOutputs()[0], reader.getOutputs()[0]},
      maps, kinds, [&](OpBuilder &b, Location loc, ValueRange arguments) {
        ValueRange inputs = arguments.drop_back(2);
        Value sum = arguments[inputs.size()];
        Value value = inlineBody(b, map, mapLoops, inputs, nullptr, {}, {});
        Value next =
            inlineBody(b, reduction, toReader, inputs, trio.summed, value, sum);
        Value stored = inlineBody(b, reader, own, inputs, trio.read, value, {});
        linalg::YieldOp::create(b, loc, ValueRange{next, stored});
      });
  b.replaceOp(reduction, fused.getResult(0));
  b.replaceOp(reader, fused.getResult(1));
  b.eraseOp(map);
}

namespace {
struct FuseReductions : lutra::impl::FuseReductionsBase<FuseReductions> {
  using FuseReductionsBase::FuseReductionsBase;

  void runOnOperation() override {
    if (!getOperation()->hasAttr(attr::kKernel))
      return;
    SmallVector<linalg::GenericOp> ops;
    getOperation().walk([&](linalg::GenericOp op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    // Readers behind what they read: none of these is erased before its turn.
    for (linalg::GenericOp op : llvm::reverse(ops))
      if (auto trio = matchTrio(op))
        Fusion(rewriter, *trio).run();
  }
};
} // namespace
