//===- Run.c - Run a model ------------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <stdlib.h>

// What a run needs besides the caller's buffers. Most models fit the inline
// room, so that a run allocates nothing.
typedef struct {
  const void **inputs;
  void **outputs;
  int64_t *dims;
  int64_t *shapes;
  size_t *bytes; // Of the inputs, then of the outputs.
  void *heap;
  uint64_t room[384];
} Frame;

static lutra_status *makeFrame(const lutra_model_desc *desc, Frame *frame) {
  size_t inputs = (size_t)desc->input_count;
  size_t outputs = (size_t)desc->output_count;
  size_t dims = (size_t)desc->dim_count;
  size_t planned = (size_t)lutraPlanned(desc);
  size_t count = 2 * (inputs + outputs) + dims + planned;
  uint64_t *room = frame->room;
  frame->heap = NULL;
  if (count > sizeof(frame->room) / sizeof(*frame->room)) {
    frame->heap = room = malloc(count * sizeof(*room));
    if (!room)
      return lutraError(LUTRA_OUT_OF_RESOURCES, "out of memory");
  }
  frame->inputs = (const void **)room;
  frame->outputs = (void **)(room + inputs);
  frame->dims = (int64_t *)(room + inputs + outputs);
  frame->shapes = frame->dims + dims;
  frame->bytes = (size_t *)(frame->shapes + planned);
  return NULL;
}

lutra_status *lutra_bind_dims(const lutra_model *model,
                              const lutra_state *state,
                              const lutra_tensor *inputs, int32_t input_count,
                              int64_t *dims) {
  Frame frame;
  lutra_status *status = makeFrame(model->desc, &frame);
  if (status)
    return status;
  status = lutraBindDims(model, state, inputs, input_count, frame.dims);
  for (int32_t i = 0; !status && dims && i < model->desc->dim_count; ++i)
    dims[i] = frame.dims[i];
  free(frame.heap);
  return status;
}

lutra_status *lutra_output_shapes(const lutra_model *model, const int64_t *dims,
                                  int64_t *shapes) {
  Frame frame;
  lutra_status *status = makeFrame(model->desc, &frame);
  if (status)
    return status;
  int64_t bytes;
  status = lutraPlan(model->desc, dims, 1, &bytes, frame.shapes);
  for (int64_t i = 0; !status && i < lutraOutputRanks(model->desc); ++i)
    shapes[i] = frame.shapes[i];
  free(frame.heap);
  return status;
}

lutra_status *lutra_workspace_size(const lutra_model *model,
                                   const int64_t *dims, int64_t workers,
                                   size_t *bytes) {
  Frame frame;
  lutra_status *status = makeFrame(model->desc, &frame);
  if (status)
    return status;
  int64_t needed = 0;
  status = lutraPlan(model->desc, dims, workers, &needed, frame.shapes);
  if (!status)
    *bytes = (size_t)needed;
  free(frame.heap);
  return status;
}

static void runInline(lutra_executor *self, int64_t count, lutra_task_fn fn,
                      void *task) {
  if (count > 0)
    fn(task, 0, count, 0);
}

// Turns the artifact's dispatch number into its description.
typedef struct {
  const lutra_model_desc *desc;
  const lutra_trace *trace;
} Hook;

static void callTrace(void *data, int64_t dispatch, int64_t begin) {
  const Hook *hook = data;
  if (dispatch >= 0 && dispatch < hook->desc->dispatch_count)
    hook->trace->fn(hook->trace->data, dispatch,
                    &hook->desc->dispatches[dispatch], begin != 0);
}

static lutra_status *checkCall(const lutra_model *model,
                               const lutra_state *state,
                               const lutra_tensor *inputs, int32_t inputCount,
                               const lutra_tensor *outputs, int32_t outputCount,
                               int64_t workers, Frame *frame, int64_t *needed) {
  const lutra_model_desc *desc = model->desc;
  lutra_status *status =
      lutraBindDims(model, state, inputs, inputCount, frame->dims);
  if (!status)
    status = lutraPlan(desc, frame->dims, workers, needed, frame->shapes);
  if (!status)
    status = lutraCheckOutputs(desc, outputs, outputCount, frame->shapes);
  return status;
}

static void call(const lutra_model *model, lutra_executor *executor,
                 lutra_state *state, const lutra_tensor *inputs,
                 const lutra_tensor *outputs, void *workspace,
                 const lutra_trace *trace, Frame *frame) {
  const lutra_model_desc *desc = model->desc;
  for (int32_t i = 0; i < desc->input_count; ++i)
    frame->inputs[i] = inputs[i].data;
  for (int32_t i = 0; i < desc->output_count; ++i)
    frame->outputs[i] = outputs[i].data;
  lutra_executor inlineExecutor = {runInline, 1};
  Hook hook = {desc, trace};
  bool traced = trace && trace->fn;
  lutra_call arguments = {
      .executor = executor ? executor : &inlineExecutor,
      .inputs = frame->inputs,
      .outputs = frame->outputs,
      .dims = frame->dims,
      .workspace = workspace,
      .weights = model->weights,
      .hook = traced ? callTrace : NULL,
      .hook_data = traced ? &hook : NULL,
      .states = state ? state->buffers : NULL,
  };
  desc->run(&arguments);
  if (state)
    state->length = frame->shapes[lutraOutputRanks(desc)];
}

lutra_status *lutraRun(const lutra_model *model, lutra_executor *executor,
                       lutra_state *state, const lutra_tensor *inputs,
                       int32_t inputCount, const lutra_tensor *outputs,
                       int32_t outputCount, lutraWorkspace *workspace,
                       const lutra_trace *trace) {
  if (executor && (!executor->parallel_for || executor->workers < 1))
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "executor: expected parallel_for and 1 worker or more");
  Frame frame;
  lutra_status *status = makeFrame(model->desc, &frame);
  if (status)
    return status;
  int64_t needed = 0;
  status = checkCall(model, state, inputs, inputCount, outputs, outputCount,
                     executor ? executor->workers : 1, &frame, &needed);
  if (!status && workspace->grows)
    status = lutraGrow(workspace, (size_t)needed);
  if (!status)
    status = lutraCheckBuffers(model->desc, inputs, outputs, workspace->data,
                               workspace->bytes, needed, frame.bytes);
  if (!status && state)
    status = lutraSettleState(state, frame.dims);
  if (!status)
    call(model, executor, state, inputs, outputs, workspace->data, trace,
         &frame);
  free(frame.heap);
  return status;
}

lutra_status *lutra_run(const lutra_model *model, lutra_executor *executor,
                        lutra_state *state, const lutra_tensor *inputs,
                        int32_t input_count, const lutra_tensor *outputs,
                        int32_t output_count, void *workspace,
                        size_t workspace_bytes, const lutra_trace *trace) {
  lutraWorkspace own = {workspace, workspace_bytes, false};
  return lutraRun(model, executor, state, inputs, input_count, outputs,
                  output_count, &own, trace);
}
