//===- Reduction.cpp - Reduce*, ArgMax, ArgMin ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A reduction is a map of each element, a monoid, and a function of the
// result; a line of the table says which. 16-bit floats are accumulated in f32.
//
//===----------------------------------------------------------------------===//

#include "Reduction.h"

#include "../SizeAlgebra.h"
#include "DeclaredAxes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// The pieces, which Softmax and the normalizations use too
//===----------------------------------------------------------------------===//

SmallVector<int64_t> lutra::otherAxes(int64_t rank, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> others;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(axes, i))
      others.push_back(i);
  return others;
}

AffineMap lutra::selectDims(Lowering &lowering, int64_t rank,
                            ArrayRef<int64_t> dims) {
  SmallVector<AffineExpr> exprs;
  for (int64_t dim : dims)
    exprs.push_back(lowering.b.getAffineDimExpr(dim));
  return AffineMap::get(rank, 0, exprs, lowering.context());
}

AffineExpr lutra::countOf(Lowering &lowering, const Tensor &x,
                          ArrayRef<int64_t> axes) {
  Shape reduced;
  for (int64_t axis : axes)
    reduced.push_back(x.shape[axis]);
  return lowering.product(reduced);
}

static Value identityOf(Lowering &lowering, Monoid monoid, DType type) {
  ImplicitLocOpBuilder &b = lowering.b;
  if (monoid == Monoid::Sum || monoid == Monoid::Product)
    return lowering.scalarInt(type, monoid == Monoid::Product);
  bool lowest = monoid == Monoid::Max;
  if (isFloat(type))
    return lowering.scalar(type, lowest ? -INFINITY : INFINITY);
  if (type == DType::Bool)
    return lowering.scalarInt(type, lowest ? 0 : 1);
  Type storage = storageType(b.getContext(), type);
  unsigned width = storage.getIntOrFloatBitWidth();
  APInt value = isSigned(type) ? (lowest ? APInt::getSignedMinValue(width)
                                         : APInt::getSignedMaxValue(width))
                               : (lowest ? APInt::getMinValue(width)
                                         : APInt::getMaxValue(width));
  return arith::ConstantOp::create(b, b.getIntegerAttr(storage, value));
}

Tensor lutra::accumulate(Lowering &lowering, const Tensor &x,
                         ArrayRef<int64_t> axes, Monoid monoid, DType type,
                         BodyRef map) {
  Value init = identityOf(lowering, monoid, type);
  auto element = [&](ImplicitLocOpBuilder &b, ValueRange scalars) {
    Scalars s(b, type);
    Value value = Lowering::castScalar(b, scalars[0], x.dtype, type);
    return map ? map(s, value) : value;
  };
  auto combine = [&](ImplicitLocOpBuilder &b, ValueRange scalars) {
    Scalars s(b, type);
    switch (monoid) {
    case Monoid::Sum:
      return s.add(scalars[0], scalars[1]);
    case Monoid::Product:
      return s.mul(scalars[0], scalars[1]);
    case Monoid::Max:
      return s.max(scalars[0], scalars[1]);
    case Monoid::Min:
      return s.min(scalars[0], scalars[1]);
    }
    return Value();
  };
  return lowering.reduce(x, axes, /*keepDims=*/false, init, type, element,
                         combine);
}

//===----------------------------------------------------------------------===//
// Reduce*
//===----------------------------------------------------------------------===//

namespace {
using Unary = Value (*)(Scalars &, Value);

struct Reduction {
  Monoid monoid = Monoid::Sum;
  Unary map = nullptr;
  Unary finish = nullptr;
  bool isMean = false;
  /// Integers are converted to f64 and back, since `finish` is not closed over
  /// them.
  bool inFloat = false;
  Types types = Types::Number;
  /// The version from which the axes are an input.
  int64_t axesInput = 18;
};
} // namespace

static Value absOf(Scalars &s, Value x) { return s.abs(x); }
static Value squareOf(Scalars &s, Value x) { return s.mul(x, x); }
static Value sqrtOf(Scalars &s, Value x) { return s.sqrt(x); }
static Value logOf(Scalars &s, Value x) { return s.log(x); }

static constexpr Reduction kSum = {Monoid::Sum, nullptr,       nullptr, false,
                                   false,       Types::Number, 13};
static constexpr Reduction kMean = {Monoid::Sum, nullptr, nullptr, true};
static constexpr Reduction kMax = {Monoid::Max, nullptr, nullptr,
                                   false,       false,   Types::Any};
static constexpr Reduction kMin = {Monoid::Min, nullptr, nullptr,
                                   false,       false,   Types::Any};
static constexpr Reduction kProd = {Monoid::Product};
static constexpr Reduction kL1 = {Monoid::Sum, absOf};
static constexpr Reduction kL2 = {Monoid::Sum, squareOf, sqrtOf, false, true};
static constexpr Reduction kSumSquare = {Monoid::Sum, squareOf};
static constexpr Reduction kLogSum = {Monoid::Sum, nullptr, logOf, false, true};
/// Its map needs the maximum: lowerLogSumExp.
static constexpr Reduction kLogSumExp = {Monoid::Sum, nullptr, nullptr, false,
                                         true};

/// ONNX Runtime, as ONNX's inference, takes any number but 1 for 0.
static bool keepsDims(const Node &node) {
  return node.intAttr("keepdims", 1) == 1;
}

/// The axes to reduce, from the attribute or the input: what they are, or the
/// few sets that they can be.
static FailureOr<SmallVector<Axes>>
reductionAxes(const Node &node, Lowering &lowering, int64_t axesInput) {
  int64_t rank = node.input(0).rank();
  SmallVector<Axes> possible = {node.intsAttr("axes")};
  if (node.sinceVersion >= axesInput && node.input(1)) {
    auto given = possibleAxes(node, lowering, 1, keepsDims(node));
    if (failed(given))
      return failure();
    possible = *given;
  }
  for (Axes &axes : possible) {
    if (axes.empty() && node.intAttr("noop_with_empty_axes", 0) != 1)
      axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    auto normal = normalizeAxes(node, axes, rank);
    if (failed(normal))
      return failure();
    axes = *normal;
  }
  return possible;
}

/// log(sum(exp(x))), with the maximum subtracted before; an infinite maximum
/// is not, since inf - inf is NaN.
static Tensor lowerLogSumExp(Lowering &lowering, const Tensor &x,
                             ArrayRef<int64_t> axes, DType type) {
  Tensor max = accumulate(lowering, x, axes, Monoid::Max, type);
  auto finite = [](Scalars &s, Value value) {
    Value isFinite = s.lt(s.abs(value), s.constant(INFINITY));
    return s.select(isFinite, value, s.constant(0));
  };
  int64_t rank = x.rank();
  AffineMap maps[] = {lowering.b.getMultiDimIdentityMap(rank),
                      selectDims(lowering, rank, otherAxes(rank, axes))};
  Tensor scaled = computeMapped(
      lowering, {x, max}, maps, x.shape, type, [&](Scalars &s, ValueRange v) {
        Scalars f(s.b, type);
        Value value = Lowering::castScalar(s.b, v[0], s.dtype, type);
        return f.exp(f.sub(value, finite(f, v[1])));
      });
  Tensor sum = accumulate(lowering, scaled, axes, Monoid::Sum, type);
  return *compute(lowering, {sum, max}, x.dtype, [&](Scalars &s, ValueRange v) {
    Value result = s.add(s.log(v[0]), finite(s, v[1]));
    return Lowering::castScalar(s.b, result, type, computeType(x.dtype));
  });
}

static Tensor lowerPlain(Lowering &lowering, const Tensor &x,
                         ArrayRef<int64_t> axes, DType type,
                         const Reduction &reduction) {
  auto map = [&](Scalars &s, ValueRange v) { return reduction.map(s, v[0]); };
  Tensor sum = accumulate(lowering, x, axes, reduction.monoid, type,
                          reduction.map ? BodyRef(map) : BodyRef());
  if (!reduction.finish && !reduction.isMean && type == x.dtype)
    return sum;
  AffineExpr count = countOf(lowering, x, axes);
  return *compute(lowering, sum, x.dtype, [&](Scalars &s, ValueRange v) {
    Value result = v[0];
    if (reduction.isMean)
      result = s.div(result, sizeScalar(lowering, s, count));
    if (reduction.finish)
      result = reduction.finish(s, result);
    return Lowering::castScalar(s.b, result, type, computeType(x.dtype));
  });
}

/// The sum or the product of known integers, as exporters compute the number of
/// elements of a part of a shape.
static std::optional<Tensor> foldReduction(const Node &node, Lowering &lowering,
                                           const Tensor &x,
                                           const Reduction &reduction) {
  bool isSum = &reduction == &kSum;
  auto ints = x.rank() == 1 && (isSum || &reduction == &kProd)
                  ? knownInts(lowering, x)
                  : std::nullopt;
  if (!ints)
    return std::nullopt;
  AffineExpr result;
  if (isSum) {
    result = lowering.constant(0);
    for (AffineExpr element : *ints)
      result = canonicalSize(result + element);
  } else {
    result = multiplySizes(*ints, lowering.context());
  }
  if (!result)
    return std::nullopt;
  return lowering.intsTensor(result, x.dtype, !keepsDims(node));
}

static FailureOr<SmallVector<Tensor>>
lowerReduction(const Node &node, Lowering &lowering,
               const Reduction &reduction) {
  Tensor x = node.input(0);
  if (!accepts(reduction.types, x.dtype))
    return node.error() << "expected numbers, got " << dtypeName(x.dtype);
  auto axes = reductionAxes(node, lowering, reduction.axesInput);
  if (failed(axes))
    return failure();
  DType type = computeType(x.dtype);
  if (reduction.inFloat && !isFloat(type))
    type = DType::Double;
  if (axes->size() == 1 && axes->front().size() == 1)
    if (auto folded = foldReduction(node, lowering, x, reduction))
      return SmallVector<Tensor>{*folded};
  SmallVector<Tensor> results;
  for (const Axes &reduced : *axes) {
    Tensor result = &reduction == &kLogSumExp
                        ? lowerLogSumExp(lowering, x, reduced, type)
                        : lowerPlain(lowering, x, reduced, type, reduction);
    if (keepsDims(node) && !reduced.empty())
      result = lowering.unsqueeze(result, reduced);
    results.push_back(result);
  }
  return SmallVector<Tensor>{
      selectByAxes(lowering, node.input(1), x.rank(), *axes, results)};
}

static Support supportsReduction(const Node &node, Types types) {
  DType type = node.input(0).dtype;
  if (type != DType::Undefined && !accepts(types, type))
    return Support::no("expected numbers, got " + dtypeName(type));
  return Support::yes();
}

template <const Reduction &reduction>
static void addReduction(Registry &registry, StringRef name,
                         SmallVector<int64_t> versions) {
  registry.add({"", name, std::move(versions),
                [](const Node &node) {
                  return supportsReduction(node, reduction.types);
                },
                [](const Node &node, Lowering &lowering) {
                  return lowerReduction(node, lowering, reduction);
                },
                "axes that are not constant, unless the declared shape of the "
                "result, or of what is made of it element by element, tells "
                "them"});
}

//===----------------------------------------------------------------------===//
// ArgMax, ArgMin
//===----------------------------------------------------------------------===//

Tensor lutra::argExtreme(Lowering &lowering, const Tensor &x,
                         ArrayRef<int64_t> axes, bool isMax, bool last) {
  DType type = computeType(x.dtype);
  Tensor extreme =
      accumulate(lowering, x, axes, isMax ? Monoid::Max : Monoid::Min, type);
  int64_t rank = x.rank();
  AffineMap kept = selectDims(lowering, rank, otherAxes(rank, axes));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  for (int64_t axis : axes)
    iterators[axis] = utils::IteratorType::reduction;
  auto body = [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
    Scalars s(b, type), index(b, DType::Int64);
    Value element = Lowering::castScalar(b, v[0], x.dtype, type);
    Value found = s.eq(element, v[1]);
    if (s.isFloat())
      found = arith::OrIOp::create(b, found, s.isNaN(element));
    // The position in row-major order among the reduced dimensions.
    Value position = index.constantInt(0);
    for (int64_t axis : axes) {
      Value i = arith::IndexCastOp::create(b, b.getI64Type(),
                                           linalg::IndexOp::create(b, axis));
      Value size = sizeScalar(lowering, index, x.shape[axis]);
      position = index.add(index.mul(position, size), i);
    }
    Value candidate = index.select(found, position, v[2]);
    return last ? index.max(candidate, v[2]) : index.min(candidate, v[2]);
  };
  Value init =
      lowering.filled(extreme.shape, DType::Int64,
                      lowering.scalarInt(DType::Int64, last ? -1 : INT64_MAX));
  AffineMap maps[] = {lowering.b.getMultiDimIdentityMap(rank), kept, kept};
  return lowering.generic({x, extreme}, maps, iterators, init, extreme.shape,
                          DType::Int64, body);
}

template <bool isMax>
static FailureOr<SmallVector<Tensor>> lowerArg(const Node &node,
                                               Lowering &lowering) {
  Tensor x = node.input(0);
  auto axis = normalizeAxis(node, node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  Tensor result = argExtreme(lowering, x, *axis, isMax,
                             node.intAttr("select_last_index", 0));
  if (keepsDims(node))
    result = lowering.unsqueeze(result, *axis);
  return SmallVector<Tensor>{result};
}

void lutra::addReductionHandlers(Registry &r) {
  addReduction<kSum>(r, "ReduceSum", {1, 11, 13});
  addReduction<kMean>(r, "ReduceMean", {1, 11, 13, 18});
  addReduction<kMax>(r, "ReduceMax", {1, 11, 12, 13, 18, 20});
  addReduction<kMin>(r, "ReduceMin", {1, 11, 12, 13, 18, 20});
  addReduction<kProd>(r, "ReduceProd", {1, 11, 13, 18});
  addReduction<kL1>(r, "ReduceL1", {1, 11, 13, 18});
  addReduction<kL2>(r, "ReduceL2", {1, 11, 13, 18});
  addReduction<kSumSquare>(r, "ReduceSumSquare", {1, 11, 13, 18});
  addReduction<kLogSum>(r, "ReduceLogSum", {1, 11, 13, 18, 28});
  addReduction<kLogSumExp>(r, "ReduceLogSumExp", {1, 11, 13, 18, 28});
  auto numbers = [](const Node &node) {
    return supportsReduction(node, Types::Number);
  };
  r.add({"", "ArgMax", {1, 11, 12, 13}, numbers, lowerArg<true>});
  r.add({"", "ArgMin", {1, 11, 12, 13}, numbers, lowerArg<false>});
}
