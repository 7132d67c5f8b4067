//===- digits.cpp - Classify digits with a compiled model, in C++ -*- C++
//-*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Usage: digits-cpp IMAGES. The file holds 8x8 images, 64 little-endian float32
// each, scaled to 0..1. Prints one line for each: the digit and its ten scores.

#include "digits.h" // Written by lutra-compile; includes lutra/runtime.h.

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using Image = std::array<float, 64>;
using Scores = std::array<float, 10>;

struct Destroy {
  void operator()(lutra_model *model) const { lutra_model_destroy(model); }
  void operator()(lutra_pool *pool) const { lutra_pool_destroy(pool); }
  void operator()(lutra_context *c) const { lutra_context_destroy(c); }
};

static void check(lutra_status *status) {
  if (!status)
    return;
  std::runtime_error error(lutra_status_message(status));
  lutra_status_free(status);
  throw error;
}

/// The model with a pool of threads and its workspace.
class Classifier {
public:
  Classifier() {
    lutra_model *newModel = nullptr;
    check(lutra_model_create(&lutra_model_digits, nullptr, 0, &newModel));
    model.reset(newModel);
    lutra_pool *newPool = nullptr;
    check(lutra_pool_create(0, &newPool));
    pool.reset(newPool);
    lutra_context *newContext = nullptr;
    check(lutra_context_create(newModel, lutra_pool_executor(newPool),
                               &newContext));
    context.reset(newContext);
  }

  /// Runs all images as one batch.
  std::vector<Scores> classify(std::vector<Image> &images) {
    auto count = static_cast<int64_t>(images.size());
    std::vector<Scores> scores(images.size());
    const int64_t imageShape[] = {count, 1, 8, 8};
    const int64_t scoresShape[] = {count, 10};
    lutra_tensor input = {images.data(), LUTRA_FLOAT32, 4, imageShape};
    lutra_tensor output = {scores.data(), LUTRA_FLOAT32, 2, scoresShape};
    check(lutra_context_run(context.get(), &input, 1, &output, 1));
    return scores;
  }

private:
  // Destroyed in reverse order: the context first.
  std::unique_ptr<lutra_model, Destroy> model;
  std::unique_ptr<lutra_pool, Destroy> pool;
  std::unique_ptr<lutra_context, Destroy> context;
};

static std::vector<Image> readImages(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  if (!file || bytes.empty() || bytes.size() % sizeof(Image))
    throw std::runtime_error(path + ": expected a file of 256 bytes per image");
  std::vector<Image> images(bytes.size() / sizeof(Image));
  std::copy(bytes.begin(), bytes.end(),
            reinterpret_cast<char *>(images.data()));
  return images;
}

int main(int argc, char **argv) try {
  if (argc != 2)
    throw std::runtime_error("usage: digits-cpp IMAGES");
  std::vector<Image> images = readImages(argv[1]);
  for (const Scores &scores : Classifier().classify(images)) {
    auto best = std::max_element(scores.begin(), scores.end());
    std::printf("%d", static_cast<int>(best - scores.begin()));
    for (float score : scores)
      std::printf(" %.6f", score);
    std::printf("\n");
  }
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "digits-cpp: error: %s\n", error.what());
  return 1;
}
