//===- llama.c - A decoder, as llama.cpp runs it -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What llm.py calls. Built against the libraries that llama_cpp.py makes.
//
//===----------------------------------------------------------------------===//

#include "llama.h"

#include <stddef.h>

static void say_nothing(enum ggml_log_level level, const char *text, void *to) {
}

/// Null if the file cannot be read.
struct llama_model *decoder_load(const char *path) {
  llama_log_set(say_nothing, NULL);
  return llama_model_load_from_file(path, llama_model_default_params());
}

/// Room for `tokens`, of which a batch may be all.
struct llama_context *decoder_start(struct llama_model *model, int tokens,
                                    int threads) {
  struct llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = tokens;
  params.n_threads = params.n_threads_batch = threads;
  return llama_init_from_model(model, params);
}

/// Keeps `past` tokens and adds `count`. Returns the logits of the last one, or
/// null if it went wrong.
const float *decoder_run(struct llama_context *context, int *tokens, int count,
                         int past) {
  llama_memory_seq_rm(llama_get_memory(context), 0, past, -1);
  if (llama_decode(context, llama_batch_get_one(tokens, count)))
    return NULL;
  return llama_get_logits_ith(context, -1);
}

void decoder_free(struct llama_context *context, struct llama_model *model) {
  llama_free(context);
  llama_model_free(model);
}
