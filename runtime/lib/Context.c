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
  lutraWorkspace workspace;
};

lutra_status *lutra_context_create(const lutra_model *model,
                                   lutra_executor *executor,
                                   lutra_context **context) {
  lutra_context *made = calloc(1, sizeof(*made));
  if (!made)
    return lutraError(LUTRA_OUT_OF_RESOURCES, "out of memory");
  made->model = model;
  made->executor = executor;
  made->workspace.grows = true;
  *context = made;
  return NULL;
}

void lutra_context_destroy(lutra_context *context) {
  if (!context)
    return;
  free(context->workspace.data);
  free(context);
}

void lutra_context_use_state(lutra_context *context, lutra_state *state) {
  context->state = state;
}

void lutra_context_trace(lutra_context *context, lutra_trace_fn fn,
                         void *data) {
  context->trace = (lutra_trace){fn, data};
}

lutra_status *lutraGrow(lutraWorkspace *workspace, size_t bytes) {
  if (bytes <= workspace->bytes)
    return NULL;
  // aligned_alloc wants a multiple of the alignment.
  const size_t mask = LUTRA_WORKSPACE_ALIGNMENT - 1;
  bytes = (bytes + mask) & ~mask;
  free(workspace->data); // Nothing in it outlives a run.
  workspace->bytes = 0;
  workspace->data = aligned_alloc(LUTRA_WORKSPACE_ALIGNMENT, bytes);
  if (!workspace->data)
    return lutraError(LUTRA_OUT_OF_RESOURCES,
                      "workspace: cannot allocate %zu bytes", bytes);
  workspace->bytes = bytes;
  return NULL;
}

lutra_status *lutra_context_run(lutra_context *context,
                                const lutra_tensor *inputs, int32_t input_count,
                                const lutra_tensor *outputs,
                                int32_t output_count) {
  return lutraRun(context->model, context->executor, context->state, inputs,
                  input_count, outputs, output_count, &context->workspace,
                  &context->trace);
}
