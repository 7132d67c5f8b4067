//===- Gather.cpp - Gather, GatherElements, GatherND, OneHot --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads at positions that are data. A negative index counts from the end; one
// that is out of range is clamped, so that nothing outside of the tensor is
// ever read.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

static Support supportsGather(const Node &node) {
  if (node.numInputs() < 2)
    return Support::no("expected two inputs");
  DType type = node.input(1).dtype;
  if (type != DType::Undefined && type != DType::Int64 && type != DType::Int32)
    return Support::no("expected indices of type INT32 or INT64, got " +
                       dtypeName(type));
  return Support::yes();
}

/// The axis of the data, or an error.
static FailureOr<int64_t> gatherAxis(const Node &node) {
  if (Support support = supportsGather(node); !support)
    return node.error() << support.reason();
  int64_t rank = node.input(0).rank(), given = node.intAttr("axis", 0);
  return normalizeAxis(node, given, rank);
}

Value lutra::position(Lowering &lowering, ImplicitLocOpBuilder &b, Value index,
                      DType dtype, AffineExpr size) {
  Scalars s(b, DType::Int64);
  Value wide = Lowering::castScalar(b, index, dtype, DType::Int64);
  Value count = sizeScalar(lowering, s, size), zero = s.constantInt(0);
  Value wrapped = s.select(s.lt(wide, zero), s.add(wide, count), wide);
  Value last = s.sub(count, s.constantInt(1));
  Value clamped = s.max(s.min(wrapped, last), zero);
  return arith::IndexCastOp::create(b, b.getIndexType(), clamped);
}

LogicalResult lutra::requirePosition(const Node &node, Lowering &lowering,
                                     AffineExpr size) {
  if (lowering.requireNonNegative(size - 1))
    return success();
  return node.error() << "expected a dimension of at least 1 under an index, "
                         "got "
                      << sizeText(lowering, size);
}

/// A parallel loop nest over `shape` whose elements `read` gives.
static Tensor readEach(Lowering &lowering, ArrayRef<Tensor> operands,
                       SmallVector<AffineMap> maps, const Shape &shape,
                       DType dtype, ScalarBody read) {
  maps.push_back(lowering.b.getMultiDimIdentityMap(shape.size()));
  SmallVector<utils::IteratorType> iterators(shape.size(),
                                             utils::IteratorType::parallel);
  return lowering.generic(operands, maps, iterators,
                          lowering.empty(shape, dtype), shape, dtype, read);
}

/// (d0, ..) -> (d[first], .., d[first + count - 1]) of `rank` loops.
static AffineMap loopRange(Lowering &lowering, int64_t rank, int64_t first,
                           int64_t count) {
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < count; ++i)
    exprs.push_back(lowering.b.getAffineDimExpr(first + i));
  return AffineMap::get(rank, 0, exprs, lowering.context());
}

/// Nothing can be read from a tensor without elements.
static bool hasNoElements(const Tensor &tensor) {
  for (int64_t i = 0; i < tensor.rank(); ++i)
    if (tensor.staticSize(i) == 0)
      return true;
  return false;
}

static Tensor zeros(Lowering &lowering, const Shape &shape, DType dtype) {
  return lowering.splat(shape, dtype, lowering.scalarInt(dtype, 0));
}

//===----------------------------------------------------------------------===//
// Gather
//===----------------------------------------------------------------------===//

/// `index` into `size` elements, counted from their end where negative; nothing
/// where it is outside.
static std::optional<int64_t> wrapIndex(int64_t index, int64_t size) {
  if (index < -size || index >= size)
    return std::nullopt;
  return index < 0 ? index + size : index;
}

/// Elements of a small integer tensor at known positions.
static std::optional<SmallVector<AffineExpr>> pickInts(const Tensor &data,
                                                       const Tensor &indices) {
  if (!data.ints || data.rank() != 1 || !indices.ints)
    return std::nullopt;
  SmallVector<AffineExpr> picked;
  int64_t size = data.ints->size();
  for (AffineExpr expr : *indices.ints) {
    auto index = dyn_cast<AffineConstantExpr>(expr);
    auto at = index ? wrapIndex(index.getValue(), size) : std::nullopt;
    if (!at)
      return std::nullopt;
    picked.push_back((*data.ints)[*at]);
  }
  return picked;
}

/// The one position that all of `indices` name, where it is known to be inside
/// of the dimension.
static std::optional<int64_t> knownPosition(const Tensor &indices,
                                            int64_t size) {
  if (!indices.ints || indices.ints->size() != 1)
    return std::nullopt;
  auto index = dyn_cast<AffineConstantExpr>(indices.ints->front());
  if (!index || ShapedType::isDynamic(size))
    return std::nullopt;
  return wrapIndex(index.getValue(), size);
}

static Results lowerGather(const Node &node, Lowering &lowering) {
  FailureOr<int64_t> axis = gatherAxis(node);
  if (failed(axis))
    return failure();
  Tensor data = node.input(0), indices = node.input(1);
  if (auto ints = pickInts(data, indices))
    return SmallVector<Tensor>{
        lowering.intsTensor(*ints, data.dtype, indices.rank() == 0)};
  Shape shape(data.shape.begin(), data.shape.begin() + *axis);
  shape.append(indices.shape.begin(), indices.shape.end());
  shape.append(data.shape.begin() + *axis + 1, data.shape.end());
  if (hasNoElements(data))
    return SmallVector<Tensor>{zeros(lowering, shape, data.dtype)};
  if (failed(requirePosition(node, lowering, data.shape[*axis])))
    return failure();
  int64_t rank = shape.size(), behind = *axis + indices.rank();
  auto known = knownPosition(indices, data.staticSize(*axis));
  if (known) {
    SmallVector<AffineExpr> exprs;
    for (int64_t i = 0; i < data.rank(); ++i)
      exprs.push_back(i == *axis ? lowering.constant(*known)
                                 : lowering.b.getAffineDimExpr(
                                       i < *axis ? i : behind + i - *axis - 1));
    return SmallVector<Tensor>{readEach(
        lowering, data, {AffineMap::get(rank, 0, exprs, lowering.context())},
        shape, data.dtype,
        [](ImplicitLocOpBuilder &, ValueRange v) { return v[0]; })};
  }
  return SmallVector<Tensor>{readEach(
      lowering, indices, {loopRange(lowering, rank, *axis, indices.rank())},
      shape, data.dtype, [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
        SmallVector<Value> at;
        for (int64_t i = 0; i < data.rank(); ++i)
          at.push_back(
              i == *axis
                  ? position(lowering, b, v[0], indices.dtype, data.shape[i])
                  : Value(linalg::IndexOp::create(
                        b, i < *axis ? i : behind + i - *axis - 1)));
        return tensor::ExtractOp::create(b, data.value, at);
      })};
}

/// Fails where a dimension that the indices share with the data may be larger
/// than the data's.
static LogicalResult requireWithin(const Node &node, Lowering &lowering,
                                   const Tensor &indices, const Tensor &data,
                                   int64_t d) {
  if (lowering.requireNonNegative(data.shape[d] - indices.shape[d]) ||
      lowering.requireEqual(data.shape[d], indices.shape[d]))
    return success();
  return node.error() << "expected at most "
                      << sizeText(lowering, data.shape[d])
                      << " indices in dimension " << d << ", got "
                      << sizeText(lowering, indices.shape[d]);
}

static Results lowerGatherElements(const Node &node, Lowering &lowering) {
  FailureOr<int64_t> axis = gatherAxis(node);
  if (failed(axis))
    return failure();
  Tensor data = node.input(0), indices = node.input(1);
  int64_t rank = data.rank();
  if (indices.rank() != rank)
    return node.error() << "expected indices of rank " << rank << ", got "
                        << indices.rank();
  if (hasNoElements(data))
    return SmallVector<Tensor>{zeros(lowering, indices.shape, data.dtype)};
  if (failed(requirePosition(node, lowering, data.shape[*axis])))
    return failure();
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis && failed(requireWithin(node, lowering, indices, data, d)))
      return failure();
  return SmallVector<Tensor>{readEach(
      lowering, indices, {lowering.b.getMultiDimIdentityMap(rank)},
      indices.shape, data.dtype,
      [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
        SmallVector<Value> at;
        for (int64_t i = 0; i < rank; ++i)
          at.push_back(i == *axis ? position(lowering, b, v[0], indices.dtype,
                                             data.shape[i])
                                  : Value(linalg::IndexOp::create(b, i)));
        return tensor::ExtractOp::create(b, data.value, at);
      })};
}

//===----------------------------------------------------------------------===//
// GatherND
//===----------------------------------------------------------------------===//

static Results lowerGatherND(const Node &node, Lowering &lowering) {
  if (Support support = supportsGather(node); !support)
    return node.error() << support.reason();
  Tensor data = node.input(0), indices = node.input(1);
  int64_t batch = node.intAttr("batch_dims", 0), outer = indices.rank() - 1;
  int64_t depth = outer < 0 ? -1 : indices.staticSize(outer);
  if (batch < 0 || batch > outer || depth < 1 || batch + depth > data.rank())
    return node.error() << "expected indices of " << data.rank()
                        << " dimensions at most, got "
                        << lowering.str(indices.shape) << " and batch_dims "
                        << batch;
  Shape shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.append(data.shape.begin() + batch + depth, data.shape.end());
  if (hasNoElements(data))
    return SmallVector<Tensor>{zeros(lowering, shape, data.dtype)};
  for (int64_t d = 0; d < batch; ++d)
    if (failed(requireWithin(node, lowering, indices, data, d)))
      return failure();
  for (int64_t d = batch; d < batch + depth; ++d)
    if (failed(requirePosition(node, lowering, data.shape[d])))
      return failure();
  int64_t rank = shape.size();
  // The components of an index are as many operands.
  SmallVector<Tensor> operands(depth, indices);
  SmallVector<AffineMap> maps;
  for (int64_t i = 0; i < depth; ++i) {
    auto exprs =
        llvm::to_vector(loopRange(lowering, rank, 0, outer).getResults());
    exprs.push_back(lowering.constant(i));
    maps.push_back(AffineMap::get(rank, 0, exprs, lowering.context()));
  }
  return SmallVector<Tensor>{readEach(
      lowering, operands, maps, shape, data.dtype,
      [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
        SmallVector<Value> at;
        for (int64_t i = 0; i < data.rank(); ++i) {
          bool indexed = i >= batch && i < batch + depth;
          int64_t loop = i < batch ? i : outer + i - batch - depth;
          at.push_back(indexed ? position(lowering, b, v[i - batch],
                                          indices.dtype, data.shape[i])
                               : Value(linalg::IndexOp::create(b, loop)));
        }
        return tensor::ExtractOp::create(b, data.value, at);
      })};
}

//===----------------------------------------------------------------------===//
// OneHot
//===----------------------------------------------------------------------===//

/// The depth as an expression, or null.
static AffineExpr knownDepth(Lowering &lowering, const Tensor &depth) {
  if (depth.ints && depth.ints->size() == 1)
    return depth.ints->front();
  auto floats = lowering.constantFloats(depth);
  if (floats && floats->size() == 1 && floats->front() >= 0 &&
      floats->front() < 1e15)
    return lowering.constant(static_cast<int64_t>(floats->front()));
  return {};
}

static Results lowerOneHot(const Node &node, Lowering &lowering) {
  Tensor indices = node.input(0), values = node.input(2);
  if (values.rank() != 1 || values.staticSize(0) != 2)
    return node.error() << "expected two values, got "
                        << lowering.str(values.shape);
  int64_t rank = indices.rank() + 1;
  auto axis = normalizeAxis(node, node.intAttr("axis", -1), rank);
  if (failed(axis))
    return failure();
  AffineExpr depth = knownDepth(lowering, node.input(1));
  std::optional<Shape> declared = declaredShape(node);
  if (!depth && declared && int64_t(declared->size()) == rank)
    depth = (*declared)[*axis];
  auto known = dyn_cast_or_null<AffineConstantExpr>(depth);
  if (!depth || (known && known.getValue() < 0))
    return node.error() << "expected a depth known at compile time, at least 0";
  Shape shape = indices.shape;
  shape.insert(shape.begin() + *axis, depth);
  SmallVector<AffineExpr> read;
  for (int64_t i = 0; i < rank; ++i)
    if (i != *axis)
      read.push_back(lowering.b.getAffineDimExpr(i));
  auto value = [&](int64_t i) {
    return AffineMap::get(rank, 0, lowering.constant(i));
  };
  return SmallVector<Tensor>{readEach(
      lowering, {indices, values, values},
      {AffineMap::get(rank, 0, read, lowering.context()), value(0), value(1)},
      shape, values.dtype, [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
        Scalars s(b, DType::Int64);
        Value index =
            Lowering::castScalar(b, v[0], indices.dtype, DType::Int64);
        Value count = sizeScalar(lowering, s, depth);
        Value wrapped =
            s.select(s.lt(index, s.constantInt(0)), s.add(index, count), index);
        Value here = arith::IndexCastOp::create(
            b, b.getI64Type(), linalg::IndexOp::create(b, *axis));
        return s.select(s.eq(here, wrapped), v[2], v[1]);
      })};
}

static Support supportsOneHot(const Node &node) {
  if (node.numInputs() != 3)
    return Support::no("expected three inputs");
  return Support::yes();
}

void lutra::addGatherHandlers(Registry &r) {
  r.add({"", "Gather", {1, 11, 13}, supportsGather, lowerGather});
  r.add({"", "GatherElements", {11, 13}, supportsGather, lowerGatherElements});
  r.add({"", "GatherND", {11, 12, 13}, supportsGather, lowerGatherND});
  r.add({"",
         "OneHot",
         {9, 11, 28},
         supportsOneHot,
         lowerOneHot,
         "a depth that depends on data"});
}
