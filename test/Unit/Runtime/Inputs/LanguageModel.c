//===- LanguageModel.c - A language model written by hand -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of 20 tokens the likeliest after x[0], ..., x[n] is x[n] + x[0], and the
// second likeliest the one after that. x[0] is kept in the state of capacity
// 24. Where a mask is not all 1, or a position is wrong, every logit is NaN.
// FAKE_INPUT renames an input.
//
//===----------------------------------------------------------------------===//

#include "HandMade.h"

#ifndef FAKE_INPUT
#define FAKE_INPUT "position_ids"
#endif

enum { Batch, Seq, Past, All };
enum { Tokens = 20, Capacity = 24 };

static const int64_t seqShape[] = {-1 - Batch, -1 - Seq};
static const int64_t allShape[] = {-1 - Batch, -1 - All};
static const lutra_tensor_desc inputs[] = {
    {"input_ids", LUTRA_INT64, 2, seqShape},
    {"attention_mask", LUTRA_INT64, 2, allShape},
    {FAKE_INPUT, LUTRA_INT64, 2, seqShape}};
static const int64_t logitsShape[] = {-1, -1, Tokens};
static const lutra_tensor_desc outputs[] = {
    {"logits", LUTRA_FLOAT32, 3, logitsShape}};
static const lutra_dim_desc dims[] = {{"batch", 1, 1, 1},
                                      {"seq", 1, INT64_MAX, 1},
                                      {"past", 0, INT64_MAX, 1},
                                      {"all", 1, INT64_MAX, 1}};
static const int64_t pastShape[] = {-1 - Batch, Capacity};
static const lutra_state_desc states[] = {
    {"past", LUTRA_INT64, 2, pastShape, 1}};

static void plan(const int64_t *dims, int64_t workers, int64_t *bytes,
                 int64_t *shapes) {
  *bytes = dims[All] == dims[Past] + dims[Seq] ? 0 : -2 - All;
  shapes[0] = dims[Batch];
  shapes[1] = dims[Seq];
  shapes[2] = Tokens;
  shapes[3] = dims[Past] + dims[Seq];
}

static void run(const lutra_call *call) {
  const int64_t *ids = call->inputs[0], *mask = call->inputs[1];
  const int64_t *positions = call->inputs[2];
  int64_t *past = call->states[0], length = call->dims[Past];
  float *logits = call->outputs[0];
  int right = 1;
  for (int64_t i = 0; i < call->dims[All]; ++i)
    right &= mask[i] == 1;
  for (int64_t i = 0; i < call->dims[Seq]; ++i) {
    past[length + i] = ids[i];
    right &= positions[i] == length + i;
    int64_t next = (ids[i] + past[0]) % Tokens;
    for (int64_t token = 0; token < Tokens; ++token)
      logits[i * Tokens + token] = right ? 0.0f : __builtin_nanf("");
    if (right) {
      logits[i * Tokens + next] = 9;
      logits[i * Tokens + (next + 1) % Tokens] = 8.5f;
    }
  }
}

MODEL(language, .state_count = COUNT(states), .state_dim = Past,
      .states = states);
