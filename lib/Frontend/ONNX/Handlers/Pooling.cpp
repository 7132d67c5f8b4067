//===- Pooling.cpp - What pooling shares; average and norm pooling --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements pooling as a padding, one reduction over the window, and what is
// left to do per result: a division by the number of elements that a window
// covers, or a root. Global pooling is a plain reduction.
//
//===----------------------------------------------------------------------===//

#include "Pooling.h"

#include "Contraction.h"
#include "Operands.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// The reduction over a window
//===----------------------------------------------------------------------===//

SmallVector<AffineMap> lutra::windowMaps(const Window &window,
                                         MLIRContext *context) {
  unsigned rank = window.rank(), loops = 2 + 2 * rank;
  auto dim = [&](unsigned i) { return getAffineDimExpr(i, context); };
  SmallVector<AffineExpr> xs = {dim(0), dim(1)}, ks;
  for (unsigned i = 0; i < rank; ++i) {
    ks.push_back(dim(2 + rank + i));
    xs.push_back(window.index(i, dim(2 + i), ks.back()));
  }
  return {AffineMap::get(loops, 0, xs, context),
          AffineMap::get(loops, 0, ks, context),
          AffineMap::getMultiDimIdentityMap(loops, context)
              .getMajorSubMap(2 + rank)};
}

SmallVector<utils::IteratorType> lutra::windowIterators(const Window &window) {
  SmallVector<utils::IteratorType> iterators(2 + window.rank(),
                                             utils::IteratorType::parallel);
  iterators.append(window.rank(), utils::IteratorType::reduction);
  return iterators;
}

Tensor lutra::windowShape(Lowering &lowering, const Window &window,
                          DType dtype) {
  Shape shape = llvm::map_to_vector(
      window.kernel, [&](int64_t size) { return lowering.constant(size); });
  return lowering.tensor(lowering.empty(shape, dtype), shape, dtype);
}

static Shape resultShape(const Tensor &x, const Window &window) {
  Shape shape = {x.shape[0], x.shape[1]};
  llvm::append_range(shape, window.output);
  return shape;
}

Tensor lutra::reduceWindow(Lowering &lowering, const Tensor &padded,
                           const Window &window, DType accumulator, Value init,
                           ScalarBody combine) {
  Shape shape = resultShape(padded, window);
  return lowering.generic(
      {padded, windowShape(lowering, window, padded.dtype)},
      windowMaps(window, lowering.context()), windowIterators(window),
      lowering.filled(shape, accumulator, init), shape, accumulator,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        return combine(b, {in[0], in[2]});
      });
}

FailureOr<Window> lutra::poolWindow(const Node &node, Lowering &lowering) {
  if (failed(requireRank(node, 0, 3)))
    return failure();
  return makeWindow(node, lowering, node.input(0),
                    node.intsAttr("kernel_shape"));
}

Support lutra::supportsPool(const Node &node) {
  if (node.numInputs() != 1)
    return Support::no("expected 1 input, got " + Twine(node.numInputs()));
  std::optional<int64_t> rank = knownRank(node.input(0));
  if (rank && *rank < 3)
    return Support::no("expected an input of rank 3 or more, got rank " +
                       Twine(*rank));
  if (node.intsAttr("kernel_shape").empty())
    return Support::no("expected kernel_shape, got none");
  if (rank)
    rank = *rank - 2;
  return checkWindow(node, rank);
}

static Support requireFloat(const Node &node) {
  DType dtype = node.input(0).dtype;
  if (dtype != DType::Undefined && !isFloat(dtype))
    return Support::no("expected a float element type, got " +
                       dtypeName(dtype));
  return Support::yes();
}

static Support supportsFloatPool(const Node &node) {
  Support support = supportsPool(node);
  return support ? requireFloat(node) : support;
}

Support lutra::supportsGlobalPool(const Node &node) {
  if (node.numInputs() != 1)
    return Support::no("expected 1 input, got " + Twine(node.numInputs()));
  if (std::optional<int64_t> rank = knownRank(node.input(0)); rank && *rank < 2)
    return Support::no("expected an input of rank 2 or more, got rank " +
                       Twine(*rank));
  return requireFloat(node);
}

SmallVector<int64_t> lutra::spatialAxes(const Tensor &x) {
  return llvm::to_vector(llvm::seq<int64_t>(2, x.rank()));
}

static Value indexIn(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

static Value toFloat(ImplicitLocOpBuilder &b, Value index, Type type) {
  Value integer = arith::IndexCastOp::create(b, b.getI64Type(), index);
  return arith::SIToFPOp::create(b, type, integer);
}

//===----------------------------------------------------------------------===//
// AveragePool
//===----------------------------------------------------------------------===//

/// True where the windows of dimension i all cover the same number of elements.
static bool isUniform(const Window &window, unsigned i, bool includePad) {
  auto isZero = [](AffineExpr size) {
    auto number = dyn_cast<AffineConstantExpr>(size);
    return number && number.getValue() == 0;
  };
  return isZero(window.extra[i]) &&
         (includePad || (isZero(window.low[i]) && isZero(window.high[i])));
}

/// How many elements window `o` of dimension i covers, of the input, or of the
/// input with the padding that the node asks for.
static Value countIn(ImplicitLocOpBuilder &b, Lowering &lowering,
                     const Window &window, unsigned i, AffineExpr size,
                     bool includePad, Value o) {
  Value zero = indexIn(b, 0), dilation = indexIn(b, window.dilations[i]);
  Value start = arith::SubIOp::create(
      b, arith::MulIOp::create(b, o, indexIn(b, window.strides[i])),
      indexIn(b, lowering, window.low[i]));
  Value end = indexIn(b, lowering, includePad ? size + window.high[i] : size);
  auto taps = [&](Value distance) -> Value {
    distance = arith::MaxSIOp::create(b, distance, zero);
    if (window.dilations[i] == 1)
      return distance;
    return arith::CeilDivSIOp::create(b, distance, dilation);
  };
  Value last =
      arith::MinSIOp::create(b, taps(arith::SubIOp::create(b, end, start)),
                             indexIn(b, window.kernel[i]));
  if (includePad)
    return last;
  Value first = taps(arith::SubIOp::create(b, zero, start));
  return arith::SubIOp::create(b, last, first);
}

/// sums / count, rounded to `dtype`.
static Tensor divideByCount(Lowering &lowering, const Tensor &x,
                            const Tensor &sums, const Window &window,
                            bool includePad) {
  AffineMap map = lowering.b.getMultiDimIdentityMap(sums.rank());
  SmallVector<utils::IteratorType> iterators(sums.rank(),
                                             utils::IteratorType::parallel);
  return lowering.generic(
      sums, {map, map}, iterators, lowering.empty(sums.shape, x.dtype),
      sums.shape, x.dtype, [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Type type = in[0].getType();
        double fixed = 1;
        Value count;
        for (unsigned i = 0; i < window.rank(); ++i) {
          if (isUniform(window, i, includePad)) {
            fixed *= window.kernel[i];
            continue;
          }
          Value here = countIn(b, lowering, window, i, x.shape[2 + i],
                               includePad, linalg::IndexOp::create(b, 2 + i));
          count = count ? Value(arith::MulIOp::create(b, count, here)) : here;
        }
        Value divisor =
            arith::ConstantOp::create(b, b.getFloatAttr(type, fixed));
        if (count) {
          Value counted = toFloat(b, count, type);
          divisor = fixed == 1
                        ? counted
                        : Value(arith::MulFOp::create(b, counted, divisor));
        }
        return fromAccumulator(b, arith::DivFOp::create(b, in[0], divisor),
                               x.dtype);
      });
}

static FailureOr<SmallVector<Tensor>> lowerAveragePool(const Node &node,
                                                       Lowering &lowering) {
  FailureOr<Window> window = poolWindow(node, lowering);
  if (failed(window))
    return failure();
  Tensor x = node.input(0);
  DType accumulator = accumulatorType(x.dtype);
  Tensor padded =
      padForWindow(lowering, x, *window, lowering.scalar(x.dtype, 0.0));
  Tensor sums = reduceWindow(
      lowering, padded, *window, accumulator, lowering.scalar(accumulator, 0.0),
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        return addScalars(b, in[1], toAccumulator(b, in[0], x.dtype));
      });
  bool includePad = node.intAttr("count_include_pad", 0);
  return SmallVector<Tensor>{
      divideByCount(lowering, x, sums, *window, includePad)};
}

static FailureOr<SmallVector<Tensor>>
lowerGlobalAveragePool(const Node &node, Lowering &lowering) {
  if (failed(requireRank(node, 0, 2)))
    return failure();
  Tensor x = node.input(0);
  DType accumulator = accumulatorType(x.dtype);
  AffineExpr count = lowering.product(ArrayRef(x.shape).drop_front(2));
  Tensor sums = lowering.reduce(
      x, spatialAxes(x), true, lowering.scalar(accumulator, 0.0), accumulator,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        return toAccumulator(b, in[0], x.dtype);
      },
      [](ImplicitLocOpBuilder &b, ValueRange in) {
        return addScalars(b, in[1], in[0]);
      });
  FailureOr<Tensor> mean = lowering.elementwise(
      sums, x.dtype, [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Type type = in[0].getType();
        Value divisor =
            isa<AffineConstantExpr>(count)
                ? Value(arith::ConstantOp::create(
                      b, b.getFloatAttr(
                             type, cast<AffineConstantExpr>(count).getValue())))
                : toFloat(b, lowering.sizeValue(count), type);
        return fromAccumulator(b, arith::DivFOp::create(b, in[0], divisor),
                               x.dtype);
      });
  if (failed(mean))
    return failure();
  return SmallVector<Tensor>{*mean};
}

//===----------------------------------------------------------------------===//
// LpPool
//===----------------------------------------------------------------------===//

static Support checkNorm(const Node &node) {
  if (int64_t p = node.intAttr("p", 2); p < 1)
    return Support::no("expected p of 1 or more, got " + Twine(p));
  return Support::yes();
}

static Support supportsLpPool(const Node &node) {
  Support support = supportsFloatPool(node);
  return support ? checkNorm(node) : support;
}

static Support supportsGlobalLpPool(const Node &node) {
  Support support = supportsGlobalPool(node);
  return support ? checkNorm(node) : support;
}

static Value floatConstant(ImplicitLocOpBuilder &b, Type type, double value) {
  return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
}

/// |x| to the power of p.
static Value absolutePower(ImplicitLocOpBuilder &b, Value x, int64_t p) {
  if (p == 2)
    return arith::MulFOp::create(b, x, x);
  Value absolute = math::AbsFOp::create(b, x);
  if (p == 1)
    return absolute;
  return math::PowFOp::create(b, absolute, floatConstant(b, x.getType(), p));
}

/// The p-th root of sums, rounded to `dtype`.
static FailureOr<SmallVector<Tensor>>
takeRoot(Lowering &lowering, const Tensor &sums, int64_t p, DType dtype) {
  if (p == 1 && sums.dtype == dtype)
    return SmallVector<Tensor>{sums};
  FailureOr<Tensor> root = lowering.elementwise(
      sums, dtype, [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Value value = in[0];
        if (p == 2)
          value = math::SqrtOp::create(b, value);
        else if (p > 2)
          value = math::PowFOp::create(
              b, value, floatConstant(b, value.getType(), 1.0 / p));
        return fromAccumulator(b, value, dtype);
      });
  if (failed(root))
    return failure();
  return SmallVector<Tensor>{*root};
}

static FailureOr<SmallVector<Tensor>> lowerLpPool(const Node &node,
                                                  Lowering &lowering) {
  FailureOr<Window> window = poolWindow(node, lowering);
  if (failed(window))
    return failure();
  Tensor x = node.input(0);
  int64_t p = node.intAttr("p", 2);
  DType accumulator = accumulatorType(x.dtype);
  Tensor padded =
      padForWindow(lowering, x, *window, lowering.scalar(x.dtype, 0.0));
  Tensor sums = reduceWindow(
      lowering, padded, *window, accumulator, lowering.scalar(accumulator, 0.0),
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Value element = toAccumulator(b, in[0], x.dtype);
        return addScalars(b, in[1], absolutePower(b, element, p));
      });
  return takeRoot(lowering, sums, p, x.dtype);
}

static FailureOr<SmallVector<Tensor>> lowerGlobalLpPool(const Node &node,
                                                        Lowering &lowering) {
  if (failed(requireRank(node, 0, 2)))
    return failure();
  Tensor x = node.input(0);
  int64_t p = node.intAttr("p", 2);
  DType accumulator = accumulatorType(x.dtype);
  Tensor sums = lowering.reduce(
      x, spatialAxes(x), true, lowering.scalar(accumulator, 0.0), accumulator,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        return absolutePower(b, toAccumulator(b, in[0], x.dtype), p);
      },
      [](ImplicitLocOpBuilder &b, ValueRange in) {
        return addScalars(b, in[1], in[0]);
      });
  return takeRoot(lowering, sums, p, x.dtype);
}

void lutra::addPoolingHandlers(Registry &registry) {
  registry.add({"",
                "AveragePool",
                {7, 10, 11, 19, 22},
                supportsFloatPool,
                lowerAveragePool});
  registry.add({"", "LpPool", {2, 11, 18, 22}, supportsLpPool, lowerLpPool});
  registry.add({"",
                "GlobalAveragePool",
                {1, 22},
                supportsGlobalPool,
                lowerGlobalAveragePool});
  registry.add(
      {"", "GlobalLpPool", {2, 22}, supportsGlobalLpPool, lowerGlobalLpPool});
}
