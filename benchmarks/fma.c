//===- fma.c - The most multiply-adds that a core can do -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The limit that kernels are measured against: independent chains of fused
// multiply-adds, as many as fit into registers, with no memory at all. Built by
// harness.py for the machine that it runs on.
//
//===----------------------------------------------------------------------===//

#if defined(__AVX512F__)
enum { kBytes = 64, kChains = 24 };
#elif defined(__AVX__)
enum { kBytes = 32, kChains = 12 };
#elif defined(__aarch64__)
enum { kBytes = 16, kChains = 24 };
#else
enum { kBytes = 16, kChains = 12 };
#endif

typedef float vector __attribute__((vector_size(kBytes)));

/// Multiply-adds that one step of the loop below does.
int fma_per_step(void) { return kChains * (kBytes / (int)sizeof(float)); }

/// Does `steps` steps. What it returns depends on every one of them.
float fma_run(long steps, float factor, float summand) {
  vector chains[kChains], a, b;
  for (int i = 0; i < kBytes / (int)sizeof(float); ++i) {
    a[i] = factor;
    b[i] = summand;
  }
#pragma clang loop unroll(full)
  for (int c = 0; c < kChains; ++c)
    chains[c] = a * (float)c;
  for (long step = 0; step < steps; ++step) {
#pragma clang loop unroll(full)
    for (int c = 0; c < kChains; ++c)
      chains[c] = chains[c] * a + b;
  }
  vector sum = chains[0];
#pragma clang loop unroll(full)
  for (int c = 1; c < kChains; ++c)
    sum += chains[c];
  return sum[0] + sum[1];
}
