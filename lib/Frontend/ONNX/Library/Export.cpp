//===- Export.cpp - An ONNX graph as plain structs ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Hands a checked, sorted and inferred graph over to the importer.
//
//===----------------------------------------------------------------------===//

#include "Library.h"

#include <unordered_set>

using namespace mlir::lutra::model;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;

namespace {

class Exporter {
public:
  Exporter(const ModelProto &model, const std::vector<Payload> &payloads)
      : model(model), payloads(payloads) {}

  Graph graph(const GraphProto &proto, bool isMain);

private:
  Node node(const NodeProto &proto);
  Attribute attribute(const NodeProto &node, const AttributeProto &proto);

  const ModelProto &model;
  const std::vector<Payload> &payloads;
};

} // namespace

/// Files of early exporters leave the type out.
static AttributeProto::AttributeType typeOf(const AttributeProto &proto) {
  if (proto.type() != AttributeProto::UNDEFINED)
    return proto.type();
  if (proto.has_f())
    return AttributeProto::FLOAT;
  if (proto.has_i())
    return AttributeProto::INT;
  if (proto.has_s())
    return AttributeProto::STRING;
  if (proto.has_t())
    return AttributeProto::TENSOR;
  if (proto.has_g())
    return AttributeProto::GRAPH;
  if (proto.floats_size())
    return AttributeProto::FLOATS;
  if (proto.strings_size())
    return AttributeProto::STRINGS;
  return AttributeProto::INTS;
}

Attribute Exporter::attribute(const NodeProto &node,
                              const AttributeProto &proto) {
  Attribute result;
  result.name = proto.name();
  if (proto.name().empty())
    throw ModelError(describe(node) + " has an attribute without a name");
  switch (typeOf(proto)) {
  case AttributeProto::FLOAT:
    result.value = proto.f();
    break;
  case AttributeProto::INT:
    result.value = proto.i();
    break;
  case AttributeProto::STRING:
    result.value = proto.s();
    break;
  case AttributeProto::TENSOR:
    result.value = exportTensor(proto.t(), payloads);
    break;
  case AttributeProto::GRAPH:
    result.value = std::make_shared<Graph>(graph(proto.g(), false));
    break;
  case AttributeProto::TYPE_PROTO:
    result.value = exportType(proto.tp());
    break;
  case AttributeProto::FLOATS:
    result.value =
        std::vector<float>(proto.floats().begin(), proto.floats().end());
    break;
  case AttributeProto::INTS:
    result.value =
        std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
    break;
  case AttributeProto::STRINGS:
    result.value = std::vector<std::string>(proto.strings().begin(),
                                            proto.strings().end());
    break;
  default:
    throw ModelError(describe(node) + ": attribute " + quoted(proto.name()) +
                     " is of a kind that is not supported, " +
                     AttributeProto::AttributeType_Name(proto.type()));
  }
  return result;
}

Node Exporter::node(const NodeProto &proto) {
  Node result;
  result.name = proto.name();
  result.domain = proto.domain() == "ai.onnx" ? "" : proto.domain();
  result.op = proto.op_type();
  result.version = nodeVersion(model, proto);
  result.inputs.assign(proto.input().begin(), proto.input().end());
  result.outputs.assign(proto.output().begin(), proto.output().end());
  for (const AttributeProto &attr : proto.attribute()) {
    if (!attr.ref_attr_name().empty())
      throw ModelError(describe(proto) + ": attribute " + quoted(attr.name()) +
                       " refers to an attribute of a function outside of one");
    try {
      result.attributes.push_back(attribute(proto, attr));
    } catch (const ModelError &error) {
      // Tensors of attributes rarely have a name of their own.
      if (attr.has_t())
        throw ModelError(describe(proto) + ": attribute " +
                         quoted(attr.name()) + ": " + error.what());
      throw;
    }
  }
  return result;
}

Graph Exporter::graph(const GraphProto &proto, bool isMain) {
  Graph result;
  std::unordered_set<std::string> constants;
  for (const auto &tensor : proto.initializer()) {
    constants.insert(tensor.name());
    result.initializers.push_back(exportTensor(tensor, payloads));
  }
  // An initializer gives an input of the same name its value for good.
  for (const auto &input : proto.input()) {
    if (!constants.count(input.name()))
      result.inputs.push_back(input.name());
    else if (!isMain)
      throw ModelError("initializer " + quoted(input.name()) +
                       " is an input of a subgraph");
  }
  for (const auto &output : proto.output())
    result.outputs.push_back(output.name());
  for (const auto *list :
       {&proto.value_info(), &proto.output(), &proto.input()})
    for (const auto &value : *list)
      if (value.has_type())
        result.types[value.name()] = exportType(value.type());
  for (const NodeProto &child : proto.node())
    result.nodes.push_back(node(child));
  return result;
}

Graph mlir::lutra::model::exportGraph(const ModelProto &model,
                                      const std::vector<Payload> &payloads) {
  return Exporter(model, payloads).graph(model.graph(), true);
}
