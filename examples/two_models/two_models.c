//===- two_models.c - Two compiled models in one program ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Usage: two-models IMAGES. The file holds 8x8 images, 64 little-endian float32
// each, scaled to 0..1. One model gives each image ten scores, the other finds
// the best two. Prints a line for each image: a digit and its score, twice.

#include "decide.h" // Both are written by lutra-compile.
#include "digits.h"

#include <stdio.h>
#include <stdlib.h>

enum { Pixels = 64, Digits = 10, Batch = 32, Best = 2 };

// A model with what its runs need. The two share a pool of threads.
typedef struct {
  lutra_model *model;
  lutra_context *context;
} Runner;

static lutra_status *makeRunner(const lutra_model_desc *desc, lutra_pool *pool,
                                Runner *runner) {
  lutra_status *status = lutra_model_create(desc, NULL, 0, &runner->model);
  if (!status)
    status = lutra_context_create(runner->model, lutra_pool_executor(pool),
                                  &runner->context);
  return status;
}

static void destroyRunner(Runner *runner) {
  lutra_context_destroy(runner->context);
  lutra_model_destroy(runner->model);
}

// The scores of the first model are the input of the second.
static lutra_status *decide(Runner *classifier, Runner *decider, float *images,
                            int64_t count, float *best, int64_t *digits) {
  float scores[Batch * Digits];
  const int64_t imageShape[] = {count, 1, 8, 8};
  const int64_t scoresShape[] = {count, Digits};
  const int64_t bestShape[] = {count, Best};
  lutra_tensor image = {images, LUTRA_FLOAT32, 4, imageShape};
  lutra_tensor score = {scores, LUTRA_FLOAT32, 2, scoresShape};
  lutra_tensor results[] = {{best, LUTRA_FLOAT32, 2, bestShape},
                            {digits, LUTRA_INT64, 2, bestShape}};
  lutra_status *status =
      lutra_context_run(classifier->context, &image, 1, &score, 1);
  if (!status)
    status = lutra_context_run(decider->context, &score, 1, results, 2);
  return status;
}

static lutra_status *decideAll(FILE *file, Runner *classifier,
                               Runner *decider) {
  float images[Batch * Pixels], best[Batch * Best];
  int64_t digits[Batch * Best];
  size_t count;
  while ((count = fread(images, Pixels * sizeof(float), Batch, file)) > 0) {
    lutra_status *status =
        decide(classifier, decider, images, (int64_t)count, best, digits);
    if (status)
      return status;
    for (size_t i = 0; i < count; ++i)
      printf("%d %.6f %d %.6f\n", (int)digits[i * Best], best[i * Best],
             (int)digits[i * Best + 1], best[i * Best + 1]);
  }
  return NULL;
}

int main(int argc, char **argv) {
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (!file) {
    fprintf(stderr, "usage: two-models IMAGES\n");
    return 1;
  }
  Runner classifier = {0}, decider = {0};
  lutra_pool *pool = NULL;
  lutra_status *status = lutra_pool_create(0, &pool);
  if (!status)
    status = makeRunner(&lutra_model_digits, pool, &classifier);
  if (!status)
    status = makeRunner(&lutra_model_decide, pool, &decider);
  if (!status)
    status = decideAll(file, &classifier, &decider);
  if (status)
    fprintf(stderr, "two-models: error: %s\n", lutra_status_message(status));
  int exitCode = status != NULL;
  lutra_status_free(status);
  destroyRunner(&decider);
  destroyRunner(&classifier);
  lutra_pool_destroy(pool);
  fclose(file);
  return exitCode;
}
