//===- SupportVectors.cpp - SVMClassifier and SVMRegressor ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A kernel of the features with each support vector, and sums of kernels. A
// classifier decides between each two classes, and each decision is a vote.
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"
#include "Elementwise.h"
#include "Scores.h"

using namespace mlir;
using namespace mlir::lutra;

static Support supportsSVM(const Node &node) {
  StringRef kernel = node.stringAttr("kernel_type", "LINEAR");
  if (kernel != "LINEAR" && kernel != "RBF" && kernel != "POLY" &&
      kernel != "SIGMOID")
    return Support::no("expected kernel_type LINEAR, RBF, POLY or SIGMOID, "
                       "got " +
                       kernel);
  if (!floatsAttr(node, "prob_a").empty())
    return Support::no("expected no prob_a: probabilities that are fitted to "
                       "decisions are not supported");
  if (node.intAttr("one_class", 0))
    return Support::no("expected one_class to be 0");
  if (node.stringAttr("post_transform", "NONE") != "NONE")
    return Support::no("expected post_transform NONE, got " +
                       node.stringAttr("post_transform", "NONE"));
  return supportsScores(node);
}

/// The sum over features of `term` of a feature and that of a support vector.
static Tensor overFeatures(Lowering &lowering, const Tensor &rows,
                           const Tensor &vectors, BodyRef term) {
  AffineExpr n, v, f;
  bindDims(lowering.context(), n, v, f);
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(3, 0, exprs, lowering.context());
  };
  Shape shape{rows.shape[0], vectors.shape[0]};
  constexpr auto parallel = utils::IteratorType::parallel;
  return lowering.generic(
      {rows, vectors}, {map({n, f}), map({v, f}), map({n, v})},
      {parallel, parallel, utils::IteratorType::reduction},
      lowering.filled(shape, DType::Float, lowering.scalar(DType::Float, 0)),
      shape, DType::Float, [&](ImplicitLocOpBuilder &b, ValueRange x) {
        Scalars s(b, DType::Float);
        return s.add(term(s, x.take_front(2)), x[2]);
      });
}

/// The kernel of each row with each of `count` support vectors.
static FailureOr<Tensor> kernels(const Node &node, Lowering &lowering,
                                 int64_t count) {
  ArrayRef<float> vectors = floatsAttr(node, "support_vectors");
  ArrayRef<float> parameters = floatsAttr(node, "kernel_params");
  if (count < 1 || vectors.empty() || vectors.size() % count)
    return node.error() << "expected numbers of " << count
                        << " support vectors, got " << vectors.size();
  StringRef kernel = node.stringAttr("kernel_type", "LINEAR");
  if (kernel != "LINEAR" && parameters.size() != 3)
    return node.error() << "expected 3 kernel_params, got "
                        << parameters.size();
  int64_t features = vectors.size() / count;
  auto rows = featureRows(node, lowering, features);
  if (failed(rows))
    return failure();
  Tensor learned = table(lowering, {count, features}, vectors);
  auto result = [&](const Tensor &sums, BodyRef body) {
    return computeMapped(lowering, sums, lowering.b.getMultiDimIdentityMap(2),
                         sums.shape, DType::Float, body);
  };
  if (kernel == "RBF") {
    Tensor distances =
        overFeatures(lowering, *rows, learned, [](Scalars &s, ValueRange x) {
          Value d = s.sub(x[0], x[1]);
          return s.mul(d, d);
        });
    return result(distances, [&](Scalars &s, ValueRange d) {
      return s.exp(s.mul(d[0], s.constant(-parameters[0])));
    });
  }
  Tensor products =
      overFeatures(lowering, *rows, learned,
                   [](Scalars &s, ValueRange x) { return s.mul(x[0], x[1]); });
  if (kernel == "LINEAR")
    return products;
  return result(products, [&](Scalars &s, ValueRange x) {
    Value scaled = s.add(s.mul(x[0], s.constant(parameters[0])),
                         s.constant(parameters[1]));
    return kernel == "POLY" ? s.pow(scaled, s.constant(parameters[2]))
                            : s.tanh(scaled);
  });
}

/// rows * a table of as many rows as the rows have columns, plus biases.
static FailureOr<Tensor> combined(const Node &node, Lowering &lowering,
                                  const Tensor &rows, int64_t count,
                                  ArrayRef<float> factors,
                                  ArrayRef<float> biases) {
  int64_t columns = biases.size();
  auto sums = matMul(node, lowering, rows,
                     table(lowering, {count, columns}, factors), DType::Float);
  if (failed(sums))
    return failure();
  return addBias(lowering, *sums, table(lowering, columns, biases),
                 DType::Float);
}

//===----------------------------------------------------------------------===//
// Regressor
//===----------------------------------------------------------------------===//

static FailureOr<SmallVector<Tensor>> lowerRegressor(const Node &node,
                                                     Lowering &lowering) {
  ArrayRef<float> coefficients = floatsAttr(node, "coefficients");
  ArrayRef<float> rho = floatsAttr(node, "rho");
  if (rho.size() != 1)
    return node.error() << "expected one rho, got " << rho.size();
  int64_t count = node.intAttr("n_supports", 0);
  if (count > 0 && int64_t(coefficients.size()) != count)
    return node.error() << "expected " << count << " coefficients, got "
                        << coefficients.size();
  FailureOr<Tensor> rows =
      count > 0 ? kernels(node, lowering, count)
                : featureRows(node, lowering, coefficients.size());
  if (failed(rows))
    return failure();
  return one(
      combined(node, lowering, *rows, coefficients.size(), coefficients, rho));
}

//===----------------------------------------------------------------------===//
// Classifier
//===----------------------------------------------------------------------===//

namespace {
/// What a decision between each two classes sums up, and whom it votes for.
struct Pairs {
  /// A column for each pair, a row for each support vector.
  SmallVector<float> factors;
  /// A column for each class, a row for each pair: what changes where the
  /// decision is for the first class of the pair, and what is there else.
  SmallVector<float> votes, otherwise;
};
} // namespace

static Pairs makePairs(ArrayRef<int64_t> perClass,
                       ArrayRef<float> coefficients) {
  int64_t classes = perClass.size(), count = 0;
  SmallVector<int64_t> first;
  for (int64_t vectors : perClass) {
    first.push_back(count);
    count += vectors;
  }
  int64_t pairs = classes * (classes - 1) / 2, pair = 0;
  Pairs result;
  result.factors.assign(count * pairs, 0);
  result.votes.assign(pairs * classes, 0);
  result.otherwise.assign(classes, 0);
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++pair) {
      auto take = [&](int64_t of, int64_t row) {
        for (int64_t v = first[of]; v < first[of] + perClass[of]; ++v)
          result.factors[v * pairs + pair] = coefficients[row * count + v];
      };
      take(i, j - 1);
      take(j, i);
      result.votes[pair * classes + i] = 1;
      result.votes[pair * classes + j] = -1;
      result.otherwise[j] += 1;
    }
  return result;
}

static FailureOr<SmallVector<Tensor>> lowerClassifier(const Node &node,
                                                      Lowering &lowering) {
  SmallVector<int64_t> labels = classLabels(node);
  SmallVector<int64_t> perClass = node.intsAttr("vectors_per_class");
  ArrayRef<float> coefficients = floatsAttr(node, "coefficients");
  ArrayRef<float> rho = floatsAttr(node, "rho");
  int64_t classes = labels.size(), pairs = classes * (classes - 1) / 2;
  int64_t count = 0;
  for (int64_t vectors : perClass) {
    if (vectors < 0 || vectors > kMaxExtent)
      return node.error() << "expected vectors_per_class of at least 0, got "
                          << vectors;
    count += vectors;
  }
  if (classes < 2 || classes > 1024 || int64_t(perClass.size()) != classes)
    return node.error() << "expected vectors_per_class and labels of 2 to 1024 "
                           "classes, got "
                        << perClass.size() << " and " << classes;
  if (int64_t(coefficients.size()) != count * (classes - 1) ||
      int64_t(rho.size()) != pairs)
    return node.error() << "expected " << count * (classes - 1)
                        << " coefficients and " << pairs << " of rho, got "
                        << coefficients.size() << " and " << rho.size();
  auto kernel = kernels(node, lowering, count);
  if (failed(kernel))
    return failure();
  Pairs table = makePairs(perClass, coefficients);
  auto decisions = combined(node, lowering, *kernel, count, table.factors, rho);
  if (failed(decisions))
    return failure();
  Tensor isFirst = computeMapped(
      lowering, *decisions, lowering.b.getMultiDimIdentityMap(2),
      decisions->shape, DType::Float, [](Scalars &s, ValueRange v) {
        Value zero = s.constant(0);
        return s.select(s.gt(v[0], zero), s.constant(1), zero);
      });
  auto votes =
      combined(node, lowering, isFirst, pairs, table.votes, table.otherwise);
  if (failed(votes))
    return failure();
  Tensor scores = *decisions;
  if (classes == 2)
    scores =
        bothScores(lowering, *decisions,
                   [](const Scalars &s, Value x) -> std::pair<Value, Value> {
                     return {s.neg(x), x};
                   });
  return SmallVector<Tensor>{bestLabel(lowering, labels, *votes), scores};
}

void lutra::addSupportVectorHandlers(Registry &r) {
  constexpr StringLiteral lacks =
      "labels that are strings; fitted probabilities; post_transform";
  r.add({kMLDomain, "SVMRegressor", {1}, supportsSVM, lowerRegressor, lacks});
  r.add({kMLDomain, "SVMClassifier", {1}, supportsSVM, lowerClassifier, lacks});
}
