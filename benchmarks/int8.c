//===- int8.c - The most int8 multiply-adds that a core can do -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The limit of kernels on codes and activations of 8 bits: as fma.c, but each
// lane of 32 bits multiplies four bytes and adds all products to itself. Where
// the machine has no such instruction, pairs of products meet in 16 bits first,
// as kernels for it have them; elsewhere int8_per_step is 0.
//
//===----------------------------------------------------------------------===//

#if defined(__AVX512VNNI__)
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
#define NO_DOT
#endif

#ifdef NO_DOT
int int8_per_step(void) { return 0; }
int int8_run(long steps, int a, int b) { return 0; }
#else
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
