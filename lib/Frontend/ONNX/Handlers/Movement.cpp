//===- Movement.cpp - Transpose, Concat, Expand, Tile, DepthToSpace -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the operators that rearrange or repeat elements, in terms of
// reshapes, transposes and broadcasts. Integers that are known at compile time
// are rearranged at compile time.
//
//===----------------------------------------------------------------------===//

#include "Movement.h"

#include "../SizeAlgebra.h"
#include "CodedMatrix.h"
#include "Operands.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// No more integers than this are tracked as expressions.
static constexpr int64_t kMaxTracked = 64;

Tensor lutra::readAt(Lowering &lowering, const Tensor &source,
                     ArrayRef<AffineExpr> shape, IndexBody from) {
  AffineMap map = lowering.b.getMultiDimIdentityMap(shape.size());
  SmallVector<utils::IteratorType> iterators(shape.size(),
                                             utils::IteratorType::parallel);
  return lowering.generic(
      {}, map, iterators, lowering.empty(shape, source.dtype), shape,
      source.dtype, [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        SmallVector<Value> index;
        for (size_t d = 0; d < shape.size(); ++d)
          index.push_back(linalg::IndexOp::create(b, d));
        return tensor::ExtractOp::create(b, source.value, from(b, index));
      });
}

template <unsigned count>
static Support supportsInputs(const Node &node) {
  if (node.numInputs() != count)
    return Support::no("expected " + Twine(count) + " inputs, got " +
                       Twine(node.numInputs()));
  return Support::yes();
}

static Support supportsShapeInput(const Node &node) {
  Support inputs = supportsInputs<2>(node);
  return inputs ? supportsKnown(node, 1, "the result's shape", true) : inputs;
}

//===----------------------------------------------------------------------===//
// Transpose
//===----------------------------------------------------------------------===//

static FailureOr<SmallVector<Tensor>> lowerTranspose(const Node &node,
                                                     Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  Tensor input = node.input(0);
  SmallVector<int64_t> reversed =
      llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, input.rank())));
  SmallVector<int64_t> permutation = node.intsAttr("perm", reversed);
  auto normal = normalizeAxes(node, permutation, input.rank());
  if (failed(normal))
    return failure();
  if (int64_t(normal->size()) != input.rank())
    return node.error() << "expected perm of " << input.rank()
                        << " dimensions, got " << normal->size();
  Tensor result = lowering.transpose(input, *normal);
  if (input.codes && normal->front() == 1)
    result.codes = transposed(lowering, *input.codes);
  if (input.factors) {
    Factors factors = *input.factors;
    factors.integers = lowering.transpose(factors.integers, *normal);
    factors.quantized = lowering.transpose(factors.quantized, *normal);
    factors.axis = llvm::find(*normal, factors.axis) - normal->begin();
    result.factors = std::make_shared<Factors>(factors);
  }
  return SmallVector<Tensor>{result};
}

//===----------------------------------------------------------------------===//
// Concat
//===----------------------------------------------------------------------===//

static Support supportsConcat(const Node &node) {
  if (node.numInputs() == 0)
    return Support::no("expected an input, got none");
  if (node.sinceVersion >= 4 && !node.hasAttr("axis"))
    return Support::no("expected an axis, got none");
  return Support::yes();
}

static LogicalResult checkConcat(const Node &node, Lowering &lowering,
                                 int64_t axis) {
  Tensor first = node.input(0);
  for (unsigned i = 1; i < node.numInputs(); ++i) {
    Tensor other = node.input(i);
    if (!other || other.dtype != first.dtype)
      return node.error() << "expected input " << i << " of type "
                          << dtypeName(first.dtype) << ", got "
                          << dtypeName(other.dtype);
    if (other.rank() == first.rank())
      other.shape[axis] = first.shape[axis];
    if (!std::equal(other.shape.begin(), other.shape.end(), first.shape.begin(),
                    first.shape.end(), [&](AffineExpr a, AffineExpr b) {
                      return lowering.requireEqual(a, b);
                    }))
      return node.error() << "expected input " << i << " to have the shape "
                          << lowering.str(first.shape) << " but for dimension "
                          << axis << ", got "
                          << lowering.str(node.input(i).shape);
  }
  return success();
}

/// The joined elements of rank-1 operands, where all are known.
static std::optional<SmallVector<AffineExpr>> joinInts(const Node &node,
                                                       Lowering &lowering) {
  SmallVector<AffineExpr> joined;
  for (const Tensor &input : node.inputs()) {
    auto ints = input.rank() == 1 ? knownInts(lowering, input) : std::nullopt;
    if (!ints || int64_t(joined.size() + ints->size()) > kMaxTracked)
      return std::nullopt;
    llvm::append_range(joined, *ints);
  }
  return joined;
}

static FailureOr<SmallVector<Tensor>> lowerConcat(const Node &node,
                                                  Lowering &lowering) {
  if (Support support = supportsConcat(node); !support)
    return node.error() << support.reason();
  if (failed(requireRank(node, 0, 1)))
    return failure();
  Tensor first = node.input(0);
  FailureOr<int64_t> axis =
      normalizeAxis(node, node.intAttr("axis", 1), first.rank());
  if (failed(axis) || failed(checkConcat(node, lowering, *axis)))
    return failure();
  if (auto ints = joinInts(node, lowering))
    return SmallVector<Tensor>{lowering.intsTensor(*ints, first.dtype)};
  return SmallVector<Tensor>{lowering.concat(node.inputs(), *axis)};
}

//===----------------------------------------------------------------------===//
// Expand and Tile
//===----------------------------------------------------------------------===//

static LogicalResult checkSizes(const Node &node, Lowering &lowering,
                                ArrayRef<AffineExpr> sizes) {
  for (AffineExpr size : sizes)
    if (!lowering.isNonNegative(size))
      return node.error() << "expected sizes of 0 or more, got "
                          << lowering.str(sizes);
  return success();
}

/// The elements of input 1 or, where they are only known at run time but the
/// result's shape is declared, what that says of each of its dimensions and the
/// input's.
static FailureOr<SmallVector<AffineExpr>>
declaredOr(const Node &node, Lowering &lowering, StringRef what,
           function_ref<std::optional<AffineExpr>(AffineExpr, AffineExpr)> of) {
  std::optional<Shape> declared = declaredShape(node);
  Shape shape = node.input(0).shape;
  if (!declared || declared->size() < shape.size() || !node.input(1) ||
      knownInts(lowering, node.input(1)))
    return requireInts(node, lowering, 1, what);
  SmallVector<AffineExpr> result;
  size_t added = declared->size() - shape.size();
  for (auto [i, size] : llvm::enumerate(*declared)) {
    AffineExpr from = i < added ? lowering.constant(1) : shape[i - added];
    std::optional<AffineExpr> element = of(size, from);
    if (!element)
      return requireInts(node, lowering, 1, what);
    result.push_back(*element);
  }
  return result;
}

/// Known integers repeated over a result of rank 1; else no integers.
static void repeatInts(Lowering &lowering, const Tensor &input,
                       Tensor &result) {
  result.ints.reset();
  int64_t size = result.rank() == 1 ? result.staticSize(0) : -1;
  if (size < 0 || size > kMaxTracked)
    return;
  auto ints = knownInts(lowering, input);
  if (!ints || ints->empty())
    return;
  result.ints.emplace();
  for (int64_t i = 0; i < size; ++i)
    result.ints->push_back((*ints)[i % ints->size()]);
}

static FailureOr<SmallVector<Tensor>> lowerExpand(const Node &node,
                                                  Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  auto shape = declaredOr(node, lowering, "shape", [](AffineExpr size, auto) {
    return std::optional<AffineExpr>(size);
  });
  if (failed(shape) || failed(checkSizes(node, lowering, *shape)))
    return failure();
  FailureOr<Tensor> result = lowering.expand(node.input(0), *shape);
  if (failed(result))
    return failure();
  repeatInts(lowering, node.input(0), *result);
  return SmallVector<Tensor>{*result};
}

/// The input as [r0, d0, r1, d1, ...], where no loop stands for a repeat of 1.
static Tensor repeatDims(Lowering &lowering, const Tensor &input,
                         ArrayRef<AffineExpr> repeats) {
  SmallVector<AffineExpr> exprs;
  Shape shape;
  for (auto [size, repeat] : llvm::zip(input.shape, repeats)) {
    if (repeat != lowering.constant(1))
      shape.push_back(repeat);
    exprs.push_back(lowering.b.getAffineDimExpr(shape.size()));
    shape.push_back(size);
  }
  AffineMap maps[] = {
      AffineMap::get(shape.size(), 0, exprs, lowering.context()),
      lowering.b.getMultiDimIdentityMap(shape.size())};
  SmallVector<utils::IteratorType> iterators(shape.size(),
                                             utils::IteratorType::parallel);
  return lowering.generic(
      input, maps, iterators, lowering.empty(shape, input.dtype), shape,
      input.dtype, [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
}

static FailureOr<SmallVector<Tensor>> lowerTile(const Node &node,
                                                Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  Tensor input = node.input(0);
  auto repeats = declaredOr(node, lowering, "repeats", divideSize);
  if (failed(repeats) || failed(checkSizes(node, lowering, *repeats)))
    return failure();
  if (int64_t(repeats->size()) != input.rank())
    return node.error() << "expected " << input.rank() << " repeats, got "
                        << repeats->size();
  Shape shape;
  for (auto [size, repeat] : llvm::zip(input.shape, *repeats)) {
    shape.push_back(multiplySizes({size, repeat}, lowering.context()));
    if (!shape.back())
      return node.error() << "expected sizes below 2^63, got "
                          << lowering.str(input.shape) << " repeated "
                          << lowering.str(*repeats) << " times";
  }
  if (shape == input.shape)
    return SmallVector<Tensor>{input};
  FailureOr<Tensor> result =
      lowering.reshape(repeatDims(lowering, input, *repeats), shape);
  if (failed(result))
    return failure();
  repeatInts(lowering, input, *result);
  return SmallVector<Tensor>{*result};
}

//===----------------------------------------------------------------------===//
// DepthToSpace and SpaceToDepth
//===----------------------------------------------------------------------===//

static Support supportsBlocks(const Node &node) {
  if (node.numInputs() != 1)
    return Support::no("expected 1 input, got " + Twine(node.numInputs()));
  int64_t block = node.intAttr("blocksize", 0);
  if (block < 1 || block > INT16_MAX)
    return Support::no("expected blocksize in [1, " + Twine(INT16_MAX) +
                       "], got " + Twine(block));
  StringRef mode = node.stringAttr("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    return Support::no("expected mode DCR or CRD, got " + mode);
  if (auto rank = knownRank(node.input(0)); rank && *rank != 4)
    return Support::no("expected an input of rank 4, got rank " + Twine(*rank));
  return Support::yes();
}

/// The input of rank 4 of a node that `supportsBlocks` accepts.
static FailureOr<Tensor> blockInput(const Node &node, Lowering &lowering) {
  if (Support support = supportsBlocks(node); !support)
    return node.error() << support.reason();
  if (node.input(0).rank() != 4)
    return node.error() << "expected an input of rank 4, got "
                        << lowering.str(node.input(0).shape);
  return node.input(0);
}

static FailureOr<AffineExpr> divideDim(const Node &node, Lowering &lowering,
                                       const Tensor &x, unsigned dim,
                                       int64_t by) {
  if (auto quotient = divideSize(x.shape[dim], lowering.constant(by)))
    return *quotient;
  return node.error() << "expected dimension " << dim << " to be a multiple of "
                      << by << ", got " << sizeText(lowering, x.shape[dim]);
}

static FailureOr<Tensor> rearrange(Lowering &lowering, const Tensor &x,
                                   ArrayRef<AffineExpr> split,
                                   ArrayRef<int64_t> permutation,
                                   ArrayRef<AffineExpr> joined) {
  FailureOr<Tensor> parts = lowering.reshape(x, split);
  if (failed(parts))
    return failure();
  return lowering.reshape(lowering.transpose(*parts, permutation), joined);
}

static FailureOr<SmallVector<Tensor>> lowerDepthToSpace(const Node &node,
                                                        Lowering &lowering) {
  FailureOr<Tensor> x = blockInput(node, lowering);
  if (failed(x))
    return failure();
  int64_t size = node.intAttr("blocksize", 1);
  FailureOr<AffineExpr> depth = divideDim(node, lowering, *x, 1, size * size);
  if (failed(depth))
    return failure();
  AffineExpr n = x->shape[0], h = x->shape[2], w = x->shape[3];
  AffineExpr block = lowering.constant(size);
  Shape joined = {n, *depth, h * size, w * size};
  if (node.stringAttr("mode", "DCR") == "DCR")
    return one(rearrange(lowering, *x, {n, block, block, *depth, h, w},
                         {0, 3, 4, 1, 5, 2}, joined));
  return one(rearrange(lowering, *x, {n, *depth, block, block, h, w},
                       {0, 1, 4, 2, 5, 3}, joined));
}

static FailureOr<SmallVector<Tensor>> lowerSpaceToDepth(const Node &node,
                                                        Lowering &lowering) {
  FailureOr<Tensor> x = blockInput(node, lowering);
  if (failed(x))
    return failure();
  int64_t size = node.intAttr("blocksize", 1);
  FailureOr<AffineExpr> h = divideDim(node, lowering, *x, 2, size);
  FailureOr<AffineExpr> w = divideDim(node, lowering, *x, 3, size);
  if (failed(h) || failed(w))
    return failure();
  AffineExpr n = x->shape[0], c = x->shape[1];
  AffineExpr block = lowering.constant(size);
  Shape split = {n, c, *h, block, *w, block};
  Shape joined = {n, c * (size * size), *h, *w};
  bool depthFirst = node.stringAttr("mode", "DCR") == "DCR";
  return one(rearrange(lowering, *x, split,
                       depthFirst ? ArrayRef<int64_t>({0, 3, 5, 1, 2, 4})
                                  : ArrayRef<int64_t>({0, 1, 3, 5, 2, 4}),
                       joined));
}

void lutra::addMovementHandlers(Registry &registry) {
  registry.add({"",
                "Transpose",
                {1, 13, 21, 23, 24, 25},
                supportsInputs<1>,
                lowerTranspose});
  registry.add({"", "Concat", {4, 11, 13}, supportsConcat, lowerConcat});
  registry.add({"",
                "Expand",
                {8, 13},
                supportsShapeInput,
                lowerExpand,
                "the shape must be constant or computed from shapes"});
  registry.add({"",
                "Tile",
                {6, 13},
                supportsShapeInput,
                lowerTile,
                "the repeats must be constant or computed from shapes"});
  registry.add(
      {"", "DepthToSpace", {1, 11, 13, 28}, supportsBlocks, lowerDepthToSpace});
  registry.add(
      {"", "SpaceToDepth", {1, 13, 28}, supportsBlocks, lowerSpaceToDepth});
  addSliceHandlers(registry);
  addSplitHandlers(registry);
  addPadHandlers(registry);
}
