//===- StateModel.c - An artifact that keeps state, written by hand -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Appends x[batch,2,new,3] to the state "past" and gives the sum of all that it
// holds, total[batch,2,3]. A second state counts the runs that each of its rows
// came from: "run" is 1 more than the last. mask[batch,all] is there for its
// shape: all = length + new. It is linked into the unit tests and built as a
// shared object.
//
//===----------------------------------------------------------------------===//

#include "HandMade.h"

enum { Batch, New, Length, All };
enum { Heads = 2, Width = 3, Capacity = 8, Runs = 10 };

static const int64_t xShape[] = {-1 - Batch, Heads, -1 - New, Width};
static const int64_t maskShape[] = {-1 - Batch, -1 - All};
static const lutra_tensor_desc inputs[] = {{"x", LUTRA_FLOAT32, 4, xShape},
                                           {"mask", LUTRA_INT64, 2, maskShape}};
static const int64_t totalShape[] = {-1, Heads, Width};
static const int64_t runShape[] = {-1};
static const lutra_tensor_desc outputs[] = {
    {"total", LUTRA_FLOAT32, 3, totalShape}, {"run", LUTRA_INT64, 1, runShape}};
static const lutra_dim_desc dims[] = {{"batch", 0, 4, 1},
                                      {"new", 0, 16, 1},
                                      {"length", 0, 8, 1},
                                      {"all", 0, 64, 1}};
static const int64_t pastShape[] = {-1 - Batch, Heads, Capacity, Width};
static const int64_t runsShape[] = {Runs, -1 - Batch};
static const lutra_state_desc states[] = {
    {"past", LUTRA_FLOAT32, 4, pastShape, 2},
    {"runs", LUTRA_INT64, 2, runsShape, 0}};
static const lutra_dispatch_desc dispatches[] = {{"append", "Concat_0"}};

static void plan(const int64_t *dims, int64_t workers, int64_t *bytes,
                 int64_t *shapes) {
  *bytes = dims[All] == dims[Length] + dims[New] ? 0 : -2 - All;
  shapes[0] = shapes[3] = dims[Batch];
  shapes[1] = Heads;
  shapes[2] = Width;
  shapes[4] = dims[Length] + dims[New];
}

static void run(const lutra_call *call) {
  const float *x = call->inputs[0];
  float *past = call->states[0], *total = call->outputs[0];
  int64_t *runs = call->states[1], *last = call->outputs[1];
  int64_t batch = call->dims[Batch], new = call->dims[New];
  int64_t length = call->dims[Length], all = length + new;
  for (int64_t row = 0; row < batch * Heads; ++row) {
    for (int64_t i = 0; i < new * Width; ++i)
      past[(row * Capacity + length) * Width + i] = x[row * new * Width + i];
    for (int64_t w = 0; w < Width; ++w) {
      total[row * Width + w] = 0;
      for (int64_t i = 0; i < all; ++i)
        total[row * Width + w] += past[(row * Capacity + i) * Width + w];
    }
  }
  for (int64_t b = 0; b < batch; ++b) {
    last[b] = length ? runs[(length - 1) * batch + b] + 1 : 1;
    for (int64_t i = length; i < all; ++i)
      runs[i * batch + b] = last[b];
  }
}

MODEL(sums, .dispatch_count = COUNT(dispatches), .dispatches = dispatches,
      .state_count = COUNT(states), .state_dim = Length, .states = states);
