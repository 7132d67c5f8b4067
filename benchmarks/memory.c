//===- memory.c - The fastest plain read and copy ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The limit of kernels that compute little: one pass over memory from its begin
// to its end, with the widest loads and no software prefetch. Sizes are
// multiples of kBlock bytes. Built by harness.py for the machine that it runs
// on.
//
//===----------------------------------------------------------------------===//

enum { kBytes = 64, kStreams = 8, kBlock = kBytes * kStreams };

typedef unsigned long long vector
    __attribute__((vector_size(kBytes), aligned(8)));

/// Reads `blocks` blocks. What it returns depends on every byte.
unsigned long long read_run(const char *data, long blocks, long times) {
  vector seen[kStreams] = {0};
  for (long time = 0; time < times; ++time) {
    const vector *next = (const vector *)data;
#pragma clang loop unroll(disable)
    for (long block = 0; block < blocks; ++block, next += kStreams) {
#pragma clang loop unroll(full)
      for (int s = 0; s < kStreams; ++s)
        seen[s] ^= next[s];
    }
    // A compiler must not read only once what is the same each time.
    __asm__ volatile("" ::: "memory");
  }
  vector all = seen[0];
#pragma clang loop unroll(full)
  for (int s = 1; s < kStreams; ++s)
    all ^= seen[s];
  return all[0] ^ all[1] ^ all[2] ^ all[3] ^ all[4] ^ all[5] ^ all[6] ^ all[7];
}

/// Copies `blocks` blocks, `times` times.
void copy_run(char *to, const char *from, long blocks, long times) {
  for (long time = 0; time < times; ++time) {
    vector *out = (vector *)to;
    const vector *in = (const vector *)from;
    for (long block = 0; block < blocks; ++block) {
#pragma clang loop unroll(full)
      for (int s = 0; s < kStreams; ++s)
        *out++ = *in++;
    }
    __asm__ volatile("" ::: "memory");
  }
}
