//===- clock.c - What loops do to the clock of a core --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A core that needs too much power counts more slowly, and counts as before a
// few microseconds later. So right behind each loop some additions are timed of
// which each waits for the last. Loops multiply from registers alone, or what
// they load from the first-level cache as kernels do, by vectors and by matrix
// tiles.
//
//===----------------------------------------------------------------------===//

#if defined(__AVX512F__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kAdditions = 3000, kDepth = 128, kRows = 12, kVectors = 2, kLanes = 16 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/// Additions a second, one after the other: the clock.
static double rate(void) {
  long sum = 1;
  double begin = now(), middle = now();
  for (int i = 0; i < kAdditions / 10; ++i)
    __asm__ volatile("add %0, %0\nadd %0, %0\nadd %0, %0\nadd %0, %0\n"
                     "add %0, %0\nadd %0, %0\nadd %0, %0\nadd %0, %0\n"
                     "add %0, %0\nadd %0, %0"
                     : "+r"(sum));
  return kAdditions / (now() - middle - (middle - begin));
}

static long registers(const float *a, const float *b, float *c) {
  __m512 sums[24], x = _mm512_set1_ps(a[0]), y = _mm512_set1_ps(b[0]);
#pragma clang loop unroll(full)
  for (int i = 0; i < 24; ++i)
    sums[i] = _mm512_set1_ps((float)i);
  for (int step = 0; step < kDepth; ++step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 24; ++i)
      sums[i] = _mm512_fmadd_ps(sums[i], x, y);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 24; ++i)
    _mm512_store_ps(c + i * kLanes, sums[i]);
  return 2 * kDepth * 24 * kLanes;
}

/// A register tile of 12 rows and 2 vectors.
static long loads(const float *a, const float *b, float *c) {
  __m512 sums[kRows][kVectors];
#pragma clang loop unroll(full)
  for (int i = 0; i < kRows; ++i)
    sums[i][0] = sums[i][1] = _mm512_setzero_ps();
  for (int step = 0; step < kDepth; ++step) {
    __m512 y[kVectors];
    for (int j = 0; j < kVectors; ++j)
      y[j] = _mm512_load_ps(b + (step * kVectors + j) * kLanes);
#pragma clang loop unroll(full)
    for (int i = 0; i < kRows; ++i) {
      __m512 x = _mm512_set1_ps(a[step * kRows + i]);
      // In a register, as a kernel has it, and not in memory for each product.
      __asm__ volatile("" : "+v"(x));
      for (int j = 0; j < kVectors; ++j)
        sums[i][j] = _mm512_fmadd_ps(x, y[j], sums[i][j]);
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kVectors; ++j)
      _mm512_store_ps(c + (i * kVectors + j) * kLanes, sums[i][j]);
  return 2L * kDepth * kRows * kVectors * kLanes;
}

#ifdef __AMX_BF16__
enum { kTile = 256, kTiles = 8 };

static void configure(void) {
  struct {
    unsigned char palette, start, unused[14];
    unsigned short bytes[16];
    unsigned char rows[16];
  } tiles = {.palette = 1};
  for (int i = 0; i < 8; ++i) {
    tiles.bytes[i] = 64;
    tiles.rows[i] = 16;
  }
  syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tiles */);
  _tile_loadconfig(&tiles);
}

static long tiles(const float *a, const float *b, float *c) {
  _tile_loadd(4, a, 64);
  _tile_loadd(5, a + kTile, 64);
  _tile_loadd(6, b, 64);
  _tile_loadd(7, b + kTile, 64);
  for (int step = 0; step < kTiles; ++step) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return 2L * kTiles * 4 * 16 * 16 * 32;
}

/// Two tiles of rows by two of columns.
static inline void multiplyTiles(const float *a, const float *b) {
  _tile_loadd(4, a, 64);
  _tile_loadd(6, b, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, b + kTile, 64);
  _tile_dpbf16ps(1, 4, 7);
  _tile_loadd(5, a + kTile, 64);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

static long tileLoads(const float *a, const float *b, float *c) {
  for (int step = 0; step < kTiles; ++step) {
    multiplyTiles(a + 2 * step * kTile, b + 2 * step * kTile);
  }
  return 2L * kTiles * 4 * 16 * 16 * 32;
}

/// Sums that leave the tiles after two steps, as those of scores do.
static long tileStores(const float *a, const float *b, float *c) {
  for (int step = 0; step < kTiles; ++step) {
    if (step % 2 == 0) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    multiplyTiles(a + 2 * step * kTile, b + 2 * step * kTile);
    if (step % 2 == 1) {
      _tile_stored(0, c, 64);
      _tile_stored(1, c + kTile, 64);
      _tile_stored(2, c + 2 * kTile, 64);
      _tile_stored(3, c + 3 * kTile, 64);
    }
  }
  return 2L * kTiles * 4 * 16 * 16 * 32;
}
#else
static void configure(void) {}
#endif

typedef long (*loop)(const float *a, const float *b, float *c);
static const struct {
  const char *name;
  loop run;
} kLoops[] = {
    {"FMA, registers", registers},
    {"FMA, loads", loads},
#ifdef __AMX_BF16__
    {"bf16 tiles, registers", tiles},
    {"bf16 tiles, loads", tileLoads},
    {"bf16 tiles, loads and stores", tileStores},
#endif
};

int clock_loops(void) {
  configure();
  return sizeof(kLoops) / sizeof(kLoops[0]);
}

const char *clock_name(int number) { return kLoops[number].name; }

/// Runs a loop `times` times: its operations a second, and the clock behind it.
void clock_run(int number, long times, const float *a, const float *b, float *c,
               double *operations, double *clock) {
  long flop = 0;
  double begin = now();
  for (long i = 0; i < times; ++i)
    flop += kLoops[number].run(a, b, c);
  *operations = (double)flop / (now() - begin);
  *clock = rate();
}
#else
int clock_loops(void) { return 0; }
const char *clock_name(int number) { return ""; }
void clock_run(int number, long times, const float *a, const float *b, float *c,
               double *operations, double *clock) {}
#endif
