# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What benchmarks share: fair timing, and the machine's own limit.

Machines change their speed while one measures. Therefore contestants take turns,
round after round, and the limit they are held against is one of them.
"""

import ctypes
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime

SETTLE = 0.02  # seconds

HERE = Path(__file__).resolve().parent


class FmaLimit:
    """Fused multiply-adds from registers, on a number of threads at once."""

    STEPS = 4_000_000

    def __init__(self, threads):
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)
        with tempfile.TemporaryDirectory() as folder:
            library = f"{folder}/fma.so"
            subprocess.run(
                ["clang-22", "-O2", "-march=native", "-ffp-contract=fast", "-shared",
                 "-fPIC", HERE / "fma.c", "-o", library],
                check=True,
            )  # fmt: skip
            self.library = ctypes.CDLL(library)
        self.library.fma_run.argtypes = [ctypes.c_long, ctypes.c_float, ctypes.c_float]
        self.library.fma_run.restype = ctypes.c_float
        self.flop = 2 * self.library.fma_per_step() * self.STEPS * threads

    def __call__(self):
        # ctypes lets go of the interpreter, so the threads run side by side.
        calls = [
            self.pool.submit(self.library.fma_run, self.STEPS, 0.5, 1.0)
            for _ in range(self.threads)
        ]
        for call in calls:
            call.result()


def onnx_runtime(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its threads spin within a run as always, but not on into ours.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )


def take_turns(contestants, rounds, warmup=2):
    """The seconds of each round of each named contestant, run in turns."""
    for _ in range(warmup):
        for run in contestants.values():
            run()
    seconds = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            # The threads of whoever ran before may spin for a while; a run that
            # does not count then brings back caches and threads.
            time.sleep(SETTLE)
            run()
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median(values):
    return statistics.median(values)
