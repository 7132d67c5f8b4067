//===- Scores.cpp - What classical models are made of ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Implements tables of learned numbers, and labels and probabilities from
// scores.
//
//===----------------------------------------------------------------------===//

#include "Scores.h"

#include "Reduction.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

ArrayRef<float> lutra::floatsAttr(const Node &node, StringRef name) {
  auto array = dyn_cast_or_null<DenseF32ArrayAttr>(node.attr(name));
  return array ? array.asArrayRef() : ArrayRef<float>();
}

static Tensor tableOf(Lowering &lowering, DenseElementsAttr elements,
                      DType dtype) {
  RankedTensorType type = cast<RankedTensorType>(elements.getType());
  int64_t bytes = elements.getNumElements() * sizeof(float);
  if (elements.isSplat() || bytes <= WeightOp::kMaxInlineBytes)
    return lowering.constantTensor(elements, dtype);
  ImplicitLocOpBuilder &b = lowering.b;
  return lowering.tensor(
      WeightOp::create(b, type, b.getStringAttr("table"), nullptr,
                       b.getI64IntegerAttr(0), b.getI64IntegerAttr(0),
                       b.getStringAttr("raw"), TypeAttr::get(type), elements,
                       b.getArrayAttr({})),
      dtype);
}

Tensor lutra::table(Lowering &lowering, ArrayRef<int64_t> shape,
                    ArrayRef<float> values) {
  auto type = RankedTensorType::get(shape, lowering.b.getF32Type());
  return tableOf(lowering, DenseElementsAttr::get(type, values), DType::Float);
}

Tensor lutra::table(Lowering &lowering, ArrayRef<int64_t> shape,
                    ArrayRef<int32_t> values) {
  auto type = RankedTensorType::get(shape, lowering.b.getI32Type());
  return tableOf(lowering, DenseElementsAttr::get(type, values), DType::Int32);
}

FailureOr<Tensor> lutra::featureRows(const Node &node, Lowering &lowering,
                                     int64_t features) {
  Tensor x = node.input(0);
  if (x.rank() != 2)
    return node.error() << "expected an input of rank 2, got rank " << x.rank();
  AffineExpr wanted = lowering.constant(features);
  if (!lowering.requireEqual(x.shape[1], wanted))
    return node.error() << "expected rows of " << features << " features, got "
                        << lowering.str(x.shape);
  return lowering.cast(x, DType::Float);
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

Support lutra::supportsScores(const Node &node) {
  StringRef transform = node.stringAttr("post_transform", "NONE");
  if (transform != "NONE" && transform != "SOFTMAX" && transform != "LOGISTIC")
    return Support::no(
        "expected post_transform NONE, SOFTMAX or LOGISTIC, got " + transform);
  for (StringRef name : {"classlabels_strings", "classlabels_as_tensor"})
    if (node.hasAttr(name))
      return Support::no("expected labels that are integers, got " + name);
  return Support::yes();
}

SmallVector<int64_t> lutra::classLabels(const Node &node) {
  SmallVector<int64_t> labels = node.intsAttr("classlabels_ints");
  return labels.empty() ? node.intsAttr("classlabels_int64s") : labels;
}

static Tensor softmaxRows(Lowering &lowering, const Tensor &rows) {
  AffineMap whole = lowering.b.getMultiDimIdentityMap(2);
  AffineMap row = selectDims(lowering, 2, {0});
  Tensor max = accumulate(lowering, rows, {1}, Monoid::Max, rows.dtype);
  Tensor power = computeMapped(
      lowering, {rows, max}, {whole, row}, rows.shape, rows.dtype,
      [](Scalars &s, ValueRange v) { return s.exp(s.sub(v[0], v[1])); });
  Tensor sum = accumulate(lowering, power, {1}, Monoid::Sum, rows.dtype);
  return computeMapped(
      lowering, {power, sum}, {whole, row}, rows.shape, rows.dtype,
      [](Scalars &s, ValueRange v) { return s.div(v[0], v[1]); });
}

Tensor lutra::postTransform(const Node &node, Lowering &lowering,
                            const Tensor &rows) {
  StringRef transform = node.stringAttr("post_transform", "NONE");
  if (transform == "SOFTMAX")
    return softmaxRows(lowering, rows);
  if (transform == "LOGISTIC")
    return computeMapped(
        lowering, rows, lowering.b.getMultiDimIdentityMap(2), rows.shape,
        rows.dtype, [](Scalars &s, ValueRange v) { return s.sigmoid(v[0]); });
  return rows;
}

Tensor lutra::bothScores(
    Lowering &lowering, const Tensor &column,
    function_ref<std::pair<Value, Value>(const Scalars &, Value)> split) {
  AffineExpr row = lowering.b.getAffineDimExpr(0);
  auto map =
      AffineMap::get(2, 0, {row, lowering.constant(0)}, lowering.context());
  return computeMapped(
      lowering, column, map, {column.shape[0], lowering.constant(2)},
      column.dtype, [&](Scalars &s, ValueRange v) {
        auto [first, second] = split(s, v[0]);
        Value at = linalg::IndexOp::create(s.b, 1);
        Value zero = arith::ConstantIndexOp::create(s.b, 0);
        Value isFirst =
            arith::CmpIOp::create(s.b, arith::CmpIPredicate::eq, at, zero);
        return s.select(isFirst, first, second);
      });
}

//===----------------------------------------------------------------------===//
// Labels
//===----------------------------------------------------------------------===//

Tensor lutra::bestLabel(Lowering &lowering, ArrayRef<int64_t> labels,
                        const Tensor &rows) {
  Tensor best = argExtreme(lowering, rows, {1}, /*isMax=*/true, /*last=*/false);
  return computeMapped(lowering, best, lowering.b.getMultiDimIdentityMap(1),
                       best.shape, DType::Int64, [&](Scalars &s, ValueRange v) {
                         Value label = s.constantInt(labels.front());
                         for (auto [i, next] :
                              llvm::enumerate(labels.drop_front()))
                           label = s.select(s.eq(v[0], s.constantInt(i + 1)),
                                            s.constantInt(next), label);
                         return label;
                       });
}

Tensor lutra::labelAbove(Lowering &lowering, ArrayRef<int64_t> labels,
                         const Tensor &column, double threshold) {
  AffineExpr row = lowering.b.getAffineDimExpr(0);
  auto map =
      AffineMap::get(1, 0, {row, lowering.constant(0)}, lowering.context());
  return computeMapped(lowering, column, map, column.shape[0], DType::Int64,
                       [&](Scalars &s, ValueRange v) {
                         Scalars index(s.b, DType::Int64);
                         return s.select(s.gt(v[0], s.constant(threshold)),
                                         index.constantInt(labels[1]),
                                         index.constantInt(labels[0]));
                       });
}
