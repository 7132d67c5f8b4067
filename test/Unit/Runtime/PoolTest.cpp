//===- PoolTest.cpp - Parallel loops ----------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fake.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <pthread.h>
#include <thread>
#include <vector>

using namespace lutra::test;

namespace {

/// Counts how often each index runs, and whether two tasks have one worker
/// number at a time.
struct Recorder {
  explicit Recorder(int64_t count, int64_t workers)
      : runs(count), busy(workers) {}

  static void task(void *data, int64_t begin, int64_t end, int64_t worker) {
    auto *self = static_cast<Recorder *>(data);
    if (worker < 0 || worker >= static_cast<int64_t>(self->busy.size()) ||
        self->busy[worker].exchange(true))
      ++self->clashes;
    for (int64_t i = begin; i < end; ++i)
      ++self->runs[i];
    self->busy[worker] = false;
  }

  void expectEachOnce() {
    EXPECT_EQ(clashes, 0);
    EXPECT_TRUE(std::all_of(runs.begin(), runs.end(),
                            [](const auto &run) { return run == 1; }));
  }

  std::vector<std::atomic<int>> runs;
  std::vector<std::atomic<bool>> busy;
  std::atomic<int> clashes = 0;
};

class PoolTest : public testing::TestWithParam<int64_t> {
protected:
  void SetUp() override {
    ASSERT_EQ(take(lutra_pool_create(GetParam(), &pool)), "ok");
    executor = lutra_pool_executor(pool);
  }
  void TearDown() override { lutra_pool_destroy(pool); }

  void runOnce(int64_t count) {
    Recorder recorder(count, executor->workers);
    executor->parallel_for(executor, count, Recorder::task, &recorder);
    recorder.expectEachOnce();
  }

  lutra_pool *pool = nullptr;
  lutra_executor *executor = nullptr;
};

TEST_P(PoolTest, RunsEachIndexOnce) {
  EXPECT_EQ(executor->workers, GetParam());
  for (int64_t count : {0, 1, 2, 3, 7, 8, 31, 32, 33, 1000})
    runOnce(count);
  for (int round = 0; round < 2000; ++round)
    runOnce(round % 40);
}

TEST_P(PoolTest, NegativeCountRunsNothing) {
  Recorder recorder(0, executor->workers);
  executor->parallel_for(executor, -5, Recorder::task, &recorder);
  EXPECT_EQ(recorder.clashes, 0);
}

TEST_P(PoolTest, HugeCountDoesNotOverflow) {
  std::atomic<uint64_t> total = 0;
  executor->parallel_for(
      executor, INT64_MAX,
      [](void *data, int64_t begin, int64_t end, int64_t) {
        *static_cast<std::atomic<uint64_t> *>(data) +=
            static_cast<uint64_t>(end - begin);
      },
      &total);
  EXPECT_EQ(total, static_cast<uint64_t>(INT64_MAX));
}

TEST_P(PoolTest, ManyCallersShareIt) {
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round)
        runOnce(round % 64);
    });
  for (std::thread &caller : callers)
    caller.join();
}

TEST_P(PoolTest, LoopsNest) {
  struct Outer {
    lutra_executor *executor;
    std::atomic<int> inner = 0;
  } outer{executor};
  executor->parallel_for(
      executor, 16,
      [](void *data, int64_t begin, int64_t end, int64_t) {
        auto *outer = static_cast<Outer *>(data);
        for (int64_t i = begin; i < end; ++i)
          outer->executor->parallel_for(
              outer->executor, 10,
              [](void *data, int64_t begin, int64_t end, int64_t) {
                static_cast<Outer *>(data)->inner +=
                    static_cast<int>(end - begin);
              },
              data);
      },
      &outer);
  EXPECT_EQ(outer.inner, 160);
}

TEST_P(PoolTest, WorkersBeginWithTheSameShareOfEachLoop) {
  // Nobody helps another before all have begun; who does not come is missed.
  struct Begun {
    std::vector<std::atomic<int64_t>> first;
    std::atomic<int64_t> workers = 0;
    std::chrono::steady_clock::time_point end;
  };
  int64_t workers = executor->workers, count = 4 * workers;
  for (int round = 0; round < 20; ++round) {
    Begun begun{std::vector<std::atomic<int64_t>>(workers), {}, {}};
    for (auto &first : begun.first)
      first = -1;
    begun.end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    executor->parallel_for(
        executor, count,
        [](void *data, int64_t begin, int64_t, int64_t worker) {
          auto *begun = static_cast<Begun *>(data);
          if (begun->first[worker] != -1)
            return;
          begun->first[worker] = begin;
          ++begun->workers;
          while (begun->workers < static_cast<int64_t>(begun->first.size()) &&
                 std::chrono::steady_clock::now() < begun->end)
            std::this_thread::yield();
        },
        &begun);
    if (begun.workers < workers)
      GTEST_SKIP() << "a worker did not come";
    for (int64_t worker = 0; worker < workers; ++worker)
      EXPECT_EQ(begun.first[worker], 4 * worker);
  }
}

TEST_P(PoolTest, ResultsAreSeenByTheCaller) {
  // Plain memory: a missing barrier is a data race that TSan reports.
  std::vector<int64_t> cells(257);
  for (int64_t round = 1; round <= 500; ++round) {
    executor->parallel_for(
        executor, 257,
        [](void *data, int64_t begin, int64_t end, int64_t) {
          for (int64_t i = begin; i < end; ++i)
            ++(*static_cast<std::vector<int64_t> *>(data))[i];
        },
        &cells);
    ASSERT_TRUE(std::all_of(cells.begin(), cells.end(),
                            [&](int64_t cell) { return cell == round; }));
  }
}

INSTANTIATE_TEST_SUITE_P(Workers, PoolTest, testing::Values(1, 2, 3, 8));

TEST(PoolCreateTest, DefaultIsTheUsableCpus) {
  lutra_pool *pool = nullptr;
  ASSERT_EQ(take(lutra_pool_create(0, &pool)), "ok");
  EXPECT_EQ(lutra_pool_executor(pool)->workers, lutra_usable_cpus());
  EXPECT_GE(lutra_usable_cpus(), 1);
  lutra_pool_destroy(pool);
}

TEST(PoolCreateTest, WorkersAreBounded) {
  lutra_pool *pool = nullptr;
  EXPECT_EQ(take(lutra_pool_create(-1, &pool)),
            "pool: expected 0 to 1024 workers, got -1");
  EXPECT_EQ(take(lutra_pool_create(1025, &pool)),
            "pool: expected 0 to 1024 workers, got 1025");
  EXPECT_EQ(pool, nullptr);
}

/// Two workers meet in a loop of two: neither task can end before the other has
/// begun.
struct Encounter {
  void meet() {
    ++arrived;
    while (arrived < 2)
      std::this_thread::yield();
  }

  std::atomic<int> arrived = 0;
};

/// The bytes of stack that the thread has which is not the caller.
struct StackOfHelper : Encounter {
  static void task(void *data, int64_t, int64_t, int64_t worker) {
    auto *self = static_cast<StackOfHelper *>(data);
    self->meet();
    pthread_attr_t attributes;
    if (worker == 0 || pthread_getattr_np(pthread_self(), &attributes))
      return;
    pthread_attr_getstacksize(&attributes, &self->size);
    pthread_attr_destroy(&attributes);
  }

  size_t size = 0;
};

TEST(PoolCreateTest, ThreadsHaveStackForKernels) {
  pthread_attr_t before, small;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  ASSERT_EQ(pthread_attr_init(&small), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&small, 128 << 10), 0);
  ASSERT_EQ(pthread_setattr_default_np(&small), 0);
  lutra_pool *pool = nullptr;
  std::string status = take(lutra_pool_create(2, &pool));
  pthread_setattr_default_np(&before);
  ASSERT_EQ(status, "ok");
  StackOfHelper stack;
  lutra_executor *executor = lutra_pool_executor(pool);
  executor->parallel_for(executor, 2, StackOfHelper::task, &stack);
  lutra_pool_destroy(pool);
  EXPECT_GE(stack.size, size_t(2) << 20);
}

/// The pool's thread lags behind an encounter, and the loop must wait for it.
struct Meeting : Encounter {
  explicit Meeting(std::chrono::milliseconds lag) : lag(lag) {}

  static void task(void *data, int64_t, int64_t, int64_t worker) {
    auto *self = static_cast<Meeting *>(data);
    self->meet();
    if (worker == 0)
      return;
    std::this_thread::sleep_for(self->lag);
    self->left = true;
  }

  std::chrono::milliseconds lag;
  std::atomic<bool> left = false;
};

// Hangs, and times out, where the pool's thread does not wake for a loop or the
// caller not for its end. The sleeps only make it likely that they are asleep:
// no result depends on them.
TEST(PoolMeetingTest, ThreadsWakeAndAreWaitedFor) {
  lutra_pool *pool = nullptr;
  ASSERT_EQ(take(lutra_pool_create(2, &pool)), "ok");
  lutra_executor *executor = lutra_pool_executor(pool);
  for (int lag : {0, 1, 30, 0, 30}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    Meeting meeting{std::chrono::milliseconds(lag)};
    executor->parallel_for(executor, 2, Meeting::task, &meeting);
    EXPECT_TRUE(meeting.left);
  }
  lutra_pool_destroy(pool);
}

} // namespace
