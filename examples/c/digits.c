//===- digits.c - Classify digits with a compiled model, in C -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Usage: digits-c IMAGES. The file holds 8x8 images, 64 little-endian float32
// each, scaled to 0..1. Prints one line for each: the digit and its ten scores.

#include "digits.h" // Written by lutra-compile; includes lutra/runtime.h.

#include <stdio.h>
#include <stdlib.h>

enum { Pixels = 64, Digits = 10 };

static int fail(const char *what, const char *why) {
  fprintf(stderr, "digits-c: error: %s%s\n", what, why);
  return 1;
}

// Returns the images and their number, or NULL.
static float *readImages(const char *path, int64_t *count) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return NULL;
  long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
  long image = Pixels * sizeof(float);
  float *images = size > 0 && size % image == 0 ? malloc((size_t)size) : NULL;
  rewind(file);
  if (images && fread(images, (size_t)size, 1, file) != 1) {
    free(images);
    images = NULL;
  }
  fclose(file);
  *count = size / image;
  return images;
}

static void printDigits(const float *scores, int64_t count) {
  for (int64_t i = 0; i < count; ++i, scores += Digits) {
    int best = 0;
    for (int digit = 1; digit < Digits; ++digit)
      if (scores[digit] > scores[best])
        best = digit;
    printf("%d", best);
    for (int digit = 0; digit < Digits; ++digit)
      printf(" %.6f", scores[digit]);
    printf("\n");
  }
}

// Runs all images as one batch, on a pool of threads.
static lutra_status *classify(float *images, int64_t count, float *scores) {
  lutra_model *model = NULL;
  lutra_pool *pool = NULL;
  lutra_context *context = NULL;
  lutra_status *status =
      lutra_model_create(&lutra_model_digits, NULL, 0, &model);
  if (!status)
    status = lutra_pool_create(0, &pool);
  if (!status)
    status = lutra_context_create(model, lutra_pool_executor(pool), &context);
  if (!status) {
    const int64_t imageShape[] = {count, 1, 8, 8};
    const int64_t scoresShape[] = {count, Digits};
    lutra_tensor input = {images, LUTRA_FLOAT32, 4, imageShape};
    lutra_tensor output = {scores, LUTRA_FLOAT32, 2, scoresShape};
    status = lutra_context_run(context, &input, 1, &output, 1);
  }
  lutra_context_destroy(context);
  lutra_pool_destroy(pool);
  lutra_model_destroy(model);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 2)
    return fail("usage: digits-c IMAGES", "");
  int64_t count = 0;
  float *images = readImages(argv[1], &count);
  if (!images)
    return fail(argv[1], ": expected a file of 256 bytes per image");
  float *scores = malloc((size_t)count * Digits * sizeof(float));
  if (!scores) {
    free(images);
    return fail("out of memory", "");
  }
  lutra_status *status = classify(images, count, scores);
  if (status)
    fail(lutra_status_message(status), "");
  else
    printDigits(scores, count);
  free(scores);
  free(images);
  int exitCode = status != NULL;
  lutra_status_free(status);
  return exitCode;
}
