//===- int8.c - The most int8 multiply-adds that a core can do -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The limit of kernels on codes and activations of 8 bits: as fma.c, but each
// lane of 32 bits multiplies four bytes and adds all products to itself, in
// AMX's tiles or in vectors. Where the machine has no such instruction, pairs
// of products meet in 16 bits first, as kernels for it have them; elsewhere
// int8_per_step is 0.
//
//===----------------------------------------------------------------------===//

#if defined(__AMX_INT8__)
#include <immintrin.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NO_VECTORS

/// A step is a quarter of a product of tiles. Linux must lend their registers.
int int8_per_step(void) {
  return syscall(SYS_arch_prctl, 0x1023, 18) ? 0 : 16 * 16 * 64 / 4;
}

int int8_run(long steps, int a, int b) {
  struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } config = {.palette = 1};
  int tile[16][16];
  for (int i = 0; i < 8; ++i)
    config.bytes[i] = 64, config.rows[i] = 16;
  for (int i = 0; i < 256; ++i)
    tile[i / 16][i % 16] = a + i * b;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, tile, 64);
  _tile_loadd(5, tile, 64);
  for (long step = 0; step < steps; step += 16) {
    _tile_dpbssd(0, 4, 5);
    _tile_dpbssd(1, 4, 5);
    _tile_dpbssd(2, 4, 5);
    _tile_dpbssd(3, 4, 5);
  }
  _tile_stored(0, tile, 64);
  int sum = tile[0][0];
  _tile_stored(3, tile, 64);
  _tile_release();
  return sum + tile[15][15];
}
#elif defined(__AVX512VNNI__)
#include <immintrin.h>

enum { kChains = 24, kBytes = 64 };
typedef __m512i vector;
static vector dot(vector sum, vector a, vector b) {
  return _mm512_dpbusd_epi32(sum, a, b);
}
#elif defined(__AVXVNNI__)
#include <immintrin.h>

enum { kChains = 12, kBytes = 32 };
typedef __m256i vector;
static vector dot(vector sum, vector a, vector b) {
  return _mm256_dpbusd_avx_epi32(sum, a, b);
}
#elif defined(__AVX2__)
#include <immintrin.h>

enum { kChains = 12, kBytes = 32 };
typedef __m256i vector;
static vector dot(vector sum, vector a, vector b) {
  // No intrinsic: a compiler would compute once what is the same each time.
  vector pairs;
  __asm__ volatile("vpmaddubsw %2, %1, %0" : "=x"(pairs) : "x"(a), "x"(b));
  return _mm256_add_epi16(sum, pairs);
}
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>

enum { kChains = 24, kBytes = 16 };
typedef int32x4_t vector;
static vector dot(vector sum, vector a, vector b) {
  return vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b));
}
#else
#define NO_VECTORS

int int8_per_step(void) { return 0; }
int int8_run(long steps, int a, int b) { return 0; }
#endif

#ifndef NO_VECTORS
typedef int lanes __attribute__((vector_size(kBytes)));

/// Multiply-adds that one step of the loop below does.
int int8_per_step(void) { return kChains * kBytes; }

/// Does `steps` steps. What it returns depends on every one of them.
int int8_run(long steps, int a, int b) {
  vector chains[kChains];
#pragma clang loop unroll(full)
  for (int c = 0; c < kChains; ++c)
    chains[c] = (vector)((lanes){0} + c);
  vector x = (vector)((lanes){0} + a), y = (vector)((lanes){0} + b);
  for (long step = 0; step < steps; ++step) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kChains; ++c)
      chains[c] = dot(chains[c], x, y);
  }
  lanes sum = (lanes)chains[0];
#pragma clang loop unroll(full)
  for (int c = 1; c < kChains; ++c)
    sum += (lanes)chains[c];
  return sum[0] + sum[1];
}
#endif
