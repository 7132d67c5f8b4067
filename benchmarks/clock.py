#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How fast a core counts behind loops that multiply: what limits mean here.

    .venv/bin/python benchmarks/clock.py

A limit of multiply-adds from registers is out of reach for what loads its factors,
where that takes power which the clock pays for. x86 with AVX-512.
"""

import ctypes

import numpy as np
from harness import aligned, build, median

ROUNDS, TIMES = 15, 30_000
FLOATS = 1 << 13


def factors(random, kind):
    """Numbers of all kinds: the same ones over and over take less power."""
    array = aligned([FLOATS], np.dtype(np.float32))
    if kind == "f32":
        array[:] = random.standard_normal(FLOATS, np.float32)
    else:
        # Pairs of bf16 between -2 and 2, for tiles.
        words = random.integers(0x3F00, 0x4000, 2 * FLOATS, np.uint16)
        array[:] = (words | (random.integers(0, 2, 2 * FLOATS, np.uint16) << 15)).view(
            np.float32
        )
    return array


def main():
    library = build("clock")
    library.clock_name.restype = ctypes.c_char_p
    random = np.random.default_rng(0)
    print(f"{'loop':30} {'GFLOP/s':>8} {'clock (GHz)':>12} {'a cycle':>8}")
    for number in range(library.clock_loops()):
        name = library.clock_name(number).decode()
        arrays = [factors(random, "bf16" if "bf16" in name else "f32") for _ in range(3)]
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        rates, clocks = [], []
        operations, clock = ctypes.c_double(), ctypes.c_double()
        for _ in range(ROUNDS):
            library.clock_run(number, ctypes.c_long(TIMES), *pointers,
                              ctypes.byref(operations), ctypes.byref(clock))  # fmt: skip
            rates.append(operations.value / 1e9)
            clocks.append(clock.value / 1e9)
        rate, clock = max(rates), median(clocks)
        print(f"{name:30} {rate:8.1f} {clock:12.2f} {rate / clock:8.1f}")


if __name__ == "__main__":
    main()
