//===- State.c - Tensors that runs append to ------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A state's buffers are as large as its capacity from the start, and nothing
// here writes to what is not in use: the system gives memory for a page when a
// run first appends to it.
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Multiplies sizes of a state's shape into `product`. False on overflow.
static bool multiply(const lutra_state_desc *desc, int64_t begin, int64_t end,
                     const int64_t *dims, int64_t *product) {
  bool fits = true, empty = false;
  for (int64_t axis = begin; axis < end; ++axis) {
    int64_t size = desc->shape[axis];
    size = size < 0 ? dims[-1 - size] : size;
    empty |= size == 0;
    fits = fits && !__builtin_mul_overflow(*product, size, product);
  }
  if (empty)
    *product = 0;
  return fits || empty;
}

bool lutraStateBytes(const lutra_state_desc *desc, const int64_t *dims,
                     int64_t *bytes) {
  *bytes = (int64_t)lutra_dtype_size(desc->dtype);
  return multiply(desc, 0, desc->rank, dims, bytes);
}

int64_t lutraStateCapacity(const lutra_model_desc *desc) {
  int64_t capacity = INT64_MAX;
  for (int32_t i = 0; i < desc->state_count; ++i) {
    int64_t size = desc->states[i].shape[desc->states[i].axis];
    capacity = size < capacity ? size : capacity;
  }
  return capacity;
}

lutra_status *lutraCheckState(const lutra_model *model,
                              const lutra_state *state) {
  const lutra_model_desc *desc = model->desc;
  if (!desc->state_count && state)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "model '%s' keeps no state: expected none, got one",
                      desc->name);
  if (desc->state_count && !state)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "model '%s' keeps state: expected one, got none",
                      desc->name);
  if (state && state->model != model)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "expected a state of this model, '%s', got one of "
                      "another model, '%s'",
                      desc->name, state->model->desc->name);
  return NULL;
}

static void release(lutra_state *state) {
  for (int32_t i = 0; i < state->model->desc->state_count; ++i) {
    free(state->buffers[i]);
    state->buffers[i] = NULL;
  }
  state->allocated = state->settled = false;
}

static bool shapesState(const lutra_model_desc *desc, int32_t dim) {
  for (int32_t i = 0; i < desc->state_count; ++i)
    for (int32_t axis = 0; axis < desc->states[i].rank; ++axis)
      if (desc->states[i].shape[axis] == -1 - (int64_t)dim)
        return true;
  return false;
}

static lutra_status *allocate(lutra_state *state, const int64_t *dims) {
  const lutra_model_desc *desc = state->model->desc;
  for (int32_t i = 0; i < desc->state_count; ++i) {
    int64_t bytes = 0;
    // Never 0 bytes, and a multiple of the alignment, as aligned_alloc wants.
    if (!lutraStateBytes(&desc->states[i], dims, &bytes) ||
        !(state->buffers[i] =
              aligned_alloc(LUTRA_WORKSPACE_ALIGNMENT,
                            ((size_t)bytes / LUTRA_WORKSPACE_ALIGNMENT + 1) *
                                LUTRA_WORKSPACE_ALIGNMENT))) {
      release(state);
      return lutraError(LUTRA_OUT_OF_RESOURCES,
                        "state '%s': cannot allocate %" PRId64 " bytes",
                        desc->states[i].name, bytes);
    }
  }
  for (int32_t i = 0; i < desc->dim_count; ++i)
    state->dims[i] = shapesState(desc, i) ? dims[i] : -1;
  state->allocated = true;
  return NULL;
}

lutra_status *lutraSettleState(lutra_state *state, const int64_t *dims) {
  const lutra_model_desc *desc = state->model->desc;
  if (state->settled)
    return NULL;
  bool same = state->allocated;
  for (int32_t i = 0; i < desc->dim_count; ++i)
    same = same && (state->dims[i] < 0 || state->dims[i] == dims[i]);
  if (!same) {
    release(state);
    lutra_status *status = allocate(state, dims);
    if (status)
      return status;
  }
  state->settled = true;
  return NULL;
}

lutra_status *lutra_state_create(const lutra_model *model,
                                 lutra_state **state) {
  const lutra_model_desc *desc = model->desc;
  if (!desc->state_count)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "model '%s' keeps no state; compile it with --state",
                      desc->name);
  size_t dims = (size_t)desc->dim_count, count = (size_t)desc->state_count;
  lutra_state *made = calloc(1, sizeof(*made));
  if (made) {
    made->model = model;
    made->dims = calloc(dims, sizeof(*made->dims));
    made->buffers = calloc(count, sizeof(*made->buffers));
  }
  if (!made || !made->dims || !made->buffers) {
    if (made) {
      free(made->dims);
      free(made->buffers);
    }
    free(made);
    return lutraError(LUTRA_OUT_OF_RESOURCES, "out of memory");
  }
  *state = made;
  return NULL;
}

void lutra_state_destroy(lutra_state *state) {
  if (!state)
    return;
  release(state);
  free(state->dims);
  free(state->buffers);
  free(state);
}

int64_t lutra_state_length(const lutra_state *state) { return state->length; }

int64_t lutra_state_capacity(const lutra_state *state) {
  return lutraStateCapacity(state->model->desc);
}

void lutra_state_reset(lutra_state *state) {
  state->length = 0;
  state->settled = false;
}

lutra_status *lutra_state_truncate(lutra_state *state, int64_t length) {
  if (length < 0 || length > state->length)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "state: expected a length of 0 to %" PRId64
                      ", got %" PRId64,
                      state->length, length);
  state->length = length;
  return NULL;
}

// Copies the first `length` indices along the axis of one buffer.
static void copyUsed(const lutra_state *state, int32_t index, void *target) {
  const lutra_state_desc *desc = &state->model->desc->states[index];
  int64_t rows = 1, element = (int64_t)lutra_dtype_size(desc->dtype);
  multiply(desc, 0, desc->axis, state->dims, &rows);
  multiply(desc, desc->axis + 1, desc->rank, state->dims, &element);
  int64_t used = state->length * element;
  int64_t stride = desc->shape[desc->axis] * element;
  const char *source = state->buffers[index];
  for (int64_t row = 0; used && row < rows; ++row)
    memcpy((char *)target + row * stride, source + row * stride, (size_t)used);
}

lutra_status *lutra_state_fork(const lutra_state *state, lutra_state **copy) {
  lutra_state *made = NULL;
  lutra_status *status = lutra_state_create(state->model, &made);
  if (!status && state->settled)
    status = allocate(made, state->dims);
  if (status) {
    lutra_state_destroy(made);
    return status;
  }
  made->settled = state->settled;
  made->length = state->length;
  for (int32_t i = 0; made->settled && i < made->model->desc->state_count; ++i)
    copyUsed(state, i, made->buffers[i]);
  *copy = made;
  return NULL;
}
