//===- Softmax.cpp - Softmax, LogSoftmax, Hardmax -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before version 13 the input is read as a matrix whose rows are all dimensions
// from `axis` on; reducing those dimensions together is the same, without a
// reshape.
//
//===----------------------------------------------------------------------===//

#include "Reduction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::lutra;

static FailureOr<SmallVector<int64_t>> softmaxAxes(const Node &node) {
  int64_t rank = node.input(0).rank();
  bool matrix = node.sinceVersion < 13;
  int64_t given = node.intAttr("axis", matrix ? 1 : -1);
  // An axis of `rank` leaves a matrix of one column.
  if (matrix && given == rank)
    return SmallVector<int64_t>();
  FailureOr<int64_t> axis = normalizeAxis(node, given, rank);
  if (failed(axis))
    return failure();
  if (!matrix)
    return SmallVector<int64_t>{*axis};
  return llvm::to_vector(llvm::seq<int64_t>(*axis, rank));
}

namespace {
/// A tensor and the maps that read it, and its reductions over `axes`,
/// together.
struct Rows {
  Rows(Lowering &lowering, const Tensor &x, ArrayRef<int64_t> axes)
      : whole(lowering.b.getMultiDimIdentityMap(x.rank())),
        row(selectDims(lowering, x.rank(), otherAxes(x.rank(), axes))) {}
  AffineMap whole, row;
};
} // namespace

template <bool isLog>
static FailureOr<SmallVector<Tensor>> lowerSoftmax(const Node &node,
                                                   Lowering &lowering) {
  Tensor x = node.input(0);
  auto axes = softmaxAxes(node);
  if (failed(axes))
    return failure();
  DType type = computeType(x.dtype);
  Rows rows(lowering, x, *axes);
  Tensor max = accumulate(lowering, x, *axes, Monoid::Max, type);
  Tensor power = computeMapped(
      lowering, {x, max}, {rows.whole, rows.row}, x.shape, type,
      [](Scalars &s, ValueRange v) { return s.exp(s.sub(v[0], v[1])); });
  Tensor sum = accumulate(lowering, power, *axes, Monoid::Sum, type);
  if (!isLog)
    return SmallVector<Tensor>{computeMapped(
        lowering, {power, sum}, {rows.whole, rows.row}, x.shape, x.dtype,
        [](Scalars &s, ValueRange v) { return s.div(v[0], v[1]); })};
  return SmallVector<Tensor>{
      computeMapped(lowering, {x, max, sum}, {rows.whole, rows.row, rows.row},
                    x.shape, x.dtype, [](Scalars &s, ValueRange v) {
                      return s.sub(s.sub(v[0], v[1]), s.log(v[2]));
                    })};
}

/// 1 where the position in the row is that of the row's first maximum.
static FailureOr<SmallVector<Tensor>> lowerHardmax(const Node &node,
                                                   Lowering &lowering) {
  Tensor x = node.input(0);
  auto axes = softmaxAxes(node);
  if (failed(axes))
    return failure();
  Rows rows(lowering, x, *axes);
  Tensor best = argExtreme(lowering, x, *axes, /*isMax=*/true, /*last=*/false);
  return SmallVector<Tensor>{computeMapped(
      lowering, best, rows.row, x.shape, x.dtype,
      [&](Scalars &index, ValueRange v) {
        Value position = index.constantInt(0);
        for (int64_t axis : *axes) {
          Value i = arith::IndexCastOp::create(
              index.b, index.b.getI64Type(),
              linalg::IndexOp::create(index.b, axis));
          Value size = sizeScalar(lowering, index, x.shape[axis]);
          position = index.add(index.mul(position, size), i);
        }
        Scalars s(index.b, computeType(x.dtype));
        return s.select(index.eq(position, v[0]), s.constant(1), s.constant(0));
      })};
}

static Support supportsFloats(const Node &node) {
  return supportsTypes(node, Types::Float);
}

template <LowerFn lower>
static FailureOr<SmallVector<Tensor>> checked(const Node &node,
                                              Lowering &lowering) {
  if (Support support = supportsFloats(node); !support)
    return node.error() << support.reason();
  return lower(node, lowering);
}

void lutra::addSoftmaxHandlers(Registry &r) {
  SmallVector<int64_t> versions = {1, 11, 13};
  r.add(
      {"", "Softmax", versions, supportsFloats, checked<lowerSoftmax<false>>});
  r.add({"", "LogSoftmax", versions, supportsFloats,
         checked<lowerSoftmax<true>>});
  r.add({"", "Hardmax", versions, supportsFloats, checked<lowerHardmax>});
}
