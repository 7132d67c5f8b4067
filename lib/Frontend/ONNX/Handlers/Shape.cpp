//===- Shape.cpp - Shape, Reshape, Flatten, Squeeze, Unsqueeze ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements what reads or changes shapes and moves no element. The target
// shape must be known as expressions over the symbolic dimensions; shape
// arithmetic in the graph has been folded to that before it arrives here.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "Operands.h"

using namespace mlir;
using namespace mlir::lutra;

template <unsigned least, unsigned most>
static Support supportsInputs(const Node &node) {
  unsigned count = node.numInputs();
  if (count < least || count > most)
    return Support::no("expected " + Twine(least) +
                       (least == most ? Twine() : " to " + Twine(most)) +
                       " inputs, got " + Twine(count));
  return Support::yes();
}

template <unsigned least>
static Support supportsShapeInput(const Node &node) {
  Support inputs = supportsInputs<least, 2>(node);
  return inputs ? supportsKnown(node, 1, least == 2 ? "shape" : "axes", true)
                : inputs;
}

/// The shape of the result where input 1, from which it would follow, is only
/// known at run time but the model declares it.
static std::optional<Shape> declaredInstead(const Node &node,
                                            Lowering &lowering) {
  if (!node.input(1) || knownInts(lowering, node.input(1)))
    return std::nullopt;
  return declaredShape(node);
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

static FailureOr<SmallVector<Tensor>> lowerShape(const Node &node,
                                                 Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  Shape shape = node.input(0).shape;
  int64_t rank = shape.size();
  auto clamp = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  int64_t start = clamp(node.intAttr("start", 0));
  int64_t end = std::max(start, clamp(node.intAttr("end", rank)));
  return SmallVector<Tensor>{
      lowering.intsTensor(ArrayRef(shape).slice(start, end - start))};
}

//===----------------------------------------------------------------------===//
// Reshape and Flatten
//===----------------------------------------------------------------------===//

/// The size that -1 stands for: what the other sizes leave of all elements.
static FailureOr<AffineExpr> inferSize(const Node &node, Lowering &lowering,
                                       const Tensor &input, const Shape &rest) {
  AffineExpr total = multiplySizes(input.shape, lowering.context());
  AffineExpr known = multiplySizes(rest, lowering.context());
  std::optional<AffineExpr> quotient =
      total && known ? divideSize(total, known) : std::nullopt;
  if (!quotient)
    return node.error() << "expected the number of elements of "
                        << lowering.str(input.shape)
                        << " to be a multiple of that of "
                        << lowering.str(rest);
  return *quotient;
}

static FailureOr<Shape> reshapeTarget(const Node &node, Lowering &lowering,
                                      const Tensor &input,
                                      ArrayRef<AffineExpr> requested) {
  Shape shape, rest;
  std::optional<size_t> inferred;
  bool keepZero = node.intAttr("allowzero", 0) == 1;
  for (size_t i = 0; i < requested.size(); ++i) {
    AffineExpr size = requested[i];
    auto number = dyn_cast<AffineConstantExpr>(size);
    int64_t value = number ? number.getValue() : 1;
    if (number && value == -1) {
      if (inferred)
        return node.error() << "expected at most one size of -1, got "
                            << lowering.str(requested);
      inferred = i;
      shape.push_back(size);
      continue;
    }
    if (number ? value < 0 : !lowering.isNonNegative(size))
      return node.error() << "expected sizes of -1 or more, got "
                          << lowering.str(requested);
    if (number && value == 0 && !keepZero) {
      if (int64_t(i) >= input.rank())
        return node.error()
               << "expected a size to copy for dimension " << i
               << ", got an input of " << lowering.str(input.shape);
      size = input.shape[i];
    }
    shape.push_back(size);
    rest.push_back(size);
  }
  if (inferred) {
    FailureOr<AffineExpr> size = inferSize(node, lowering, input, rest);
    if (failed(size))
      return failure();
    shape[*inferred] = *size;
  }
  return shape;
}

static FailureOr<SmallVector<Tensor>> lowerReshape(const Node &node,
                                                   Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  if (auto declared = declaredInstead(node, lowering))
    return one(lowering.reshape(node.input(0), *declared));
  auto requested = requireInts(node, lowering, 1, "shape");
  if (failed(requested))
    return failure();
  FailureOr<Shape> shape =
      reshapeTarget(node, lowering, node.input(0), *requested);
  if (failed(shape))
    return failure();
  return one(lowering.reshape(node.input(0), *shape));
}

static FailureOr<SmallVector<Tensor>> lowerFlatten(const Node &node,
                                                   Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  Tensor input = node.input(0);
  int64_t axis = node.intAttr("axis", 1), rank = input.rank();
  if (axis < -rank || axis > rank)
    return node.error() << "expected an axis in [" << -rank << ", " << rank
                        << "], got " << axis;
  ArrayRef<AffineExpr> shape = input.shape;
  size_t split = axis < 0 ? axis + rank : axis;
  AffineExpr rows = multiplySizes(shape.take_front(split), lowering.context());
  AffineExpr columns =
      multiplySizes(shape.drop_front(split), lowering.context());
  if (!rows || !columns)
    return node.error() << "expected fewer than 2^63 elements, got "
                        << lowering.str(shape);
  return one(lowering.reshape(input, {rows, columns}));
}

//===----------------------------------------------------------------------===//
// Squeeze and Unsqueeze
//===----------------------------------------------------------------------===//

/// Axes are an attribute before version 13, then an input. Nothing where the
/// node has none.
static FailureOr<std::optional<SmallVector<int64_t>>>
squeezeAxes(const Node &node, Lowering &lowering) {
  if (node.sinceVersion >= 13) {
    if (!node.input(1))
      return std::optional<SmallVector<int64_t>>();
    FailureOr<SmallVector<int64_t>> axes =
        requireConstants(node, lowering, 1, "axes");
    if (failed(axes))
      return failure();
    return std::make_optional(*axes);
  }
  if (!node.hasAttr("axes"))
    return std::optional<SmallVector<int64_t>>();
  return std::make_optional(node.intsAttr("axes"));
}

static bool isOne(AffineExpr size) {
  auto number = dyn_cast<AffineConstantExpr>(size);
  return number && number.getValue() == 1;
}

static FailureOr<SmallVector<Tensor>> lowerSqueeze(const Node &node,
                                                   Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  Tensor input = node.input(0);
  if (auto declared = declaredInstead(node, lowering))
    return one(lowering.reshape(input, *declared));
  auto axes = squeezeAxes(node, lowering);
  if (failed(axes))
    return failure();
  SmallVector<int64_t> dropped;
  if (*axes) {
    auto normal = normalizeAxes(node, **axes, input.rank());
    if (failed(normal))
      return failure();
    dropped = *normal;
  } else {
    for (int64_t d = 0; d < input.rank(); ++d)
      if (isOne(input.shape[d]))
        dropped.push_back(d);
  }
  Shape shape;
  for (int64_t d = 0; d < input.rank(); ++d) {
    if (!llvm::is_contained(dropped, d))
      shape.push_back(input.shape[d]);
    else if (!isOne(input.shape[d]))
      return node.error() << "expected a size of 1 to drop, got "
                          << sizeText(lowering, input.shape[d])
                          << " in dimension " << d;
  }
  return one(lowering.reshape(input, shape));
}

static FailureOr<SmallVector<Tensor>> lowerUnsqueeze(const Node &node,
                                                     Lowering &lowering) {
  if (failed(requireRank(node, 0, 0)))
    return failure();
  Tensor input = node.input(0);
  if (auto declared = declaredInstead(node, lowering))
    return one(lowering.reshape(input, *declared));
  auto axes = squeezeAxes(node, lowering);
  if (failed(axes))
    return failure();
  if (!*axes)
    return node.error() << "expected axes, got none";
  int64_t rank = input.rank() + (*axes)->size();
  auto normal = normalizeAxes(node, **axes, rank);
  if (failed(normal))
    return failure();
  Shape shape;
  ArrayRef<AffineExpr> rest = input.shape;
  for (int64_t d = 0; d < rank; ++d) {
    if (llvm::is_contained(*normal, d)) {
      shape.push_back(lowering.constant(1));
      continue;
    }
    shape.push_back(rest.front());
    rest = rest.drop_front();
  }
  return one(lowering.reshape(input, shape));
}

void lutra::addShapeHandlers(Registry &registry) {
  constexpr StringLiteral known =
      "the shape must be constant or computed from shapes";
  registry.add({"",
                "Shape",
                {1, 13, 15, 19, 21, 23, 24, 25},
                supportsInputs<1, 1>,
                lowerShape});
  registry.add({"",
                "Reshape",
                {5, 13, 14, 19, 21, 23, 24, 25},
                supportsShapeInput<2>,
                lowerReshape,
                known});
  registry.add({"",
                "Flatten",
                {1, 9, 11, 13, 21, 23, 24, 25},
                supportsInputs<1, 1>,
                lowerFlatten});
  registry.add({"",
                "Squeeze",
                {1, 11, 13, 21, 23, 24, 25},
                supportsShapeInput<1>,
                lowerSqueeze,
                "the axes must be constant; without axes a symbolic dimension "
                "is never dropped"});
  registry.add({"",
                "Unsqueeze",
                {1, 11, 13, 21, 23, 24, 25},
                supportsShapeInput<1>,
                lowerUnsqueeze,
                "the axes must be constant"});
}
