//===- Types.cpp - Types and dimensions of an ONNX graph ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every dimension of an input gets a size or a name. Names are ONNX's
// dim_params as they stand ("past + sequence" is one name; what it says is read
// later).
//
//===----------------------------------------------------------------------===//

#include "Library.h"

#include <unordered_set>

using namespace mlir::lutra::model;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::TensorShapeProto;
using ::onnx::TypeProto;

/// Calls `visit` for the shape of every tensor that a graph or one of its
/// subgraphs declares.
template <typename Visit>
static void forEachShape(GraphProto &graph, const Visit &visit) {
  for (auto *list : {graph.mutable_input(), graph.mutable_output(),
                     graph.mutable_value_info()})
    for (auto &value : *list)
      if (value.type().has_tensor_type() &&
          value.type().tensor_type().has_shape())
        visit(*value.mutable_type()->mutable_tensor_type()->mutable_shape());
  for (auto &node : *graph.mutable_node())
    for (auto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        forEachShape(*attribute.mutable_g(), visit);
}

static bool isNamed(const TensorShapeProto::Dimension &dim) {
  return dim.has_dim_param() && !dim.dim_param().empty();
}

/// Exporters write sizes that they do not know as -1, too.
static void clearNegative(TensorShapeProto &shape) {
  for (auto &dim : *shape.mutable_dim())
    if (dim.has_dim_value() && dim.dim_value() < 0)
      dim.clear_dim_value();
}

static void fixSizes(TensorShapeProto &shape,
                     const std::map<std::string, int64_t> &fixed) {
  for (auto &dim : *shape.mutable_dim()) {
    auto found = isNamed(dim) ? fixed.find(dim.dim_param()) : fixed.end();
    if (found != fixed.end())
      dim.set_dim_value(found->second);
  }
}

/// Names the dimensions of one input; returns the names.
static std::vector<std::string>
nameDims(::onnx::ValueInfoProto &input,
         const std::unordered_set<std::string> &taken) {
  std::vector<std::string> names;
  if (!input.type().has_tensor_type())
    return names;
  auto *tensor = input.mutable_type()->mutable_tensor_type();
  for (int i = 0; i < tensor->shape().dim_size(); ++i) {
    auto &dim = *tensor->mutable_shape()->mutable_dim(i);
    if (dim.has_dim_value())
      continue;
    if (!isNamed(dim)) {
      dim.set_dim_param(input.name() + "." + std::to_string(i));
      if (taken.count(dim.dim_param()))
        throw ModelError("dimension " + std::to_string(i) + " of input " +
                         quoted(input.name()) +
                         " has no name, and a dimension of another has "
                         "the name that it would get, " +
                         quoted(dim.dim_param()));
    }
    names.push_back(dim.dim_param());
  }
  return names;
}

std::vector<std::string>
mlir::lutra::model::resolveDims(ModelProto &model,
                                const std::map<std::string, int64_t> &fixed) {
  GraphProto &graph = *model.mutable_graph();
  std::unordered_set<std::string> taken;
  forEachShape(graph, [&](TensorShapeProto &shape) {
    clearNegative(shape);
    for (const auto &dim : shape.dim())
      if (isNamed(dim))
        taken.insert(dim.dim_param());
  });
  std::unordered_set<std::string> constants;
  for (const auto &tensor : graph.initializer())
    constants.insert(tensor.name());
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  for (auto &input : *graph.mutable_input())
    if (!constants.count(input.name()))
      for (const std::string &name : nameDims(input, taken))
        if (seen.insert(name).second)
          names.push_back(name);
  forEachShape(graph, [&](TensorShapeProto &shape) { fixSizes(shape, fixed); });
  return names;
}

ValueType mlir::lutra::model::exportType(const TypeProto &type) {
  ValueType result;
  switch (type.value_case()) {
  case TypeProto::kTensorType:
    break;
  case TypeProto::VALUE_NOT_SET:
    return result;
  case TypeProto::kSequenceType:
    result.notTensor = "sequence";
    return result;
  case TypeProto::kOptionalType:
    result.notTensor = "optional";
    return result;
  case TypeProto::kMapType:
    result.notTensor = "map";
    return result;
  case TypeProto::kSparseTensorType:
    result.notTensor = "sparse tensor";
    return result;
  default:
    result.notTensor = "value of unknown type";
    return result;
  }
  result.dtype = type.tensor_type().elem_type();
  if (!type.tensor_type().has_shape())
    return result;
  result.shape.emplace();
  for (const auto &dim : type.tensor_type().shape().dim()) {
    Dim size;
    if (dim.has_dim_value() && dim.dim_value() >= 0)
      size.size = dim.dim_value();
    else if (isNamed(dim))
      size.name = dim.dim_param();
    result.shape->push_back(size);
  }
  return result;
}
