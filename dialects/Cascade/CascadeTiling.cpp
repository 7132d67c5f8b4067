//===- CascadeTiling.cpp - Tiles of a cascade -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops of a cascade are its ranks. Those that all results have can be
// tiled: the tile is a cascade of smaller extents that reads slices, and whose
// filters and coordinates are shifted to where the tile lies.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

SmallVector<utils::IteratorType> CascadeOp::getLoopIteratorTypes() {
  SmallVector<utils::IteratorType> types;
  for (StringRef rank : getRanks().getAsValueRange<StringAttr>()) {
    bool isParallel =
        llvm::all_of(getBlock()->getTerminator()->getOperands(), [&](Value v) {
          auto ranks = ranksOf(v);
          return ranks && llvm::is_contained(*ranks, rank);
        });
    types.push_back(isParallel ? utils::IteratorType::parallel
                               : utils::IteratorType::reduction);
  }
  return types;
}

SmallVector<Range> CascadeOp::getIterationDomain(OpBuilder &b) {
  SmallVector<Range> domain;
  for (OpFoldResult extent : getMixedExtents())
    domain.push_back({b.getIndexAttr(0), extent, b.getIndexAttr(1)});
  return domain;
}

LogicalResult CascadeOp::getResultTilePosition(
    OpBuilder &b, unsigned number, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  auto ranks = ranksOf(getBlock()->getTerminator()->getOperand(number));
  if (!ranks)
    return failure();
  for (StringRef rank : *ranks) {
    unsigned loop = *findRank(rank);
    resultOffsets.push_back(offsets[loop]);
    resultSizes.push_back(sizes[loop]);
  }
  return success();
}

namespace {
/// Copies a cascade to one of its tiles.
class Tiler {
public:
  Tiler(OpBuilder &b, CascadeOp op, ArrayRef<OpFoldResult> offsets,
        ArrayRef<OpFoldResult> sizes)
      : b(b), op(op), offsets(offsets), sizes(sizes) {}
  FailureOr<TilingResult> run();

private:
  LogicalResult clone(Operation &each);
  LogicalResult cloneEinsum(EinsumOp einsum);
  LogicalResult cloneIterate(IterateOp iterate);
  ArrayAttr shifted(ArrayAttr filters, ArrayRef<StringRef> ranks,
                    SmallVectorImpl<Value> &symbols);
  FailureOr<Value> slice(Value tensor, EinsumOp reader, AffineMap &map,
                         std::optional<int64_t> whole = std::nullopt);
  RankedTensorType tileType(Value tensor);
  SmallVector<StringRef> tiledRanks(EinsumOp reader, AffineMap read);
  Value offsetOf(StringRef rank);
  bool isTiled(StringRef rank);

  OpBuilder &b;
  CascadeOp op;
  ArrayRef<OpFoldResult> offsets, sizes;
  IRMapping map;
  SmallVector<Operation *> slices;
};
} // namespace

/// Whether the tile does not have all of a rank.
bool Tiler::isTiled(StringRef rank) {
  unsigned loop = *op.findRank(rank);
  return !isZeroInteger(offsets[loop]) ||
         sizes[loop] != op.getMixedExtents()[loop];
}

/// For each index of `read`, the tiled rank that it is, or nothing.
SmallVector<StringRef> Tiler::tiledRanks(EinsumOp reader, AffineMap read) {
  SmallVector<StringRef> ranks;
  for (AffineExpr expr : read.getResults()) {
    ranks.emplace_back();
    for (unsigned rank = 0; rank < reader.getNumRanks(); ++rank)
      if (expr.isFunctionOfDim(rank) && isTiled(reader.getRankName(rank)))
        ranks.back() = reader.getRankName(rank);
  }
  return ranks;
}

Value Tiler::offsetOf(StringRef rank) {
  OpBuilder::InsertionGuard guard(b);
  return getValueOrCreateConstantIndexOp(b, op.getLoc(),
                                         offsets[*op.findRank(rank)]);
}

/// The slice of a tensor from outside that `reader` reads at the tile. Where an
/// index is computed of ranks that have one coordinate in the tile, it has one
/// too, and `map` says so. Dimension `whole` is left as it is.
FailureOr<Value> Tiler::slice(Value tensor, EinsumOp reader, AffineMap &readMap,
                              std::optional<int64_t> whole) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type)
    return tensor;
  Location loc = op.getLoc();
  SmallVector<OpFoldResult> from,
      extents = tensor::getMixedSizes(b, loc, tensor),
      ones(type.getRank(), b.getIndexAttr(1));
  SmallVector<AffineExpr> exprs(readMap.getResults());
  SmallVector<OpFoldResult> at;
  for (unsigned rank = 0; rank < reader.getNumRanks(); ++rank)
    at.push_back(offsets[*op.findRank(reader.getRankName(rank))]);
  bool isSliced = false;
  for (auto [i, expr] : llvm::enumerate(exprs)) {
    from.push_back(b.getIndexAttr(0));
    if (whole == int64_t(i))
      continue;
    bool hasTiled = false, areSingle = true;
    for (unsigned rank = 0; rank < reader.getNumRanks(); ++rank) {
      StringRef name = reader.getRankName(rank);
      if (!expr.isFunctionOfDim(rank))
        continue;
      hasTiled |= isTiled(name);
      areSingle &= isOneInteger(sizes[*op.findRank(name)]);
    }
    if (!hasTiled)
      continue;
    isSliced = true;
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      from[i] = at[dim.getPosition()];
      extents[i] = sizes[*op.findRank(reader.getRankName(dim.getPosition()))];
      continue;
    }
    if (!areSingle)
      return failure();
    from[i] = affine::makeComposedFoldedAffineApply(
        b, loc, AffineMap::get(reader.getNumRanks(), 0, expr), at);
    extents[i] = b.getIndexAttr(1);
    expr = b.getAffineConstantExpr(0);
  }
  if (!isSliced)
    return tensor;
  readMap = AffineMap::get(readMap.getNumDims(), 0, exprs, b.getContext());
  auto tile =
      tensor::ExtractSliceOp::create(b, loc, tensor, from, extents, ones);
  slices.push_back(tile);
  return tile.getResult();
}

/// The type of a tensor of the cascade in the tile.
RankedTensorType Tiler::tileType(Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> shape(type.getShape());
  for (auto [i, rank] : llvm::enumerate(*ranksOf(tensor)))
    if (isTiled(rank))
      shape[i] = getConstantIntValue(sizes[*op.findRank(rank)])
                     .value_or(ShapedType::kDynamic);
  return RankedTensorType::get(shape, type.getElementType());
}

/// Whether a value is computed in the cascade.
static bool isInside(Value value, CascadeOp op) {
  return op.getBody().isAncestor(value.getParentRegion());
}

LogicalResult Tiler::cloneEinsum(EinsumOp einsum) {
  OpBuilder::InsertionGuard guard(b);
  SmallVector<AffineMap> maps(
      einsum.getMaps().getAsValueRange<AffineMapAttr>());
  IRMapping outer(map);
  SmallVector<Value> tensors(einsum.getInputs());
  if (einsum.getMask())
    tensors.push_back(einsum.getMask());
  SmallVector<Value> read;
  {
    // Slices lie before the tile.
    OpBuilder::InsertionGuard before(b);
    b.setInsertionPoint(map.lookup(op.getBlock())->getParentOp());
    for (auto [i, tensor] : llvm::enumerate(tensors)) {
      if (isInside(tensor, op)) {
        read.push_back(map.lookup(tensor));
        continue;
      }
      FailureOr<Value> tile = slice(tensor, einsum, maps[i]);
      if (failed(tile))
        return failure();
      read.push_back(*tile);
    }
  }
  auto copy = cast<EinsumOp>(b.clone(*einsum, outer));
  unsigned numInputs = einsum.getInputs().size();
  copy.getInputsMutable().assign(ValueRange(read).take_front(numInputs));
  if (einsum.getMask())
    copy.getMaskMutable().assign(read.back());
  copy.setMapsAttr(b.getAffineMapArrayAttr(maps));
  copy.getResult().setType(tileType(einsum.getResult()));
  map.map(einsum.getResult(), copy.getResult());
  // Coordinates and filters mean the whole of a rank.
  copy.getBlock()->walk([&](IndexOp index) {
    if (!isTiled(index.getRank()))
      return;
    b.setInsertionPointAfter(index);
    auto whole = arith::AddIOp::create(b, index.getLoc(), index,
                                       offsetOf(index.getRank()));
    index.getResult().replaceAllUsesExcept(whole, whole);
  });
  SmallVector<StringRef> ranks(einsum.getIter().getAsValueRange<StringAttr>());
  SmallVector<Value> symbols(copy.getSymbols());
  if (ArrayAttr filters = shifted(einsum.getFiltersAttr(), ranks, symbols)) {
    copy.setFiltersAttr(filters);
    copy.getSymbolsMutable().assign(symbols);
  }
  return success();
}

/// Filters over `ranks` where these begin at the tile's offsets, which are
/// appended to `symbols`; null where there are none.
ArrayAttr Tiler::shifted(ArrayAttr filters, ArrayRef<StringRef> ranks,
                         SmallVectorImpl<Value> &symbols) {
  if (!filters)
    return nullptr;
  OpBuilder::InsertionGuard before(b);
  b.setInsertionPoint(map.lookup(op.getBlock())->getParentOp());
  SmallVector<AffineExpr> dims, ownSymbols;
  for (unsigned i = 0; i < symbols.size(); ++i)
    ownSymbols.push_back(b.getAffineSymbolExpr(i));
  for (auto [i, rank] : llvm::enumerate(ranks)) {
    dims.push_back(b.getAffineDimExpr(i));
    if (!isTiled(rank))
      continue;
    dims.back() = dims.back() + b.getAffineSymbolExpr(symbols.size());
    symbols.push_back(offsetOf(rank));
  }
  SmallVector<Attribute> sets;
  for (IntegerSet set : filters.getAsValueRange<IntegerSetAttr>())
    sets.push_back(IntegerSetAttr::get(set.replaceDimsAndSymbols(
        dims, ownSymbols, dims.size(), symbols.size())));
  return b.getArrayAttr(sets);
}

LogicalResult Tiler::cloneIterate(IterateOp iterate) {
  if (isTiled(iterate.getRank()))
    return failure();
  SmallVector<Value> streams, inits;
  for (Value init : iterate.getInits())
    inits.push_back(map.lookup(init));
  for (auto [part, stream, dim] : llvm::zip_equal(
           iterate.getParts(), iterate.getStreams(), iterate.getDims())) {
    Value tile = isInside(stream, op) ? map.lookup(stream) : stream;
    std::optional<SmallVector<StringRef>> sliced;
    for (OpOperand &use : part.getUses()) {
      auto reader = dyn_cast<EinsumOp>(use.getOwner());
      if (!reader || isInside(stream, op))
        continue;
      AffineMap read = reader.getMap(use.getOperandNumber());
      // All readers must find what they read at one place, whatever they call
      // the ranks that the tile has all of.
      SmallVector<StringRef> ranks = tiledRanks(reader, read);
      if (sliced && *sliced != ranks)
        return failure();
      if (sliced)
        continue;
      sliced = ranks;
      OpBuilder::InsertionGuard before(b);
      b.setInsertionPoint(map.lookup(op.getBlock())->getParentOp());
      AffineMap after = read;
      FailureOr<Value> own = slice(stream, reader, after, dim);
      if (failed(own) || after != read)
        return failure();
      tile = *own;
    }
    streams.push_back(tile);
  }
  OpBuilder::InsertionGuard guard(b);
  SmallVector<StringRef> ranks(op.getRanks().getAsValueRange<StringAttr>());
  SmallVector<Value> symbols(iterate.getSymbols());
  ArrayAttr filters = shifted(iterate.getFiltersAttr(), ranks, symbols);
  auto copy = IterateOp::create(
      b, iterate.getLoc(), ValueRange(inits).getTypes(), iterate.getRank(),
      streams, inits, symbols, iterate.getDims(), filters);
  b.createBlock(&copy.getBody());
  Block *block = copy.getBlock();
  for (auto [part, stream, dim] :
       llvm::zip_equal(iterate.getParts(), streams, iterate.getDims()))
    map.map(part, block->addArgument(IterateOp::partType(stream.getType(), dim),
                                     part.getLoc()));
  for (auto [carried, init] : llvm::zip_equal(iterate.getCarried(), inits))
    map.map(carried, block->addArgument(init.getType(), carried.getLoc()));
  b.setInsertionPointToStart(block);
  for (Operation &inner : *iterate.getBlock())
    if (failed(clone(inner)))
      return failure();
  map.map(iterate.getResults(), copy.getResults());
  return success();
}

LogicalResult Tiler::clone(Operation &each) {
  if (auto einsum = dyn_cast<EinsumOp>(each))
    return cloneEinsum(einsum);
  if (auto iterate = dyn_cast<IterateOp>(each))
    return cloneIterate(iterate);
  // Who goes over a choice is no kernel of tiles.
  if (isa<TopKOp>(each))
    return failure();
  Operation *copy = b.clone(each, map);
  if (!isa<YieldOp>(each))
    for (auto [result, before] :
         llvm::zip_equal(copy->getResults(), each.getResults()))
      result.setType(tileType(before));
  return success();
}

FailureOr<TilingResult> Tiler::run() {
  SmallVector<StringRef> ranks(op.getRanks().getAsValueRange<StringAttr>());
  for (auto [rank, type] : llvm::zip_equal(ranks, op.getLoopIteratorTypes()))
    if (isTiled(rank) && type != utils::IteratorType::parallel)
      return failure();
  SmallVector<Type> types;
  for (Value value : op.getBlock()->getTerminator()->getOperands())
    types.push_back(tileType(value));
  auto tile =
      CascadeOp::create(b, op.getLoc(), types, ranks, sizes, op.getReassoc());
  map.map(op.getBlock(), tile.getBlock());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(tile.getBlock());
  for (Operation &each : *op.getBlock())
    if (failed(clone(each))) {
      tile->erase();
      return failure();
    }
  return TilingResult{
      {tile}, SmallVector<Value>(tile.getResults()), std::move(slices)};
}

FailureOr<TilingResult>
CascadeOp::getTiledImplementation(OpBuilder &b, ArrayRef<OpFoldResult> offsets,
                                  ArrayRef<OpFoldResult> sizes) {
  return Tiler(b, *this, offsets, sizes).run();
}
