//===- Pool.c - Persistent threads that run parallel loops ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One loop at a time has the pool. Its owner publishes it by opening `state`;
// helpers that are awake join it and claim chunks next to the owner, who closes
// the loop when no chunk is left and waits only for those who joined. A helper
// that the system schedules too late misses the loop and delays nobody.
//
// Each worker begins with a share of its own, the same part of every loop,
// since what it reads is often what it wrote in the loop before, and lies in
// its cache. Then it helps the next.
//
// `state` is (loop number << 16) | open << 15 | helpers inside. The fields of
// the loop are written only while it is closed with nobody inside.
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MaxWorkers = 1024, ChunksPerWorker = 4, LeastStack = 2 << 20 };
// Waking up takes some ten microseconds. Whoever waits therefore does so awake
// for as long as kernels that are no loops may take.
enum { SpinNanoseconds = 300000, LooksPerClock = 64 };

static const uint64_t insideMask = 0x7fff;
static const uint64_t openBit = 0x8000;
static const uint64_t loopStep = 0x10000;

typedef struct {
  lutra_pool *pool;
  pthread_t thread;
  int64_t worker;
} Helper;

// How many chunks of a worker's share are claimed: (loop number << 16) | count.
// Of an earlier loop, none is. Alone on its cache line: every claim writes it.
typedef struct {
  _Alignas(64) _Atomic uint64_t claimed;
} Share;

struct lutra_pool {
  lutra_executor executor; // First: parallel_for casts it to the pool.
  Helper *helpers;
  int64_t helperCount;
  bool spins;
  atomic_bool owned;
  atomic_bool stopping;

  _Atomic uint64_t state;
  lutra_task_fn fn;
  void *task;
  int64_t count;
  int64_t chunk;
  int64_t chunkCount;
  Share *shares; // One for each worker.

  _Alignas(64) pthread_mutex_t mutex;
  pthread_cond_t opened; // Helpers sleep here.
  pthread_cond_t left;   // The owner sleeps here.
  atomic_int sleepers;
  atomic_bool ownerSleeps;
};

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// How long somebody has waited awake.
typedef struct {
  unsigned looks;
  int64_t end;
} Spin;

// Whether to look once more before going to sleep.
static bool spinOn(lutra_pool *pool, Spin *spin) {
  if (!pool->spins)
    return false;
  relax();
  if (++spin->looks % LooksPerClock)
    return true;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t time = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
  if (!spin->end)
    spin->end = time + SpinNanoseconds;
  return time < spin->end;
}

// Claims a chunk of a share that has `size`; returns its number in the share,
// or -1 if none is left.
static int64_t claim(Share *share, uint64_t loop, int64_t size) {
  uint64_t before = atomic_load_explicit(&share->claimed, memory_order_relaxed);
  for (;;) {
    uint64_t count = before / loopStep == loop ? before % loopStep : 0;
    if ((int64_t)count >= size)
      return -1;
    if (atomic_compare_exchange_weak_explicit(
            &share->claimed, &before, loop * loopStep + count + 1,
            memory_order_relaxed, memory_order_relaxed))
      return (int64_t)count;
  }
}

static void runChunks(lutra_pool *pool, uint64_t loop, int64_t worker) {
  int64_t workers = pool->executor.workers;
  for (int64_t i = 0; i < workers; ++i) {
    int64_t share = worker + i < workers ? worker + i : worker + i - workers;
    int64_t first = pool->chunkCount * share / workers,
            size = pool->chunkCount * (share + 1) / workers - first, index;
    while ((index = claim(&pool->shares[share], loop, size)) >= 0) {
      int64_t begin = (first + index) * pool->chunk;
      int64_t rest = pool->count - begin;
      pool->fn(pool->task, begin,
               begin + (rest < pool->chunk ? rest : pool->chunk), worker);
    }
  }
}

// Is there an open loop other than the one that this helper has seen?
static bool isNew(uint64_t state, uint64_t seen) {
  return (state & openBit) && state / loopStep != seen;
}

// Waits for a loop; returns the state in which it was seen open, or 0 when the
// pool stops.
static uint64_t awaitLoop(lutra_pool *pool, uint64_t seen) {
  uint64_t state;
  Spin spin = {0};
  do {
    state = atomic_load(&pool->state);
    if (isNew(state, seen))
      return state;
    if (atomic_load_explicit(&pool->stopping, memory_order_relaxed))
      return 0;
  } while (spinOn(pool, &spin));
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  while (!isNew(state = atomic_load(&pool->state), seen) &&
         !atomic_load(&pool->stopping))
    pthread_cond_wait(&pool->opened, &pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
  return isNew(state, seen) ? state : 0;
}

static void leave(lutra_pool *pool) {
  uint64_t before = atomic_fetch_sub(&pool->state, 1);
  bool last = (before & insideMask) == 1 && !(before & openBit);
  if (!last || !atomic_load(&pool->ownerSleeps))
    return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->left);
  pthread_mutex_unlock(&pool->mutex);
}

static void *help(void *argument) {
  Helper *self = argument;
  lutra_pool *pool = self->pool;
  uint64_t seen = 0, state;
  while ((state = awaitLoop(pool, seen))) {
    // Joins the loop unless it closes meanwhile.
    while (isNew(state, seen) &&
           !atomic_compare_exchange_weak(&pool->state, &state, state + 1))
      ;
    if (!isNew(state, seen))
      continue;
    seen = state / loopStep;
    runChunks(pool, seen, self->worker);
    leave(pool);
  }
  return NULL;
}

// A store that no later load passes. Stores are so by themselves, but as qemu
// runs those of AArch64 on x86: a sleeper then is not seen, nor woken.
#define storeAndFence(place, value) ((void)atomic_exchange(place, value))

// Returns the loop's number.
static uint64_t openLoop(lutra_pool *pool) {
  uint64_t loop = atomic_load(&pool->state) / loopStep + 1;
  storeAndFence(&pool->state, loop * loopStep + openBit);
  if (atomic_load(&pool->sleepers)) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->opened);
    pthread_mutex_unlock(&pool->mutex);
  }
  return loop;
}

static void closeLoop(lutra_pool *pool) {
  atomic_fetch_and(&pool->state, ~openBit);
  Spin spin = {0};
  do
    if (!(atomic_load(&pool->state) & insideMask))
      return;
  while (spinOn(pool, &spin));
  pthread_mutex_lock(&pool->mutex);
  storeAndFence(&pool->ownerSleeps, true);
  while (atomic_load(&pool->state) & insideMask)
    pthread_cond_wait(&pool->left, &pool->mutex);
  atomic_store(&pool->ownerSleeps, false);
  pthread_mutex_unlock(&pool->mutex);
}

static void parallelFor(lutra_executor *self, int64_t count, lutra_task_fn fn,
                        void *task) {
  lutra_pool *pool = (lutra_pool *)self;
  if (count <= 0)
    return;
  // A loop inside a task, or from another thread, must not wait for this one:
  // the first would wait for itself.
  if (count == 1 || pool->helperCount == 0 ||
      atomic_exchange(&pool->owned, true)) {
    fn(task, 0, count, 0);
    return;
  }
  int64_t pieces = pool->executor.workers * ChunksPerWorker;
  pool->fn = fn;
  pool->task = task;
  pool->count = count;
  pool->chunk = count <= pieces ? 1 : count / pieces + (count % pieces != 0);
  pool->chunkCount = count / pool->chunk + (count % pool->chunk != 0);
  runChunks(pool, openLoop(pool), 0);
  closeLoop(pool);
  atomic_store(&pool->owned, false);
}

int64_t lutra_usable_cpus(void) {
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
    return CPU_COUNT(&cpus);
  // More CPUs than a cpu_set_t holds.
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : online;
}

lutra_executor *lutra_pool_executor(lutra_pool *pool) {
  return &pool->executor;
}

void lutra_pool_destroy(lutra_pool *pool) {
  if (!pool)
    return;
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->stopping, true);
  pthread_cond_broadcast(&pool->opened);
  pthread_mutex_unlock(&pool->mutex);
  for (int64_t i = 0; i < pool->helperCount; ++i)
    pthread_join(pool->helpers[i].thread, NULL);
  pthread_cond_destroy(&pool->left);
  pthread_cond_destroy(&pool->opened);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->helpers);
  free(pool->shares);
  free(pool);
}

/// Starts a thread with at least LeastStack bytes of stack for tiles of
/// kernels; by itself it might have a tenth.
static int startHelper(Helper *helper) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error)
    return error;
  size_t size;
  pthread_attr_getstacksize(&attributes, &size);
  if (size < LeastStack)
    pthread_attr_setstacksize(&attributes, LeastStack);
  error = pthread_create(&helper->thread, &attributes, help, helper);
  pthread_attr_destroy(&attributes);
  return error;
}

lutra_status *lutra_pool_create(int64_t workers, lutra_pool **result) {
  if (workers < 0 || workers > MaxWorkers)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "pool: expected 0 to %d workers, got %" PRId64,
                      MaxWorkers, workers);
  if (workers == 0) {
    workers = lutra_usable_cpus();
    workers = workers < MaxWorkers ? workers : MaxWorkers;
  }
  lutra_pool *pool = aligned_alloc(_Alignof(lutra_pool), sizeof(*pool));
  Helper *helpers = calloc((size_t)workers, sizeof(*helpers));
  Share *shares =
      aligned_alloc(_Alignof(Share), (size_t)workers * sizeof(*shares));
  if (!pool || !helpers || !shares) {
    free(pool);
    free(helpers);
    free(shares);
    return lutraError(LUTRA_OUT_OF_RESOURCES, "out of memory");
  }
  memset(pool, 0, sizeof(*pool));
  pool->executor = (lutra_executor){parallelFor, workers};
  pool->helpers = helpers;
  memset(shares, 0, (size_t)workers * sizeof(*shares));
  pool->shares = shares;
  // With more workers than CPUs, whoever spins is in the way.
  pool->spins = workers <= lutra_usable_cpus();
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->opened, NULL);
  pthread_cond_init(&pool->left, NULL);
  for (int64_t i = 0; i < workers - 1; ++i) {
    helpers[i] = (Helper){.pool = pool, .worker = i + 1};
    int error = startHelper(&helpers[i]);
    if (error) {
      lutra_pool_destroy(pool);
      return lutraError(LUTRA_OUT_OF_RESOURCES,
                        "pool: cannot start thread %" PRId64 " of %" PRId64
                        ": %s",
                        i + 1, workers - 1, strerror(error));
    }
    ++pool->helperCount;
  }
  *result = pool;
  return NULL;
}
