//===- FakeModel.c - An artifact written by hand --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// sum[batch,4] = x[batch,4] + bias[4] + weights[4], with one character of the
// weight file "1234" per weight, in two dispatches with a workspace between. It
// is linked into the unit tests and built as shared objects, some of them wrong
// in one way: FAKE_ABI, FAKE_FEATURES, FAKE_SECOND.
//
//===----------------------------------------------------------------------===//

#include "HandMade.h"

static const int64_t matrix[] = {-1, 4};
static const int64_t row[] = {4};
static const lutra_tensor_desc inputs[] = {
    {"x", LUTRA_FLOAT32, 2, matrix},
    {"bias", LUTRA_FLOAT32, 1, row},
};
static const int64_t sumShape[] = {-1, 4};
static const lutra_tensor_desc outputs[] = {
    {"sum", LUTRA_FLOAT32, 2, sumShape}};
static const lutra_dim_desc dims[] = {{"batch", 0, 64, 1}};
static const lutra_dispatch_desc dispatches[] = {
    {"add_row", "Add_0"},
    {"add_weights", "Add_1, Cast_2"},
};

static void plan(const int64_t *dims, int64_t workers, int64_t *bytes,
                 int64_t *shapes) {
  *bytes = dims[0] * 16;
  shapes[0] = dims[0];
  shapes[1] = 4;
}

// Row i of the workspace is row i of x plus the bias.
static void addRow(void *task, int64_t begin, int64_t end, int64_t worker) {
  const lutra_call *call = task;
  const float *x = call->inputs[0], *bias = call->inputs[1];
  float *partial = call->workspace;
  for (int64_t i = begin * 4; i < end * 4; ++i)
    partial[i] = x[i] + bias[i % 4];
}

static void addWeights(void *task, int64_t begin, int64_t end, int64_t worker) {
  const lutra_call *call = task;
  const char *weights = call->weights;
  const float *partial = call->workspace;
  float *sum = call->outputs[0];
  for (int64_t i = begin * 4; i < end * 4; ++i)
    sum[i] = partial[i] + (float)(weights[i % 4] - '0');
}

static void dispatch(const lutra_call *call, int64_t index, lutra_task_fn fn) {
  if (call->hook)
    call->hook(call->hook_data, index, 1);
  call->executor->parallel_for(call->executor, call->dims[0], fn, (void *)call);
  if (call->hook)
    call->hook(call->hook_data, index, 0);
}

static void run(const lutra_call *call) {
  dispatch(call, 0, addRow);
  dispatch(call, 1, addWeights);
}

MODEL(fake, .dispatch_count = COUNT(dispatches), .dispatches = dispatches,
      .state_dim = -1, .weights_size = 4, .weights_hash = 0x1fabbdf10314a21du,
      .weights_file = "fake.weights");

#ifdef FAKE_SECOND
EXPORT const int lutra_model_second = 2;
#endif
