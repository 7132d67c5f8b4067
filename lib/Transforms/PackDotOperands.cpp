//===- PackDotOperands.cpp - Factors of dot products in groups ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where an instruction multiplies groups of narrow numbers and adds them to one
// wide sum, the reduction of a contraction is split into groups, and a factor
// whose groups are not side by side is copied so that they are. What is left
// of a reduction that is no multiple of the group is an operation of its own.
// Where the schedule asks for it, columns are copied in panels of register
// tiles, of single elements, too.
//
//===----------------------------------------------------------------------===//

#include "MoveLast.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Conversion/CascadeToLinalg.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_PACKDOTOPERANDS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Rows that do not fill a matrix tile.
static constexpr int64_t kFewRows = 16;

namespace {
/// One contraction, split.
class Packing {
public:
  Packing(IRRewriter &b, linalg::GenericOp op, Contraction contraction,
          int64_t group, int64_t panel, bool hasTiles)
      : b(b), loc(op.getLoc()), op(op), contraction(contraction),
        reduction(contraction.reductions.front()), group(group), panel(panel),
        hasTiles(hasTiles) {}
  void run();

private:
  void runAlone();
  struct Factor {
    Value tensor;
    AffineMap map;
  };
  Factor factor(OpOperand &operand, bool isVector);
  Factor pack(OpOperand &operand, bool isVector);
  Value transpose(OpOperand &operand, ArrayRef<int64_t> order);
  Value copy(Value tensor, ArrayRef<OpFoldResult> to, ArrayRef<AffineExpr> read,
             ArrayRef<AffineExpr> written);
  Value rest(Value sums);
  void fuseProducers();
  bool isFew(unsigned loop) {
    int64_t extent = op.getStaticLoopRanges()[loop];
    return !ShapedType::isDynamic(extent) && extent < kFewRows;
  }
  OpFoldResult apply(AffineExpr expr, OpFoldResult size) {
    return affine::makeComposedFoldedAffineApply(b, loc, expr, {size});
  }

  IRRewriter &b;
  Location loc;
  linalg::GenericOp op;
  Contraction contraction;
  unsigned reduction;
  int64_t group;
  /// Columns of a panel; 0 where all are one.
  int64_t panel;
  /// Whether matrix tiles multiply the groups.
  bool hasTiles;
  SmallVector<linalg::GenericOp> copies;
};
} // namespace

/// The dimension of `map`, a projected permutation, that is `loop`.
static unsigned dimOf(AffineMap map, unsigned loop) {
  return *map.getResultPosition(getAffineDimExpr(loop, map.getContext()));
}

/// Whether the groups of a factor of which single elements are read lie side by
/// side as they are.
static bool isGrouped(AffineMap map, unsigned reduction) {
  return dimOf(map, reduction) + 1 == map.getNumResults();
}

/// Copies a tensor into one of the sizes `to`: a loop nest reads and writes the
/// elements at these places.
Value Packing::copy(Value tensor, ArrayRef<OpFoldResult> to,
                    ArrayRef<AffineExpr> read, ArrayRef<AffineExpr> written) {
  Value empty = tensor::EmptyOp::create(b, loc, to,
                                        getElementTypeOrSelf(tensor.getType()));
  SmallVector<AffineMap> maps =
      AffineMap::inferFromExprList({read, written}, b.getContext());
  auto copy = linalg::GenericOp::create(
      b, loc, empty.getType(), tensor, empty, maps,
      SmallVector<utils::IteratorType>(maps.front().getNumDims(),
                                       utils::IteratorType::parallel),
      [](OpBuilder &b, Location loc, ValueRange values) {
        linalg::YieldOp::create(b, loc, values.front());
      });
  copies.push_back(copy);
  return copy.getResult(0);
}

/// The copy of a factor with the reduction split: position in the group
/// innermost, before it the vectors' loop where vectors are read of it. Panels
/// of that loop are before the reduction.
Packing::Factor Packing::pack(OpOperand &operand, bool isVector) {
  OpBuilder::InsertionGuard guard(b);
  Value tensor = operand.get();
  AffineMap map = op.getMatchingIndexingMap(&operand);
  if (Operation *producer = tensor.getDefiningOp())
    b.setInsertionPointAfter(producer);
  int64_t rank = map.getNumResults();
  SmallVector<int64_t> order =
      isVector ? orderWithLast(rank, dimOf(map, contraction.n))
               : llvm::to_vector(llvm::seq(rank));
  AffineExpr position = b.getAffineDimExpr(rank),
             size = b.getAffineSymbolExpr(0);
  SmallVector<OpFoldResult> from = tensor::getMixedSizes(b, loc, tensor), to;
  SmallVector<AffineExpr> read(rank), written, index;
  auto append = [&](OpFoldResult size, AffineExpr place, AffineExpr loop) {
    to.push_back(size);
    written.push_back(place);
    index.push_back(loop);
  };
  unsigned columns = order.back();
  AffineExpr column = b.getAffineDimExpr(rank - 1),
             n = b.getAffineDimExpr(contraction.n);
  bool hasPanels = isVector && panel > 0;
  for (auto [loop, dim] : llvm::enumerate(order)) {
    AffineExpr d = b.getAffineDimExpr(loop),
               each = b.getAffineDimExpr(map.getDimPosition(dim));
    bool isSplit = map.getDimPosition(dim) == reduction;
    read[dim] = isSplit && group > 1 ? d * group + position : d;
    if (isSplit && hasPanels)
      append(apply(size.ceilDiv(panel), from[columns]), column.floorDiv(panel),
             n.floorDiv(panel));
    if (hasPanels && dim == columns)
      append(b.getIndexAttr(panel), column % panel, n % panel);
    else
      append(isSplit ? apply(size.floorDiv(group), from[dim]) : from[dim], d,
             each);
  }
  if (group > 1)
    append(b.getIndexAttr(group), position,
           b.getAffineDimExpr(op.getNumLoops()));
  Value packed = copy(tensor, to, read, written);
  // Few rows do little with what they stream, so that the copy waits for it.
  auto stream = op->getAttrOfType<IntegerAttr>(kStreamAttr);
  if (stream && stream.getInt() == int64_t(operand.getOperandNumber()) &&
      isFew(&operand == contraction.a ? contraction.n : *contraction.m))
    copies.back()->setAttr(kStreamAttr, b.getI64IntegerAttr(0));
  return {packed, AffineMap::get(op.getNumLoops() + (group > 1), 0, index,
                                 b.getContext())};
}

/// The copy of a factor with the reduction innermost, as matrix tiles read it.
Value Packing::transpose(OpOperand &operand, ArrayRef<int64_t> order) {
  OpBuilder::InsertionGuard guard(b);
  Value tensor = operand.get();
  if (Operation *producer = tensor.getDefiningOp())
    b.setInsertionPointAfter(producer);
  SmallVector<OpFoldResult> from = tensor::getMixedSizes(b, loc, tensor), to;
  SmallVector<AffineExpr> read(order.size()), written;
  for (auto [loop, dim] : llvm::enumerate(order)) {
    read[dim] = b.getAffineDimExpr(loop);
    written.push_back(read[dim]);
    to.push_back(from[dim]);
  }
  return copy(tensor, to, read, written);
}

/// A factor as the groups are read: as it lies, if they are side by side.
Packing::Factor Packing::factor(OpOperand &operand, bool isVector) {
  Value tensor = operand.get();
  AffineMap map = op.getMatchingIndexingMap(&operand);
  if (!isGrouped(map, reduction) && !isVector && hasTiles) {
    SmallVector<int64_t> order =
        orderWithLast(map.getNumResults(), dimOf(map, reduction));
    tensor = transpose(operand, order);
    map = AffineMap::getPermutationMap(order, b.getContext()).compose(map);
  } else if (isVector || !isGrouped(map, reduction)) {
    return pack(operand, isVector);
  }
  unsigned dim = dimOf(map, reduction);
  SmallVector<AffineExpr> index(map.getResults());
  index[dim] = index[dim] * group + b.getAffineDimExpr(op.getNumLoops());
  return {tensor,
          AffineMap::get(op.getNumLoops() + 1, 0, index, b.getContext())};
}

/// The sums with what lies behind the last whole group.
Value Packing::rest(Value sums) {
  auto slice = [&](OpOperand &operand) -> Value {
    unsigned dim = dimOf(op.getMatchingIndexingMap(&operand), reduction);
    Value tensor = operand.get();
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, tensor),
                              from(sizes.size(), b.getIndexAttr(0)),
                              ones(sizes.size(), b.getIndexAttr(1));
    AffineExpr size = b.getAffineSymbolExpr(0);
    from[dim] = apply(size.floorDiv(group) * group, sizes[dim]);
    sizes[dim] = apply(size % group, sizes[dim]);
    Value part =
        tensor::ExtractSliceOp::create(b, loc, tensor, from, sizes, ones);
    // Of what is computed for this alone, no more than that.
    auto producer = tensor.getDefiningOp<linalg::GenericOp>();
    if (producer && linalg::isElementwise(producer)) {
      auto slice = part.getDefiningOp<tensor::ExtractSliceOp>();
      auto tiled = tensor::replaceExtractSliceWithTiledProducer(
          b, slice, cast<OpResult>(tensor));
      if (succeeded(tiled)) {
        part = tiled->tiledValues.front();
        b.eraseOp(slice);
      }
    }
    return part;
  };
  Value x = slice(*op.getDpsInputOperand(0)),
        y = slice(*op.getDpsInputOperand(1));
  Operation *own = b.clone(*op);
  own->setOperands({x, y, sums});
  own->removeAttr(kStreamAttr);
  own->removeAttr(kPanelsAttr);
  return own->getResult(0);
}

/// What computes a factor for its copy alone computes it where it will be.
void Packing::fuseProducers() {
  for (linalg::GenericOp copy : copies) {
    OpOperand &source = copy->getOpOperand(0);
    if (!source.get().hasOneUse() || !linalg::areElementwiseOpsFusable(&source))
      continue;
    b.setInsertionPoint(copy);
    auto fused = linalg::fuseElementwiseOps(b, &source);
    if (failed(fused))
      continue;
    b.replaceOp(copy, fused->replacements.lookup(copy.getResult(0)));
  }
}

/// Replaces the columns by their panels.
void Packing::runAlone() {
  b.setInsertionPoint(op);
  auto [tensor, map] = pack(*contraction.b, /*isVector=*/true);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  maps[contraction.b->getOperandNumber()] = map;
  op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
  contraction.b->set(tensor);
  op->removeAttr(kPanelsAttr);
  fuseProducers();
}

void Packing::run() {
  if (group == 1)
    return runAlone();
  b.setInsertionPoint(op);
  OpOperand *operands[] = {op.getDpsInputOperand(0), op.getDpsInputOperand(1)};
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (OpOperand *operand : operands) {
    auto [tensor, map] = factor(*operand, operand == contraction.b);
    inputs.push_back(tensor);
    maps.push_back(map);
  }
  AffineMap sums = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  maps.push_back(AffineMap::get(op.getNumLoops() + 1, 0, sums.getResults(),
                                b.getContext()));
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  kinds.push_back(utils::IteratorType::reduction);
  auto split = linalg::GenericOp::create(b, loc, op.getResultTypes(), inputs,
                                         op.getOutputs(), maps, kinds);
  IRMapping mapping;
  op.getRegion().cloneInto(&split.getRegion(), mapping);
  if (auto stream = op->getAttrOfType<IntegerAttr>(kStreamAttr))
    if (inputs[stream.getInt()] == operands[stream.getInt()]->get())
      split->setAttr(kStreamAttr, stream);
  Value result = split.getResult(0);
  unsigned dim = dimOf(op.getMatchingIndexingMap(contraction.a), reduction);
  int64_t size =
      cast<RankedTensorType>(contraction.a->get().getType()).getDimSize(dim);
  if (ShapedType::isDynamic(size) || size % group != 0)
    result = rest(result);
  b.replaceOp(op, result);
  fuseProducers();
}

/// Whether a copy of `tensor` is small, whatever its sizes.
static bool isSmall(Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  int64_t total = 1;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    FailureOr<int64_t> bound = ValueBoundsConstraintSet::computeConstantBound(
        presburger::BoundType::UB, {tensor, dim}, /*stopCondition=*/nullptr,
        /*closedUB=*/true);
    if (failed(bound) || *bound > kMaxCopy ||
        (total *= std::max<int64_t>(1, *bound)) > kMaxCopy)
      return false;
  }
  return true;
}

namespace {
/// A contraction, how many factors are multiplied at once, and the columns of a
/// panel.
struct Dot {
  Contraction contraction;
  int64_t group;
  int64_t panel;
};
} // namespace

/// The contraction that `op` is, if groups of its factors can be multiplied at
/// once, and enough rows share the copy of what vectors are read of.
static std::optional<Dot> matchDot(linalg::GenericOp op, TargetAttr target) {
  auto contraction = matchContraction(op);
  if (!contraction || !contraction->m || contraction->reductions.size() != 1 ||
      !op.hasPureTensorSemantics())
    return std::nullopt;
  auto sums = cast<RankedTensorType>(op.getDpsInits()[0].getType());
  unsigned reduction = contraction->reductions.front();
  Type factor = getElementTypeOrSelf(contraction->a->get().getType());
  int64_t group = dotGroup(target, factor, sums.getElementType());
  bool hasPanels = op->hasAttr(kPanelsAttr);
  if ((group < 2 && !hasPanels) ||
      getElementTypeOrSelf(contraction->b->get().getType()) != factor)
    return std::nullopt;
  for (OpOperand *operand : {contraction->a, contraction->b}) {
    if (group == 1 && operand == contraction->a)
      continue;
    AffineMap map = op.getMatchingIndexingMap(operand);
    auto type = cast<RankedTensorType>(operand->get().getType());
    if (!map.isProjectedPermutation() || !map.isFunctionOfDim(reduction))
      return std::nullopt;
    int64_t size = type.getDimSize(dimOf(map, reduction));
    if (!ShapedType::isDynamic(size) && size < group)
      return std::nullopt;
    if ((operand == contraction->b || !isGrouped(map, reduction)) &&
        !isSmall(operand->get()))
      return std::nullopt;
  }
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  int64_t rows = ranges[*contraction->m];
  // Few rows do not pay for the copies.
  if (!hasPanels && !ShapedType::isDynamic(rows) &&
      rows <= mostFewRows(target, hasBF16Tiles(target)))
    return std::nullopt;
  int64_t panel = hasPanels ? registerTile(target, sums.getElementType(), rows,
                                           ranges[contraction->n])
                                  .n
                            : 0;
  return Dot{*contraction, group, panel};
}

namespace {
struct PackDotOperands : lutra::impl::PackDotOperandsBase<PackDotOperands> {
  using PackDotOperandsBase::PackDotOperandsBase;

  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    if (!target || !getOperation()->hasAttr(attr::kKernel))
      return;
    SmallVector<linalg::GenericOp> ops;
    getOperation().walk([&](linalg::GenericOp op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (linalg::GenericOp op : ops)
      if (auto dot = matchDot(op, target))
        Packing(rewriter, op, dot->contraction, dot->group, dot->panel,
                hasBF16Tiles(target))
            .run();
  }
};
} // namespace
