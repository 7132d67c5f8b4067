//===- DeclaredAxes.cpp - Axes that a declared result tells ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the search for the axes that lead from a shape to a declared one,
// and the choice among several at run time.
//
//===----------------------------------------------------------------------===//

#include "DeclaredAxes.h"

#include "../Scalars.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

/// Each possibility costs a computation of the result.
static constexpr size_t kMaxPossible = 4;
static constexpr int64_t kMaxRank = 8;

static Shape reducedShape(Lowering &lowering, const Shape &shape, Axes axes,
                          bool keepDims) {
  Shape result;
  for (auto [i, size] : llvm::enumerate(shape)) {
    if (!llvm::is_contained(axes, int64_t(i)))
      result.push_back(size);
    else if (keepDims)
      result.push_back(lowering.constant(1));
  }
  return result;
}

/// All sets of `count` axes that reduce `shape` to `declared`.
static SmallVector<Axes> search(Lowering &lowering, const Shape &shape,
                                const Shape &declared, int64_t count,
                                bool keepDims) {
  SmallVector<Axes> found;
  for (unsigned set = 0; set < 1u << shape.size(); ++set) {
    if (llvm::popcount(set) != count)
      continue;
    Axes axes;
    for (size_t i = 0; i < shape.size(); ++i)
      if (set & 1u << i)
        axes.push_back(i);
    if (reducedShape(lowering, shape, axes, keepDims) == declared)
      found.push_back(axes);
  }
  return found;
}

FailureOr<SmallVector<Axes>> lutra::possibleAxes(const Node &node,
                                                 Lowering &lowering, unsigned i,
                                                 bool keepDims) {
  Tensor axes = node.input(i);
  Shape shape = node.input(0).shape;
  int64_t rank = shape.size();
  std::optional<Shape> declared = declaredShape(node);
  int64_t count = axes.rank() == 1 ? axes.staticSize(0) : 1;
  if (!declared || axes.rank() > 1 || rank > kMaxRank || count < 0 ||
      count > rank || knownInts(lowering, axes)) {
    auto known = requireConstants(node, lowering, i, "axes");
    if (failed(known))
      return failure();
    return SmallVector<Axes>{*known};
  }
  SmallVector<Axes> found = search(lowering, shape, *declared, count, keepDims);
  if (found.empty() || found.size() > kMaxPossible)
    return node.error() << "expected " << count
                        << " axes known at compile time, or a result whose "
                           "shape tells them, got "
                        << lowering.str(*declared);
  return found;
}

/// Whether the axes that `given` holds are `wanted`.
static Value areAxes(ImplicitLocOpBuilder &b, ValueRange given, DType dtype,
                     int64_t rank, ArrayRef<int64_t> wanted) {
  Scalars s(b, dtype);
  Value all;
  for (int64_t axis : wanted) {
    Value any;
    for (Value one : given)
      for (int64_t same : {axis, axis - rank}) {
        Value equal = s.eq(one, s.constantInt(same));
        any = any ? Value(arith::OrIOp::create(b, any, equal)) : equal;
      }
    all = all ? Value(arith::AndIOp::create(b, all, any)) : any;
  }
  return all;
}

Tensor lutra::selectByAxes(Lowering &lowering, const Tensor &axes, int64_t rank,
                           ArrayRef<Axes> possible, ArrayRef<Tensor> results) {
  Tensor chosen = results.back();
  int64_t loops = chosen.rank();
  AffineMap identity = lowering.b.getMultiDimIdentityMap(loops);
  SmallVector<utils::IteratorType> iterators(loops,
                                             utils::IteratorType::parallel);
  for (size_t k = results.size() - 1; k-- > 0;) {
    SmallVector<Tensor> operands = {results[k], chosen};
    SmallVector<AffineMap> maps = {identity, identity};
    for (size_t j = 0; j < possible[k].size(); ++j) {
      operands.push_back(axes);
      maps.push_back(axes.rank() == 0
                         ? AffineMap::get(loops, 0, lowering.context())
                         : AffineMap::get(loops, 0, lowering.constant(j)));
    }
    maps.push_back(identity);
    chosen = lowering.generic(
        operands, maps, iterators, lowering.empty(chosen.shape, chosen.dtype),
        chosen.shape, chosen.dtype,
        [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
          Value isThis = areAxes(b, v.drop_front(2).drop_back(), axes.dtype,
                                 rank, possible[k]);
          return arith::SelectOp::create(b, isThis, v[0], v[1]);
        });
  }
  return chosen;
}
