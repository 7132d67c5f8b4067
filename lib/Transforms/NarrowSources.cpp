//===- NarrowSources.cpp - What a cascade widens for itself ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keys and values of few bits are made numbers by operations on elements:
// casts, zero points, scales. Before a cascade, that writes and reads them at
// their full width; inside, it is done to the part at hand, which stays in a
// cache, and what comes from far away is narrow. Each tile of rows does it
// again, at a few operations for an element that all of its rows then multiply
// with. So it is done where the bytes that are read become fewer, and not for
// its own sake.
//
//===----------------------------------------------------------------------===//

#include "NarrowSources.h"

#include "Movement.h"
#include "dialects/Cascade/Cascade.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Longer chains of operations than those that make numbers of codes.
static constexpr unsigned kMaxDepth = 16;
/// What a symbolic size counts as.
static constexpr double kTypicalSize = 1024;

static double bytesOf(Value tensor) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type || !type.getElementType().isIntOrFloat())
    return 0;
  double bytes = type.getElementTypeBitWidth() / 8.0;
  for (int64_t size : type.getShape())
    bytes *= ShapedType::isDynamic(size) ? kTypicalSize : size;
  return bytes;
}

/// Whether only members read what `op` computes, or operations on elements of
/// which the same holds.
bool NarrowSources::isLocal(Operation *op, unsigned depth) {
  return depth < kMaxDepth &&
         llvm::all_of(
             op->getUsers(),
             [&](Operation *user) {
               auto generic = dyn_cast<linalg::GenericOp>(user);
               return members.contains(user) ||
                      (generic && generic.getNumReductionLoops() == 0 &&
                       isLocal(generic, depth + 1));
             });
}

/// Whether an element of `op` costs little and can be computed where it is
/// read.
bool NarrowSources::canCompute(linalg::GenericOp op) {
  auto isPlain = [](AffineMap map) {
    return map.isProjectedPermutation(/*allowZeroInResults=*/true);
  };
  return op && op.getNumReductionLoops() == 0 && isCascadeMember(op) &&
         !members.contains(op) &&
         llvm::all_of(op.getIndexingMapsArray(), isPlain) &&
         llvm::all_of(op.getBlock()->without_terminator(),
                      [](Operation &inner) {
                        return isa<linalg::IndexOp>(inner) ||
                               isa<arith::ArithDialect>(inner.getDialect());
                      }) &&
         isLocal(op, 0);
}

/// The bytes that are read for all of `tensor`, if what can be computed of less
/// is.
double NarrowSources::bytesToRead(Value tensor, unsigned depth) {
  auto it = known.find(tensor);
  if (it != known.end())
    return it->second;
  double bytes = bytesOf(tensor), sources = 0;
  auto op = tensor.getDefiningOp<linalg::GenericOp>();
  if (depth < kMaxDepth && canCompute(op)) {
    for (Value input : op.getDpsInputs())
      sources += bytesToRead(input, depth + 1);
    bytes = std::min(bytes, sources);
  }
  return known[tensor] = bytes;
}

/// Whether `op` reads less than it computes.
bool NarrowSources::isComputed(linalg::GenericOp op) {
  if (!canCompute(op))
    return false;
  double sources = 0;
  for (Value input : op.getDpsInputs())
    sources += bytesToRead(input, 1);
  return sources < bytesOf(op.getResult(0));
}

/// The value of a point of `op` from `elements`, with the ranks of `iter` at
/// `loops` for its own.
static Value copyBody(OpBuilder &b, linalg::GenericOp op, ValueRange elements,
                      AffineMap loops, ArrayRef<Attribute> iter) {
  Location loc = op.getLoc();
  IRMapping inner;
  inner.map(op.getRegionInputArgs(), elements);
  for (Operation &each : op.getBlock()->without_terminator()) {
    auto index = dyn_cast<linalg::IndexOp>(each);
    if (!index) {
      b.clone(each, inner);
      continue;
    }
    auto dim = dyn_cast<AffineDimExpr>(loops.getResult(index.getDim()));
    inner.map(index.getResult(),
              dim ? IndexOp::create(
                        b, loc, b.getIndexType(),
                        cast<StringAttr>(iter[dim.getPosition()]).getValue())
                        .getResult()
                  : arith::ConstantIndexOp::create(b, loc, 0).getResult());
  }
  return inner.lookupOrDefault(op.getBlock()->getTerminator()->getOperand(0));
}

Value NarrowSources::raise(OpBuilder &b, Value tensor, AffineMap &map,
                           ArrayRef<Attribute> iter) {
  tensor = readThrough(tensor, map);
  auto op = tensor.getDefiningOp<linalg::GenericOp>();
  if (!map.isProjectedPermutation(/*allowZeroInResults=*/true) ||
      !isComputed(op))
    return tensor;
  // Its own ranks are those that it is read along.
  Location loc = op.getLoc();
  SmallVector<Attribute> ranks;
  SmallVector<int64_t> shape;
  SmallVector<AffineExpr> own(map.getNumDims(), b.getAffineConstantExpr(0)),
      read;
  auto type = cast<RankedTensorType>(tensor.getType());
  for (auto [size, expr] : llvm::zip_equal(type.getShape(), map.getResults()))
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      own[dim.getPosition()] = b.getAffineDimExpr(ranks.size());
      ranks.push_back(iter[dim.getPosition()]);
      shape.push_back(size);
      read.push_back(expr);
    }
  AffineMap loops =
      inversePermutation(op.getIndexingMapsArray().back()).compose(map);
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap at = op.getMatchingIndexingMap(operand).compose(loops);
    inputs.push_back(raise(b, operand->get(), at, iter));
    maps.push_back(at.replaceDimsAndSymbols(own, {}, ranks.size(), 0));
  }
  maps.push_back(b.getMultiDimIdentityMap(ranks.size()));
  map = AffineMap::get(map.getNumDims(), 0, read, b.getContext());
  return EinsumOp::create(b, loc,
                          RankedTensorType::get(shape, type.getElementType()),
                          b.getArrayAttr(ranks), inputs, maps, std::nullopt,
                          [&](OpBuilder &b, Location, ValueRange elements) {
                            return copyBody(b, op, elements, loops, iter);
                          });
}
