//===- Context.c - A model with a workspace of its own --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <stdlib.h>

struct lutra_context {
  const lutra_model *model;
  lutra_executor *executor;
  lutra_state *state; // Of the caller, or NULL.
  lutra_trace trace;
  void *workspace;
  size_t bytes;
  int64_t dims[]; // dim_count entries.
};

lutra_status *lutra_context_create(const lutra_model *model,
                                   lutra_executor *executor,
                                   lutra_context **context) {
  size_t dims = (size_t)model->desc->dim_count;
  lutra_context *made = calloc(1, sizeof(*made) + dims * sizeof(int64_t));
  if (!made)
    return lutraError(LUTRA_OUT_OF_RESOURCES, "out of memory");
  made->model = model;
  made->executor = executor;
  *context = made;
  return NULL;
}

void lutra_context_destroy(lutra_context *context) {
  if (!context)
    return;
  free(context->workspace);
  free(context);
}

void lutra_context_use_state(lutra_context *context, lutra_state *state) {
  context->state = state;
}

void lutra_context_trace(lutra_context *context, lutra_trace_fn fn,
                         void *data) {
  context->trace = (lutra_trace){fn, data};
}

static lutra_status *grow(lutra_context *context, size_t bytes) {
  if (bytes <= context->bytes)
    return NULL;
  // aligned_alloc wants a multiple of the alignment.
  const size_t mask = LUTRA_WORKSPACE_ALIGNMENT - 1;
  bytes = (bytes + mask) & ~mask;
  free(context->workspace); // Nothing in it outlives a run.
  context->bytes = 0;
  context->workspace = aligned_alloc(LUTRA_WORKSPACE_ALIGNMENT, bytes);
  if (!context->workspace)
    return lutraError(LUTRA_OUT_OF_RESOURCES,
                      "workspace: cannot allocate %zu bytes", bytes);
  context->bytes = bytes;
  return NULL;
}

lutra_status *lutra_context_run(lutra_context *context,
                                const lutra_tensor *inputs, int32_t input_count,
                                const lutra_tensor *outputs,
                                int32_t output_count) {
  int64_t workers = context->executor ? context->executor->workers : 1;
  size_t bytes = 0;
  lutra_status *status = lutraBindDims(context->model, context->state, inputs,
                                       input_count, context->dims);
  if (!status)
    status =
        lutra_workspace_size(context->model, context->dims, workers, &bytes);
  if (!status)
    status = grow(context, bytes);
  if (status)
    return status;
  return lutra_run(context->model, context->executor, context->state, inputs,
                   input_count, outputs, output_count, context->workspace,
                   context->bytes, &context->trace);
}
