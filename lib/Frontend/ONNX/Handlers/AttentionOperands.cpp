//===- AttentionOperands.cpp - Heads, masks and caches --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the views of operands: no input is copied but those that become
// part of a cache.
//
//===----------------------------------------------------------------------===//

#include "AttentionOperands.h"

#include "../SizeAlgebra.h"
#include "Operands.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

static bool isConstant(AffineExpr size, int64_t value) {
  auto known = dyn_cast<AffineConstantExpr>(size);
  return known && known.getValue() == value;
}

bool AttentionSizes::grouped() const { return !isConstant(group, 1); }

AffineExpr AttentionSizes::total() const { return canonicalSize(past + keys); }

AffineExpr lutra::countHeads(SizeCheck &check, const Node &node, StringRef name,
                             StringRef where) {
  int64_t heads = node.intAttr(name, 0);
  if (heads < 1 || heads > kMaxExtent)
    check.fail("expected " + name + " of 1 or more" + where + ", got " +
               Twine(heads));
  return check.number(std::clamp<int64_t>(heads, 1, kMaxExtent));
}

void lutra::divideHeads(SizeCheck &check, AttentionSizes &sizes) {
  auto known = dyn_cast<AffineConstantExpr>(sizes.keyHeads);
  if (sizes.heads == sizes.keyHeads) {
    sizes.group = check.number(1);
  } else if (known && known.getValue() > 0) {
    sizes.group = canonicalSize(sizes.heads.floorDiv(sizes.keyHeads));
    if (!check.equal(canonicalSize(sizes.group * sizes.keyHeads), sizes.heads))
      check.fail("expected the number of heads to be a multiple of that of key "
                 "heads, got " +
                 check.text({sizes.heads, sizes.keyHeads}));
  } else {
    // Nothing says that they are equal: group stays 1 where nobody asks.
    sizes.group = check.number(1);
    if (check.isDemanding() || known)
      check.fail("expected a known number of key heads, got " +
                 check.text(sizes.keyHeads));
  }
}

AffineExpr lutra::headSize(SizeCheck &check, StringRef name, AffineExpr width,
                           AffineExpr heads) {
  AffineExpr size = canonicalSize(width.floorDiv(heads));
  if (!check.equal(canonicalSize(size * heads), width))
    check.fail("expected the last dimension of " + name +
               " to be a multiple of " +
               Twine(cast<AffineConstantExpr>(heads).getValue()) +
               " heads, got " + check.text(width));
  return size;
}

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

/// `ranks` of queries, or of keys, and a view of `x` that has them.
static FailureOr<Ranked> viewAs(Lowering &lowering, const Tensor &x,
                                const AttentionSizes &sizes, Rank of,
                                SmallVector<Rank> ranks) {
  bool isQuery = of == Rank::Query;
  ranks = withoutGroup(ranks, isQuery && sizes.grouped());
  auto sizeOf = [&](Rank rank) {
    switch (rank) {
    case Rank::Batch:
      return sizes.batch;
    case Rank::Head:
      return sizes.keyHeads;
    case Rank::Group:
      return sizes.group;
    case Rank::Query:
      return sizes.queries;
    case Rank::Key:
      return sizes.keys;
    case Rank::Depth:
      return sizes.depth;
    default:
      return sizes.width;
    }
  };
  FailureOr<Tensor> view =
      lowering.reshape(x, llvm::map_to_vector(ranks, sizeOf));
  if (failed(view))
    return failure();
  return Ranked{*view, ranks};
}

FailureOr<Ranked> lutra::splitHeads(Lowering &lowering, const Tensor &x,
                                    const AttentionSizes &sizes, Rank of,
                                    Rank size) {
  return viewAs(lowering, x, sizes, of,
                {Rank::Batch, of, Rank::Head, Rank::Group, size});
}

FailureOr<Ranked> lutra::groupHeads(Lowering &lowering, const Tensor &x,
                                    const AttentionSizes &sizes, Rank of,
                                    Rank size) {
  return viewAs(lowering, x, sizes, of,
                {Rank::Batch, Rank::Head, Rank::Group, of, size});
}

FailureOr<Tensor> lutra::asCache(Lowering &lowering, const Ranked &x) {
  Tensor tensor = x.tensor;
  if (x.has(Rank::None)) {
    Shape shape = tensor.shape;
    shape.erase(shape.begin() +
                (llvm::find(x.ranks, Rank::None) - x.ranks.begin()));
    FailureOr<Tensor> view = lowering.reshape(tensor, shape);
    if (failed(view))
      return failure();
    tensor = *view;
  }
  return x.ranks[1] == Rank::Head ? tensor
                                  : lowering.transpose(tensor, {0, 2, 1, 3});
}

Ranked lutra::fromCache(const Tensor &cache, Rank size) {
  return {cache, {Rank::Batch, Rank::Head, Rank::Key, size}};
}

/// Puts `past`, where there is one, in front of the keys or values `x`. Returns
/// the cache that this makes; null where there is none and none is `wanted`.
static FailureOr<Tensor> growCache(Lowering &lowering, Ranked &x,
                                   const Tensor &past, bool wanted) {
  if (!past && !wanted)
    return Tensor();
  FailureOr<Tensor> added = asCache(lowering, x);
  if (failed(added) || !past)
    return added;
  Tensor cache = lowering.concat({past, *added}, 2);
  x = fromCache(cache, x.ranks.back());
  return cache;
}

LogicalResult lutra::growCaches(const Node &node, Lowering &lowering,
                                unsigned past, Ranked &keys, Ranked &values,
                                MutableArrayRef<Tensor> results) {
  for (auto [i, x] : {std::pair(0, &keys), {1, &values}}) {
    FailureOr<Tensor> cache =
        growCache(lowering, *x, node.input(past + i), node.usesOutput(1 + i));
    if (failed(cache))
      return failure();
    results[1 + i] = *cache;
  }
  return success();
}

SmallVector<Rank> lutra::splitLayout(const AttentionSizes &sizes) {
  return withoutGroup(
      {Rank::Batch, Rank::Query, Rank::Head, Rank::Group, Rank::Width},
      sizes.grouped());
}

SmallVector<Rank> lutra::groupLayout(const AttentionSizes &sizes) {
  return withoutGroup(
      {Rank::Batch, Rank::Head, Rank::Group, Rank::Query, Rank::Width},
      sizes.grouped());
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

void lutra::checkMask(SizeCheck &check, const Node &node, unsigned i,
                      StringRef name, ArrayRef<AffineExpr> shape,
                      bool isPadded) {
  if (check.failed() || !check.isKnown(i))
    return;
  ArrayRef<AffineExpr> mask = node.inputs()[i].shape;
  bool fits = !mask.empty() && mask.size() <= shape.size();
  ArrayRef<AffineExpr> aligned =
      shape.take_back(std::min(mask.size(), shape.size()));
  for (size_t d = 0; fits && d < mask.size(); ++d) {
    bool mayBeShorter = isPadded && d + 1 == mask.size();
    if (mayBeShorter && check.isAtLeast(aligned[d], mask[d]))
      continue;
    // Two dimensions of other names may be of other sizes; a sum has no name.
    if (mayBeShorter && isa<AffineSymbolExpr>(aligned[d]))
      fits = false;
    else if (mayBeShorter || !isConstant(mask[d], 1))
      fits = check.equal(mask[d], aligned[d]);
  }
  if (!fits)
    check.fail("expected " + name + " that broadcasts to " + check.text(shape) +
               ", got " + check.text(mask));
}

/// `mask` with as many keys as there are, of which those behind it are masked.
static Tensor padKeys(Lowering &lowering, const Tensor &mask,
                      AffineExpr total) {
  AffineExpr missing = canonicalSize(total - mask.shape.back());
  if (isConstant(missing, 0))
    return mask;
  Shape low(mask.rank(), lowering.constant(0)), high = low;
  high.back() = missing;
  return lowering.pad(mask, low, high,
                      mask.dtype == DType::Bool
                          ? lowering.scalarInt(DType::Bool, 0)
                          : lowering.scalar(mask.dtype, -INFINITY));
}

FailureOr<Ranked> lutra::alignMask(Lowering &lowering, Tensor mask,
                                   const AttentionSizes &sizes) {
  mask = padKeys(lowering, mask, sizes.total());
  Shape scores = sizes.scores(), shape;
  SmallVector<Rank> loops = {Rank::Batch, Rank::Head, Rank::Query, Rank::Key};
  Ranked aligned;
  for (int64_t d = 0, skipped = 4 - mask.rank(); d < mask.rank(); ++d) {
    Rank rank = loops[skipped + d];
    bool isRepeated =
        isConstant(mask.shape[d], 1) && !isConstant(scores[skipped + d], 1);
    bool isSplit = rank == Rank::Head && sizes.grouped() && !isRepeated;
    aligned.ranks.push_back(isRepeated ? Rank::None : rank);
    shape.push_back(isSplit ? sizes.keyHeads : mask.shape[d]);
    if (!isSplit)
      continue;
    aligned.ranks.push_back(Rank::Group);
    shape.push_back(sizes.group);
  }
  FailureOr<Tensor> view = lowering.reshape(mask, shape);
  if (failed(view))
    return failure();
  aligned.tensor = *view;
  return aligned;
}

LogicalResult lutra::addBias(const Node &node, Lowering &lowering, unsigned i,
                             const AttentionSizes &sizes, Attend &form) {
  if (!node.input(i))
    return success();
  FailureOr<Ranked> bias = alignMask(lowering, node.input(i), sizes);
  if (failed(bias))
    return failure();
  form.biases.push_back(*bias);
  return success();
}
