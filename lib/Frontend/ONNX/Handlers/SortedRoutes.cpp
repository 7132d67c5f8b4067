//===- SortedRoutes.cpp - Tokens in the order of their experts ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sorts by counting, in two passes over the routes and one over the experts.
// One thread does it: all of it is a few operations for each route, of which
// each costs millions.
//
//===----------------------------------------------------------------------===//

#include "SortedRoutes.h"

#include "Elementwise.h"
#include "Loops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// The most places of a block. An expert that more chose has several, each of
/// which stays in a cache while weights pass by, and is a task.
static constexpr int64_t kMostPlaces = 128;

namespace {
/// Elements of tensors of i64 as indices.
struct Integers {
  ImplicitLocOpBuilder &b;

  Value load(Value tensor, Value place) {
    Value element = tensor::ExtractOp::create(b, tensor, place);
    return arith::IndexCastOp::create(b, b.getIndexType(), element);
  }
  Value store(Value index, Value tensor, Value place) {
    Value element = arith::IndexCastOp::create(b, b.getI64Type(), index);
    return tensor::InsertOp::create(b, element, tensor, place);
  }
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value add(Value lhs, Value rhs) { return arith::AddIOp::create(b, lhs, rhs); }
  Value increment(Value tensor, Value place) {
    return store(add(load(tensor, place), constant(1)), tensor, place);
  }
};

/// Sorts routes to `experts`, [S].
class RouteSorter {
public:
  RouteSorter(Lowering &lowering, const Tensor &experts, int64_t numExperts)
      : lowering(lowering), experts(experts), all(experts.shape[0]),
        numExperts(numExperts) {}

  Value counts();
  SmallVector<Value> cut(Value counts);
  SmallVector<Value> places(Value starts, int64_t k);
  AffineExpr numBlocks();

private:
  Value zeros(AffineExpr size) {
    return lowering.filled(size, DType::Int64,
                           lowering.scalarInt(DType::Int64, 0));
  }

  Lowering &lowering;
  const Tensor &experts;
  AffineExpr all;
  int64_t numExperts;
};
} // namespace

/// How many blocks there may be: each expert may have one that is not full, and
/// none is empty.
AffineExpr RouteSorter::numBlocks() {
  AffineExpr blocks = all.floorDiv(kMostPlaces) + numExperts;
  bool isFewer = lowering.isNonNegative(blocks - all);
  return isFewer ? all : blocks;
}

/// The routes to each expert, [E].
Value RouteSorter::counts() {
  return loopInOrder(
      lowering, all, zeros(lowering.constant(numExperts)),
      [&](ImplicitLocOpBuilder &b, ValueRange route, ValueRange counts) {
        Integers i{b};
        Value expert = i.load(experts.value, route[0]);
        return SmallVector<Value>{i.increment(counts[0], expert)};
      })[0];
}

/// Where the places of each expert begin, [E + 1]; the number of blocks, [1];
/// their experts, [B]; and where they begin, [B + 1].
SmallVector<Value> RouteSorter::cut(Value counts) {
  ImplicitLocOpBuilder &b = lowering.b;
  // Blocks that are left over have no places.
  Value end =
      arith::IndexCastOp::create(b, b.getI64Type(), lowering.sizeValue(all));
  Value inits[] = {zeros(lowering.constant(numExperts + 1)),
                   zeros(lowering.constant(1)), zeros(numBlocks()),
                   lowering.filled(numBlocks() + 1, DType::Int64, end)};
  return loopInOrder(
      lowering, lowering.constant(numExperts), inits,
      [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange tensors) {
        Integers i{b};
        Value expert = index[0], begin = i.load(tensors[0], expert),
              end = i.add(begin, i.load(counts, expert)),
              next = i.add(expert, i.constant(1));
        SmallVector<Value> updated = {i.store(end, tensors[0], next)};
        auto blocks = scf::ForOp::create(b, begin, end, i.constant(kMostPlaces),
                                         tensors.drop_front());
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(blocks.getBody());
        ValueRange lists = blocks.getRegionIterArgs();
        Value none = i.constant(0), block = i.load(lists[0], none);
        scf::YieldOp::create(
            b, ValueRange{i.increment(lists[0], none),
                          i.store(expert, lists[1], block),
                          i.store(blocks.getInductionVar(), lists[2], block)});
        llvm::append_range(updated, blocks.getResults());
        return updated;
      });
}

/// Where the places of each expert end, [E + 1]; the place of each route, [S];
/// and the token and the expert at each place, [S].
SmallVector<Value> RouteSorter::places(Value starts, int64_t k) {
  SmallVector<Value> inits = {starts};
  inits.append(3, lowering.empty(all, DType::Int64));
  return loopInOrder(
      lowering, all, inits,
      [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange tensors) {
        Integers i{b};
        Value route = index[0], expert = i.load(experts.value, route),
              place = i.load(tensors[0], expert),
              token = arith::DivUIOp::create(b, route, i.constant(k));
        return SmallVector<Value>{i.increment(tensors[0], expert),
                                  i.store(place, tensors[1], route),
                                  i.store(token, tensors[2], place),
                                  i.store(expert, tensors[3], place)};
      });
}

FailureOr<SortedRoutes>
lutra::sortRoutes(Lowering &lowering, const Routes &routes, int64_t experts) {
  AffineExpr all = lowering.product(routes.experts.shape);
  FailureOr<Tensor> flat = lowering.reshape(routes.experts, all);
  if (failed(flat))
    return failure();
  RouteSorter sorter(lowering, *flat, experts);
  int64_t k = routes.experts.staticSize(1);
  SmallVector<Value> blocks = sorter.cut(sorter.counts());
  SmallVector<Value> order = sorter.places(blocks[0], k);
  auto integers = [&](Value value, AffineExpr size) {
    return lowering.tensor(value, size, DType::Int64);
  };
  FailureOr<Tensor> places =
      lowering.reshape(integers(order[1], all), routes.experts.shape);
  if (failed(places))
    return failure();
  return SortedRoutes{integers(blocks[2], sorter.numBlocks()),
                      integers(blocks[3], sorter.numBlocks() + 1),
                      integers(order[2], all), integers(order[3], all),
                      *places};
}

Tensor lutra::rowsOfTokens(Lowering &lowering, const Tensor &x,
                           const SortedRoutes &routes) {
  AffineExpr place, column;
  bindDims(lowering.context(), place, column);
  Shape shape = {routes.tokens.shape[0], x.shape[1]};
  return computeMapped(
      lowering, routes.tokens, AffineMap::get(2, 0, place), shape, x.dtype,
      [&](Scalars &s, ValueRange in) -> Value {
        Value token =
            arith::IndexCastOp::create(s.b, s.b.getIndexType(), in[0]);
        return tensor::ExtractOp::create(
            s.b, x.value, ValueRange{token, linalg::IndexOp::create(s.b, 1)});
      });
}
