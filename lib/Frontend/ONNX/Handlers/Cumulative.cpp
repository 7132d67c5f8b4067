//===- Cumulative.cpp - CumSum, CumProd -----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeclaredAxes.h"
#include "Loops.h"
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

static Support supportsNumbers(const Node &node) {
  DType type = node.input(0).dtype;
  if (type != DType::Undefined && !accepts(Types::Number, type))
    return Support::no("expected numbers, got " + dtypeName(type));
  return Support::yes();
}

//===----------------------------------------------------------------------===//
// CumSum
//===----------------------------------------------------------------------===//

/// A sum over the prefix for each element: quadratic in the length of the axis,
/// and so limited.
static constexpr int64_t kMaxCumSum = 4096;

static FailureOr<Tensor> cumSumAlong(const Node &node, Lowering &lowering,
                                     int64_t given) {
  Tensor x = node.input(0);
  auto axis = normalizeAxis(node, given, x.rank());
  if (failed(axis))
    return failure();
  if (x.staticSize(*axis) > kMaxCumSum)
    return node.error() << "expected at most " << kMaxCumSum
                        << " elements along the axis, got "
                        << x.staticSize(*axis);
  bool exclusive = node.intAttr("exclusive", 0);
  bool reverse = node.intAttr("reverse", 0);
  int64_t rank = x.rank();
  DType type = computeType(x.dtype);
  SmallVector<AffineExpr> read;
  for (int64_t i = 0; i < rank; ++i)
    read.push_back(lowering.b.getAffineDimExpr(i == *axis ? rank : i));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  auto body = [&](ImplicitLocOpBuilder &b, ValueRange v) {
    Scalars s(b, type);
    Value to = linalg::IndexOp::create(b, *axis);
    Value from = linalg::IndexOp::create(b, rank);
    if (reverse)
      std::swap(to, from);
    Value counts = arith::CmpIOp::create(
        b, exclusive ? arith::CmpIPredicate::slt : arith::CmpIPredicate::sle,
        from, to);
    Value element = Lowering::castScalar(b, v[0], x.dtype, type);
    return s.add(v[1], s.select(counts, element, s.constant(0)));
  };
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  AffineMap maps[] = {AffineMap::get(rank + 1, 0, read, lowering.context()),
                      selectDims(lowering, rank + 1, all)};
  Value init = lowering.filled(x.shape, type, lowering.scalarInt(type, 0));
  Tensor sum = lowering.generic(x, maps, iterators, init, x.shape, type, body);
  return lowering.cast(sum, x.dtype);
}

/// An axis known only at run time is one of few: all sums are made.
static constexpr int64_t kMaxAxes = 4;

static Results lowerCumSum(const Node &node, Lowering &lowering) {
  int64_t rank = node.input(0).rank();
  Axes axes;
  if (!knownInts(lowering, node.input(1)) && rank >= 1 && rank <= kMaxAxes) {
    axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  } else {
    auto given = requireConstants(node, lowering, 1, "axis");
    if (failed(given))
      return failure();
    axes = *given;
    if (axes.size() != 1)
      return node.error() << "expected one axis, got " << axes.size();
  }
  SmallVector<Axes> possible;
  SmallVector<Tensor> sums;
  for (int64_t axis : axes) {
    FailureOr<Tensor> sum = cumSumAlong(node, lowering, axis);
    if (failed(sum))
      return failure();
    possible.push_back({axis});
    sums.push_back(*sum);
  }
  return SmallVector<Tensor>{
      selectByAxes(lowering, node.input(1), rank, possible, sums)};
}

//===----------------------------------------------------------------------===//
// CumProd
//===----------------------------------------------------------------------===//

/// One element of the running products, the `step`th of its row, from the one
/// before it.
static Value runningProduct(ImplicitLocOpBuilder &b, const Tensor &x,
                            Value products, SmallVector<Value> at, int64_t axis,
                            Value step, bool reverse, bool exclusive) {
  DType type = computeType(x.dtype);
  Scalars s(b, type);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value isFirst =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, step, zero);
  // The first element has none before it and reads itself instead.
  Value back = arith::SelectOp::create(b, isFirst, zero, one);
  SmallVector<Value> before(at);
  before[axis] = reverse ? Value(arith::AddIOp::create(b, at[axis], back))
                         : Value(arith::SubIOp::create(b, at[axis], back));
  auto read = [&](Value tensor, ArrayRef<Value> index) {
    return Lowering::castScalar(b, tensor::ExtractOp::create(b, tensor, index),
                                x.dtype, type);
  };
  Value element = read(x.value, exclusive ? before : at);
  Value product = s.mul(read(products, before), element);
  Value first = exclusive ? s.constantInt(1) : element;
  return Lowering::castScalar(b, s.select(isFirst, first, product), type,
                              x.dtype);
}

static Support supportsCumProd(const Node &node) {
  if (node.numInputs() != 2)
    return Support::no("expected 2 inputs, got " + Twine(node.numInputs()));
  if (Support numbers = supportsNumbers(node); !numbers)
    return numbers;
  return knownRank(node.input(0)) == 1 ? Support::yes()
                                       : supportsKnown(node, 1, "axis");
}

static Results lowerCumProd(const Node &node, Lowering &lowering) {
  if (Support support = supportsCumProd(node); !support)
    return node.error() << support.reason();
  Tensor x = node.input(0);
  FailureOr<SmallVector<int64_t>> given = SmallVector<int64_t>{0};
  if (x.rank() != 1)
    given = requireConstants(node, lowering, 1, "axis");
  if (failed(given))
    return failure();
  if (given->size() != 1)
    return node.error() << "expected one axis, got " << given->size();
  auto axis = normalizeAxis(node, given->front(), x.rank());
  if (failed(axis))
    return failure();
  bool exclusive = node.intAttr("exclusive", 0);
  bool reverse = node.intAttr("reverse", 0);
  AffineExpr size = x.shape[*axis];
  Value count = lowering.sizeValue(size);
  Shape loops = x.shape;
  loops.erase(loops.begin() + *axis);
  loops.push_back(size);
  SmallVector<Value> result = loopInOrder(
      lowering, loops, lowering.empty(x.shape, x.dtype),
      [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange tensors) {
        Value step = index.back(), place = step;
        if (reverse) {
          Value one = arith::ConstantIndexOp::create(b, 1);
          place = arith::SubIOp::create(b, arith::SubIOp::create(b, count, one),
                                        step);
        }
        SmallVector<Value> at(index.drop_back());
        at.insert(at.begin() + *axis, place);
        Value product = runningProduct(b, x, tensors[0], at, *axis, step,
                                       reverse, exclusive);
        return SmallVector<Value>{
            tensor::InsertOp::create(b, product, tensors[0], at)};
      });
  return SmallVector<Tensor>{lowering.tensor(result[0], x.shape, x.dtype)};
}

void lutra::addCumulativeHandlers(Registry &r) {
  r.add({"",
         "CumSum",
         {11, 14},
         supportsNumbers,
         lowerCumSum,
         "more than 4096 elements along the axis"});
  r.add({"",
         "CumProd",
         {26},
         supportsCumProd,
         lowerCumProd,
         "axes that are not constant"});
}
