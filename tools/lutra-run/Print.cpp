//===- Print.cpp - Models and tensors as text -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Print.h"

#include <cstdio>

using namespace lutra::run;

// Digits that tell all values of the type apart.
static int digitsOf(lutra_dtype dtype) {
  switch (dtype) {
  case LUTRA_BFLOAT16:
    return 4;
  case LUTRA_FLOAT16:
    return 5;
  case LUTRA_FLOAT32:
    return 9;
  case LUTRA_FLOAT64:
    return 17;
  default:
    return 20;
  }
}

std::string lutra::run::formatElement(const Array &array, int64_t index) {
  Number value = array.get(index);
  if (array.dtype() == LUTRA_BOOL)
    return value != 0 ? "true" : "false";
  char text[64];
  std::snprintf(text, sizeof(text), "%.*Lg", digitsOf(array.dtype()), value);
  return text;
}

static void formatPart(const Array &array, size_t axis, int64_t &index,
                       std::string &text) {
  if (axis == array.shape().size()) {
    text += formatElement(array, index++);
    return;
  }
  int64_t size = array.shape()[axis], stride = 1;
  for (size_t inner = axis + 1; inner < array.shape().size(); ++inner)
    stride *= array.shape()[inner];
  text += "[";
  for (int64_t i = 0; i < size; ++i) {
    text += i ? ", " : "";
    if (size > 8 && i == 3) {
      text += "..., ";
      index += (size - 6) * stride;
      i = size - 3;
    }
    formatPart(array, axis + 1, index, text);
  }
  text += "]";
}

std::string lutra::run::formatArray(const Array &array) {
  std::string text = std::string(lutra_dtype_name(array.dtype())) +
                     formatShape(array.shape()) + " = ";
  int64_t index = 0;
  if (array.count() == 0)
    return text + "[]";
  formatPart(array, 0, index, text);
  return text;
}

// "image: float32[batch,1,8,8]"; a size that the plan gives is "?".
static std::string formatTensor(const lutra_model_desc &model,
                                const lutra_tensor_desc &tensor, bool input) {
  std::string text =
      std::string(tensor.name) + ": " + lutra_dtype_name(tensor.dtype) + "[";
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    int64_t size = tensor.shape[axis];
    text += axis ? "," : "";
    text += size >= 0 ? std::to_string(size)
            : input   ? model.dims[-1 - size].name
                      : "?";
  }
  return text + "]";
}

// "past: float32[batch,4,2048,64], grows along axis 2"
static std::string formatState(const lutra_model_desc &model,
                               const lutra_state_desc &state) {
  lutra_tensor_desc tensor = {state.name, state.dtype, state.rank, state.shape};
  return formatTensor(model, tensor, true) + ", grows along axis " +
         std::to_string(state.axis);
}

static std::string formatDim(const lutra_dim_desc &dim) {
  std::string text = std::string(dim.name) + ": " + std::to_string(dim.min);
  if (dim.max == INT64_MAX)
    text += " or more";
  else if (dim.max != dim.min)
    text += " to " + std::to_string(dim.max);
  if (dim.multiple != 1)
    text += ", a multiple of " + std::to_string(dim.multiple);
  return text;
}

static std::string formatWeights(const lutra_model_desc &model) {
  if (!model.weights_size)
    return "none";
  char hash[32];
  std::snprintf(hash, sizeof(hash), "%016llx",
                static_cast<unsigned long long>(model.weights_hash));
  return std::to_string(model.weights_size) + " bytes, " +
         (model.weights ? "embedded"
                        : std::string("in ") + model.weights_file) +
         ", hash " + hash;
}

std::string lutra::run::formatInfo(const lutra_model_desc &model) {
  std::string text = std::string("model      ") + model.name + "\ncompiler   " +
                     model.compiler + " (ABI version " +
                     std::to_string(model.abi_version) + ")\ntarget     " +
                     model.triple + ", " + model.cpu + "\nfeatures   " +
                     (*model.features ? model.features : "none") +
                     "\nweights    " + formatWeights(model) + "\n";
  text += "inputs\n";
  for (int32_t i = 0; i < model.input_count; ++i)
    text += "  " + formatTensor(model, model.inputs[i], true) + "\n";
  text += "outputs\n";
  for (int32_t i = 0; i < model.output_count; ++i)
    text += "  " + formatTensor(model, model.outputs[i], false) + "\n";
  if (model.state_count)
    text += "state\n";
  for (int32_t i = 0; i < model.state_count; ++i)
    text += "  " + formatState(model, model.states[i]) + "\n";
  if (model.dim_count)
    text += "dims\n";
  for (int32_t i = 0; i < model.dim_count; ++i)
    text += "  " + formatDim(model.dims[i]) + "\n";
  if (model.dispatch_count)
    text += "dispatches\n";
  for (int32_t i = 0; i < model.dispatch_count; ++i)
    text += std::string("  ") + model.dispatches[i].kernel + "  (" +
            model.dispatches[i].nodes + ")\n";
  return text;
}
