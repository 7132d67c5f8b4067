//===- GatheredSources.cpp - What a cascade gathers for itself ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Caches of keys and values lie in blocks, which a table joins: written out
// before a cascade, all of them are copied. Inside, a block is read where it
// lies. The way from what is gathered to what is read leads through reshapes,
// which say of a coordinate which block it is of, through transpositions, and
// where the blocks hold codes through what makes numbers of them.
//
//===----------------------------------------------------------------------===//

#include "GatheredSources.h"

#include "Movement.h"
#include "dialects/Cascade/Gather.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Longer chains of operations than those between a pool and a product.
static constexpr unsigned kMaxDepth = 16;
/// Of shorter blocks, all are copied into each part: then it is cheaper to do
/// that once.
static constexpr int64_t kMinBlock = 8;
/// What a symbolic size counts as.
static constexpr double kTypicalSize = 1024;

/// The bytes of as many elements of type `element` as there are coordinates of
/// `ranks`, which the result of `op` has.
static double bytesOf(EinsumOp op, Type element, ArrayRef<StringRef> ranks) {
  double bytes = element.getIntOrFloatBitWidth() / 8.0;
  for (auto [size, rank] :
       llvm::zip_equal(op.getType().getShape(), *ranksOf(op.getResult())))
    if (llvm::is_contained(ranks, rank))
      bytes *= ShapedType::isDynamic(size) ? kTypicalSize : size;
  return bytes;
}

/// Whether `op` reads less than it computes.
static bool isNarrow(EinsumOp op) {
  double read = 0;
  for (auto element : op.getBlock()->getOps<tensor::ExtractOp>())
    read += bytesOf(op, element.getType(), ranksOfElement(element, op));
  return read <
         bytesOf(op, op.getType().getElementType(), *ranksOf(op.getResult()));
}

/// The stride of each dimension of a group behind the others, or nothing where
/// that is no number.
static std::optional<SmallVector<int64_t>>
stridesOf(ArrayRef<int64_t> shape, ReassociationIndicesRef group) {
  SmallVector<int64_t> strides(group.size(), 1);
  for (unsigned i = group.size(); i-- > 1;) {
    int64_t size = shape[group[i]];
    if (ShapedType::isDynamic(size) || size == 0)
      return std::nullopt;
    strides[i - 1] = strides[i] * size;
  }
  return strides;
}

/// `map` as it reads what `op` joins dimensions of.
static std::optional<AffineMap> behind(tensor::CollapseShapeOp op,
                                       AffineMap map) {
  ArrayRef<int64_t> shape = op.getSrcType().getShape();
  SmallVector<AffineExpr> exprs;
  for (auto [expr, group] :
       llvm::zip_equal(map.getResults(), op.getReassociationIndices())) {
    auto strides = stridesOf(shape, group);
    if (!strides)
      return std::nullopt;
    for (auto [i, dim] : llvm::enumerate(group)) {
      AffineExpr at = expr.floorDiv((*strides)[i]);
      if (shape[dim] == 1)
        at = getAffineConstantExpr(0, map.getContext());
      else if (llvm::any_of(ArrayRef(group).take_front(i),
                            [&](int64_t d) { return shape[d] != 1; }))
        at = at % shape[dim];
      exprs.push_back(at);
    }
  }
  return AffineMap::get(map.getNumDims(), 0, exprs, map.getContext());
}

/// `map` as it reads what `op` splits dimensions of.
static std::optional<AffineMap> behind(tensor::ExpandShapeOp op,
                                       AffineMap map) {
  SmallVector<AffineExpr> exprs;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    auto strides = stridesOf(op.getResultType().getShape(), group);
    if (!strides)
      return std::nullopt;
    AffineExpr at = getAffineConstantExpr(0, map.getContext());
    for (auto [stride, dim] : llvm::zip_equal(*strides, group))
      at = at + map.getResult(dim) * stride;
    exprs.push_back(at);
  }
  return AffineMap::get(map.getNumDims(), 0, exprs, map.getContext());
}

/// The tensor that `tensor`, read by `map`, is moved or reshaped from; `map`
/// changes with it.
static Value readBehind(Value tensor, AffineMap &map) {
  for (;;) {
    tensor = readThrough(tensor, map);
    std::optional<AffineMap> next;
    if (auto collapse = tensor.getDefiningOp<tensor::CollapseShapeOp>())
      next = behind(collapse, map);
    else if (auto expand = tensor.getDefiningOp<tensor::ExpandShapeOp>())
      next = behind(expand, map);
    if (!next)
      return tensor;
    map = *next;
    tensor = tensor.getDefiningOp()->getOperand(0);
  }
}

/// Whether only members read `tensor`, or what is computed of it element by
/// element and of which the same holds.
bool GatheredSources::isLocal(Value tensor, unsigned depth) {
  return depth < kMaxDepth &&
         llvm::all_of(
             tensor.getUsers(),
             [&](Operation *user) {
               auto generic = dyn_cast<linalg::GenericOp>(user);
               bool isMap =
                   generic
                       ? generic.getNumReductionLoops() == 0
                       : isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(
                             user);
               return members.contains(user) ||
                      (isMap && isLocal(user->getResult(0), depth + 1));
             });
}

/// Whether an operation maps elements, some of which it may gather.
static bool isMap(linalg::GenericOp op) {
  return op.getNumReductionLoops() == 0 && op.hasPureTensorSemantics() &&
         op.getNumResults() == 1 && op.getRegionOutputArgs()[0].use_empty() &&
         op.getIndexingMapsArray().back().isPermutation() &&
         llvm::all_of(op.getBlock()->without_terminator(), [](Operation &in) {
           return isa<tensor::ExtractOp, linalg::IndexOp,
                      affine::AffineApplyOp>(in) ||
                  isa<arith::ArithDialect>(in.getDialect());
         });
}

/// The operation that gathers the elements of `tensor`, or computes them of
/// such.
linalg::GenericOp GatheredSources::gathering(Value tensor, unsigned depth) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type || depth == kMaxDepth)
    return nullptr;
  auto it = found.find(tensor);
  if (it != found.end())
    return it->second;
  AffineMap map =
      AffineMap::getMultiDimIdentityMap(type.getRank(), tensor.getContext());
  auto op = readBehind(tensor, map).getDefiningOp<linalg::GenericOp>();
  if (op && (members.contains(op) || !isMap(op)))
    op = nullptr;
  bool gathers = op && !op.getBlock()->getOps<tensor::ExtractOp>().empty();
  if (op && !gathers)
    for (Value input : op.getDpsInputs())
      gathers |= bool(gathering(input, depth + 1));
  return found[tensor] = gathers ? op : linalg::GenericOp();
}

Value GatheredSources::apply(OpBuilder &b, Location loc, AffineExpr expr,
                             ValueRange ranks) {
  return getValueOrCreateConstantIndexOp(
      b, loc,
      affine::makeComposedFoldedAffineApply(
          b, loc, AffineMap::get(ranks.size(), 0, expr),
          getAsOpFoldResult(ranks)));
}

/// The element of `tensor` that `map` says, of the coordinates `ranks`.
Value GatheredSources::element(OpBuilder &b, Location loc, Value tensor,
                               AffineMap map, ValueRange ranks,
                               Elements &known) {
  linalg::GenericOp op = gathering(tensor);
  tensor = op ? readBehind(tensor, map) : readThrough(tensor, map);
  if (Value made = known.lookup({tensor, map}))
    return made;
  if (!op) {
    SmallVector<Value> at;
    for (AffineExpr expr : map.getResults())
      at.push_back(apply(b, loc, expr, ranks));
    return known[{tensor, map}] = tensor::ExtractOp::create(b, loc, tensor, at);
  }
  AffineMap loops =
      inversePermutation(op.getIndexingMapsArray().back()).compose(map);
  IRMapping inner;
  for (OpOperand *operand : op.getDpsInputOperands())
    if (isa<RankedTensorType>(operand->get().getType()))
      inner.map(op.getMatchingBlockArgument(operand),
                element(b, loc, operand->get(),
                        op.getMatchingIndexingMap(operand).compose(loops),
                        ranks, known));
    else
      inner.map(op.getMatchingBlockArgument(operand), operand->get());
  for (Operation &each : op.getBlock()->without_terminator())
    if (auto index = dyn_cast<linalg::IndexOp>(each))
      inner.map(index.getResult(),
                apply(b, loc, loops.getResult(index.getDim()), ranks));
    else
      b.clone(each, inner);
  return known[{tensor, map}] = inner.lookupOrDefault(
             op.getBlock()->getTerminator()->getOperand(0));
}

Value GatheredSources::raise(OpBuilder &b, Value tensor, AffineMap &map,
                             ArrayRef<Attribute> iter, StringRef rank,
                             function_ref<bool(StringRef)> isSingle) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type || !map.isProjectedPermutation(/*allowZeroInResults=*/true) ||
      !type.getElementType().isIntOrFloat())
    return nullptr;
  linalg::GenericOp op = gathering(tensor);
  if (!op || !isLocal(tensor))
    return nullptr;
  Location loc = op.getLoc();
  Elements known;
  SmallVector<Attribute> own;
  SmallVector<int64_t> shape;
  SmallVector<AffineExpr> read;
  for (auto [size, expr] : llvm::zip_equal(type.getShape(), map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim)
      continue;
    own.push_back(iter[dim.getPosition()]);
    shape.push_back(size);
    read.push_back(expr);
  }
  auto gather = [&](OpBuilder &b, Location loc, ValueRange) {
    SmallVector<Value> ranks(iter.size());
    for (AffineExpr expr : read) {
      unsigned position = cast<AffineDimExpr>(expr).getPosition();
      ranks[position] =
          IndexOp::create(b, loc, b.getIndexType(),
                          cast<StringAttr>(iter[position]).getValue());
    }
    Value none;
    for (Value &rank : ranks)
      if (!rank)
        rank = none ? none : none = arith::ConstantIndexOp::create(b, loc, 0);
    return element(b, loc, tensor, map, ranks, known);
  };
  auto raised = EinsumOp::create(
      b, loc, RankedTensorType::get(shape, type.getElementType()),
      b.getArrayAttr(own), ValueRange(), gather);
  auto blocks = matchBlocks(raised, rank, isSingle);
  if (!isNarrow(raised) && (!blocks || blocks->length < kMinBlock)) {
    raised.erase();
    return nullptr;
  }
  map = AffineMap::get(map.getNumDims(), 0, read, b.getContext());
  return raised.getResult();
}
