//===- ByteConvolution.cpp - Convolutions as products of bytes ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With channels innermost, what a window sees is a few runs of bytes, which
// are laid behind each other as a row of a matrix; weights are the other
// factor (ByteProduct.cpp). The sums of rows come from sums over channels.
//
//===----------------------------------------------------------------------===//

#include "ByteConvolution.h"

#include "ByteProduct.h"
#include "CodedMatrix.h"
#include "Contraction.h"
#include "Pooling.h"
#include "Reduction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// The dimensions of a tensor [N, C, sizes...] with the channels last, and
/// those with them second again.
static SmallVector<int64_t> channelsLast(int64_t rank) {
  SmallVector<int64_t> order = {0};
  llvm::append_range(order, llvm::seq<int64_t>(2, rank));
  order.push_back(1);
  return order;
}
static SmallVector<int64_t> channelsSecond(int64_t rank) {
  SmallVector<int64_t> order = {0, rank - 1};
  llvm::append_range(order, llvm::seq<int64_t>(1, rank - 1));
  return order;
}

/// The signed byte that stands for 0 in x of `dtype`.
static FailureOr<Value> zeroByte(Lowering &lowering, const Tensor &zero,
                                 DType dtype) {
  int64_t shift = dtype == DType::UInt8 ? 128 : 0;
  if (!zero)
    return lowering.scalarInt(DType::Int8, -shift);
  if (std::optional<int64_t> code = sameCode(lowering, zero))
    return lowering.scalarInt(DType::Int8, *code - 128);
  FailureOr<Tensor> scalar = lowering.reshape(zero, {});
  if (failed(scalar))
    return failure();
  Value byte =
      tensor::ExtractOp::create(lowering.b, scalar->value, ValueRange());
  Value top = lowering.scalarInt(DType::Int8, -shift);
  return arith::XOrIOp::create(lowering.b, byte, top).getResult();
}

/// x [N, sizes..., C] with `value` around it, as far as the window reads.
static Tensor padChannelsLast(Lowering &lowering, const Tensor &x,
                              const Window &window, Value value) {
  Shape low = {lowering.constant(0)}, high = low;
  for (int64_t i = 0; i < window.rank(); ++i) {
    low.push_back(window.low[i]);
    high.push_back(window.high[i] + window.extra[i]);
  }
  low.push_back(lowering.constant(0));
  high.push_back(lowering.constant(0));
  return lowering.pad(x, low, high, value);
}

/// Whether windows are the elements of x [N, sizes..., C] as they lie.
static bool areElements(const Tensor &x, const Window &window) {
  return llvm::all_of(window.kernel, [](int64_t size) { return size == 1; }) &&
         ArrayRef(x.shape).drop_front().drop_back() == ArrayRef(window.output);
}

/// What each window of x [N, sizes..., C] sees, as [N, positions..., kernel...,
/// C] in the shape of a matrix [N * positions, kernel * C].
static FailureOr<Tensor> windowRows(Lowering &lowering, const Tensor &x,
                                    const Window &window) {
  MLIRContext *context = lowering.context();
  int64_t rank = window.rank(), channels = x.staticSize(rank + 1), depth = 1;
  Shape runs(ArrayRef(x.shape).drop_back());
  runs.back() = runs.back() * channels;
  FailureOr<Tensor> source = lowering.reshape(x, runs);
  if (failed(source))
    return failure();
  Shape shape;
  auto loop = [&](AffineExpr size) {
    shape.push_back(size);
    return getAffineDimExpr(shape.size() - 1, context);
  };
  SmallVector<AffineExpr> read = {loop(x.shape[0])};
  for (auto [size, stride] : llvm::zip(window.output, window.strides))
    read.push_back(loop(size) * stride);
  // Neighbours and their channels are one run.
  int64_t last = rank - 1;
  bool isRun = window.dilations[last] == 1;
  for (int64_t i = 0; i < rank - isRun; ++i)
    read[i + 1] = read[i + 1] + loop(lowering.constant(window.kernel[i])) *
                                    window.dilations[i];
  int64_t run = isRun ? window.kernel[last] * channels : channels;
  read[rank] = read[rank] * channels + loop(lowering.constant(run));
  for (int64_t size : window.kernel)
    depth *= size;
  unsigned loops = shape.size();
  Tensor copy = lowering.generic(
      {*source},
      {AffineMap::get(loops, 0, read, context),
       AffineMap::getMultiDimIdentityMap(loops, context)},
      SmallVector(loops, utils::IteratorType::parallel),
      lowering.empty(shape, x.dtype), shape, x.dtype,
      [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
  AffineExpr rows = lowering.product(ArrayRef(shape).take_front(rank + 1));
  return lowering.reshape(copy, {rows, lowering.constant(depth * channels)});
}

/// The sum of what each window of signed bytes [N, sizes..., C] sees, [rows].
static FailureOr<Tensor> windowSums(Lowering &lowering, const Tensor &x,
                                    const Window &window, AffineExpr rows) {
  int64_t last = x.rank() - 1;
  Tensor channels = accumulate(lowering, x, last, Monoid::Sum, DType::Int32);
  if (areElements(x, window))
    return lowering.reshape(channels, {rows});
  Tensor sums =
      reduceWindow(lowering, lowering.unsqueeze(channels, {1}), window,
                   DType::Int32, lowering.scalarInt(DType::Int32, 0),
                   [](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                     return arith::AddIOp::create(b, in[0], in[1]);
                   });
  return lowering.reshape(sums, {rows});
}

/// Weights [F, C, kernel...] as a matrix [F, kernel * C].
static FailureOr<Tensor> weightRows(Lowering &lowering, const Tensor &w) {
  Tensor last = lowering.transpose(w, channelsLast(w.rank()));
  int64_t depth = 1;
  for (int64_t i = 1; i < last.rank(); ++i)
    depth *= last.staticSize(i);
  return lowering.reshape(last, {w.shape[0], lowering.constant(depth)});
}

/// The sums of windows of `x`, [N * positions, F].
static FailureOr<Tensor> multiplyWindows(Lowering &lowering, const Tensor &x,
                                         const Tensor &xZero,
                                         const CodedColumns &columns,
                                         const Window &window) {
  FailureOr<Tensor> bytes = signedBytes(lowering, x);
  FailureOr<Value> zero = zeroByte(lowering, xZero, x.dtype);
  if (failed(bytes) || failed(zero))
    return failure();
  Tensor padded = padChannelsLast(
      lowering, lowering.transpose(*bytes, channelsLast(x.rank())), window,
      *zero);
  Shape positions = {x.shape[0]};
  llvm::append_range(positions, window.output);
  AffineExpr count = lowering.product(positions);
  FailureOr<Tensor> rows = areElements(padded, window)
                               ? lowering.reshape(padded, {count, x.shape[1]})
                               : windowRows(lowering, padded, window);
  FailureOr<Tensor> sums = windowSums(lowering, padded, window, count);
  if (failed(rows) || failed(sums))
    return failure();
  return multiplyBytes(lowering, *rows, *sums, columns, xZero, x.dtype);
}

std::optional<FailureOr<Tensor>>
lutra::byteConvolution(Lowering &lowering, const Tensor &x, const Tensor &xZero,
                       const Tensor &w, const Tensor &zero,
                       const Window &window) {
  auto isByte = [](DType dtype) {
    return dtype == DType::Int8 || dtype == DType::UInt8;
  };
  if (!isByte(x.dtype) || !isByte(w.dtype) || x.shape[1] != w.shape[1] ||
      (xZero && !hasOneElement(xZero)))
    return std::nullopt;
  Tensor weight = asWeight(lowering, w);
  if (!weight)
    return std::nullopt;
  FailureOr<Tensor> matrix = weightRows(lowering, weight);
  if (failed(matrix))
    return FailureOr<Tensor>(failure());
  std::optional<CodedColumns> columns = codedColumns(lowering, *matrix, zero);
  if (!columns)
    return std::nullopt;
  FailureOr<Tensor> sums =
      multiplyWindows(lowering, x, xZero, *columns, window);
  if (failed(sums))
    return FailureOr<Tensor>(failure());
  Shape shape = {x.shape[0]};
  llvm::append_range(shape, window.output);
  shape.push_back(w.shape[0]);
  FailureOr<Tensor> last = lowering.reshape(*sums, shape);
  if (failed(last))
    return last;
  return FailureOr<Tensor>(lowering.transpose(*last, channelsSecond(x.rank())));
}

bool lutra::isByChannel(const Tensor &x, const Tensor &w) {
  return w.rank() > 1 && x.rank() == w.rank() && w.staticSize(1) == 1 &&
         x.shape[1] == w.shape[0];
}

FailureOr<Tensor> lutra::channelConvolution(Lowering &lowering, const Tensor &x,
                                            const Tensor &w,
                                            const Window &window) {
  MLIRContext *context = lowering.context();
  int64_t rank = window.rank();
  Tensor padded =
      padChannelsLast(lowering, lowering.transpose(x, channelsLast(x.rank())),
                      window, lowering.scalarInt(x.dtype, 0));
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(2, w.rank()));
  order.append({0, 1});
  Tensor taps = lowering.transpose(w, order);
  FailureOr<Tensor> weights =
      lowering.reshape(taps, ArrayRef(taps.shape).drop_back());
  if (failed(weights))
    return failure();
  unsigned next = 0;
  auto loop = [&] { return getAffineDimExpr(next++, context); };
  SmallVector<AffineExpr> ys = {loop()}, xs = ys, ws;
  Shape shape = {x.shape[0]};
  llvm::append_range(shape, window.output);
  shape.push_back(x.shape[1]);
  for (int64_t i = 0; i <= rank; ++i)
    ys.push_back(loop());
  for (int64_t i = 0; i < rank; ++i) {
    ws.push_back(loop());
    xs.push_back(window.index(i, ys[i + 1], ws.back()));
  }
  xs.push_back(ys.back());
  ws.push_back(ys.back());
  SmallVector<utils::IteratorType> iterators(rank + 2,
                                             utils::IteratorType::parallel);
  iterators.append(rank, utils::IteratorType::reduction);
  AffineMap maps[] = {AffineMap::get(next, 0, xs, context),
                      AffineMap::get(next, 0, ws, context),
                      AffineMap::get(next, 0, ys, context)};
  Tensor sums = sumOfProducts(lowering, padded, *weights, DType::Int32, maps,
                              iterators, shape);
  return lowering.transpose(sums, channelsSecond(x.rank()));
}
