//===- Features.cpp - Scaler, Normalizer, Imputer and their kind ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What prepares rows of features for a classical model.
//
//===----------------------------------------------------------------------===//

#include "Reduction.h"
#include "Scores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

static Support supportsNumbers(const Node &node) {
  return supportsTypes(node, Types::Number);
}

/// An attribute of one number for all features or one for each.
static FailureOr<Tensor> perFeature(const Node &node, Lowering &lowering,
                                    StringRef name, ArrayRef<float> numbers) {
  const Tensor &x = node.input(0);
  if (numbers.size() == 1)
    return lowering.splat({}, DType::Float,
                          lowering.scalar(DType::Float, numbers[0]));
  if (numbers.empty() || x.rank() < 1 ||
      !lowering.requireEqual(x.shape.back(), lowering.constant(numbers.size())))
    return node.error() << "expected one " << name << " or one for each of "
                        << lowering.str(x.shape) << "'s last dimension, got "
                        << numbers.size();
  return table(lowering, int64_t(numbers.size()), numbers);
}

//===----------------------------------------------------------------------===//
// Scaler, Imputer, Binarizer
//===----------------------------------------------------------------------===//

static Results lowerScaler(const Node &node, Lowering &lowering) {
  auto offset =
      perFeature(node, lowering, "offset", floatsAttr(node, "offset"));
  auto scale = perFeature(node, lowering, "scale", floatsAttr(node, "scale"));
  if (failed(offset) || failed(scale))
    return failure();
  Tensor x = lowering.cast(node.input(0), DType::Float);
  return one(compute(
      lowering, {x, *offset, *scale}, DType::Float,
      [](Scalars &s, ValueRange v) { return s.mul(s.sub(v[0], v[1]), v[2]); }));
}

static Support supportsImputer(const Node &node) {
  DType type = node.input(0).dtype;
  if (type != DType::Undefined && type != DType::Float && type != DType::Int64)
    return Support::no("expected FLOAT or INT64, got " + dtypeName(type));
  return Support::yes();
}

static Results lowerImputer(const Node &node, Lowering &lowering) {
  if (Support support = supportsImputer(node); !support)
    return node.error() << support.reason();
  Tensor x = node.input(0);
  FailureOr<Tensor> imputed;
  if (x.dtype == DType::Float) {
    imputed = perFeature(node, lowering, "imputed_value_floats",
                         floatsAttr(node, "imputed_value_floats"));
  } else {
    SmallVector<int64_t> values = node.intsAttr("imputed_value_int64s");
    auto exprs = llvm::map_to_vector(
        values, [&](int64_t value) { return lowering.constant(value); });
    imputed = lowering.intsTensor(exprs);
    if (values.empty() ||
        (values.size() != 1 && x.shape.back() != exprs.size()))
      return node.error() << "expected one imputed_value_int64s or one for "
                             "each feature, got "
                          << values.size();
  }
  if (failed(imputed))
    return failure();
  double replaced = node.floatAttr("replaced_value_float", 0);
  return one(
      compute(lowering, {x, *imputed}, x.dtype, [&](Scalars &s, ValueRange v) {
        Value is;
        if (!s.isFloat())
          is = s.eq(v[0],
                    s.constantInt(node.intAttr("replaced_value_int64", 0)));
        else if (std::isnan(replaced))
          is = s.isNaN(v[0]);
        else
          is = s.eq(v[0], s.constant(replaced));
        return s.select(is, v[1], v[0]);
      }));
}

static Results lowerBinarizer(const Node &node, Lowering &lowering) {
  Tensor x = node.input(0);
  return one(compute(lowering, x, x.dtype, [&](Scalars &s, ValueRange v) {
    Value above = s.gt(v[0], s.constant(node.floatAttr("threshold", 0)));
    return s.select(above, s.constant(1), s.constant(0));
  }));
}

//===----------------------------------------------------------------------===//
// Normalizer
//===----------------------------------------------------------------------===//

/// Divides each row by its norm; a row of zeros stays what it is.
static Results lowerNormalizer(const Node &node, Lowering &lowering) {
  StringRef norm = node.stringAttr("norm", "MAX");
  if (norm != "MAX" && norm != "L1" && norm != "L2")
    return node.error() << "expected norm MAX, L1 or L2, got " << norm;
  if (failed(requireRank(node, 0, 1)))
    return failure();
  Tensor x = lowering.cast(node.input(0), DType::Float);
  int64_t last = x.rank() - 1;
  auto sum = [&](BodyRef map) {
    return accumulate(lowering, x, {last}, Monoid::Sum, DType::Float, map);
  };
  Tensor divisor;
  if (norm == "L1")
    divisor = sum([](Scalars &s, ValueRange v) { return s.abs(v[0]); });
  else if (norm == "L2")
    divisor = sum([](Scalars &s, ValueRange v) { return s.mul(v[0], v[0]); });
  else
    divisor = accumulate(lowering, x, {last}, Monoid::Max, DType::Float);
  AffineMap whole = lowering.b.getMultiDimIdentityMap(x.rank());
  AffineMap row = selectDims(lowering, x.rank(), otherAxes(x.rank(), {last}));
  return SmallVector<Tensor>{computeMapped(
      lowering, {x, divisor}, {whole, row}, x.shape, DType::Float,
      [&](Scalars &s, ValueRange v) {
        Value length = norm == "L2" ? s.sqrt(v[1]) : v[1];
        return s.select(s.eq(v[1], s.constant(0)), v[0], s.div(v[0], length));
      })};
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

static Results lowerExtractor(const Node &node, Lowering &lowering) {
  if (failed(requireRank(node, 0, 1)))
    return failure();
  Tensor x = node.input(0);
  auto at =
      lowering.reshape(node.input(1), lowering.product(node.input(1).shape));
  if (failed(at))
    return failure();
  if (x.staticSize(x.rank() - 1) == 0)
    return node.error() << "expected features to extract from, got none";
  Shape shape(x.shape.begin(), x.shape.end() - 1);
  if (x.rank() == 1)
    shape.push_back(lowering.constant(1));
  shape.push_back(at->shape.front());
  int64_t rank = shape.size();
  auto map = AffineMap::get(rank, 0, lowering.b.getAffineDimExpr(rank - 1));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  return SmallVector<Tensor>{lowering.generic(
      *at, {map, lowering.b.getMultiDimIdentityMap(rank)}, iterators,
      lowering.empty(shape, x.dtype), shape, x.dtype,
      [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
        SmallVector<Value> from;
        for (int64_t d = 0; d + 1 < x.rank(); ++d)
          from.push_back(linalg::IndexOp::create(b, d));
        from.push_back(position(lowering, b, v[0], at->dtype, x.shape.back()));
        return tensor::ExtractOp::create(b, x.value, from);
      })};
}

/// Concatenates columns, each as floats.
static Results lowerVectorizer(const Node &node, Lowering &lowering) {
  SmallVector<int64_t> columns = node.intsAttr("inputdimensions");
  SmallVector<Tensor> parts;
  for (unsigned i = 0; i < node.numInputs(); ++i) {
    Tensor x = node.input(i);
    if (x.rank() != 2 || i >= columns.size() || x.staticSize(1) != columns[i])
      return node.error() << "expected inputs of rank 2 with as many columns "
                             "as inputdimensions say, got "
                          << lowering.str(x.shape);
    parts.push_back(lowering.cast(x, DType::Float));
    if (!lowering.requireEqual(parts.front().shape[0], x.shape[0]))
      return node.error() << "expected inputs of as many rows, got "
                          << lowering.str(x.shape);
  }
  return SmallVector<Tensor>{lowering.concat(parts, 1)};
}

void lutra::addFeatureHandlers(Registry &r) {
  r.add({kMLDomain, "Scaler", {1}, supportsNumbers, lowerScaler, ""});
  r.add({kMLDomain, "Normalizer", {1}, supportsNumbers, lowerNormalizer, ""});
  r.add({kMLDomain, "Binarizer", {1}, supportsNumbers, lowerBinarizer, ""});
  r.add({kMLDomain, "Imputer", {1}, supportsImputer, lowerImputer, ""});
  r.add({kMLDomain,
         "ArrayFeatureExtractor",
         {1},
         [](const Node &) { return Support::yes(); },
         lowerExtractor,
         "strings"});
  r.add({kMLDomain,
         "FeatureVectorizer",
         {1},
         [](const Node &) { return Support::yes(); },
         lowerVectorizer,
         ""});
}
