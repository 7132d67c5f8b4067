//===- dot.c - The most bf16 multiply-adds that a core can do ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The limit of kernels on bf16: as fma.c, but each lane multiplies two pairs of
// bf16 and adds both to its f32. Where the machine has no such instruction,
// dot_per_step is 0.
//
//===----------------------------------------------------------------------===//

#if defined(__AVX512BF16__)
#include <immintrin.h>

enum { kChains = 24, kLanes = 16 };
typedef __m512 vector;
typedef __m512bh pairs;
static pairs spread(float value) {
  return _mm512_cvtne2ps_pbh(_mm512_set1_ps(value), _mm512_set1_ps(value));
}
static vector dot(vector sum, pairs a, pairs b) {
  return _mm512_dpbf16_ps(sum, a, b);
}
#elif defined(__ARM_FEATURE_BF16)
#include <arm_neon.h>

enum { kChains = 24, kLanes = 4 };
typedef float32x4_t vector;
typedef bfloat16x8_t pairs;
static pairs spread(float value) { return vdupq_n_bf16(vcvth_bf16_f32(value)); }
static vector dot(vector sum, pairs a, pairs b) {
  return vbfdotq_f32(sum, a, b);
}
#else
#define NO_DOT
#endif

#ifdef NO_DOT
int dot_per_step(void) { return 0; }
float dot_run(long steps, float factor, float summand) { return 0; }
#else
/// Multiply-adds that one step of the loop below does.
int dot_per_step(void) { return kChains * kLanes * 2; }

/// Does `steps` steps. What it returns depends on every one of them.
float dot_run(long steps, float factor, float summand) {
  pairs a = spread(factor), b = spread(summand);
  vector chains[kChains];
#pragma clang loop unroll(full)
  for (int c = 0; c < kChains; ++c)
    chains[c] = (vector){0} + (float)c;
  for (long step = 0; step < steps; ++step) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kChains; ++c)
      chains[c] = dot(chains[c], a, b);
  }
  vector sum = chains[0];
#pragma clang loop unroll(full)
  for (int c = 1; c < kChains; ++c)
    sum += chains[c];
  return sum[0] + sum[1];
}
#endif
