//===- BatchedCache.cpp - Caches of keys and values -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where all sequences are of one length, a cache is a concatenation, which can
// stay in the program, or an insertion. Where each batch has its own length,
// every element of the new cache is read from where it comes from.
//
//===----------------------------------------------------------------------===//

#include "BatchedCache.h"

#include "../SizeAlgebra.h"
#include "AttentionOperands.h"
#include "Operands.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// The size of the result's dimension of keys, where the model declares it.
static AffineExpr declaredKeys(const Node &node, unsigned result) {
  if (node.numOutputs() <= result)
    return {};
  std::optional<Shape> shape = declaredShape(node, result);
  return shape && shape->size() == 4 ? (*shape)[2] : AffineExpr();
}

FailureOr<CacheForm> lutra::cacheForm(const Node &node, Lowering &lowering,
                                      const Tensor &past, AffineExpr keys,
                                      std::optional<AffineExpr> total,
                                      unsigned present) {
  AffineExpr room = past ? past.shape[2] : lowering.constant(0);
  AffineExpr grown = canonicalSize(room + keys);
  AffineExpr declared = total ? AffineExpr() : declaredKeys(node, present);
  if (total == grown || declared == grown || (!total && !past))
    return CacheForm{grown, grown};
  if (!total && declared == room)
    return CacheForm{room, room};
  if (!total)
    return node.error() << "expected total_sequence_length to be constant or "
                           "computed from shapes, got a value known only at "
                           "run time";
  if (past && lowering.isNonNegative(canonicalSize(room - *total)) &&
      lowering.requireNonNegative(canonicalSize(*total - keys)))
    return CacheForm{room, *total};
  if (lowering.requireEqual(*total, grown))
    return CacheForm{grown, grown};
  return node.error() << "expected a total_sequence_length of "
                      << sizeText(lowering, grown) << ", or of at most "
                      << sizeText(lowering, room) << ", got "
                      << sizeText(lowering, *total);
}

Tensor lutra::firstKeys(Lowering &lowering, const Tensor &cache,
                        AffineExpr count) {
  Shape shape = cache.shape, zeros(4, lowering.constant(0));
  shape[2] = count;
  return lowering.slice(cache, zeros, shape, {1, 1, 1, 1});
}

/// Writes `added` over what `cache` has at `at`.
static Tensor insertKeys(Lowering &lowering, const Tensor &cache,
                         const Tensor &added, AffineExpr at) {
  ImplicitLocOpBuilder &b = lowering.b;
  SmallVector<OpFoldResult> offsets(4, b.getIndexAttr(0)),
      ones(4, b.getIndexAttr(1));
  offsets[2] = lowering.size(at);
  Value value = tensor::InsertSliceOp::create(
      b, added.value, cache.value, offsets, lowering.sizes(added.shape), ones);
  return lowering.tensor(value, cache.shape, cache.dtype);
}

/// The element of a cache at `at`: of `added` from the batch's `first` on, of
/// `past` before, and zero behind both. Neither may be empty.
static Value elementOf(Lowering &lowering, ImplicitLocOpBuilder &b,
                       const Tensor &past, const Tensor &added, Value first,
                       SmallVector<Value> at) {
  using Predicate = arith::CmpIPredicate;
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value key = at[2];
  auto read = [&](const Tensor &from, Value isThere, Value place) {
    at[2] = arith::SelectOp::create(b, isThere, place, zero);
    return tensor::ExtractOp::create(b, from.value, at);
  };
  auto below = [&](Value place, const Tensor &of) {
    Value size = indexIn(b, lowering, of.shape[2]);
    return arith::CmpIOp::create(b, Predicate::ult, place, size);
  };
  Value place = arith::SubIOp::create(b, key, first);
  Value isAdded = below(place, added);
  Value isBefore = arith::CmpIOp::create(b, Predicate::slt, key, first);
  Value isPast = arith::AndIOp::create(b, isBefore, below(key, past));
  Value newElement = read(added, isAdded, place);
  Value oldElement = read(past, isPast, key);
  Value nothing = arith::ConstantOp::create(
      b, b.getZeroAttr(storageType(b.getContext(), past.dtype)));
  Value kept = arith::SelectOp::create(b, isPast, oldElement, nothing);
  return arith::SelectOp::create(b, isAdded, newElement, kept);
}

FailureOr<Tensor> lutra::extendCache(Lowering &lowering, const Ranked &x,
                                     const Tensor &past,
                                     const BatchNumber &first,
                                     AffineExpr present, bool wanted) {
  if (!past && !wanted)
    return Tensor();
  FailureOr<Tensor> newest = asCache(lowering, x);
  if (failed(newest) || !past)
    return newest;
  Tensor added = *newest;
  AffineExpr count = added.shape[2];
  Tensor joined = lowering.concat({past, added}, 2);
  if (!first.numbers && joined.shape[2] == present)
    return joined;
  if (!first.numbers)
    return insertKeys(lowering, past, added, first.plus);
  if (!lowering.requireNonNegative(canonicalSize(count - 1)))
    return emitError(lowering.b.getLoc())
           << "expected a new key for each batch, got "
           << sizeText(lowering, count);
  bool hasPast = lowering.isNonNegative(canonicalSize(past.shape[2] - 1));
  // An old cache that may be empty is read together with what is added.
  const Tensor &before = hasPast ? past : joined;
  Shape shape = past.shape;
  shape[2] = present;
  MLIRContext *context = lowering.context();
  AffineMap maps[] = {AffineMap::get(4, 0, getAffineDimExpr(0, context)),
                      AffineMap::getMultiDimIdentityMap(4, context)};
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  return lowering.generic(
      first.numbers, maps, iterators, lowering.empty(shape, past.dtype), shape,
      past.dtype, [&](ImplicitLocOpBuilder &b, ValueRange in) {
        SmallVector<Value> at;
        for (int64_t d = 0; d < 4; ++d)
          at.push_back(linalg::IndexOp::create(b, d));
        return elementOf(lowering, b, before, added,
                         batchNumber(lowering, b, first, in[0]), at);
      });
}
