//===- LoweringMovement.cpp - Reshaping, permuting, slicing, joining ------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the operations of Lowering that move elements and compute
// nothing. Small constants fold, weights get a step of their expression where
// there is one, and the rest becomes tensor operations on symbolic shapes.
//
//===----------------------------------------------------------------------===//

#include "ReshapeFactors.h"
#include "SizeAlgebra.h"
#include "dialects/Lutra/WeightSteps.h"
#include "lutra/Frontend/ONNX/Lowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Weights and constants
//===----------------------------------------------------------------------===//

/// `weight` with one more step, or null where the value is no weight.
static Value appendStep(ImplicitLocOpBuilder &b, Value weight, Attribute step) {
  auto op = weight.getDefiningOp<WeightOp>();
  if (!op)
    return {};
  FailureOr<WeightOp> result = addSteps(b, op, step);
  return succeeded(result) ? result->getResult() : Value();
}

static std::optional<SmallVector<int64_t>> staticShape(ArrayRef<AffineExpr> s) {
  SmallVector<int64_t> sizes;
  for (AffineExpr size : s) {
    auto number = dyn_cast<AffineConstantExpr>(size);
    if (!number)
      return std::nullopt;
    sizes.push_back(number.getValue());
  }
  return sizes;
}

static DenseElementsAttr constantOf(const Tensor &tensor) {
  DenseElementsAttr elements;
  if (tensor.value.getDefiningOp<arith::ConstantOp>())
    matchPattern(tensor.value, m_Constant(&elements));
  return elements;
}

/// A constant of `shape` whose element at an index is source[from(index)];
/// nothing where the result is no small constant.
static std::optional<Tensor>
gatherConstant(Lowering &lowering, const Tensor &source,
               ArrayRef<AffineExpr> shape,
               function_ref<int64_t(ArrayRef<int64_t>)> from) {
  DenseElementsAttr elements = constantOf(source);
  std::optional<SmallVector<int64_t>> sizes = staticShape(shape);
  if (!elements || !sizes)
    return std::nullopt;
  auto type = RankedTensorType::get(*sizes, elements.getElementType());
  int64_t count = 1;
  for (int64_t size : *sizes)
    if (llvm::MulOverflow(count, size, count))
      return std::nullopt;
  if (count * llvm::divideCeil(type.getElementTypeBitWidth(), 8) >
      WeightOp::kMaxInlineBytes)
    return std::nullopt;
  if (elements.isSplat())
    return lowering.constantTensor(elements.resizeSplat(type), source.dtype);
  auto values = elements.getValues<Attribute>();
  SmallVector<Attribute> picked;
  SmallVector<int64_t> index(sizes->size());
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t d = index.size() - 1, rest = i; d >= 0; --d) {
      index[d] = rest % (*sizes)[d];
      rest /= (*sizes)[d];
    }
    picked.push_back(values[from(index)]);
  }
  return lowering.constantTensor(DenseElementsAttr::get(type, picked),
                                 source.dtype);
}

/// Row-major strides of a static shape.
static SmallVector<int64_t> stridesOf(const Tensor &tensor) {
  SmallVector<int64_t> strides(tensor.rank(), 1);
  for (int64_t d = tensor.rank() - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * tensor.staticSize(d + 1);
  return strides;
}

//===----------------------------------------------------------------------===//
// Reshape
//===----------------------------------------------------------------------===//

/// Collapses the source runs, then expands to the target runs.
static Value collapseAndExpand(Lowering &lowering, const Tensor &operand,
                               ArrayRef<AffineExpr> shape,
                               ArrayRef<FactorGroup> groups) {
  SmallVector<ReassociationIndices> collapse, expand;
  Shape middle;
  for (const FactorGroup &group : groups) {
    collapse.emplace_back(group.source);
    expand.emplace_back(group.target);
    middle.push_back(group.size);
  }
  Value value = operand.value;
  if (middle.size() != operand.shape.size())
    value = tensor::CollapseShapeOp::create(
        lowering.b, lowering.type(middle, operand.dtype), value, collapse);
  if (middle.size() != shape.size())
    value = tensor::ExpandShapeOp::create(lowering.b,
                                          lowering.type(shape, operand.dtype),
                                          value, expand, lowering.sizes(shape));
  return value;
}

/// Reshapes from or to rank 0, where all sizes of the other side are one.
static Value reshapeScalar(Lowering &lowering, const Tensor &operand,
                           ArrayRef<AffineExpr> shape) {
  auto type = lowering.type(shape, operand.dtype);
  ArrayRef<ReassociationIndices> none;
  if (shape.empty())
    return tensor::CollapseShapeOp::create(lowering.b, type, operand.value,
                                           none);
  return tensor::ExpandShapeOp::create(lowering.b, type, operand.value, none,
                                       lowering.sizes(shape));
}

FailureOr<Tensor> Lowering::reshape(const Tensor &operand,
                                    ArrayRef<AffineExpr> requested) {
  Shape shape = llvm::map_to_vector(requested, canonicalSize);
  Shape source = llvm::map_to_vector(operand.shape, canonicalSize);
  Tensor result = operand;
  result.shape = shape;
  if (shape.size() > 1)
    result.ints.reset();
  if (source == shape)
    return result;
  result.factors = nullptr;
  result.codes = nullptr;
  AffineExpr from = multiplySizes(source, context());
  AffineExpr to = multiplySizes(shape, context());
  if (!from || !to || !requireEqual(from, to))
    return emitError(b.getLoc()) << "expected a shape of as many elements as "
                                 << str(source) << ", got " << str(shape);
  if (from == constant(0)) {
    result.value = empty(shape, operand.dtype);
    return result;
  }
  if (operand.value.getDefiningOp<WeightOp>())
    if (auto sizes = staticShape(shape)) {
      result.value =
          appendStep(b, operand.value, ReshapeAttr::get(context(), *sizes));
      return result;
    }
  if (DenseElementsAttr elements = constantOf(operand))
    if (auto sizes = staticShape(shape)) {
      auto type = RankedTensorType::get(*sizes, elements.getElementType());
      result.value =
          constantTensor(elements.reshape(type), operand.dtype).value;
      return result;
    }
  Tensor canonical = operand;
  canonical.shape = source;
  if (source.empty() || shape.empty()) {
    result.value = reshapeScalar(*this, canonical, shape);
    return result;
  }
  auto groups = matchFactors(source, shape, context());
  if (!groups)
    return emitError(b.getLoc()) << "cannot match the factors of "
                                 << str(source) << " and " << str(shape);
  result.value = collapseAndExpand(*this, canonical, shape, *groups);
  return result;
}

//===----------------------------------------------------------------------===//
// Transpose
//===----------------------------------------------------------------------===//

Tensor Lowering::transpose(const Tensor &operand,
                           ArrayRef<int64_t> permutation) {
  bool identity = true;
  Shape shape;
  SmallVector<unsigned> inverse(permutation.size());
  for (auto [to, from] : llvm::enumerate(permutation)) {
    shape.push_back(operand.shape[from]);
    inverse[from] = to;
    identity &= int64_t(to) == from;
  }
  if (identity)
    return operand;
  if (Value weight = appendStep(b, operand.value,
                                TransposeAttr::get(context(), permutation)))
    return tensor(weight, shape, operand.dtype);
  auto source = [&](ArrayRef<int64_t> index) {
    SmallVector<int64_t> strides = stridesOf(operand);
    int64_t at = 0;
    for (auto [to, from] : llvm::enumerate(permutation))
      at += index[to] * strides[from];
    return at;
  };
  if (auto folded = gatherConstant(*this, operand, shape, source))
    return *folded;
  auto output = AffineMap::getMultiDimIdentityMap(shape.size(), context());
  auto input = AffineMap::getPermutationMap(inverse, context());
  SmallVector<utils::IteratorType> iterators(shape.size(),
                                             utils::IteratorType::parallel);
  return generic({operand}, {input, output}, iterators,
                 empty(shape, operand.dtype), shape, operand.dtype,
                 [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
}

Tensor Lowering::reverse(const Tensor &operand, ArrayRef<int64_t> dims) {
  Tensor result = operand;
  result.ints.reset();
  result.factors = nullptr;
  result.codes = nullptr;
  if (operand.value.getDefiningOp<WeightOp>()) {
    for (int64_t dim : dims)
      if (operand.staticSize(dim) != 1)
        result.value =
            appendStep(b, result.value, ReverseAttr::get(context(), dim));
    return result;
  }
  if (auto constant = gatherConstant(
          *this, operand, operand.shape, [&](ArrayRef<int64_t> index) {
            int64_t at = 0;
            for (auto [d, stride] : llvm::enumerate(stridesOf(operand)))
              at += stride * (llvm::is_contained(dims, int64_t(d))
                                  ? operand.staticSize(d) - 1 - index[d]
                                  : index[d]);
            return at;
          }))
    return *constant;
  int64_t rank = operand.rank();
  SmallVector<Value> last(rank);
  for (int64_t dim : dims)
    last[dim] = sizeValue(canonicalSize(operand.shape[dim] - 1));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  return generic(
      {}, b.getMultiDimIdentityMap(rank), iterators,
      empty(operand.shape, operand.dtype), operand.shape, operand.dtype,
      [&](ImplicitLocOpBuilder &b, ValueRange) {
        SmallVector<Value> at;
        for (int64_t i = 0; i < rank; ++i) {
          at.push_back(linalg::IndexOp::create(b, i));
          if (last[i])
            at[i] = arith::SubIOp::create(b, last[i], at[i]);
        }
        return tensor::ExtractOp::create(b, operand.value, at).getResult();
      });
}

//===----------------------------------------------------------------------===//
// Slice, pad, concatenate
//===----------------------------------------------------------------------===//

/// Whether there is nothing to move: no place in such a shape is within bounds.
static bool isEmpty(ArrayRef<AffineExpr> shape) {
  return llvm::any_of(shape,
                      [](AffineExpr size) { return canonicalSize(size) == 0; });
}

Tensor Lowering::slice(const Tensor &operand, ArrayRef<AffineExpr> offsets,
                       ArrayRef<AffineExpr> extents,
                       ArrayRef<int64_t> strides) {
  Shape shape = llvm::map_to_vector(extents, canonicalSize);
  if (shape == llvm::map_to_vector(operand.shape, canonicalSize))
    return operand;
  if (isEmpty(shape))
    return tensor(empty(shape, operand.dtype), shape, operand.dtype);
  std::optional<SmallVector<int64_t>> starts = staticShape(offsets);
  auto source = [&](ArrayRef<int64_t> index) {
    SmallVector<int64_t> rows = stridesOf(operand);
    int64_t at = 0;
    for (size_t d = 0; d < index.size(); ++d)
      at += ((*starts)[d] + index[d] * strides[d]) * rows[d];
    return at;
  };
  if (starts)
    if (auto folded = gatherConstant(*this, operand, shape, source))
      return *folded;
  SmallVector<OpFoldResult> steps;
  for (int64_t stride : strides)
    steps.push_back(b.getIndexAttr(stride));
  Value result = tensor::ExtractSliceOp::create(b, type(shape, operand.dtype),
                                                operand.value, sizes(offsets),
                                                sizes(shape), steps);
  return tensor(result, shape, operand.dtype);
}

/// A weight of `shape`, with zeros where the operand has no element: dimensions
/// are packed into a single tile each. Null where the operand is no weight.
static Value extendWeight(ImplicitLocOpBuilder &b, const Tensor &operand,
                          ArrayRef<int64_t> shape) {
  Value weight = operand.value;
  SmallVector<int64_t> sizes;
  for (int64_t dim = 0, rank = operand.rank(); dim < rank; ++dim)
    sizes.push_back(operand.staticSize(dim));
  for (int64_t dim = 0, rank = operand.rank(); weight && dim < rank; ++dim) {
    if (sizes[dim] == shape[dim])
      continue;
    sizes[dim] = shape[dim];
    auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank + 1));
    std::swap(permutation[dim], permutation[rank]);
    Attribute steps[] = {PackAttr::get(b.getContext(), dim, shape[dim], dim),
                         TransposeAttr::get(b.getContext(), permutation),
                         ReshapeAttr::get(b.getContext(), sizes)};
    for (Attribute step : steps)
      if (weight)
        weight = appendStep(b, weight, step);
  }
  return weight;
}

Tensor Lowering::pad(const Tensor &operand, ArrayRef<AffineExpr> low,
                     ArrayRef<AffineExpr> high, Value value) {
  Shape shape;
  bool needed = false;
  for (auto [size, before, after] : llvm::zip(operand.shape, low, high)) {
    needed |= before != constant(0) || after != constant(0);
    shape.push_back(canonicalSize(size + before + after));
  }
  if (!needed)
    return operand;
  if (isEmpty(operand.shape))
    return splat(shape, operand.dtype, value);
  bool behind = llvm::all_of(
      low, [&](AffineExpr before) { return before == constant(0); });
  std::optional<SmallVector<int64_t>> known = staticShape(shape);
  if (operand.value.getDefiningOp<WeightOp>() && behind && known &&
      (matchPattern(value, m_Zero()) || matchPattern(value, m_PosZeroFloat())))
    return tensor(extendWeight(b, operand, *known), shape, operand.dtype);
  Value result =
      tensor::PadOp::create(b, type(shape, operand.dtype), operand.value,
                            sizes(low), sizes(high), value);
  return tensor(result, shape, operand.dtype);
}

Tensor Lowering::concat(ArrayRef<Tensor> operands, int64_t axis) {
  if (operands.size() == 1)
    return operands.front();
  Shape shape = operands.front().shape;
  SmallVector<AffineExpr> offsets;
  AffineExpr end = constant(0);
  for (const Tensor &operand : operands) {
    offsets.push_back(end);
    end = canonicalSize(end + operand.shape[axis]);
  }
  shape[axis] = end;
  DType dtype = operands.front().dtype;
  Value result = empty(shape, dtype);
  SmallVector<OpFoldResult> ones(shape.size(), b.getIndexAttr(1));
  for (auto [operand, offset] : llvm::zip(operands, offsets)) {
    if (isEmpty(operand.shape))
      continue;
    SmallVector<OpFoldResult> at(shape.size(), b.getIndexAttr(0));
    at[axis] = size(offset);
    result = tensor::InsertSliceOp::create(b, operand.value, result, at,
                                           sizes(operand.shape), ones);
  }
  return tensor(result, shape, dtype);
}
