//===- TreeTables.cpp - The attributes of trees as tables -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TreeTables.h"

#include "Elementwise.h"
#include "Scores.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <map>

using namespace mlir;
using namespace mlir::lutra;

/// The numbers of trees and nodes, in the order of the attributes.
using NodeNumbers = std::map<std::pair<int64_t, int64_t>, int32_t>;

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
                              TreeTables &tables) {
  auto trees = node.intsAttr("nodes_treeids");
  auto features = node.intsAttr("nodes_featureids");
  auto yes = node.intsAttr("nodes_truenodeids");
  auto no = node.intsAttr("nodes_falsenodeids");
  auto missing = node.intsAttr("nodes_missing_value_tracks_true");
  auto modes = cast<ArrayAttr>(node.attr("nodes_modes"));
  tables.splits = llvm::to_vector(floatsAttr(node, "nodes_values"));
  for (int32_t i = 0, count = trees.size(); i < count; ++i) {
    auto text = dyn_cast<StringAttr>(modes[i]);
    StringRef mode = text ? text.getValue() : "";
    bool isLeaf = mode == "LEAF";
    tables.leaf.push_back(isLeaf ? tables.numLeaves++ : 0);
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
      tables.splits[i] = std::nextafter(tables.splits[i], -INFINITY);
    else if (!isLeaf && mode != "BRANCH_LEQ" && mode != "BRANCH_GT")
      return node.error() << "expected mode BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, "
                             "BRANCH_GT or LEAF, got "
                          << mode;
    tables.low.push_back(to[swaps ? 1 : 0]);
    tables.high.push_back(to[swaps ? 0 : 1]);
    tables.nan.push_back(forNaN);
    int64_t feature = isLeaf ? 0 : features[i];
    if (feature < 0 || feature >= kMaxExtent)
      return node.error() << "expected features from 0 on, got " << feature;
    tables.features.push_back(feature);
    tables.numFeatures = std::max(tables.numFeatures, feature + 1);
  }
  return success();
}

/// Finds the roots and the depth; every node must be below one root, once.
static LogicalResult findRoots(const Node &node, TreeTables &tables) {
  size_t count = tables.low.size();
  SmallVector<int> parents(count);
  for (size_t i = 0; i < count; ++i)
    for (int32_t child : {tables.low[i], tables.high[i]})
      parents[child] += size_t(child) != i;
  SmallVector<int32_t> level;
  for (size_t i = 0; i < count; ++i)
    if (parents[i] == 0)
      level.push_back(i);
    else if (parents[i] > 1)
      return node.error() << "expected nodes with one parent at most, got "
                          << parents[i];
  tables.roots = level;
  size_t seen = level.size();
  for (; !level.empty(); ++tables.depth) {
    SmallVector<int32_t> next;
    for (int32_t i : level)
      if (tables.low[i] != i)
        next.append({tables.low[i], tables.high[i]});
    seen += next.size();
    level = std::move(next);
  }
  --tables.depth;
  if (seen != count)
    return node.error() << "expected trees, got a cycle of nodes";
  return success();
}

/// Fills in the weights of `columns` targets, of leaves and their targets that
/// attributes with `prefix` name. `columnOf` says where a target is.
static LogicalResult
addWeights(const Node &node, const NodeNumbers &numbers, TreeTables &tables,
           StringRef prefix, int64_t columns,
           function_ref<std::optional<int64_t>(int64_t)> columnOf) {
  auto attrOf = [&](StringRef name) {
    return node.intsAttr((prefix + name).str());
  };
  auto trees = attrOf("treeids"), ids = attrOf("nodeids"),
       targets = attrOf("ids");
  ArrayRef<float> weights = floatsAttr(node, (prefix + "weights").str());
  int64_t size;
  if (llvm::MulOverflow(tables.numLeaves, columns, size) || size > 1 << 24)
    return node.error() << "expected at most 16 million weights, got "
                        << tables.numLeaves << " leaves of " << columns;
  tables.targets = columns;
  tables.weights.assign(size, 0);
  for (size_t i = 0; i < weights.size(); ++i) {
    auto found = numbers.find({trees[i], ids[i]});
    if (found == numbers.end() || tables.low[found->second] != found->second)
      return node.error() << "expected weights of leaves, got node " << ids[i]
                          << " of tree " << trees[i];
    auto column = columnOf(targets[i]);
    if (!column || *column < 0 || *column >= columns)
      return node.error() << "expected targets below " << columns << ", got "
                          << targets[i];
    tables.weights[tables.leaf[found->second] * columns + *column] +=
        weights[i];
  }
  return success();
}

/// Unrolled steps; deeper trees are not learned.
static constexpr int64_t kMaxDepth = 128;

FailureOr<TreeTables>
lutra::readTrees(const Node &node, StringRef prefix, int64_t columns,
                 function_ref<std::optional<int64_t>(int64_t)> columnOf) {
  if (failed(checkLengths(node, "nodes_",
                          {"treeids", "nodeids", "featureids", "values",
                           "modes", "truenodeids", "falsenodeids"})) ||
      failed(
          checkLengths(node, prefix, {"treeids", "nodeids", "ids", "weights"})))
    return failure();
  auto numbers = numberNodes(node);
  TreeTables tables;
  if (failed(numbers) || failed(addNodes(node, *numbers, tables)) ||
      failed(findRoots(node, tables)) ||
      failed(addWeights(node, *numbers, tables, prefix, columns, columnOf)))
    return failure();
  if (tables.depth > kMaxDepth)
    return node.error() << "expected trees of at most " << kMaxDepth
                        << " levels, got " << tables.depth;
  return tables;
}
