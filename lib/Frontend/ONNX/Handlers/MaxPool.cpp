//===- MaxPool.cpp - Max pooling ------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements MaxPool and GlobalMaxPool as reductions. The positions of the
// maxima, where the node gives them, are a second reduction over the same
// windows.
//
//===----------------------------------------------------------------------===//

#include "Operands.h"
#include "Pooling.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <limits>

using namespace mlir;
using namespace mlir::lutra;

static Value lowest(Lowering &lowering, DType dtype) {
  if (isFloat(dtype))
    return lowering.scalar(dtype, -std::numeric_limits<double>::infinity());
  unsigned width =
      storageType(lowering.context(), dtype).getIntOrFloatBitWidth();
  return lowering.scalarInt(
      dtype,
      isUnsigned(dtype) ? 0 : APInt::getSignedMinValue(width).getSExtValue());
}

static Value maxScalars(ImplicitLocOpBuilder &b, ValueRange in, DType dtype) {
  if (isFloat(dtype))
    return arith::MaximumFOp::create(b, in[0], in[1]);
  if (isUnsigned(dtype))
    return arith::MaxUIOp::create(b, in[0], in[1]);
  return arith::MaxSIOp::create(b, in[0], in[1]);
}

/// Row-major position in `shape` of the index (n, c, spatial...).
static Value flatIndex(ImplicitLocOpBuilder &b, Lowering &lowering,
                       ArrayRef<AffineExpr> shape, ArrayRef<Value> index) {
  Value flat = index.front();
  for (size_t d = 1; d < index.size(); ++d) {
    Value size = indexIn(b, lowering, shape[d]);
    flat = arith::AddIOp::create(b, arith::MulIOp::create(b, flat, size),
                                 index[d]);
  }
  return flat;
}

/// For each window the least row-major position of x that holds its maximum.
static Tensor firstMaximum(Lowering &lowering, const Tensor &x,
                           const Tensor &padded, const Tensor &maxima,
                           const Window &window) {
  SmallVector<AffineMap> maps = windowMaps(window, lowering.context());
  maps.insert(maps.begin() + 1, maps.back());
  int64_t none = std::numeric_limits<int64_t>::max();
  return lowering.generic(
      {padded, maxima, windowShape(lowering, window, x.dtype)}, maps,
      windowIterators(window),
      lowering.filled(maxima.shape, DType::Int64,
                      lowering.scalarInt(DType::Int64, none)),
      maxima.shape, DType::Int64,
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value found = isFloat(x.dtype)
                          ? Value(arith::CmpFOp::create(
                                b, arith::CmpFPredicate::OEQ, in[0], in[1]))
                          : Value(arith::CmpIOp::create(
                                b, arith::CmpIPredicate::eq, in[0], in[1]));
        SmallVector<Value> index = {linalg::IndexOp::create(b, 0),
                                    linalg::IndexOp::create(b, 1)};
        for (unsigned i = 0; i < window.rank(); ++i) {
          Value o = linalg::IndexOp::create(b, 2 + i);
          Value k = linalg::IndexOp::create(b, 2 + window.rank() + i);
          Value stride = arith::ConstantIndexOp::create(b, window.strides[i]);
          Value dilation =
              arith::ConstantIndexOp::create(b, window.dilations[i]);
          Value at =
              arith::AddIOp::create(b, arith::MulIOp::create(b, o, stride),
                                    arith::MulIOp::create(b, k, dilation));
          at =
              arith::SubIOp::create(b, at, indexIn(b, lowering, window.low[i]));
          // Unsigned, so that padding before the input is out of range too.
          Value inside =
              arith::CmpIOp::create(b, arith::CmpIPredicate::ult, at,
                                    indexIn(b, lowering, x.shape[2 + i]));
          found = arith::AndIOp::create(b, found, inside);
          index.push_back(at);
        }
        Value flat = arith::IndexCastOp::create(
            b, b.getI64Type(), flatIndex(b, lowering, x.shape, index));
        Value other = arith::ConstantIntOp::create(b, none, 64);
        Value here = arith::SelectOp::create(b, found, flat, other);
        return arith::MinSIOp::create(b, here, in[3]);
      });
}

/// Row-major positions as positions with the spatial dimensions column-major.
static FailureOr<Tensor> toColumnMajor(Lowering &lowering, const Tensor &x,
                                       const Tensor &positions) {
  return lowering.elementwise(
      positions, DType::Int64,
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value rest =
            arith::IndexCastOp::create(b, b.getIndexType(), in.front());
        SmallVector<Value> index, sizes;
        for (AffineExpr size : llvm::reverse(ArrayRef(x.shape).drop_front(2))) {
          sizes.push_back(indexIn(b, lowering, size));
          index.push_back(arith::RemUIOp::create(b, rest, sizes.back()));
          rest = arith::DivUIOp::create(b, rest, sizes.back());
        }
        for (auto [at, size] : llvm::zip(index, sizes))
          rest = arith::AddIOp::create(b, arith::MulIOp::create(b, rest, size),
                                       at);
        return arith::IndexCastOp::create(b, b.getI64Type(), rest);
      });
}

static Support supportsMaxPool(const Node &node) {
  DType dtype = node.input(0).dtype;
  if (dtype == DType::Bool)
    return Support::no("expected a numeric element type, got BOOL");
  return supportsPool(node);
}

static FailureOr<SmallVector<Tensor>> lowerMaxPool(const Node &node,
                                                   Lowering &lowering) {
  FailureOr<Window> window = poolWindow(node, lowering);
  if (failed(window))
    return failure();
  Tensor x = node.input(0);
  DType dtype = x.dtype;
  Value least = lowest(lowering, dtype);
  Tensor padded = padForWindow(lowering, x, *window, least);
  Tensor maxima = reduceWindow(lowering, padded, *window, dtype, least,
                               [&](ImplicitLocOpBuilder &b, ValueRange in) {
                                 return maxScalars(b, in, dtype);
                               });
  SmallVector<Tensor> results(node.numOutputs());
  results[0] = maxima;
  if (!node.usesOutput(1))
    return results;
  results[1] = firstMaximum(lowering, x, padded, maxima, *window);
  if (node.intAttr("storage_order", 0) == 0)
    return results;
  FailureOr<Tensor> reordered = toColumnMajor(lowering, x, results[1]);
  if (failed(reordered))
    return failure();
  results[1] = *reordered;
  return results;
}

static FailureOr<SmallVector<Tensor>> lowerGlobalMaxPool(const Node &node,
                                                         Lowering &lowering) {
  if (failed(requireRank(node, 0, 2)))
    return failure();
  Tensor x = node.input(0);
  return SmallVector<Tensor>{lowering.reduce(
      x, spatialAxes(x), true, lowest(lowering, x.dtype), x.dtype, nullptr,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        return maxScalars(b, in, x.dtype);
      })};
}

void lutra::addMaxPoolHandlers(Registry &registry) {
  registry.add(
      {"", "MaxPool", {1, 8, 10, 11, 12, 22}, supportsMaxPool, lowerMaxPool});
  registry.add(
      {"", "GlobalMaxPool", {1, 22}, supportsGlobalPool, lowerGlobalMaxPool});
}
