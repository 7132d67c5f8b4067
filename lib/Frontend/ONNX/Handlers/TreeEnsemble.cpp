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

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// The trees
//===----------------------------------------------------------------------===//

namespace {
/// The tables of an ensemble. A row goes to `low` where its feature is at most
/// `splits`, to `nan` where it is no number, and to `high` else.
struct Ensemble {
  SmallVector<int32_t> features, low, high, nan, roots;
  SmallVector<float> splits;
  /// The row of each node in the table of weights, 0 for an inner node.
  SmallVector<int32_t> leaf;
  int64_t numLeaves = 0, depth = 0, numFeatures = 1;
  /// One row for each leaf, a column for each target.
  SmallVector<float> weights;
  int64_t targets = 0;
};

/// The numbers of trees and nodes, in the order of the attributes.
using NodeNumbers = std::map<std::pair<int64_t, int64_t>, int32_t>;
} // namespace

/// What a node of an ensemble holds, by attribute.
static LogicalResult checkLengths(const Node &node, StringRef prefix,
                                  ArrayRef<StringRef> names) {
  auto length = [&](StringRef name) -> int64_t {
    Attribute attr = node.attr((prefix + name).str());
    if (auto floats = dyn_cast_or_null<DenseF32ArrayAttr>(attr))
      return floats.size();
    if (auto texts = dyn_cast_or_null<ArrayAttr>(attr))
      return texts.size();
    return attr ? node.intsAttr((prefix + name).str()).size() : 0;
  };
  int64_t first = length(names.front());
  for (StringRef name : names)
    if (length(name) != first || first == 0 || first > kMaxExtent)
      return node.error() << "expected as many " << prefix << name << " as "
                          << prefix << names.front() << ", " << first
                          << " and at least 1, got " << length(name);
  return success();
}

static FailureOr<NodeNumbers> numberNodes(const Node &node) {
  NodeNumbers numbers;
  auto trees = node.intsAttr("nodes_treeids");
  auto ids = node.intsAttr("nodes_nodeids");
  for (auto [tree, id] : llvm::zip_equal(trees, ids))
    if (!numbers.try_emplace({tree, id}, numbers.size()).second)
      return node.error() << "expected nodes that differ, got node " << id
                          << " of tree " << tree << " twice";
  return numbers;
}

/// Fills in where the nodes lead and what they compare.
static LogicalResult addNodes(const Node &node, const NodeNumbers &numbers,
                              Ensemble &ensemble) {
  auto trees = node.intsAttr("nodes_treeids");
  auto features = node.intsAttr("nodes_featureids");
  auto yes = node.intsAttr("nodes_truenodeids");
  auto no = node.intsAttr("nodes_falsenodeids");
  auto missing = node.intsAttr("nodes_missing_value_tracks_true");
  auto modes = cast<ArrayAttr>(node.attr("nodes_modes"));
  ensemble.splits = llvm::to_vector(floatsAttr(node, "nodes_values"));
  for (int32_t i = 0, count = trees.size(); i < count; ++i) {
    auto text = dyn_cast<StringAttr>(modes[i]);
    StringRef mode = text ? text.getValue() : "";
    bool isLeaf = mode == "LEAF";
    ensemble.leaf.push_back(isLeaf ? ensemble.numLeaves++ : 0);
    int32_t to[2] = {i, i};
    if (!isLeaf)
      for (auto [target, id] :
           {std::make_pair(&to[0], yes[i]), {&to[1], no[i]}}) {
        auto found = numbers.find({trees[i], id});
        if (found == numbers.end())
          return node.error() << "expected node " << id << " in tree "
                              << trees[i] << ", got none";
        *target = found->second;
      }
    int32_t forNaN = to[i < int32_t(missing.size()) && missing[i] ? 0 : 1];
    // x > v is not x <= v, and x < v is x <= the number before v.
    bool swaps = mode == "BRANCH_GT" || mode == "BRANCH_GTE";
    if (mode == "BRANCH_LT" || mode == "BRANCH_GTE")
      ensemble.splits[i] = std::nextafter(ensemble.splits[i], -INFINITY);
    else if (!isLeaf && mode != "BRANCH_LEQ" && mode != "BRANCH_GT")
      return node.error() << "expected mode BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, "
                             "BRANCH_GT or LEAF, got "
                          << mode;
    ensemble.low.push_back(to[swaps ? 1 : 0]);
    ensemble.high.push_back(to[swaps ? 0 : 1]);
    ensemble.nan.push_back(forNaN);
    int64_t feature = isLeaf ? 0 : features[i];
    if (feature < 0 || feature >= kMaxExtent)
      return node.error() << "expected features from 0 on, got " << feature;
    ensemble.features.push_back(feature);
    ensemble.numFeatures = std::max(ensemble.numFeatures, feature + 1);
  }
  return success();
}

/// Finds the roots and the depth; every node must be below one root, once.
static LogicalResult findRoots(const Node &node, Ensemble &ensemble) {
  size_t count = ensemble.low.size();
  SmallVector<int> parents(count);
  for (size_t i = 0; i < count; ++i)
    for (int32_t child : {ensemble.low[i], ensemble.high[i]})
      parents[child] += size_t(child) != i;
  SmallVector<int32_t> level;
  for (size_t i = 0; i < count; ++i)
    if (parents[i] == 0)
      level.push_back(i);
    else if (parents[i] > 1)
      return node.error() << "expected nodes with one parent at most, got "
                          << parents[i];
  ensemble.roots = level;
  size_t seen = level.size();
  for (; !level.empty(); ++ensemble.depth) {
    SmallVector<int32_t> next;
    for (int32_t i : level)
      if (ensemble.low[i] != i)
        next.append({ensemble.low[i], ensemble.high[i]});
    seen += next.size();
    level = std::move(next);
  }
  --ensemble.depth;
  if (seen != count)
    return node.error() << "expected trees, got a cycle of nodes";
  return success();
}

/// Fills in the weights of `columns` targets, of leaves and their targets that
/// attributes with `prefix` name. `columnOf` says where a target is.
static LogicalResult
addWeights(const Node &node, const NodeNumbers &numbers, Ensemble &ensemble,
           StringRef prefix, int64_t columns,
           function_ref<std::optional<int64_t>(int64_t)> columnOf) {
  auto attrOf = [&](StringRef name) {
    return node.intsAttr((prefix + name).str());
  };
  auto trees = attrOf("treeids"), ids = attrOf("nodeids"),
       targets = attrOf("ids");
  ArrayRef<float> weights = floatsAttr(node, (prefix + "weights").str());
  int64_t size;
  if (llvm::MulOverflow(ensemble.numLeaves, columns, size) || size > 1 << 24)
    return node.error() << "expected at most 16 million weights, got "
                        << ensemble.numLeaves << " leaves of " << columns;
  ensemble.targets = columns;
  ensemble.weights.assign(size, 0);
  for (size_t i = 0; i < weights.size(); ++i) {
    auto found = numbers.find({trees[i], ids[i]});
    if (found == numbers.end() || ensemble.low[found->second] != found->second)
      return node.error() << "expected weights of leaves, got node " << ids[i]
                          << " of tree " << trees[i];
    auto column = columnOf(targets[i]);
    if (!column || *column < 0 || *column >= columns)
      return node.error() << "expected targets below " << columns << ", got "
                          << targets[i];
    ensemble.weights[ensemble.leaf[found->second] * columns + *column] +=
        weights[i];
  }
  return success();
}

/// Unrolled steps; deeper trees are not learned.
static constexpr int64_t kMaxDepth = 128;

static FailureOr<Ensemble>
readEnsemble(const Node &node, StringRef prefix, int64_t columns,
             function_ref<std::optional<int64_t>(int64_t)> columnOf) {
  if (failed(checkLengths(node, "nodes_",
                          {"treeids", "nodeids", "featureids", "values",
                           "modes", "truenodeids", "falsenodeids"})) ||
      failed(
          checkLengths(node, prefix, {"treeids", "nodeids", "ids", "weights"})))
    return failure();
  auto numbers = numberNodes(node);
  Ensemble ensemble;
  if (failed(numbers) || failed(addNodes(node, *numbers, ensemble)) ||
      failed(findRoots(node, ensemble)) ||
      failed(addWeights(node, *numbers, ensemble, prefix, columns, columnOf)))
    return failure();
  if (ensemble.depth > kMaxDepth)
    return node.error() << "expected trees of at most " << kMaxDepth
                        << " levels, got " << ensemble.depth;
  return ensemble;
}

//===----------------------------------------------------------------------===//
// Walking down
//===----------------------------------------------------------------------===//

/// The row of weights that each input row reaches in each tree.
static FailureOr<Tensor> findLeaves(const Node &node, Lowering &lowering,
                                    const Ensemble &ensemble) {
  Tensor x = node.input(0);
  if (x.rank() != 2)
    return node.error() << "expected an input of rank 2, got rank " << x.rank();
  if (!lowering.isNonNegative(x.shape[1] - ensemble.numFeatures))
    return node.error() << "expected rows of " << ensemble.numFeatures
                        << " features or more, got " << lowering.str(x.shape);
  x = lowering.cast(x, DType::Float);
  auto tableOf = [&](ArrayRef<int32_t> values) {
    return table(lowering, int64_t(values.size()), values);
  };
  Tensor roots = tableOf(ensemble.roots), features = tableOf(ensemble.features);
  Tensor low = tableOf(ensemble.low), high = tableOf(ensemble.high);
  Tensor leaf = tableOf(ensemble.leaf), nan = tableOf(ensemble.nan);
  Tensor splits =
      table(lowering, int64_t(ensemble.splits.size()), ensemble.splits);
  AffineExpr n, t;
  bindDims(lowering.context(), n, t);
  Shape shape{x.shape[0], lowering.constant(ensemble.roots.size())};
  return computeMapped(
      lowering, roots, AffineMap::get(2, 0, t), shape, DType::Int32,
      [&](Scalars &s, ValueRange v) {
        Scalars number(s.b, DType::Float);
        auto read = [&](const Tensor &table, Value at) -> Value {
          at = arith::IndexCastOp::create(s.b, s.b.getIndexType(), at);
          return tensor::ExtractOp::create(s.b, table.value, at);
        };
        Value row = linalg::IndexOp::create(s.b, 0), at = v[0];
        for (int64_t step = 0; step < ensemble.depth; ++step) {
          Value feature = arith::IndexCastOp::create(s.b, s.b.getIndexType(),
                                                     read(features, at));
          Value value =
              tensor::ExtractOp::create(s.b, x.value, ValueRange{row, feature});
          Value next = s.select(number.le(value, read(splits, at)),
                                read(low, at), read(high, at));
          if (ensemble.nan != ensemble.high)
            next = s.select(number.isNaN(value), read(nan, at), next);
          at = next;
        }
        return read(leaf, at);
      });
}

/// The sums over the trees of the weights of the leaves, for each target.
static FailureOr<Tensor> sumWeights(const Node &node, Lowering &lowering,
                                    const Ensemble &ensemble) {
  auto leaves = findLeaves(node, lowering, ensemble);
  if (failed(leaves))
    return failure();
  Tensor weights =
      table(lowering, {ensemble.numLeaves, ensemble.targets}, ensemble.weights);
  AffineExpr n, c, t;
  bindDims(lowering.context(), n, c, t);
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(3, 0, exprs, lowering.context());
  };
  Shape shape{leaves->shape[0], lowering.constant(ensemble.targets)};
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
  auto ensemble =
      readEnsemble(node, "target_", targets, [](int64_t id) { return id; });
  if (failed(ensemble))
    return failure();
  auto sums = sumWeights(node, lowering, *ensemble);
  if (failed(sums))
    return failure();
  bool isMean = node.stringAttr("aggregate_function", "SUM") == "AVERAGE";
  Tensor scores =
      adjusted(lowering, *sums, isMean ? ensemble->roots.size() : 1, biases);
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
  auto ensemble = readEnsemble(node, "class_", isBinary ? 1 : classes,
                               [&](int64_t id) { return isBinary ? 0 : id; });
  if (failed(ensemble))
    return failure();
  auto sums = sumWeights(node, lowering, *ensemble);
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
