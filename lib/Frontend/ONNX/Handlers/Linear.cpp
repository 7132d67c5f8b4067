//===- Linear.cpp - LinearClassifier and LinearRegressor ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A matrix product of the features with what was learned, and what follows.
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"
#include "Elementwise.h"
#include "Scores.h"

using namespace mlir;
using namespace mlir::lutra;

/// features * coefficients^T + intercepts, for `targets` columns.
static FailureOr<Tensor> linearScores(const Node &node, Lowering &lowering,
                                      int64_t targets) {
  ArrayRef<float> coefficients = floatsAttr(node, "coefficients");
  ArrayRef<float> intercepts = floatsAttr(node, "intercepts");
  if (targets < 1 || coefficients.empty() || coefficients.size() % targets)
    return node.error() << "expected coefficients for " << targets
                        << " targets, got " << coefficients.size();
  if (!intercepts.empty() && int64_t(intercepts.size()) != targets)
    return node.error() << "expected " << targets << " intercepts, got "
                        << intercepts.size();
  int64_t features = coefficients.size() / targets;
  auto rows = featureRows(node, lowering, features);
  if (failed(rows))
    return failure();
  SmallVector<float> columns;
  for (int64_t feature = 0; feature < features; ++feature)
    for (int64_t target = 0; target < targets; ++target)
      columns.push_back(coefficients[target * features + feature]);
  auto product =
      matMul(node, lowering, *rows,
             table(lowering, {features, targets}, columns), DType::Float);
  if (failed(product) || intercepts.empty())
    return product;
  return addBias(lowering, *product, table(lowering, {targets}, intercepts),
                 DType::Float);
}

static FailureOr<SmallVector<Tensor>> lowerRegressor(const Node &node,
                                                     Lowering &lowering) {
  auto scores = linearScores(node, lowering, node.intAttr("targets", 1));
  if (failed(scores))
    return failure();
  return SmallVector<Tensor>{postTransform(node, lowering, *scores)};
}

static FailureOr<SmallVector<Tensor>> lowerClassifier(const Node &node,
                                                      Lowering &lowering) {
  SmallVector<int64_t> labels = classLabels(node);
  int64_t targets = floatsAttr(node, "intercepts").size();
  bool isBinary = targets == 1 && labels.size() == 2;
  if (!isBinary && (targets < 1 || targets != int64_t(labels.size())))
    return node.error() << "expected as many labels as intercepts, " << targets
                        << ", got " << labels.size();
  auto scores = linearScores(node, lowering, targets);
  if (failed(scores))
    return failure();
  if (!isBinary)
    return SmallVector<Tensor>{bestLabel(lowering, labels, *scores),
                               postTransform(node, lowering, *scores)};
  bool isLogistic = node.stringAttr("post_transform", "NONE") == "LOGISTIC";
  Tensor both =
      bothScores(lowering, *scores,
                 [&](const Scalars &s, Value x) -> std::pair<Value, Value> {
                   if (isLogistic)
                     return {s.sigmoid(s.neg(x)), s.sigmoid(x)};
                   return {s.sub(s.constant(1), x), x};
                 });
  return SmallVector<Tensor>{labelAbove(lowering, labels, *scores, 0), both};
}

void lutra::addLinearHandlers(Registry &r) {
  r.add({kMLDomain,
         "LinearRegressor",
         {1},
         supportsScores,
         lowerRegressor,
         "post_transform SOFTMAX_ZERO and PROBIT"});
  r.add({kMLDomain,
         "LinearClassifier",
         {1},
         supportsScores,
         lowerClassifier,
         "labels that are strings; post_transform SOFTMAX_ZERO and PROBIT"});
}
