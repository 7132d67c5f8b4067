//===- Structure.cpp - Names and order of an ONNX graph -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks that every value is defined once and every used value at all, and
// sorts the nodes: the standard asks for topological order, real files break
// it. A value that a subgraph takes from outside counts as an input of the node
// that holds the subgraph.
//
//===----------------------------------------------------------------------===//

#include "Library.h"

#include <algorithm>
#include <cstdlib>
#include <queue>
#include <set>
#include <sstream>
#include <unordered_set>

using namespace mlir::lutra::model;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;

std::string mlir::lutra::model::describe(const NodeProto &node) {
  return "node " + (node.name().empty() ? node.op_type() : quoted(node.name()));
}

static std::string normalized(const std::string &domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

std::optional<int64_t>
mlir::lutra::model::importedVersion(const ModelProto &model,
                                    const std::string &domain) {
  std::optional<int64_t> version;
  for (const auto &opset : model.opset_import()) {
    if (normalized(opset.domain()) != normalized(domain))
      continue;
    if (version && *version != opset.version())
      throw ModelError("domain '" + domain + "' imported in two versions, " +
                       std::to_string(*version) + " and " +
                       std::to_string(opset.version()));
    version = opset.version();
  }
  return version;
}

int64_t mlir::lutra::model::nodeVersion(const ModelProto &model,
                                        const NodeProto &node) {
  for (const auto &entry : node.metadata_props())
    if (entry.key() == kVersionKey)
      return std::strtol(entry.value().c_str(), nullptr, 10);
  if (std::optional<int64_t> version = importedVersion(model, node.domain()))
    return *version;
  throw ModelError(describe(node) +
                   ": the model imports no version of domain " +
                   quoted(node.domain()));
}

static void nameNodes(GraphProto &graph) {
  for (int i = 0; i < graph.node_size(); ++i) {
    NodeProto &node = *graph.mutable_node(i);
    if (node.name().empty())
      node.set_name(node.op_type() + "_" + std::to_string(i));
    for (AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        ::nameNodes(*attribute.mutable_g());
  }
}

void mlir::lutra::model::nameNodes(ModelProto &model) {
  ::nameNodes(*model.mutable_graph());
}

namespace {
/// The names that one graph defines: by node, or -1 for inputs and constants.
using Definitions = std::unordered_map<std::string, int>;
/// Ordered, so that the first error is the same in every run.
using NameSet = std::set<std::string>;
} // namespace

static Definitions collectDefinitions(const GraphProto &graph) {
  Definitions definitions;
  for (const auto &input : graph.input()) {
    if (input.name().empty())
      throw ModelError("an input of graph " + quoted(graph.name()) +
                       " has no name");
    if (!definitions.emplace(input.name(), -1).second)
      throw ModelError("input " + quoted(input.name()) + " is listed twice");
  }
  std::unordered_set<std::string> constants;
  for (const auto &tensor : graph.initializer()) {
    if (!constants.insert(tensor.name()).second)
      throw ModelError("initializer " + quoted(tensor.name()) +
                       " is listed twice");
    definitions.emplace(tensor.name(), -1);
  }
  for (int i = 0; i < graph.node_size(); ++i)
    for (const std::string &output : graph.node(i).output())
      if (!output.empty() && !definitions.emplace(output, i).second)
        throw ModelError(describe(graph.node(i)) + " defines value " +
                         quoted(output) + ", which is defined already");
  return definitions;
}

/// One term of an Einsum: letters, and among them one ellipsis at most.
static bool isEinsumTerm(std::string term) {
  size_t ellipsis = term.find("...");
  if (ellipsis != std::string::npos)
    term.erase(ellipsis, 3);
  return std::all_of(term.begin(), term.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

/// Attributes by which the library's inference never ends or fills memory.
static void checkInferable(const NodeProto &node,
                           const AttributeProto &attribute) {
  // It makes as many shapes as this number says.
  if (node.op_type() == "Split" && attribute.name() == "num_outputs" &&
      attribute.i() != node.output_size())
    throw ModelError(describe(node) + ": expected num_outputs to be " +
                     std::to_string(node.output_size()) + ", got " +
                     std::to_string(attribute.i()));
  // It does not get past any other character.
  if (node.op_type() != "Einsum" || attribute.name() != "equation")
    return;
  std::string operands = attribute.s().substr(0, attribute.s().find("->"));
  operands.erase(std::remove(operands.begin(), operands.end(), ' '),
                 operands.end());
  std::stringstream terms(operands);
  for (std::string term; std::getline(terms, term, ',');)
    if (!isEinsumTerm(term))
      throw ModelError(describe(node) +
                       ": expected an equation of letters and ellipses, got " +
                       quoted(attribute.s()));
}

/// Checks that concern one node alone.
static void checkNode(const NodeProto &node) {
  if (node.op_type().empty())
    throw ModelError(describe(node) + " has no operator");
  // Kinds are "<domain>.<operator>".
  if (node.op_type().find('.') != std::string::npos)
    throw ModelError(describe(node) + ": expected an operator without a dot, " +
                     "got " + quoted(node.op_type()));
  std::unordered_set<std::string> names;
  for (const AttributeProto &attribute : node.attribute()) {
    checkInferable(node, attribute);
    if (!names.insert(attribute.name()).second)
      throw ModelError(describe(node) + " has attribute " +
                       quoted(attribute.name()) + " twice");
  }
}

/// A topological order that changes nothing in a sorted graph.
static std::vector<int>
sortedOrder(const GraphProto &graph,
            const std::vector<std::vector<int>> &operands) {
  int count = graph.node_size();
  std::vector<std::vector<int>> users(count);
  std::vector<int> missing(count, 0);
  for (int i = 0; i < count; ++i)
    for (int operand : operands[i]) {
      users[operand].push_back(i);
      ++missing[i];
    }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < count; ++i)
    if (missing[i] == 0)
      ready.push(i);
  std::vector<int> order;
  while (!ready.empty()) {
    int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (int user : users[i])
      if (--missing[user] == 0)
        ready.push(user);
  }
  for (int i = 0; order.size() != size_t(count) && i < count; ++i)
    if (missing[i] != 0)
      throw ModelError(describe(graph.node(i)) +
                       " is part of a cycle or depends on one");
  return order;
}

static void reorder(GraphProto &graph, const std::vector<int> &order) {
  google::protobuf::RepeatedPtrField<NodeProto> sorted;
  sorted.Reserve(static_cast<int>(order.size()));
  for (int i : order)
    sorted.Add()->Swap(graph.mutable_node(i));
  graph.mutable_node()->Swap(&sorted);
}

/// Checks and sorts a graph and those in it; returns the names that it takes
/// from outside.
static NameSet checkGraph(GraphProto &graph) {
  Definitions definitions = collectDefinitions(graph);
  NameSet free;
  std::vector<std::vector<int>> operands(graph.node_size());
  for (int i = 0; i < graph.node_size(); ++i) {
    NodeProto &node = *graph.mutable_node(i);
    checkNode(node);
    auto use = [&](const std::string &name) {
      auto found = definitions.find(name);
      if (found == definitions.end())
        free.insert(name);
      else if (found->second >= 0)
        operands[i].push_back(found->second);
    };
    for (const std::string &input : node.input())
      if (!input.empty())
        use(input);
    for (AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        for (const std::string &name : checkGraph(*attribute.mutable_g()))
          use(name);
  }
  reorder(graph, sortedOrder(graph, operands));
  for (const auto &output : graph.output()) {
    if (output.name().empty())
      throw ModelError("an output of graph " + quoted(graph.name()) +
                       " has no name");
    if (!definitions.count(output.name()))
      free.insert(output.name());
  }
  return free;
}

/// The first node that uses `name`, itself or in a subgraph.
static const NodeProto *findUser(const GraphProto &graph,
                                 const std::string &name) {
  for (const NodeProto &node : graph.node()) {
    for (const std::string &input : node.input())
      if (input == name)
        return &node;
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        if (const NodeProto *user = findUser(attribute.g(), name))
          return user;
  }
  return nullptr;
}

void mlir::lutra::model::checkAndSort(GraphProto &graph) {
  if (graph.output_size() == 0)
    throw ModelError("the graph has no outputs");
  std::unordered_set<std::string> outputs;
  for (const auto &output : graph.output())
    if (!outputs.insert(output.name()).second)
      throw ModelError("output " + quoted(output.name()) + " is listed twice");
  NameSet free = checkGraph(graph);
  if (free.empty())
    return;
  const std::string &name = *free.begin();
  if (const NodeProto *user = findUser(graph, name))
    throw ModelError(describe(*user) + " uses value " + quoted(name) +
                     ", which nothing defines");
  throw ModelError("output " + quoted(name) + " is computed by no node");
}
