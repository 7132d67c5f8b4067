//===- TreeEnsemble.cpp - TreeEnsembleClassifier and Regressor ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The nodes of all trees are tables. Each row walks down each tree, as many
// steps as the deepest tree has, since a leaf leads to itself; then the weights
// of the leaves are summed up.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Scores.h"
#include "TreeTables.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Walking down
//===----------------------------------------------------------------------===//

/// The row of weights that each input row reaches in each tree.
static FailureOr<Tensor> findLeaves(const Node &node, Lowering &lowering,
                                    const TreeTables &tables) {
  Tensor x = node.input(0);
  if (x.rank() != 2)
    return node.error() << "expected an input of rank 2, got rank " << x.rank();
  if (!lowering.isNonNegative(x.shape[1] - tables.numFeatures))
    return node.error() << "expected rows of " << tables.numFeatures
                        << " features or more, got " << lowering.str(x.shape);
  x = lowering.cast(x, DType::Float);
  auto tableOf = [&](ArrayRef<int32_t> values) {
    return table(lowering, int64_t(values.size()), values);
  };
  Tensor roots = tableOf(tables.roots), features = tableOf(tables.features);
  Tensor low = tableOf(tables.low), high = tableOf(tables.high);
  Tensor leaf = tableOf(tables.leaf), nan = tableOf(tables.nan);
  Tensor splits = table(lowering, int64_t(tables.splits.size()), tables.splits);
  AffineExpr n, t;
  bindDims(lowering.context(), n, t);
  Shape shape{x.shape[0], lowering.constant(tables.roots.size())};
  return computeMapped(
      lowering, roots, AffineMap::get(2, 0, t), shape, DType::Int32,
      [&](Scalars &s, ValueRange v) {
        Scalars number(s.b, DType::Float);
        auto read = [&](const Tensor &table, Value at) -> Value {
          at = arith::IndexCastOp::create(s.b, s.b.getIndexType(), at);
          return tensor::ExtractOp::create(s.b, table.value, at);
        };
        Value row = linalg::IndexOp::create(s.b, 0), at = v[0];
        for (int64_t step = 0; step < tables.depth; ++step) {
          Value feature = arith::IndexCastOp::create(s.b, s.b.getIndexType(),
                                                     read(features, at));
          Value value =
              tensor::ExtractOp::create(s.b, x.value, ValueRange{row, feature});
          Value next = s.select(number.le(value, read(splits, at)),
                                read(low, at), read(high, at));
          if (tables.nan != tables.high)
            next = s.select(number.isNaN(value), read(nan, at), next);
          at = next;
        }
        return read(leaf, at);
      });
}

/// The sums over the trees of the weights of the leaves, for each target.
static FailureOr<Tensor> sumWeights(const Node &node, Lowering &lowering,
                                    const TreeTables &tables) {
  auto leaves = findLeaves(node, lowering, tables);
  if (failed(leaves))
    return failure();
  Tensor weights =
      table(lowering, {tables.numLeaves, tables.targets}, tables.weights);
  AffineExpr n, c, t;
  bindDims(lowering.context(), n, c, t);
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(3, 0, exprs, lowering.context());
  };
  Shape shape{leaves->shape[0], lowering.constant(tables.targets)};
  constexpr auto parallel = utils::IteratorType::parallel;
  return lowering.generic(
      *leaves, {map({n, t}), map({n, c})},
      {parallel, parallel, utils::IteratorType::reduction},
      lowering.filled(shape, DType::Float, lowering.scalar(DType::Float, 0)),
      shape, DType::Float, [&](ImplicitLocOpBuilder &b, ValueRange v) {
        Value row = arith::IndexCastOp::create(b, b.getIndexType(), v[0]);
        Value column = linalg::IndexOp::create(b, 1);
        Value weight = tensor::ExtractOp::create(b, weights.value,
                                                 ValueRange{row, column});
        return Scalars(b, DType::Float).add(weight, v[1]);
      });
}

/// Divided by `count`, and with one of `biases` added to each column.
static Tensor adjusted(Lowering &lowering, const Tensor &sums, double count,
                       ArrayRef<float> biases) {
  if (count == 1 && biases.empty())
    return sums;
  int64_t columns = sums.staticSize(1);
  Tensor bias = biases.empty()
                    ? table(lowering, columns, SmallVector<float>(columns, 0))
                    : table(lowering, columns, biases);
  AffineMap whole = lowering.b.getMultiDimIdentityMap(2);
  auto column = AffineMap::get(2, 0, lowering.b.getAffineDimExpr(1));
  return computeMapped(lowering, {sums, bias}, {whole, column}, sums.shape,
                       sums.dtype, [&](Scalars &s, ValueRange v) {
                         Value mean =
                             count == 1 ? v[0] : s.div(v[0], s.constant(count));
                         return s.add(mean, v[1]);
                       });
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

static Support supportsEnsemble(const Node &node) {
  DType type = node.input(0).dtype;
  if (type == DType::Double)
    return Support::no("expected FLOAT or integers, got DOUBLE");
  StringRef aggregate = node.stringAttr("aggregate_function", "SUM");
  if (aggregate != "SUM" && aggregate != "AVERAGE")
    return Support::no("expected aggregate_function SUM or AVERAGE, got " +
                       aggregate);
  for (NamedAttribute attr : node.op.getAttrs())
    if (attr.getName().getValue().ends_with("_as_tensor"))
      return Support::no("expected numbers in FLOATS, got " +
                         attr.getName().getValue());
  return supportsScores(node);
}

static FailureOr<SmallVector<Tensor>> lowerRegressor(const Node &node,
                                                     Lowering &lowering) {
  if (Support support = supportsEnsemble(node); !support)
    return node.error() << support.reason();
  int64_t targets = node.intAttr("n_targets", 1);
  ArrayRef<float> biases = floatsAttr(node, "base_values");
  if (targets < 1 || (!biases.empty() && int64_t(biases.size()) != targets))
    return node.error() << "expected n_targets of at least 1 and as many "
                           "base_values, got "
                        << targets << " and " << biases.size();
  auto trees =
      readTrees(node, "target_", targets, [](int64_t id) { return id; });
  if (failed(trees))
    return failure();
  auto sums = sumWeights(node, lowering, *trees);
  if (failed(sums))
    return failure();
  bool isMean = node.stringAttr("aggregate_function", "SUM") == "AVERAGE";
  Tensor scores =
      adjusted(lowering, *sums, isMean ? trees->roots.size() : 1, biases);
  return SmallVector<Tensor>{postTransform(node, lowering, scores)};
}

/// Both scores from that of the second class, which all weights make up. Where
/// none of those is negative they are probabilities.
static Tensor binaryScores(const Node &node, Lowering &lowering,
                           const Tensor &scores, bool areProbabilities,
                           bool hasTwoBiases) {
  bool isLogistic = node.stringAttr("post_transform", "NONE") == "LOGISTIC";
  auto split = [&](const Scalars &s, Value x) -> std::pair<Value, Value> {
    if (hasTwoBiases)
      return {s.neg(x), x};
    if (isLogistic)
      return {s.sigmoid(s.neg(x)), s.sigmoid(x)};
    if (areProbabilities)
      return {s.sub(s.constant(1), x), x};
    return {s.neg(x), x};
  };
  Tensor both = bothScores(lowering, scores, split);
  return hasTwoBiases ? postTransform(node, lowering, both) : both;
}

static FailureOr<SmallVector<Tensor>> lowerClassifier(const Node &node,
                                                      Lowering &lowering) {
  if (Support support = supportsEnsemble(node); !support)
    return node.error() << support.reason();
  SmallVector<int64_t> labels = classLabels(node);
  SmallVector<int64_t> ids = node.intsAttr("class_ids");
  ArrayRef<float> biases = floatsAttr(node, "base_values");
  int64_t classes = labels.size();
  // The weights are then those of the second class, whatever their target says.
  bool isBinary = classes == 2 && !ids.empty() && llvm::all_equal(ids);
  if (isBinary && ids.front() != 0)
    return node.error() << "expected weights of both classes or of target 0, "
                           "got those of target "
                        << ids.front();
  if (classes < 2 || (!biases.empty() && int64_t(biases.size()) != classes &&
                      !(isBinary && biases.size() == 1)))
    return node.error() << "expected 2 labels or more and as many base_values, "
                           "got "
                        << classes << " and " << biases.size();
  auto trees = readTrees(node, "class_", isBinary ? 1 : classes,
                         [&](int64_t id) { return isBinary ? 0 : id; });
  if (failed(trees))
    return failure();
  auto sums = sumWeights(node, lowering, *trees);
  if (failed(sums))
    return failure();
  if (!isBinary) {
    Tensor scores = adjusted(lowering, *sums, 1, biases);
    return SmallVector<Tensor>{bestLabel(lowering, labels, scores),
                               postTransform(node, lowering, scores)};
  }
  Tensor scores = adjusted(lowering, *sums, 1, biases.take_back(1));
  bool areProbabilities = llvm::all_of(floatsAttr(node, "class_weights"),
                                       [](float w) { return w >= 0; });
  return SmallVector<Tensor>{
      labelAbove(lowering, labels, scores, areProbabilities ? 0.5 : 0),
      binaryScores(node, lowering, scores, areProbabilities,
                   biases.size() == 2)};
}

void lutra::addTreeHandlers(Registry &r) {
  constexpr StringLiteral lacks =
      "DOUBLE; labels that are strings; BRANCH_EQ and BRANCH_NEQ; "
      "aggregate_function MIN and MAX; numbers given as tensors";
  r.add({kMLDomain,
         "TreeEnsembleRegressor",
         {1, 3, 5},
         supportsEnsemble,
         lowerRegressor,
         lacks});
  r.add({kMLDomain,
         "TreeEnsembleClassifier",
         {1, 3, 5},
         supportsEnsemble,
         lowerClassifier,
         lacks});
}
