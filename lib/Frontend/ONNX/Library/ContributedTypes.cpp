//===- ContributedTypes.cpp - Result types beyond ONNX --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ContributedTypes.h"

#include "onnx/defs/math/utils.h"
#include "onnx/defs/shape_inference.h"
#include <optional>

using namespace mlir::lutra::model;
using ::onnx::AttributeProto;
using ::onnx::InferenceContext;

/// The result has the query's element type. It has its shape too, but for a
/// last dimension of `width` where that is known.
static void inferResult(InferenceContext &context,
                        std::optional<int64_t> width) {
  ::onnx::propagateElemTypeFromInputToOutput(context, 0, 0);
  if (!::onnx::hasNInputShapes(context, 1))
    return;
  const auto &query = ::onnx::getInputShape(context, 0);
  if (query.dim_size() < 3)
    return;
  ::onnx::TensorShapeProto shape;
  *shape.add_dim() = query.dim(0);
  *shape.add_dim() = query.dim(1);
  auto *last = shape.add_dim();
  if (width)
    last->set_dim_value(*width);
  ::onnx::updateOutputShape(context, 0, shape);
}

/// The caches have rank 4 and the query's element type.
static void inferCaches(InferenceContext &context) {
  for (size_t output = 1; output < context.getNumOutputs(); ++output) {
    ::onnx::propagateElemTypeFromInputToOutput(context, 0, output);
    ::onnx::TensorShapeProto shape;
    for (int i = 0; i < 4; ++i)
      shape.add_dim();
    ::onnx::updateOutputShape(context, output, shape);
  }
}

/// The last dimension of an input of rank 3; nothing where it is not known.
static std::optional<int64_t> width(InferenceContext &context, size_t input) {
  if (input >= context.getNumInputs() ||
      !::onnx::hasInputShape(context, input) ||
      ::onnx::getInputShape(context, input).dim_size() != 3)
    return std::nullopt;
  const auto &last = ::onnx::getInputShape(context, input).dim(2);
  if (!last.has_dim_value())
    return std::nullopt;
  return last.dim_value();
}

void mlir::lutra::model::inferMultiHead(InferenceContext &context) {
  // Values that are packed or have heads give a width that the handler finds.
  inferResult(context, width(context, 2));
  inferCaches(context);
}

void mlir::lutra::model::inferGroupQuery(InferenceContext &context) {
  bool packed = context.getInputType(1) == nullptr;
  inferResult(context, packed ? std::nullopt : width(context, 0));
  inferCaches(context);
}

void mlir::lutra::model::inferLowBit(InferenceContext &context) {
  ::onnx::propagateElemTypeFromInputToOutput(context, 0, 0);
  const AttributeProto *columns = context.getAttribute("N");
  if (!columns || columns->i() < 1 || !::onnx::hasNInputShapes(context, 1))
    return;
  ::onnx::TensorShapeProto shape = ::onnx::getInputShape(context, 0);
  if (shape.dim_size() == 0)
    return;
  auto *last = shape.mutable_dim(shape.dim_size() - 1);
  last->clear_dim_param();
  last->set_dim_value(columns->i());
  ::onnx::updateOutputShape(context, 0, shape);
}

void mlir::lutra::model::inferAsInput(InferenceContext &context) {
  ::onnx::propagateElemTypeFromInputToOutput(context, 0, 0);
  if (::onnx::hasNInputShapes(context, 1))
    ::onnx::propagateShapeFromInputToOutput(context, 0, 0);
}

void mlir::lutra::model::inferScaledProduct(InferenceContext &context,
                                            size_t scale) {
  ::onnx::propagateElemTypeFromInputToOutput(context, scale, 0);
  ::onnx::defs::math::utils::MatMulShapeInference(context, 0, 1);
}

void mlir::lutra::model::inferQuantizedGather(InferenceContext &context) {
  ::onnx::propagateElemTypeFromInputToOutput(context, 2, 0);
  if (!::onnx::hasNInputShapes(context, 2))
    return;
  const auto &data = ::onnx::getInputShape(context, 0);
  const auto &indices = ::onnx::getInputShape(context, 1);
  const AttributeProto *given = context.getAttribute("gather_axis");
  int64_t rank = data.dim_size(), axis = given ? given->i() : 0;
  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank)
    return;
  ::onnx::TensorShapeProto shape;
  for (int i = 0; i < axis; ++i)
    *shape.add_dim() = data.dim(i);
  for (const auto &dim : indices.dim())
    *shape.add_dim() = dim;
  for (int i = axis + 1; i < rank; ++i)
    *shape.add_dim() = data.dim(i);
  // Bytes hold several codes, which the handler counts.
  bool isPacked = context.getInputType(0)->tensor_type().elem_type() ==
                  ::onnx::TensorProto::UINT8;
  if (isPacked && axis + 1 < rank)
    shape.mutable_dim(shape.dim_size() - 1)->clear_value();
  ::onnx::updateOutputShape(context, 0, shape);
}

void mlir::lutra::model::inferNormalized(InferenceContext &context) {
  for (size_t output = 0; output < context.getNumOutputs(); ++output) {
    if (output == 0 || output == 3) {
      ::onnx::propagateElemTypeFromInputToOutput(context, 0, output);
      if (::onnx::hasNInputShapes(context, 1))
        ::onnx::propagateShapeFromInputToOutput(context, 0, output);
    } else {
      ::onnx::updateOutputElemType(context, output, ::onnx::TensorProto::FLOAT);
    }
  }
}
