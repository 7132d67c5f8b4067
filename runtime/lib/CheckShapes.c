//===- CheckShapes.c - Check tensors against a model ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <inttypes.h>

static void appendSize(lutraText *text, const lutra_model_desc *desc,
                       int64_t size) {
  if (desc && size < 0 && -1 - size < desc->dim_count)
    lutraAppend(text, "%s", desc->dims[-1 - size].name);
  else
    lutraAppend(text, "%" PRId64, size);
}

// "[batch,1,8,8]"; with a descriptor, negative sizes are dims' names.
static lutraText formatShape(const lutra_model_desc *desc, int32_t rank,
                             const int64_t *shape) {
  lutraText text = {0};
  lutraAppend(&text, "[");
  for (int32_t axis = 0; axis < rank; ++axis) {
    lutraAppend(&text, "%s", axis ? "," : "");
    appendSize(&text, desc, shape[axis]);
  }
  lutraAppend(&text, "]");
  return text;
}

static lutra_status *checkCount(const char *kind, int32_t expected,
                                const lutra_tensor *tensors, int32_t count) {
  if (count != expected || (count && !tensors))
    return lutraError(LUTRA_INVALID_ARGUMENT, "expected %d %s%s, got %d",
                      expected, kind, expected == 1 ? "" : "s",
                      tensors ? count : 0);
  return NULL;
}

static lutra_status *checkType(const char *kind, const lutra_tensor_desc *desc,
                               const lutra_tensor *tensor) {
  if ((int32_t)tensor->dtype != desc->dtype)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "%s '%s': expected dtype %s, got %s", kind, desc->name,
                      lutra_dtype_name(desc->dtype),
                      lutra_dtype_name((int32_t)tensor->dtype));
  if (tensor->rank != desc->rank)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "%s '%s': expected rank %d, got %d", kind, desc->name,
                      desc->rank, tensor->rank);
  if (tensor->rank && !tensor->shape)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "%s '%s': expected a shape of rank %d, got null", kind,
                      desc->name, desc->rank);
  return NULL;
}

static lutra_status *wrongShape(const lutra_model_desc *model, const char *kind,
                                const lutra_tensor_desc *desc,
                                const int64_t *expected,
                                const lutra_tensor *tensor) {
  lutraText want = formatShape(model, desc->rank, expected);
  lutraText got = formatShape(NULL, desc->rank, tensor->shape);
  return lutraError(LUTRA_INVALID_ARGUMENT,
                    "%s '%s': expected shape %s, got %s", kind, desc->name,
                    want.text, got.text);
}

// `where` ends the message: which input the size came from, or nothing.
static lutra_status *checkDim(const lutra_dim_desc *dim, int64_t size,
                              const char *before, const char *where,
                              const char *after) {
  if (size < dim->min && dim->max == INT64_MAX)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "dim '%s': expected %" PRId64 " or more, got %" PRId64
                      "%s%s%s",
                      dim->name, dim->min, size, before, where, after);
  if (size < dim->min || size > dim->max)
    return lutraError(
        LUTRA_INVALID_ARGUMENT,
        "dim '%s': expected %" PRId64 " to %" PRId64 ", got %" PRId64 "%s%s%s",
        dim->name, dim->min, dim->max, size, before, where, after);
  if (size % dim->multiple)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "dim '%s': expected a multiple of %" PRId64
                      ", got %" PRId64 "%s%s%s",
                      dim->name, dim->multiple, size, before, where, after);
  return NULL;
}

// The size in bytes must be a size_t and small enough for pointer arithmetic.
static bool isTooLarge(int32_t dtype, int32_t rank, const int64_t *shape) {
  int64_t bytes = (int64_t)lutra_dtype_size(dtype);
  for (int32_t axis = 0; axis < rank; ++axis)
    if (shape[axis] == 0)
      return false;
  for (int32_t axis = 0; axis < rank; ++axis)
    if (__builtin_mul_overflow(bytes, shape[axis], &bytes))
      return true;
  return false;
}

// What gave dim `index` its size first.
static lutraText firstWith(const lutra_model_desc *desc, int64_t index) {
  lutraText text = {0};
  if (index == desc->state_dim) {
    lutraAppend(&text, "the state");
    return text;
  }
  for (int32_t i = 0; i < desc->input_count; ++i)
    for (int32_t axis = 0; axis < desc->inputs[i].rank; ++axis)
      if (desc->inputs[i].shape[axis] == -1 - index && !text.length)
        lutraAppend(&text, "input '%s'", desc->inputs[i].name);
  return text;
}

static lutra_status *bindInput(const lutra_model_desc *desc, int32_t index,
                               const lutra_tensor *tensor, int64_t *dims) {
  const lutra_tensor_desc *input = &desc->inputs[index];
  lutra_status *status = checkType("input", input, tensor);
  if (status)
    return status;
  for (int32_t axis = 0; axis < input->rank; ++axis)
    if (input->shape[axis] >= 0 && tensor->shape[axis] != input->shape[axis])
      return wrongShape(desc, "input", input, input->shape, tensor);
  for (int32_t axis = 0; axis < input->rank; ++axis) {
    int64_t size = tensor->shape[axis], dim = -1 - input->shape[axis];
    if (dim < 0)
      continue;
    if (dims[dim] >= 0 && dims[dim] != size)
      return lutraError(LUTRA_INVALID_ARGUMENT,
                        "dim '%s': expected %" PRId64 " as in %s, got %" PRId64
                        " in input '%s'",
                        desc->dims[dim].name, dims[dim],
                        firstWith(desc, dim).text, size, input->name);
    status = checkDim(&desc->dims[dim], size, " in input '", input->name, "'");
    if (status)
      return status;
    dims[dim] = size;
  }
  if (isTooLarge(input->dtype, input->rank, tensor->shape))
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "input '%s': expected below 2^63 bytes, got shape %s",
                      input->name,
                      formatShape(NULL, tensor->rank, tensor->shape).text);
  return NULL;
}

// The first run has settled the sizes of a state's buffers.
static lutra_status *checkSettled(const lutra_state *state,
                                  const int64_t *dims) {
  const lutra_model_desc *desc = state->model->desc;
  for (int32_t i = 0; i < desc->dim_count; ++i)
    if (state->dims[i] >= 0 && state->dims[i] != dims[i])
      return lutraError(LUTRA_INVALID_ARGUMENT,
                        "dim '%s': expected %" PRId64
                        " as the state holds since it was reset, got %" PRId64,
                        desc->dims[i].name, state->dims[i], dims[i]);
  return NULL;
}

lutra_status *lutraBindDims(const lutra_model *model, const lutra_state *state,
                            const lutra_tensor *inputs, int32_t count,
                            int64_t *dims) {
  const lutra_model_desc *desc = model->desc;
  lutra_status *status = lutraCheckState(model, state);
  if (!status)
    status = checkCount("input", desc->input_count, inputs, count);
  for (int32_t i = 0; !status && i < desc->dim_count; ++i)
    dims[i] = i == desc->state_dim ? state->length : -1; // -1: not bound yet.
  for (int32_t i = 0; !status && i < count; ++i)
    status = bindInput(desc, i, &inputs[i], dims);
  if (!status && state && state->settled)
    status = checkSettled(state, dims);
  return status;
}

static lutra_status *checkRoom(const lutra_model_desc *desc, int64_t held,
                               int64_t length) {
  int64_t capacity = lutraStateCapacity(desc);
  if (length < held)
    return lutraError(LUTRA_INVALID_ARTIFACT,
                      "model '%s': expected a run to bring a state of length "
                      "%" PRId64 " to that or more, got %" PRId64,
                      desc->name, held, length);
  if (length > capacity)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "state is full: room for %" PRId64 ", holds %" PRId64
                      ", this run adds %" PRId64,
                      capacity, held, length - held);
  return NULL;
}

static bool statesFit(const lutra_model_desc *desc, const int64_t *dims) {
  bool fit = true;
  int64_t bytes = 0;
  for (int32_t i = 0; i < desc->state_count; ++i)
    fit = fit && lutraStateBytes(&desc->states[i], dims, &bytes);
  return fit;
}

lutra_status *lutraPlan(const lutra_model_desc *desc, const int64_t *dims,
                        int64_t workers, int64_t *bytes, int64_t *shapes) {
  if (desc->dim_count && !dims)
    return lutraError(LUTRA_INVALID_ARGUMENT, "expected %d dims, got null",
                      desc->dim_count);
  for (int32_t i = 0; i < desc->dim_count; ++i) {
    lutra_status *status = checkDim(&desc->dims[i], dims[i], "", "", "");
    if (status)
      return status;
  }
  if (workers < 1)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "expected 1 worker or more, got %" PRId64, workers);
  *bytes = -1;
  desc->plan(dims, workers, bytes, shapes);
  if (*bytes <= -2 && *bytes >= -1 - (int64_t)desc->dim_count)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "dim '%s': expected the size that the other dims "
                      "determine, got %" PRId64,
                      desc->dims[-2 - *bytes].name, dims[-2 - *bytes]);
  if (*bytes >= 0 && desc->state_count) {
    lutra_status *status =
        checkRoom(desc, dims[desc->state_dim], shapes[lutraOutputRanks(desc)]);
    if (status)
      return status;
  }
  bool fits = *bytes >= 0 && statesFit(desc, dims);
  const int64_t *shape = shapes;
  for (int32_t i = 0; i < desc->output_count; ++i) {
    const lutra_tensor_desc *output = &desc->outputs[i];
    for (int32_t axis = 0; axis < output->rank; ++axis)
      fits = fits && shape[axis] >= 0;
    fits = fits && !isTooLarge(output->dtype, output->rank, shape);
    shape += output->rank;
  }
  // Within the dims' ranges, sizes may still overflow what memory can hold.
  if (!fits)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "model '%s': these dims need more memory than 2^63 bytes",
                      desc->name);
  return NULL;
}

lutra_status *lutraCheckOutputs(const lutra_model_desc *desc,
                                const lutra_tensor *outputs, int32_t count,
                                const int64_t *shapes) {
  lutra_status *status =
      checkCount("output", desc->output_count, outputs, count);
  for (int32_t i = 0; !status && i < count; ++i) {
    const lutra_tensor_desc *output = &desc->outputs[i];
    status = checkType("output", output, &outputs[i]);
    for (int32_t axis = 0; !status && axis < output->rank; ++axis)
      if (outputs[i].shape[axis] != shapes[axis])
        status = wrongShape(NULL, "output", output, shapes, &outputs[i]);
    shapes += output->rank;
  }
  return status;
}
