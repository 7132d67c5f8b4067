//===- lookup.c - The most lookups of a byte that a core can do ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The limit of kernels that look products up: every byte of a register picks
// one of a table, which is a register too, of 64 bytes with AVX-512 VBMI and of
// 16 otherwise. What a chain found is where it looks next. Where the machine
// has no such instruction, lookup_per_step is 0.
//
//===----------------------------------------------------------------------===//

#if defined(__AVX512VBMI__)
#include <immintrin.h>

enum { kChains = 24, kBytes = 64 };
typedef __m512i vector;
static vector look(vector table, vector at) {
  return _mm512_permutexvar_epi8(at, table);
}
#elif defined(__AVX2__)
#include <immintrin.h>

enum { kChains = 12, kBytes = 32 };
typedef __m256i vector;
static vector look(vector table, vector at) {
  return _mm256_shuffle_epi8(table, at);
}
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>

enum { kChains = 24, kBytes = 16 };
typedef uint8x16_t vector;
static vector look(vector table, vector at) { return vqtbl1q_u8(table, at); }
#else
#define NO_LOOKUP
#endif

#ifdef NO_LOOKUP
int lookup_per_step(void) { return 0; }
int lookup_run(long steps, int first, int each) { return 0; }
#else
typedef unsigned char bytes __attribute__((vector_size(kBytes)));

/// Lookups that one step of the loop below does.
int lookup_per_step(void) { return kChains * kBytes; }

/// Does `steps` steps. What it returns depends on every one of them.
int lookup_run(long steps, int first, int each) {
  bytes entries;
  for (int i = 0; i < kBytes; ++i)
    entries[i] = (unsigned char)((first + i * each) % 16);
  vector table = (vector)entries;
  vector chains[kChains];
#pragma clang loop unroll(full)
  for (int c = 0; c < kChains; ++c)
    chains[c] = (vector)(entries + (unsigned char)(c % 8));
  for (long step = 0; step < steps; ++step) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kChains; ++c)
      chains[c] = look(table, chains[c]);
  }
  bytes sum = (bytes)chains[0];
#pragma clang loop unroll(full)
  for (int c = 1; c < kChains; ++c)
    sum += (bytes)chains[c];
  return sum[0] + sum[1];
}
#endif
