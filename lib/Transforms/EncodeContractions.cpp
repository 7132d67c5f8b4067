//===- EncodeContractions.cpp - Layouts that register tiles read ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A register tile of m x n reads, for each step of the reductions, m values of
// one operand and n of the other. Where these lie apart by a row, the tile
// touches a cache line and a page each; packed, both are streams. The layout is
// written into the indexing map, `n` becoming `n floordiv 32` and `n mod 32`,
// so that no later pass needs to know of it, and tiling by 32 gives plain
// slices.
//
//===----------------------------------------------------------------------===//

#include "Movement.h"
#include "dialects/Lutra/WeightSteps.h"
#include "lutra/Analysis/Caches.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/State.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_ENCODECONTRACTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// One operand to be packed: split dimension `dim` of the operand, which loop
/// `loop` walks alone, into tiles, and move the tiles before dimension `outer`.
struct Packing {
  OpOperand *operand;
  unsigned loop, dim, outer;
  int64_t tile;
};

/// How to pack `operand` for tiles of `tile` along `loop`; nothing where the
/// loop does not walk a dimension of the operand alone.
static std::optional<Packing> findPacking(linalg::GenericOp op,
                                          const Contraction &contraction,
                                          OpOperand *operand, unsigned loop,
                                          int64_t tile) {
  AffineMap map = op.getMatchingIndexingMap(operand);
  std::optional<unsigned> dim, outer;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    auto plain = dyn_cast<AffineDimExpr>(expr);
    if (expr.isFunctionOfDim(loop)) {
      if (!plain || dim)
        return std::nullopt;
      dim = i;
    }
    if (plain && !outer &&
        llvm::is_contained(contraction.reductions, plain.getPosition()))
      outer = i;
  }
  if (!dim)
    return std::nullopt;
  unsigned before = outer && *outer < *dim ? *outer : *dim;
  return Packing{operand, loop, *dim, before, tile};
}

/// `shape` or the results of a map, with entry `dim` replaced by `tiles` moved
/// to `outer` and `position` last.
template <typename T>
static SmallVector<T> repack(ArrayRef<T> list, const Packing &packing, T tiles,
                             T position) {
  SmallVector<T> packed(list);
  packed.erase(packed.begin() + packing.dim);
  packed.insert(packed.begin() + packing.outer, tiles);
  packed.push_back(position);
  return packed;
}

/// The weight with the packing added to its expression.
static Value packWeight(OpBuilder &b, WeightOp weight, const Packing &packing) {
  return *addSteps(
      b, weight,
      PackAttr::get(b.getContext(), packing.dim, packing.tile, packing.outer));
}

/// The weight that `tensor` is a slice of, where the slice has all of what is
/// packed, and the packing of that weight.
static std::optional<std::pair<WeightOp, Packing>>
packingOfSliced(Value tensor, const Packing &packing) {
  auto slice = tensor.getDefiningOp<tensor::ExtractSliceOp>();
  auto weight =
      slice ? slice.getSource().getDefiningOp<WeightOp>() : WeightOp();
  if (!weight)
    return std::nullopt;
  llvm::SmallBitVector dropped = slice.getDroppedDims();
  SmallVector<unsigned> kept;
  for (unsigned dim = 0; dim < dropped.size(); ++dim)
    if (!dropped.test(dim))
      kept.push_back(dim);
  Packing whole = packing;
  whole.dim = kept[packing.dim];
  whole.outer = kept[packing.outer];
  if (slice.getStaticSizes()[whole.dim] !=
      slice.getSourceType().getDimSize(whole.dim))
    return std::nullopt;
  return std::make_pair(weight, whole);
}

/// The same slice of the packed weight.
static Value packSlice(OpBuilder &b, tensor::ExtractSliceOp slice,
                       WeightOp weight, const Packing &whole,
                       const Packing &packing) {
  Value packed;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(weight);
    packed = packWeight(b, weight, whole);
  }
  auto type = cast<RankedTensorType>(packed.getType());
  OpFoldResult tiles = b.getIndexAttr(type.getDimSize(whole.outer));
  OpFoldResult tile = b.getIndexAttr(packing.tile);
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  SmallVector<int64_t> shape =
      repack<int64_t>(slice.getType().getShape(), packing,
                      type.getDimSize(whole.outer), packing.tile);
  return tensor::ExtractSliceOp::create(
      b, slice.getLoc(), RankedTensorType::get(shape, type.getElementType()),
      packed, repack<OpFoldResult>(slice.getMixedOffsets(), whole, zero, zero),
      repack<OpFoldResult>(slice.getMixedSizes(), whole, tiles, tile),
      repack<OpFoldResult>(slice.getMixedStrides(), whole, one, one));
}

/// A copy of `tensor` in the packed layout.
static FailureOr<Value> packTensor(OpBuilder &b, Location loc, Value tensor,
                                   const Packing &packing) {
  auto type = cast<RankedTensorType>(tensor.getType());
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, tensor);
  if (failed(sizes))
    return failure();
  AffineExpr d = b.getAffineSymbolExpr(0);
  OpFoldResult tiles = affine::makeComposedFoldedAffineApply(
      b, loc, AffineMap::get(0, 1, d.ceilDiv(packing.tile)),
      {(*sizes)[packing.dim]});
  Value empty = tensor::EmptyOp::create(
      b, loc,
      repack<OpFoldResult>(*sizes, packing, tiles,
                           b.getIndexAttr(packing.tile)),
      type.getElementType());
  AffineMap read = b.getMultiDimIdentityMap(type.getRank());
  AffineExpr e = b.getAffineDimExpr(packing.dim);
  AffineMap written = AffineMap::get(
      type.getRank(), 0,
      repack<AffineExpr>(read.getResults(), packing, e.floorDiv(packing.tile),
                         e % packing.tile),
      b.getContext());
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, empty.getType(), tensor, empty, {read, written}, loops,
             [](OpBuilder &b, Location loc, ValueRange values) {
               linalg::YieldOp::create(b, loc, values.front());
             })
      .getResult(0);
}

static LogicalResult pack(linalg::GenericOp op, const Packing &packing) {
  OpBuilder b(op);
  Value tensor = packing.operand->get();
  Value packed;
  if (auto weight = tensor.getDefiningOp<WeightOp>()) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(weight);
    packed = packWeight(b, weight, packing);
  } else if (auto sliced = packingOfSliced(tensor, packing)) {
    packed = packSlice(b, tensor.getDefiningOp<tensor::ExtractSliceOp>(),
                       sliced->first, sliced->second, packing);
  } else {
    FailureOr<Value> copy = packTensor(b, op.getLoc(), tensor, packing);
    if (failed(copy))
      return op.emitError("expected an operand of known sizes");
    packed = *copy;
  }
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  AffineMap &map = maps[packing.operand->getOperandNumber()];
  AffineExpr loop = b.getAffineDimExpr(packing.loop);
  map = AffineMap::get(map.getNumDims(), 0,
                       repack<AffineExpr>(map.getResults(), packing,
                                          loop.floorDiv(packing.tile),
                                          loop % packing.tile),
                       b.getContext());
  packing.operand->set(packed);
  op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
  return success();
}

/// The static extent of a loop, or ShapedType::kDynamic.
static int64_t extent(linalg::GenericOp op, unsigned loop) {
  return op.getStaticLoopRanges()[loop];
}

/// Whether the rows of a register tile, each walked from one element to the
/// next by a reduction, find room in the cache beside each other and as much
/// again.
static bool areStreams(linalg::GenericOp op, const Contraction &contraction,
                       const Packing &packing) {
  AffineMap map = op.getMatchingIndexingMap(packing.operand);
  auto type = cast<RankedTensorType>(packing.operand->get().getType());
  auto innermost = dyn_cast<AffineDimExpr>(map.getResults().back());
  if (!innermost ||
      !llvm::is_contained(contraction.reductions, innermost.getPosition()))
    return false;
  int64_t stride = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  for (int64_t dim = packing.dim + 1; dim < type.getRank(); ++dim) {
    if (type.isDynamicDim(dim))
      return false;
    stride *= type.getDimSize(dim);
  }
  return haveRoom(packing.tile, stride);
}

/// Whether vectors are loaded as they lie, from rows so short that a few tiles
/// read all of them.
static bool areShortRows(linalg::GenericOp op, const Packing &packing) {
  auto type = cast<RankedTensorType>(packing.operand->get().getType());
  int64_t size = type.getShape().back();
  return int64_t(packing.dim) == type.getRank() - 1 &&
         !ShapedType::isDynamic(size) && size <= 4 * packing.tile;
}

/// Whether what is to be packed is known before the model runs.
static bool isWeight(const Packing &packing) {
  Value tensor = packing.operand->get();
  return tensor.getDefiningOp<WeightOp>() || packingOfSliced(tensor, packing);
}

/// A copy costs one pass over the operand; it pays where the tiles of the other
/// operand's loop read it several times, but not at each iteration of a loop
/// around the operation, and not where it lies well as it is.
static bool paysToPack(linalg::GenericOp op, const Contraction &contraction,
                       const Packing &packing, int64_t readers, int64_t tile) {
  OpOperand *operand = packing.operand;
  if (isWeight(packing))
    return true;
  if (!isa<func::FuncOp>(op->getParentOp()) || isStateSlice(operand->get()))
    return false;
  if (operand == contraction.a ? areStreams(op, contraction, packing)
                               : areShortRows(op, packing))
    return false;
  return ShapedType::isDynamic(readers) || readers >= 4 * tile;
}

/// Of how many neighbours along the reduction the target multiplies all at
/// once, if these lie side by side in the rows' factor, and the other can be
/// packed so; else 1.
static int64_t groupOf(linalg::GenericOp op, const Contraction &contraction,
                       TargetAttr target) {
  Type factor = getElementTypeOrSelf(contraction.a->get());
  unsigned step = contraction.reductions.back();
  int64_t size = extent(op, step);
  AffineMap a = op.getMatchingIndexingMap(contraction.a),
            b = op.getMatchingIndexingMap(contraction.b);
  if (contraction.reductions.size() != 1 || ShapedType::isDynamic(size) ||
      getElementTypeOrSelf(contraction.b->get()) != factor ||
      !a.isProjectedPermutation() || !b.isProjectedPermutation() ||
      a.getResults().back() != getAffineDimExpr(step, op.getContext()) ||
      a.isFunctionOfDim(contraction.n) || b.isFunctionOfDim(*contraction.m))
    return 1;
  int64_t group =
      dotGroup(target, factor, getElementTypeOrSelf(op.getResult(0)));
  return size % group == 0 ? group : 1;
}

/// Packs the weight by `columns`, with groups of the reduction innermost, and
/// makes the members of a group a loop of its own.
static LogicalResult packGroups(linalg::GenericOp op,
                                const Contraction &contraction,
                                const Packing &columns, int64_t group) {
  unsigned step = contraction.reductions.back(), loops = op.getNumLoops();
  OpOperand *weight = contraction.b;
  if (failed(pack(op, columns)))
    return failure();
  std::optional<Packing> steps =
      findPacking(op, contraction, weight, step, group);
  if (!steps || failed(pack(op, *steps)))
    return failure();
  AffineExpr k = getAffineDimExpr(step, op.getContext()),
             member = getAffineDimExpr(loops, op.getContext());
  DenseMap<AffineExpr, AffineExpr> split{
      {k, k * group + member}, {k.floorDiv(group), k}, {k % group, member}};
  SmallVector<AffineMap> maps;
  for (AffineMap map : op.getIndexingMapsArray())
    maps.push_back(map.replace(split, loops + 1, 0));
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  kinds.push_back(utils::IteratorType::reduction);
  IRRewriter b(op);
  auto grouped =
      linalg::GenericOp::create(b, op.getLoc(), op.getResultTypes(),
                                op.getInputs(), op.getOutputs(), maps, kinds);
  b.inlineRegionBefore(op.getRegion(), grouped.getRegion(),
                       grouped.getRegion().begin());
  b.replaceOp(op, grouped);
  return success();
}

/// Lets a contraction read what a transposition makes the columns' factor of,
/// where it lies: a copy of its own costs as much for any order, and rows that
/// read it as it is do well along the reduction, too.
static void readTransposed(linalg::GenericOp op,
                           const Contraction &contraction) {
  OpOperand *columns = contraction.b;
  AffineMap map = op.getMatchingIndexingMap(columns);
  Value source = readThrough(columns->get(), map);
  if (source == columns->get() || !map.isProjectedPermutation() ||
      contraction.reductions.size() != 1 ||
      !map.isFunctionOfDim(contraction.n) ||
      !map.isFunctionOfDim(contraction.reductions[0]))
    return;
  unsigned innermost = map.getDimPosition(map.getNumResults() - 1);
  if (innermost != contraction.n && innermost != contraction.reductions[0])
    return;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  maps[columns->getOperandNumber()] = map;
  columns->set(source);
  op.setIndexingMapsAttr(Builder(op).getAffineMapArrayAttr(maps));
}

namespace {
struct EncodeContractions
    : lutra::impl::EncodeContractionsBase<EncodeContractions> {
  using EncodeContractionsBase::EncodeContractionsBase;

  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    if (!target) {
      getOperation().emitError("expected the attribute '")
          << attr::kTarget << "' on the module";
      return signalPassFailure();
    }
    SmallVector<linalg::GenericOp> ops;
    getOperation().walk([&](linalg::GenericOp op) { ops.push_back(op); });
    for (linalg::GenericOp op : ops)
      if (failed(encode(op, target)))
        return signalPassFailure();
  }

  LogicalResult encode(linalg::GenericOp op, TargetAttr target) {
    std::optional<Contraction> contraction = matchContraction(op);
    if (!contraction || !contraction->m)
      return success();
    bool isInLoop = !isa<func::FuncOp>(op->getParentOp());
    if (!isInLoop)
      readTransposed(op, *contraction);
    unsigned m = *contraction->m, n = contraction->n;
    Type element = getElementTypeOrSelf(op.getResult(0));
    RegisterTile tile =
        registerTile(target, element, extent(op, m), extent(op, n));
    // Both are found before the first is packed, which changes the maps.
    std::optional<Packing> rows =
        findPacking(op, *contraction, contraction->a, m, tile.m);
    std::optional<Packing> columns =
        findPacking(op, *contraction, contraction->b, n, tile.n);
    // What is read in blocks is not copied before; nor are rows for it, unless
    // they cost nothing or are many, and groups of rows are read as they lie.
    Blocks blocks = columns && !isWeight(*columns) && !isInLoop
                        ? blocksOf(op, *contraction, target)
                        : Blocks::None;
    Type factor = getElementTypeOrSelf(contraction->b->get());
    bool hasGroups = dotGroup(target, factor, element) > 1;
    if ((blocks == Blocks::Rows && !(rows && isWeight(*rows))) ||
        (blocks != Blocks::None && hasGroups))
      return success();
    bool packsColumns =
        columns && blocks == Blocks::None &&
        paysToPack(op, *contraction, *columns, extent(op, m), tile.m);
    int64_t group = groupOf(op, *contraction, target);
    if (packsColumns && group > 1)
      return packGroups(op, *contraction, *columns, group);
    if (rows && tile.m > 1 &&
        paysToPack(op, *contraction, *rows, extent(op, n), tile.n) &&
        failed(pack(op, *rows)))
      return failure();
    return packsColumns ? pack(op, *columns) : success();
  }
};
} // namespace
