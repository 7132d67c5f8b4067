//===- Scatter.cpp - ScatterElements, ScatterND, TensorScatter ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes at positions that are data, in the order of the updates, so that of
// several to one place the last one wins. A negative index counts from the end;
// one that is out of range is clamped, so that nothing outside of the tensor is
// ever written.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Loops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static constexpr StringRef kReductions[] = {"none", "add", "mul", "max", "min"};

static Support supportsScatter(const Node &node) {
  if (node.numInputs() != 3)
    return Support::no("expected 3 inputs, got " + Twine(node.numInputs()));
  DType index = node.input(1).dtype;
  if (index != DType::Undefined && index != DType::Int64 &&
      index != DType::Int32)
    return Support::no("expected indices of type INT32 or INT64, got " +
                       dtypeName(index));
  DType data = node.input(0).dtype, updates = node.input(2).dtype;
  if (data != DType::Undefined && updates != DType::Undefined &&
      data != updates)
    return Support::no("expected updates of type " + dtypeName(data) +
                       ", got " + dtypeName(updates));
  StringRef reduction = node.stringAttr("reduction", "none");
  if (!llvm::is_contained(kReductions, reduction))
    return Support::no("expected reduction none, add, mul, max or min, got " +
                       reduction);
  return Support::yes();
}

static bool isStaticallyEmpty(ArrayRef<AffineExpr> shape) {
  return llvm::any_of(shape, [](AffineExpr size) {
    auto known = dyn_cast<AffineConstantExpr>(size);
    return known && known.getValue() == 0;
  });
}

//===----------------------------------------------------------------------===//
// Updates
//===----------------------------------------------------------------------===//

/// What becomes of `old`, both of `dtype`.
static Value combine(ImplicitLocOpBuilder &b, Value old, Value update,
                     DType dtype, StringRef reduction) {
  if (reduction == "none")
    return update;
  DType type = computeType(dtype);
  Scalars s(b, type);
  Value x = Lowering::castScalar(b, old, dtype, type);
  Value y = Lowering::castScalar(b, update, dtype, type);
  // The sum of bools is their disjunction.
  Value result = reduction == "mul"                           ? s.mul(x, y)
                 : reduction == "min"                         ? s.min(x, y)
                 : reduction == "max" || dtype == DType::Bool ? s.max(x, y)
                                                              : s.add(x, y);
  return Lowering::castScalar(b, result, type, dtype);
}

namespace {
/// A box in a tensor: one position in some dimensions, all of the others.
struct Box {
  SmallVector<OpFoldResult> offsets, sizes, strides;
  RankedTensorType type;
};
} // namespace

/// The box at `positions`, of which null ones stand for whole dimensions.
static Box boxAt(Lowering &lowering, const Tensor &tensor,
                 ArrayRef<Value> positions) {
  Box box;
  Shape inner;
  Builder &b = lowering.b;
  for (auto [size, position] : llvm::zip_equal(tensor.shape, positions)) {
    box.offsets.push_back(position ? OpFoldResult(position)
                                   : b.getIndexAttr(0));
    box.sizes.push_back(position ? b.getIndexAttr(1) : lowering.size(size));
    box.strides.push_back(b.getIndexAttr(1));
    if (!position)
      inner.push_back(size);
  }
  box.type = lowering.type(inner, tensor.dtype);
  return box;
}

static Value extract(ImplicitLocOpBuilder &b, Value tensor, const Box &box) {
  return tensor::ExtractSliceOp::create(b, box.type, tensor, box.offsets,
                                        box.sizes, box.strides);
}

/// `into` with the box at `to` combined with that of `updates` at `from`, which
/// is as large.
static Value updateBox(Lowering &lowering, ImplicitLocOpBuilder &b,
                       const Tensor &into, ArrayRef<Value> to,
                       const Tensor &updates, ArrayRef<Value> from,
                       StringRef reduction) {
  DType dtype = into.dtype;
  Box target = boxAt(lowering, into, to),
      source = boxAt(lowering, updates, from);
  unsigned rank = target.type.getRank();
  if (rank == 0) {
    Value update = tensor::ExtractOp::create(b, updates.value, from);
    Value old = reduction == "none"
                    ? Value()
                    : Value(tensor::ExtractOp::create(b, into.value, to));
    return tensor::InsertOp::create(
        b, combine(b, old, update, dtype, reduction), into.value, to);
  }
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  auto combined = linalg::GenericOp::create(
      b, target.type, extract(b, updates.value, source),
      extract(b, into.value, target), {identity, identity},
      SmallVector(rank, utils::IteratorType::parallel),
      [&](OpBuilder &nested, Location loc, ValueRange in) {
        ImplicitLocOpBuilder inner(loc, nested);
        linalg::YieldOp::create(inner,
                                combine(inner, in[1], in[0], dtype, reduction));
      });
  return tensor::InsertSliceOp::create(b, combined.getResult(0), into.value,
                                       target.offsets, target.sizes,
                                       target.strides);
}

//===----------------------------------------------------------------------===//
// ScatterElements
//===----------------------------------------------------------------------===//

static LogicalResult checkElements(const Node &node, Lowering &lowering,
                                   int64_t axis) {
  Tensor data = node.input(0), indices = node.input(1), updates = node.input(2);
  if (indices.rank() != data.rank() || updates.shape != indices.shape)
    return node.error() << "expected indices and updates of one shape of rank "
                        << data.rank() << ", got "
                        << lowering.str(indices.shape) << " and "
                        << lowering.str(updates.shape);
  for (int64_t d = 0; d < data.rank(); ++d)
    if (d != axis &&
        !lowering.requireNonNegative(data.shape[d] - indices.shape[d]))
      return node.error() << "expected at most "
                          << sizeText(lowering, data.shape[d])
                          << " indices in dimension " << d << ", got "
                          << sizeText(lowering, indices.shape[d]);
  return requirePosition(node, lowering, data.shape[axis]);
}

static Results lowerScatterElements(const Node &node, Lowering &lowering) {
  if (Support support = supportsScatter(node); !support)
    return node.error() << support.reason();
  Tensor data = node.input(0), indices = node.input(1), updates = node.input(2);
  auto axis = normalizeAxis(node, node.intAttr("axis", 0), data.rank());
  if (failed(axis))
    return failure();
  if (isStaticallyEmpty(indices.shape))
    return SmallVector<Tensor>{data};
  if (failed(checkElements(node, lowering, *axis)))
    return failure();
  StringRef reduction = node.stringAttr("reduction", "none");
  SmallVector<Value> result = loopInOrder(
      lowering, indices.shape, data.value,
      [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange tensors) {
        SmallVector<Value> from(index), to(index);
        Value at = tensor::ExtractOp::create(b, indices.value, from);
        to[*axis] = position(lowering, b, at, indices.dtype, data.shape[*axis]);
        Tensor into = lowering.tensor(tensors[0], data.shape, data.dtype);
        return SmallVector<Value>{
            updateBox(lowering, b, into, to, updates, from, reduction)};
      });
  return SmallVector<Tensor>{
      lowering.tensor(result[0], data.shape, data.dtype)};
}

//===----------------------------------------------------------------------===//
// ScatterND
//===----------------------------------------------------------------------===//

static LogicalResult checkND(const Node &node, Lowering &lowering,
                             int64_t depth) {
  Tensor data = node.input(0), indices = node.input(1), updates = node.input(2);
  if (depth < 1 || depth > data.rank())
    return node.error() << "expected indices of 1 to " << data.rank()
                        << " dimensions, got " << lowering.str(indices.shape);
  Shape expected(indices.shape.begin(), indices.shape.end() - 1);
  expected.append(data.shape.begin() + depth, data.shape.end());
  if (updates.shape != expected)
    return node.error() << "expected updates of shape "
                        << lowering.str(expected) << ", got "
                        << lowering.str(updates.shape);
  for (int64_t d = 0; d < depth; ++d)
    if (failed(requirePosition(node, lowering, data.shape[d])))
      return failure();
  return success();
}

static Results lowerScatterND(const Node &node, Lowering &lowering) {
  if (Support support = supportsScatter(node); !support)
    return node.error() << support.reason();
  if (failed(requireRank(node, 1, 1)))
    return failure();
  Tensor data = node.input(0), indices = node.input(1), updates = node.input(2);
  int64_t outer = indices.rank() - 1, depth = indices.staticSize(outer);
  ArrayRef<AffineExpr> loops = ArrayRef(indices.shape).drop_back();
  if (isStaticallyEmpty(loops))
    return SmallVector<Tensor>{data};
  if (failed(checkND(node, lowering, depth)))
    return failure();
  StringRef reduction = node.stringAttr("reduction", "none");
  SmallVector<Value> result = loopInOrder(
      lowering, loops, data.value,
      [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange tensors) {
        SmallVector<Value> from(index), to(data.rank()), component(index);
        from.resize(updates.rank());
        component.push_back(Value());
        for (int64_t d = 0; d < depth; ++d) {
          component.back() = arith::ConstantIndexOp::create(b, d);
          Value at = tensor::ExtractOp::create(b, indices.value, component);
          to[d] = position(lowering, b, at, indices.dtype, data.shape[d]);
        }
        Tensor into = lowering.tensor(tensors[0], data.shape, data.dtype);
        return SmallVector<Value>{
            updateBox(lowering, b, into, to, updates, from, reduction)};
      });
  return SmallVector<Tensor>{
      lowering.tensor(result[0], data.shape, data.dtype)};
}

//===----------------------------------------------------------------------===//
// TensorScatter
//===----------------------------------------------------------------------===//

static Support supportsTensorScatter(const Node &node) {
  if (node.numInputs() < 2 || node.numInputs() > 3)
    return Support::no("expected 2 or 3 inputs, got " +
                       Twine(node.numInputs()));
  StringRef mode = node.stringAttr("mode", "linear");
  if (mode != "linear" && mode != "circular")
    return Support::no("expected mode linear or circular, got " + mode);
  return Support::yes();
}

static LogicalResult checkCache(const Node &node, Lowering &lowering,
                                int64_t axis) {
  Tensor cache = node.input(0), update = node.input(1), start = node.input(2);
  Shape expected = cache.shape;
  if (update.rank() == cache.rank())
    expected[axis] = update.shape[axis];
  if (axis == 0 || update.shape != expected || update.dtype != cache.dtype)
    return node.error() << "expected an update of the shape and type of the "
                           "cache but for an axis behind the batch, got "
                        << lowering.str(update.shape) << " for "
                        << lowering.str(cache.shape);
  if (start && (start.dtype != DType::Int64 || start.rank() != 1 ||
                start.shape[0] != cache.shape[0]))
    return node.error() << "expected an INT64 write index for each batch, got "
                        << lowering.str(start.shape);
  return requirePosition(node, lowering, cache.shape[axis]);
}

/// The place in the cache of element `i` of batch `batch`'s update.
static Value placeInCache(const Node &node, Lowering &lowering,
                          ImplicitLocOpBuilder &b, Value batch, Value i,
                          AffineExpr size) {
  Scalars s(b, DType::Int64);
  Value at = arith::IndexCastOp::create(b, b.getI64Type(), i);
  if (Tensor start = node.input(2))
    at = s.add(at, tensor::ExtractOp::create(b, start.value, batch));
  if (node.stringAttr("mode", "linear") == "circular")
    at = s.rem(at, sizeScalar(lowering, s, size));
  return position(lowering, b, at, DType::Int64, size);
}

static Results lowerTensorScatter(const Node &node, Lowering &lowering) {
  if (Support support = supportsTensorScatter(node); !support)
    return node.error() << support.reason();
  Tensor cache = node.input(0), update = node.input(1);
  auto axis = normalizeAxis(node, node.intAttr("axis", -2), cache.rank());
  if (failed(axis))
    return failure();
  if (isStaticallyEmpty(update.shape))
    return SmallVector<Tensor>{cache};
  if (failed(checkCache(node, lowering, *axis)))
    return failure();
  SmallVector<Value> result = loopInOrder(
      lowering, {update.shape[0], update.shape[*axis]}, cache.value,
      [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange tensors) {
        SmallVector<Value> from(cache.rank()), to(cache.rank());
        from[0] = to[0] = index[0];
        from[*axis] = index[1];
        to[*axis] = placeInCache(node, lowering, b, index[0], index[1],
                                 cache.shape[*axis]);
        Tensor into = lowering.tensor(tensors[0], cache.shape, cache.dtype);
        return SmallVector<Value>{
            updateBox(lowering, b, into, to, update, from, "none")};
      });
  return SmallVector<Tensor>{
      lowering.tensor(result[0], cache.shape, cache.dtype)};
}

void lutra::addScatterHandlers(Registry &r) {
  r.add({"", "Scatter", {9, 11}, supportsScatter, lowerScatterElements});
  r.add({"",
         "ScatterElements",
         {11, 13, 16, 18},
         supportsScatter,
         lowerScatterElements});
  r.add({"", "ScatterND", {11, 13, 16, 18}, supportsScatter, lowerScatterND});
  r.add({"", "TensorScatter", {24}, supportsTensorScatter, lowerTensorScatter});
}
