//===- threads.cpp - One compiled model on many threads ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Usage: threads IMAGES [ROUNDS]. The file holds 8x8 images, 64 little-endian
// float32 each, scaled to 0..1. Eight threads classify all images, ROUNDS times
// each (10 by default) and in batches of different sizes, with one model and
// one pool of threads between them. Prints one line for each image, the digit
// and its ten scores, after checking that every thread got what a single thread
// gets.

#include "digits.h" // Written by lutra-compile; includes lutra/runtime.h.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
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

// What one thread needs of its own: a context, which has the workspace. The
// model and the executor, which may be null, are everybody's.
static std::vector<Scores> classify(const lutra_model *model,
                                    lutra_executor *executor,
                                    const std::vector<Image> &images,
                                    size_t batch) {
  lutra_context *made = nullptr;
  check(lutra_context_create(model, executor, &made));
  std::unique_ptr<lutra_context, Destroy> context(made);
  std::vector<Scores> scores(images.size());
  for (size_t begin = 0; begin < images.size(); begin += batch) {
    auto count = static_cast<int64_t>(std::min(batch, images.size() - begin));
    const int64_t imageShape[] = {count, 1, 8, 8};
    const int64_t scoresShape[] = {count, 10};
    // An input is only read.
    void *pixels = const_cast<Image *>(&images[begin]);
    lutra_tensor input = {pixels, LUTRA_FLOAT32, 4, imageShape};
    lutra_tensor output = {&scores[begin], LUTRA_FLOAT32, 2, scoresShape};
    check(lutra_context_run(made, &input, 1, &output, 1));
  }
  return scores;
}

// How many of eight threads got other scores than one thread gets alone, each
// with batches of its own size, or failed.
static int countWrong(const lutra_model *model,
                      const std::vector<Image> &images, int rounds) {
  constexpr int Threads = 8;
  auto batchOf = [](int index) { return static_cast<size_t>(1 + 9 * index); };
  std::vector<std::vector<Scores>> expected;
  for (int i = 0; i < Threads; ++i)
    expected.push_back(classify(model, nullptr, images, batchOf(i)));

  lutra_pool *made = nullptr;
  check(lutra_pool_create(0, &made));
  std::unique_ptr<lutra_pool, Destroy> pool(made);

  std::array<bool, Threads> right = {};
  auto work = [&](int index) {
    try {
      bool same = true;
      for (int round = 0; round < rounds; ++round)
        same &= classify(model, lutra_pool_executor(made), images,
                         batchOf(index)) == expected[index];
      right[index] = same;
    } catch (const std::exception &error) {
      std::fprintf(stderr, "threads: error: %s\n", error.what());
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < Threads; ++i)
    threads.emplace_back(work, i);
  for (std::thread &thread : threads)
    thread.join();
  return static_cast<int>(std::count(right.begin(), right.end(), false));
}

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
  if (argc != 2 && argc != 3)
    throw std::runtime_error("usage: threads IMAGES [ROUNDS]");
  std::vector<Image> images = readImages(argv[1]);
  lutra_model *made = nullptr;
  check(lutra_model_create(&lutra_model_digits, nullptr, 0, &made));
  std::unique_ptr<lutra_model, Destroy> model(made);

  int rounds = argc == 3 ? std::atoi(argv[2]) : 10;
  if (int wrong = countWrong(made, images, rounds))
    throw std::runtime_error(std::to_string(wrong) +
                             " threads did not get the same scores");
  for (const Scores &scores : classify(made, nullptr, images, images.size())) {
    auto best = std::max_element(scores.begin(), scores.end());
    std::printf("%d", static_cast<int>(best - scores.begin()));
    for (float score : scores)
      std::printf(" %.6f", score);
    std::printf("\n");
  }
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "threads: error: %s\n", error.what());
  return 1;
}
