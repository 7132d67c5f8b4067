//===- ggml.c - A product with a quantized matrix, as ggml does it -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What mpgemm_peers.py calls: copies of a matrix of one of ggml's types, in
// one of the CPU backend's layouts, and a graph of one product with each.
// Built against the libraries that llama_cpp.py makes.
//
//===----------------------------------------------------------------------===//

#include "ggml.h"
#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"

#include <stdlib.h>
#include <string.h>

enum { kDistinct = 32 };

typedef struct {
  ggml_backend_t backend;
  ggml_threadpool_t pool;
  struct ggml_context *weights, *rest;
  ggml_backend_buffer_t weightBuffer, buffer;
  struct ggml_cgraph *graph;
  struct ggml_tensor *last;
} Products;

static void say_nothing(enum ggml_log_level level, const char *text, void *to) {
}

/// Layouts have numbers: first those that pack a matrix anew, then the one that
/// leaves it as it is, and null.
static ggml_backend_buffer_type_t layout(ggml_backend_t backend, int number) {
  ggml_backend_dev_t device = ggml_backend_get_device(backend);
  ggml_backend_dev_get_extra_bufts_t extra =
      (ggml_backend_dev_get_extra_bufts_t)ggml_backend_reg_get_proc_address(
          ggml_backend_dev_backend_reg(device),
          "ggml_backend_dev_get_extra_bufts");
  ggml_backend_buffer_type_t *types = extra ? extra(device) : NULL;
  for (; types && *types; ++types)
    if (number-- == 0)
      return *types;
  return number == 0 ? ggml_backend_cpu_buffer_type() : NULL;
}

const char *products_layout(int number) {
  ggml_backend_t backend = ggml_backend_cpu_init();
  ggml_backend_buffer_type_t type = layout(backend, number);
  ggml_backend_free(backend);
  return type ? ggml_backend_buft_name(type) : NULL;
}

void products_free(Products *p) {
  ggml_backend_buffer_free(p->buffer);
  ggml_backend_buffer_free(p->weightBuffer);
  ggml_free(p->rest);
  ggml_free(p->weights);
  ggml_backend_free(p->backend);
  ggml_threadpool_free(p->pool);
  free(p);
}

/// Quantizes kDistinct rows, which take turns in each matrix.
static void fill(Products *p, const float *rows) {
  struct ggml_tensor *w = ggml_get_first_tensor(p->weights);
  size_t bytes = ggml_row_size(w->type, w->ne[0]);
  char *all = malloc(bytes * w->ne[1]);
  ggml_quantize_chunk(w->type, rows, all, 0, kDistinct, w->ne[0], NULL);
  for (long n = kDistinct; n < w->ne[1]; ++n)
    memcpy(all + n * bytes, all + n % kDistinct * bytes, bytes);
  for (; w; w = ggml_get_next_tensor(p->weights, w))
    ggml_backend_tensor_set(w, all, 0, bytes * w->ne[1]);
  free(all);
}

/// Null if the layout does not exist or has nothing for the type. `rows` are
/// kDistinct of k, `x` is [copies, m, k].
Products *products_new(int type, int number, long k, long n, long m, int copies,
                       int threads, const float *rows, const float *x) {
  ggml_log_set(say_nothing, NULL);
  Products *p = calloc(1, sizeof *p);
  p->backend = ggml_backend_cpu_init();
  struct ggml_threadpool_params pool = ggml_threadpool_params_default(threads);
  p->pool = ggml_threadpool_new(&pool);
  ggml_backend_cpu_set_n_threads(p->backend, threads);
  ggml_backend_cpu_set_threadpool(p->backend, p->pool);
  ggml_backend_buffer_type_t where = layout(p->backend, number);
  if (!where || k % ggml_blck_size(type) != 0) {
    products_free(p);
    return NULL;
  }
  struct ggml_init_params space = {ggml_tensor_overhead() * (copies + 1), NULL,
                                   true};
  p->weights = ggml_init(space);
  for (int c = 0; c < copies; ++c)
    ggml_new_tensor_2d(p->weights, type, k, n);
  p->weightBuffer = ggml_backend_alloc_ctx_tensors_from_buft(p->weights, where);

  space.mem_size = ggml_tensor_overhead() * (2 * copies + 1) +
                   ggml_graph_overhead_custom(2 * copies + 1, false);
  p->rest = ggml_init(space);
  p->graph = ggml_new_graph_custom(p->rest, 2 * copies + 1, false);
  struct ggml_tensor *w = ggml_get_first_tensor(p->weights);
  for (int c = 0; c < copies; ++c, w = ggml_get_next_tensor(p->weights, w)) {
    struct ggml_tensor *in = ggml_new_tensor_2d(p->rest, GGML_TYPE_F32, k, m);
    p->last = ggml_mul_mat(p->rest, w, in);
    ggml_build_forward_expand(p->graph, p->last);
  }
  ggml_backend_dev_t device = ggml_backend_get_device(p->backend);
  if (!p->weightBuffer || !ggml_backend_dev_supports_op(device, p->last)) {
    products_free(p);
    return NULL;
  }
  fill(p, rows);
  p->buffer = ggml_backend_alloc_ctx_tensors(p->rest, p->backend);
  for (int c = 0; c < copies; ++c)
    ggml_backend_tensor_set(ggml_graph_node(p->graph, c)->src[1], x + c * m * k,
                            0, sizeof *x * m * k);
  return p;
}

/// Its threads may spin for a while after a run; paused they do not.
void products_pause(Products *p, int pause) {
  if (pause)
    ggml_threadpool_pause(p->pool);
  else
    ggml_threadpool_resume(p->pool);
}

void products_run(Products *p) {
  ggml_backend_graph_compute(p->backend, p->graph);
}

/// The last product, [m, n].
void products_result(Products *p, float *y) {
  ggml_backend_tensor_get(p->last, y, 0, ggml_nbytes(p->last));
}
