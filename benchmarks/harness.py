# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What benchmarks share: fair timing, and the machine's own limit.

Machines change their speed while one measures. Therefore contestants take turns,
round after round, and the limit they are held against is one of them.
"""

import ctypes
import functools
import math
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

SETTLE = 0.02  # seconds
# A run of as many seconds needs none before it that does not count.
LONG = 0.2
PAGE = 4096  # bytes

HERE = Path(__file__).resolve().parent


@functools.cache
def build(name, *flags):
    """A C file of this folder, built for the machine that this runs on."""
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/{name}.so"
        subprocess.run(
            # Or Intel's processors would be measured with half of their registers.
            ["clang-22", "-O2", "-march=native", "-mprefer-vector-width=512",
             "-ffp-contract=fast", "-shared", "-fPIC", HERE / f"{name}.c", *flags, "-o", library],
            check=True,
        )  # fmt: skip
        return ctypes.CDLL(library)


@functools.cache
def pool(threads):
    return ThreadPoolExecutor(threads)


def run_on_threads(function, *arguments):
    """Calls a C function on threads at once, each with its own of the arguments,
    which are lists."""
    calls = list(zip(*arguments))
    if len(calls) == 1:
        function(*calls[0])
        return
    # ctypes lets go of the interpreter, so the threads run side by side.
    for call in [pool(len(calls)).submit(function, *each) for each in calls]:
        call.result()


class FmaLimit:
    """Fused multiply-adds from registers, on a number of threads at once."""

    NAME = "fma"
    KIND, OPERANDS = ctypes.c_float, (0.5, 1.0)

    def __init__(self, threads, steps=4_000_000, march="native"):
        self.threads, self.steps = threads, steps
        library = build(self.NAME, f"-march={march}")
        self.function = library[f"{self.NAME}_run"]
        self.function.argtypes = [ctypes.c_long, self.KIND, self.KIND]
        self.function.restype = self.KIND
        per_step = library[f"{self.NAME}_per_step"]()
        self.flop = 2 * per_step * steps * threads

    def __call__(self):
        run_on_threads(
            self.function, *([x] * self.threads for x in (self.steps, *self.OPERANDS))
        )


class DotLimit(FmaLimit):
    """The same of bf16; `flop` is 0 where the machine has no instruction for it."""

    NAME = "dot"


class Int8Limit(FmaLimit):
    """The same of bytes."""

    NAME = "int8"
    KIND, OPERANDS = ctypes.c_int, (1, 1)


class LookupLimit(Int8Limit):
    """Lookups of bytes, each of which counts as two of `flop`: a table of products
    that are already added."""

    NAME = "lookup"
    OPERANDS = 3, 5


class MemoryLimit:
    """One plain pass over an array, a part of it on each thread: reads it, or
    copies it to another one."""

    def __init__(self, threads, data, to=None, times=1):
        self.times = [times] * threads
        self.bytes = data.nbytes * times
        blocks = data.nbytes // 512
        ends = [blocks * thread // threads for thread in range(threads + 1)]
        self.blocks = [end - begin for begin, end in zip(ends, ends[1:])]
        self.parts = [data.ctypes.data + 512 * begin for begin in ends[:-1]]
        pointer, number = ctypes.c_void_p, ctypes.c_long
        library = build("memory")
        if to is None:
            self.function, self.to = library.read_run, []
            self.function.argtypes = [pointer, number, number]
        else:
            self.function = library.copy_run
            self.to = [[to.ctypes.data + 512 * begin for begin in ends[:-1]]]
            self.function.argtypes = [pointer, pointer, number, number]
        self.arrays = data, to

    def __call__(self):
        run_on_threads(self.function, *self.to, self.parts, self.blocks, self.times)


def aligned(shape, dtype):
    """An empty array at a multiple of the size of a page."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + PAGE, np.uint8)
    begin = -memory.ctypes.data % PAGE
    return memory[begin : begin + size].view(dtype).reshape(shape)


def onnx_runtime(path, threads, **entries):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its threads spin within a run as always, but not on into ours.
    entries["session.force_spinning_stop"] = "1"
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    return onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )


# What else runs on a busy machine does not count as time of the processor, but then
# nor does waiting: it says nothing of several threads.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def take_turns(contestants, rounds, warmup=2, budget=math.inf, clock="wall"):
    """The seconds of each round of each named contestant, run in turns: what it
    returns, if that is a float, or else what it took. No round after the third
    begins when `budget` seconds are over."""
    now, begin = CLOCKS[clock], time.perf_counter()
    for _ in range(warmup):
        for run in contestants.values():
            run()
    seconds = {name: [] for name in contestants}
    for count in range(rounds):
        if count >= 3 and time.perf_counter() - begin > budget:
            break
        for name, run in contestants.items():
            # The threads of whoever ran before may spin for a while; a run that
            # does not count then brings back caches and threads.
            time.sleep(SETTLE)
            if min(seconds[name], default=0) < LONG:
                run()
            start = now()
            result = run()
            elapsed = now() - start
            seconds[name].append(result if isinstance(result, float) else elapsed)
    return seconds


def typical(runs, clock="wall"):
    """A contestant for take_turns that makes all runs and counts as their median:
    a single short one would pay for threads that wake up."""

    now = CLOCKS[clock]

    def run_all():
        seconds = []
        for run in runs:
            start = now()
            run()
            seconds.append(now() - start)
        return median(seconds)

    return run_all


class Peak:
    """A limit of arithmetic as a contestant. It does not depend on the case: `rate` is
    the best of the whole run, lest somebody else's work on this machine lowers it."""

    STEPS = 500_000
    TURNS = 7

    def __init__(self, kind, threads, clock, march):
        self.name, self.limit = kind.NAME, kind(threads, self.STEPS, march)
        self.run = typical([self.limit] * self.TURNS, clock)
        self.rate = 0

    @staticmethod
    @functools.cache
    def of(kind, threads, clock, march="native"):
        return Peak(kind, threads, clock, march)

    def __call__(self):
        self.rate = max(self.rate, self.limit.flop / self.run())


def median(values):
    return statistics.median(values)


SUMMARY = f"{'':33} cases  speedup  worst  slower  of limit  worst"


def summary(label, speedups, shares):
    """A line under SUMMARY: how many times as fast as the best peer, in how many
    cases slower, and which part of the limit; means are geometric."""
    mean = statistics.geometric_mean
    line = f"{label:33} {len(shares):5}"
    if speedups:
        slower = sum(speedup < 1 for speedup in speedups)
        line += f"  {mean(speedups):7.2f}  {min(speedups):5.2f}  {slower:6}"
    else:
        line += f"  {'-':>7}  {'-':>5}  {'-':>6}"
    return line + f"  {mean(shares):8.0%}  {min(shares):5.0%}"


def add_turn_options(parser, rounds):
    """--threads, --rounds and --clock."""
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, os.cpu_count()})
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall",
        help="cpu: on a busy machine, for one thread",
    )  # fmt: skip


def check_turn_options(parser, options):
    if options.clock == "cpu" and options.threads != [1]:
        parser.error("--clock cpu measures --threads 1 only")
