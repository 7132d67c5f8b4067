//===- Signatures.cpp - Nodes against their operators' signatures ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks that a node of an operator that ONNX knows has as many inputs and
// outputs as the operator takes, all that it needs, and attributes of the kinds
// that it says. Handlers rest on this: what is required is there.
//
//===----------------------------------------------------------------------===//

#include "Library.h"

#include "onnx/defs/schema.h"

using namespace mlir::lutra::model;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::OpSchema;

const OpSchema *mlir::lutra::model::findSchema(const std::string &domain,
                                               const std::string &op,
                                               int64_t version) {
  if (version < 1 || version > INT32_MAX)
    return nullptr;
  if (const OpSchema *schema = contributedSchema(domain, op))
    return schema;
  return ::onnx::OpSchemaRegistry::Schema(op, static_cast<int>(version),
                                          domain == "ai.onnx" ? std::string()
                                                              : domain);
}

static std::string numberOf(const char *what, int min, int max) {
  std::string count = std::to_string(min);
  if (max == INT32_MAX)
    count += " or more";
  else if (max != min)
    count += " to " + std::to_string(max);
  return count + " " + what + (count == "1" ? "" : "s");
}

static void checkInputs(const NodeProto &node, const OpSchema &schema) {
  int count = node.input_size();
  if (count < schema.min_input() || count > schema.max_input())
    throw ModelError(describe(node) + ": expected " +
                     numberOf("input", schema.min_input(), schema.max_input()) +
                     ", got " + std::to_string(count));
  for (int i = 0; i < count && i < int(schema.inputs().size()); ++i)
    if (schema.inputs()[i].GetOption() == OpSchema::Single &&
        node.input(i).empty())
      throw ModelError(describe(node) + ": expected input " +
                       quoted(schema.inputs()[i].GetName()) + ", got none");
}

static void checkOutputs(const NodeProto &node, const OpSchema &schema) {
  int count = node.output_size();
  if (count < schema.min_output() || count > schema.max_output())
    throw ModelError(
        describe(node) + ": expected " +
        numberOf("output", schema.min_output(), schema.max_output()) +
        ", got " + std::to_string(count));
}

static void checkAttributes(const NodeProto &node, const OpSchema &schema) {
  std::unordered_map<std::string, const AttributeProto *> present;
  for (const AttributeProto &attribute : node.attribute())
    present.emplace(attribute.name(), &attribute);
  for (const auto &[name, expected] : schema.attributes()) {
    auto found = present.find(name);
    if (found == present.end()) {
      if (expected.required)
        throw ModelError(describe(node) + ": expected attribute " +
                         quoted(name) + ", got none");
      continue;
    }
    if (found->second->type() != expected.type)
      throw ModelError(
          describe(node) + ": expected attribute " + quoted(name) +
          " of kind " + AttributeProto::AttributeType_Name(expected.type) +
          ", got " + AttributeProto::AttributeType_Name(found->second->type()));
  }
}

static void checkGraph(const ModelProto &model, const GraphProto &graph) {
  for (const NodeProto &node : graph.node()) {
    if (const OpSchema *schema = findSchema(node.domain(), node.op_type(),
                                            nodeVersion(model, node))) {
      checkInputs(node, *schema);
      checkOutputs(node, *schema);
      checkAttributes(node, *schema);
    }
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        checkGraph(model, attribute.g());
  }
}

void mlir::lutra::model::checkSignatures(const ModelProto &model) {
  checkGraph(model, model.graph());
}
