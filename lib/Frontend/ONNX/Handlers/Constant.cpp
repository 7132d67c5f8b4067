//===- Constant.cpp - Constant, ConstantOfShape, Range, EyeLike, Trilu ----===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensors that come from attributes, shapes and positions.
//
//===----------------------------------------------------------------------===//

#include "Reduction.h"

#include "../SizeAlgebra.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

//===----------------------------------------------------------------------===//
// Constant, ConstantOfShape
//===----------------------------------------------------------------------===//

/// The elements in storage types: bool as a byte, integers without signs.
static DenseElementsAttr stored(DenseElementsAttr elements, DType dtype) {
  Type storage = storageType(elements.getContext(), dtype);
  if (elements.getElementType() == storage)
    return elements;
  return elements.mapValues(storage, [&](const APInt &value) {
    return value.zextOrTrunc(storage.getIntOrFloatBitWidth());
  });
}

static DenseElementsAttr floatElements(MLIRContext *context, Attribute attr) {
  SmallVector<float> values;
  if (auto array = dyn_cast<DenseF32ArrayAttr>(attr))
    values.assign(array.asArrayRef().begin(), array.asArrayRef().end());
  else if (auto list = dyn_cast<ArrayAttr>(attr))
    for (Attribute element : list)
      if (auto value = dyn_cast<FloatAttr>(element))
        values.push_back(value.getValueAsDouble());
  auto type = RankedTensorType::get({int64_t(values.size())},
                                    Float32Type::get(context));
  return DenseElementsAttr::get(type, ArrayRef<float>(values));
}

static Support supportsConstant(const Node &node) {
  for (StringRef name :
       {"value_float", "value_floats", "value_int", "value_ints"})
    if (node.hasAttr(name))
      return Support::yes();
  auto value = dyn_cast_or_null<DenseElementsAttr>(node.attr("value"));
  if (value && isSupported(dtypeOf(value.getElementType())))
    return Support::yes();
  return Support::no("expected a dense value of a supported element type");
}

static Results lowerConstant(const Node &node, Lowering &lowering) {
  MLIRContext *context = lowering.context();
  if (node.hasAttr("value_int"))
    return SmallVector<Tensor>{lowering.intsTensor(
        lowering.constant(node.intAttr("value_int", 0)), DType::Int64, true)};
  if (node.hasAttr("value_ints")) {
    auto type = lowering.type(
        lowering.constant(node.intsAttr("value_ints").size()), DType::Int64);
    return SmallVector<Tensor>{lowering.constantTensor(
        DenseElementsAttr::get(type,
                               ArrayRef<int64_t>(node.intsAttr("value_ints"))),
        DType::Int64)};
  }
  if (node.hasAttr("value_float"))
    return SmallVector<Tensor>{lowering.splat(
        {}, DType::Float,
        lowering.scalar(DType::Float, node.floatAttr("value_float", 0)))};
  if (Attribute floats = node.attr("value_floats"))
    return SmallVector<Tensor>{
        lowering.constantTensor(floatElements(context, floats), DType::Float)};
  if (Support support = supportsConstant(node); !support)
    return node.error() << support.reason();
  auto value = cast<DenseElementsAttr>(node.attr("value"));
  DType dtype = dtypeOf(value.getElementType());
  return SmallVector<Tensor>{
      lowering.constantTensor(stored(value, dtype), dtype)};
}

static Support supportsConstantOfShape(const Node &node) {
  if (!node.hasAttr("value"))
    return Support::yes();
  auto value = dyn_cast<DenseElementsAttr>(node.attr("value"));
  if (value && value.getNumElements() == 1 &&
      isSupported(dtypeOf(value.getElementType())))
    return Support::yes();
  return Support::no("expected one value of a supported element type");
}

static Results lowerConstantOfShape(const Node &node, Lowering &lowering) {
  if (Support support = supportsConstantOfShape(node); !support)
    return node.error() << support.reason();
  Tensor shape = node.input(0);
  if (auto declared = declaredShape(node);
      declared && !knownInts(lowering, shape))
    shape.ints = *declared;
  else
    shape.ints = knownInts(lowering, shape);
  if (!shape.ints)
    return node.error() << "expected a shape known at compile time";
  for (AffineExpr size : *shape.ints)
    if (auto known = dyn_cast<AffineConstantExpr>(size);
        known && known.getValue() < 0)
      return node.error() << "expected sizes of at least 0, got "
                          << known.getValue();
  DType dtype = DType::Float;
  Value scalar;
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(node.attr("value"))) {
    dtype = dtypeOf(value.getElementType());
    scalar = arith::ConstantOp::create(
        lowering.b, *stored(value, dtype).value_begin<TypedAttr>());
  } else {
    scalar = lowering.scalar(dtype, 0);
  }
  return SmallVector<Tensor>{lowering.splat(*shape.ints, dtype, scalar)};
}

static Results lowerSize(const Node &node, Lowering &lowering) {
  AffineExpr size = lowering.product(node.input(0).shape);
  return SmallVector<Tensor>{lowering.intsTensor(size, DType::Int64, true)};
}

//===----------------------------------------------------------------------===//
// Range
//===----------------------------------------------------------------------===//

/// start + i * delta for each position i; the scalars are operands of rank 0
/// (or 1, of one element).
static Tensor progression(const Node &node, Lowering &lowering,
                          AffineExpr count) {
  Tensor start = node.input(0), delta = node.input(2);
  auto map = [&](const Tensor &scalar) {
    SmallVector<AffineExpr> zeros(scalar.rank(), lowering.constant(0));
    return AffineMap::get(1, 0, zeros, lowering.context());
  };
  return computeMapped(
      lowering, {start, delta}, {map(start), map(delta)}, count, start.dtype,
      [](Scalars &s, ValueRange v) {
        Value i = arith::IndexCastOp::create(s.b, s.b.getI64Type(),
                                             linalg::IndexOp::create(s.b, 0));
        Value step = Lowering::castScalar(s.b, i, DType::Int64, s.dtype);
        return s.add(v[0], s.mul(step, v[1]));
      });
}

/// ceil((limit - start) / delta), at least 0; null where it is not known.
static AffineExpr countFloats(const Node &node, Lowering &lowering) {
  double bounds[3];
  for (unsigned i = 0; i < 3; ++i) {
    auto value = lowering.constantFloats(node.input(i));
    if (!value || value->size() != 1)
      return {};
    bounds[i] = value->front();
  }
  double count = std::ceil((bounds[1] - bounds[0]) / bounds[2]);
  // Also refuses NaN.
  if (!(count < 1e15))
    return {};
  return lowering.constant(std::max<int64_t>(0, count > 0 ? count : 0));
}

static AffineExpr countInts(const Node &node, Lowering &lowering) {
  AffineExpr bounds[3];
  for (unsigned i = 0; i < 3; ++i) {
    Tensor input = node.input(i);
    if (!input.ints || input.ints->size() != 1)
      return {};
    bounds[i] = input.ints->front();
  }
  auto delta = dyn_cast<AffineConstantExpr>(bounds[2]);
  if (!delta || delta.getValue() == 0 || delta.getValue() == INT64_MIN)
    return {};
  AffineExpr span = canonicalSize(delta.getValue() > 0 ? bounds[1] - bounds[0]
                                                       : bounds[0] - bounds[1]);
  int64_t step = std::abs(delta.getValue());
  if (auto known = dyn_cast<AffineConstantExpr>(span))
    return lowering.constant(
        std::max<int64_t>(0, llvm::divideCeilSigned(known.getValue(), step)));
  return lowering.isNonNegative(span) ? canonicalSize(span.ceilDiv(step))
                                      : AffineExpr();
}

static Results lowerRange(const Node &node, Lowering &lowering) {
  if (Support support = supportsTypes(node, Types::Number); !support)
    return node.error() << support.reason();
  bool floats = isFloat(node.input(0).dtype);
  AffineExpr count =
      floats ? countFloats(node, lowering) : countInts(node, lowering);
  std::optional<Shape> declared = declaredShape(node);
  if (!count && declared && declared->size() == 1)
    return SmallVector<Tensor>{progression(node, lowering, declared->front())};
  if (!count)
    return node.error()
           << "expected bounds known at compile time, and a delta but 0";
  auto known = dyn_cast<AffineConstantExpr>(count);
  if (floats || !known || known.getValue() > 64)
    return SmallVector<Tensor>{progression(node, lowering, count)};
  SmallVector<AffineExpr> elements;
  for (int64_t i = 0; i < known.getValue(); ++i)
    elements.push_back(node.input(0).ints->front() +
                       node.input(2).ints->front() * i);
  return SmallVector<Tensor>{
      lowering.intsTensor(elements, node.input(0).dtype)};
}

//===----------------------------------------------------------------------===//
// EyeLike, Trilu
//===----------------------------------------------------------------------===//

/// Column minus row at this position, as i64.
static Value diagonal(Scalars &s, int64_t rank) {
  auto position = [&](int64_t dim) -> Value {
    return arith::IndexCastOp::create(s.b, s.b.getI64Type(),
                                      linalg::IndexOp::create(s.b, dim));
  };
  return Scalars(s.b, DType::Int64).sub(position(rank - 1), position(rank - 2));
}

static DType eyeType(const Node &node) {
  return static_cast<DType>(
      node.intAttr("dtype", static_cast<int64_t>(node.input(0).dtype)));
}

static Results lowerEyeLike(const Node &node, Lowering &lowering) {
  Tensor x = node.input(0);
  DType type = eyeType(node);
  if (x.rank() != 2 || !isSupported(type))
    return node.error() << "expected a matrix of a supported element type";
  int64_t k = node.intAttr("k", 0);
  auto body = [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
    Scalars s(b, type), index(b, DType::Int64);
    Value one = index.eq(diagonal(s, 2), index.constantInt(k));
    return Lowering::castScalar(b, Lowering::fromI1(b, one), DType::Bool, type);
  };
  SmallVector<utils::IteratorType> iterators(2, utils::IteratorType::parallel);
  return SmallVector<Tensor>{
      lowering.generic({}, lowering.b.getMultiDimIdentityMap(2), iterators,
                       lowering.empty(x.shape, type), x.shape, type, body)};
}

static Results lowerTrilu(const Node &node, Lowering &lowering) {
  Tensor x = node.input(0), k = node.input(1);
  int64_t rank = x.rank();
  if (rank < 2)
    return node.error() << "expected at least two dimensions, got " << rank;
  bool upper = node.intAttr("upper", 1);
  SmallVector<Tensor> operands = {x};
  SmallVector<AffineMap> maps = {lowering.b.getMultiDimIdentityMap(rank)};
  if (k) {
    SmallVector<AffineExpr> zeros(k.rank(), lowering.constant(0));
    operands.push_back(k);
    maps.push_back(AffineMap::get(rank, 0, zeros, lowering.context()));
  }
  maps.push_back(lowering.b.getMultiDimIdentityMap(rank));
  auto body = [&](ImplicitLocOpBuilder &b, ValueRange v) {
    Scalars s(b, x.dtype), index(b, DType::Int64);
    Value offset = k ? v[1] : index.constantInt(0);
    Value distance = diagonal(s, rank);
    Value kept =
        upper ? index.ge(distance, offset) : index.le(distance, offset);
    return s.select(kept, v[0], s.constantInt(0));
  };
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  return SmallVector<Tensor>{lowering.generic(operands, maps, iterators,
                                              lowering.empty(x.shape, x.dtype),
                                              x.shape, x.dtype, body)};
}

static Support supportsTrilu(const Node &node) {
  DType k = node.input(1).dtype;
  if (k != DType::Undefined && k != DType::Int64)
    return Support::no("expected k of type INT64, got " + dtypeName(k));
  return Support::yes();
}

static Support supportsInput(const Node &node) {
  return node.numInputs() ? Support::yes() : Support::no("expected an input");
}

void lutra::addConstantHandlers(Registry &r) {
  r.add({"",
         "Constant",
         {1, 9, 11, 12, 13, 19, 21, 23, 24, 25},
         supportsConstant,
         lowerConstant,
         "strings and sparse values"});
  r.add({"",
         "ConstantOfShape",
         {9, 20, 21, 23, 24, 25},
         supportsConstantOfShape,
         lowerConstantOfShape,
         "shapes that depend on data"});
  r.add({"",
         "Range",
         {11, 27},
         [](const Node &node) { return supportsTypes(node, Types::Number); },
         lowerRange,
         "bounds that depend on data"});
  r.add({"", "EyeLike", {9, 22}, supportsInput, lowerEyeLike});
  r.add({"", "Trilu", {14}, supportsTrilu, lowerTrilu});
  r.add({"", "Size", {1, 13, 19, 21, 23, 24, 25}, supportsInput, lowerSize});
}
