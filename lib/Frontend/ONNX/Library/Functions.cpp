//===- Functions.cpp - Function bodies in place of calls ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inlines the model's own functions, and the bodies by which ONNX defines the
// operators that are not worth a handler: those become functions of the model
// first, since the library's inliner for schema bodies fails on omitted inputs
// and does not enter subgraphs. A body may be written for another opset than
// the model; its nodes then carry their version with them.
//
//===----------------------------------------------------------------------===//

#include "Library.h"

#include "onnx/defs/function.h"
#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"
#include <algorithm>

using namespace mlir::lutra::model;
using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TypeProto;

/// Bounds on what a file of any size may expand to.
static constexpr uint64_t kMaxExpandedBytes = 256u << 20;
static constexpr int kMaxCallDepth = 64;

/// Operators that are expanded, by domain and name: rare, or no faster for a
/// handler of their own.
static constexpr std::pair<std::string_view, std::string_view> kExpanded[] = {
    {"", "AffineGrid"},
    {"", "BlackmanWindow"},
    {"", "CausalConvWithState"},
    {"", "CenterCropPad"},
    {"", "HammingWindow"},
    {"", "HannWindow"},
    {"", "LinearAttention"},
    {"", "MeanVarianceNormalization"},
    {"", "NegativeLogLikelihoodLoss"},
    {"", "SoftmaxCrossEntropyLoss"},
    {"", "SwiGLU"},
    {"ai.onnx.preview", "FlexAttention"},
};

/// Calls `visit` for every node of a list and of the subgraphs in it.
template <typename Nodes, typename Visit>
static void forEachNode(Nodes &nodes, const Visit &visit) {
  for (NodeProto &node : nodes) {
    visit(node);
    for (AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        forEachNode(*attribute.mutable_g()->mutable_node(), visit);
  }
}

//===----------------------------------------------------------------------===//
// The model's own functions
//===----------------------------------------------------------------------===//

namespace {
using FunctionTable = std::map<std::string, FunctionProto *>;
} // namespace

static std::string functionKey(const std::string &domain,
                               const std::string &name,
                               const std::string &overload) {
  return (domain == "ai.onnx" ? "" : domain) + '\0' + name + '\0' + overload;
}

static std::string calleeKey(const NodeProto &node) {
  return functionKey(node.domain(), node.op_type(), node.overload());
}

/// The size of a function's body after all calls in it are inlined.
static uint64_t expandedBytes(FunctionProto &function,
                              const FunctionTable &table,
                              std::map<FunctionProto *, uint64_t> &known,
                              int depth) {
  if (depth > kMaxCallDepth)
    throw ModelError("function " + quoted(function.name()) +
                     " calls itself, or calls nest more than " +
                     std::to_string(kMaxCallDepth) + " deep");
  auto found = known.find(&function);
  if (found != known.end())
    return found->second;
  uint64_t bytes = function.ByteSizeLong();
  forEachNode(*function.mutable_node(), [&](NodeProto &node) {
    auto callee = table.find(calleeKey(node));
    if (callee != table.end())
      bytes += expandedBytes(*callee->second, table, known, depth + 1);
    bytes = std::min(bytes, kMaxExpandedBytes);
  });
  return known[&function] = bytes;
}

static FunctionTable functionTable(ModelProto &model) {
  FunctionTable table;
  for (FunctionProto &function : *model.mutable_functions())
    if (!table
             .emplace(functionKey(function.domain(), function.name(),
                                  function.overload()),
                      &function)
             .second)
      throw ModelError("function " + quoted(function.name()) +
                       " is defined twice");
  return table;
}

static void checkExpansion(ModelProto &model, const FunctionTable &table) {
  std::map<FunctionProto *, uint64_t> known;
  uint64_t bytes = 0;
  forEachNode(*model.mutable_graph()->mutable_node(), [&](NodeProto &node) {
    auto callee = table.find(calleeKey(node));
    if (callee != table.end())
      bytes += expandedBytes(*callee->second, table, known, 0);
    if (bytes >= kMaxExpandedBytes)
      throw ModelError("expected functions that expand to less than 256 MiB");
  });
  for (const auto &[key, function] : table)
    expandedBytes(*function, table, known, 0);
}

/// Lets the body's nodes keep the version that the function imports, where the
/// model imports another; adds imports that the model lacks.
static void adoptOpsets(ModelProto &model, FunctionProto &function) {
  for (auto &opset : *function.mutable_opset_import()) {
    std::optional<int64_t> version = importedVersion(model, opset.domain());
    if (!version) {
      *model.add_opset_import() = opset;
      continue;
    }
    if (*version == opset.version())
      continue;
    forEachNode(*function.mutable_node(), [&](NodeProto &node) {
      if (node.domain() != opset.domain())
        return;
      auto *entry = node.add_metadata_props();
      entry->set_key(kVersionKey);
      entry->set_value(std::to_string(opset.version()));
    });
    opset.set_version(*version);
  }
}

/// A call may leave out what is last.
static void checkCall(const NodeProto &call, const FunctionProto &function) {
  auto check = [&](const char *what, int given, int known) {
    if (given > known)
      throw ModelError(describe(call) + ": expected at most " +
                       std::to_string(known) + ' ' + what + " of function " +
                       quoted(function.name()) + ", got " +
                       std::to_string(given));
  };
  check("inputs", call.input_size(), function.input_size());
  check("outputs", call.output_size(), function.output_size());
}

/// The library's inliner forgets the defaults of a function's attributes.
static void addDefaults(NodeProto &node, const FunctionProto &function) {
  for (const AttributeProto &attribute : function.attribute_proto()) {
    bool given = std::any_of(
        node.attribute().begin(), node.attribute().end(),
        [&](const auto &other) { return other.name() == attribute.name(); });
    if (!given)
      *node.add_attribute() = attribute;
  }
}

static void nameBody(FunctionProto &function, const std::string &prefix) {
  for (int i = 0; i < function.node_size(); ++i)
    if (function.node(i).name().empty())
      function.mutable_node(i)->set_name(
          prefix + "/" + function.node(i).op_type() + "_" + std::to_string(i));
}

void mlir::lutra::model::inlineFunctions(ModelProto &model) {
  if (model.functions().empty())
    return;
  FunctionTable table = functionTable(model);
  checkExpansion(model, table);
  auto call = [&](NodeProto &node) {
    auto callee = table.find(calleeKey(node));
    if (callee == table.end())
      return;
    checkCall(node, *callee->second);
    addDefaults(node, *callee->second);
  };
  forEachNode(*model.mutable_graph()->mutable_node(), call);
  for (FunctionProto &function : *model.mutable_functions()) {
    forEachNode(*function.mutable_node(), call);
    adoptOpsets(model, function);
    nameBody(function, function.name());
  }
  ::onnx::inliner::InlineLocalFunctions(model);
}

//===----------------------------------------------------------------------===//
// Bodies of operators
//===----------------------------------------------------------------------===//

namespace {

using TypeScope = std::unordered_map<std::string, TypeProto>;

class Expander {
public:
  explicit Expander(ModelProto &model) : model(model) {}

  void visit(GraphProto &graph, TypeScope types);
  bool expanded() const { return count != 0; }

private:
  bool expand(NodeProto &node, const TypeScope &types);
  bool build(const NodeProto &node, const TypeScope &types, int version,
             const ::onnx::OpSchema &schema, FunctionProto &body);

  ModelProto &model;
  int count = 0;
};

} // namespace

/// The name by which the library knows a domain.
static std::string schemaDomain(const NodeProto &node) {
  return node.domain() == "ai.onnx" ? std::string() : node.domain();
}

static bool isExpanded(const NodeProto &node) {
  std::string domain = schemaDomain(node);
  return std::any_of(
      std::begin(kExpanded), std::end(kExpanded), [&](const auto &entry) {
        return entry.first == domain && entry.second == node.op_type();
      });
}

static void addTypes(const GraphProto &graph, TypeScope &types) {
  for (const auto &tensor : graph.initializer()) {
    auto *type = types[tensor.name()].mutable_tensor_type();
    type->set_elem_type(tensor.data_type());
    type->clear_shape();
    for (int64_t size : tensor.dims())
      type->mutable_shape()->add_dim()->set_dim_value(size);
  }
  for (const auto *list :
       {&graph.value_info(), &graph.output(), &graph.input()})
    for (const auto &value : *list)
      types[value.name()] = value.type();
}

/// The version whose body a schema gives for `version`.
static std::optional<int> bodyVersion(const ::onnx::OpSchema &schema,
                                      int version) {
  std::optional<int> best;
  for (int candidate : schema.HasFunction()
                           ? schema.function_opset_versions()
                           : schema.context_dependent_function_opset_versions())
    if (candidate <= version && (!best || candidate > *best))
      best = candidate;
  return best;
}

bool Expander::build(const NodeProto &node, const TypeScope &types, int version,
                     const ::onnx::OpSchema &schema, FunctionProto &body) {
  std::optional<int> written = bodyVersion(schema, version);
  if (!written)
    return false;
  if (schema.HasFunction()) {
    body = *schema.GetFunction(*written);
  } else {
    std::vector<TypeProto> inputs;
    for (const std::string &input : node.input()) {
      auto found = types.find(input);
      inputs.push_back(found == types.end() ? TypeProto() : found->second);
    }
    ::onnx::FunctionBodyBuildContextImpl context(node, inputs);
    if (!schema.BuildContextDependentFunction(context, body, *written))
      return false;
  }
  for (auto &opset : *body.mutable_opset_import())
    if (opset.domain() == schema.domain())
      opset.set_version(*written);
  return true;
}

bool Expander::expand(NodeProto &node, const TypeScope &types) {
  int version = static_cast<int>(nodeVersion(model, node));
  const auto *schema = ::onnx::OpSchemaRegistry::Schema(node.op_type(), version,
                                                        schemaDomain(node));
  FunctionProto body;
  try {
    if (!schema || !build(node, types, version, *schema, body))
      return false;
  } catch (const std::exception &) {
    return false; // The registry then refuses the node by its name.
  }
  body.clear_attribute_proto();
  for (const auto &[name, attribute] : schema->attributes())
    if (attribute.default_value.has_name())
      *body.add_attribute_proto() = attribute.default_value;
  addDefaults(node, body);
  body.set_domain("lutra.expansion");
  body.set_name(node.op_type() + "_" + std::to_string(count++));
  nameBody(body, node.name());
  adoptOpsets(model, body);
  node.set_domain(body.domain());
  node.set_op_type(body.name());
  *model.add_functions() = std::move(body);
  return true;
}

void Expander::visit(GraphProto &graph, TypeScope types) {
  addTypes(graph, types);
  for (NodeProto &node : *graph.mutable_node()) {
    if (isExpanded(node))
      expand(node, types);
    for (AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        visit(*attribute.mutable_g(), types);
  }
}

bool mlir::lutra::model::expandSchemaFunctions(ModelProto &model) {
  bool any = false;
  forEachNode(*model.mutable_graph()->mutable_node(),
              [&](const NodeProto &node) { any |= isExpanded(node); });
  if (!any)
    return false;
  Expander expander(model);
  expander.visit(*model.mutable_graph(), {});
  if (expander.expanded())
    ::onnx::inliner::InlineLocalFunctions(model);
  return expander.expanded();
}
