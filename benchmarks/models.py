#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole models beside ONNX Runtime.

    .venv/bin/python benchmarks/models.py MODEL... [--dim batch=8] [--threads 1 2]

Inputs are normally distributed; a symbolic dimension is 1 unless --dim says
otherwise. Where outputs differ by more than --tolerance, nothing is timed.
"""

import argparse
import os
import tempfile
from pathlib import Path

import lutra
import numpy as np
from harness import median, onnx_runtime, take_turns

NUMPY = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


def make_inputs(described, dims):
    random = np.random.default_rng(1)
    return {
        value.name: random.standard_normal(
            [size if isinstance(size, int) else dims.get(size, 1) for size in value.shape]
        ).astype(NUMPY[value.type])
        for value in described.get_inputs()
    }


def measure(path, threads, options, folder):
    theirs = onnx_runtime(path, threads)
    inputs = make_inputs(theirs, options.dim)
    artifact = Path(folder) / f"{path.stem}.so"
    if not artifact.exists():
        lutra.compile(path, output=artifact, mcpu="native")
    ours = lutra.load(artifact, threads=threads)
    names = [value.name for value in theirs.get_outputs()]
    results = ours(inputs)
    for name, expected in zip(names, theirs.run(None, inputs)):
        np.testing.assert_allclose(
            results[name], expected, options.tolerance, options.tolerance, err_msg=name
        )
    seconds = take_turns(
        {"Lutra": lambda: ours(inputs), "ONNX Runtime": lambda: theirs.run(None, inputs)},
        options.rounds,
    )
    lutra_time, their_time = (median(times) * 1e6 for times in seconds.values())
    print(
        f"{path.stem:24} {threads:7} {lutra_time:12.1f} {their_time:12.1f} "
        f"{their_time / lutra_time:8.2f}"
    )


def dimension(text):
    name, _, size = text.partition("=")
    return name, int(size)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--dim", type=dimension, action="append", default=[])
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, os.cpu_count()})
    )
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    options.dim = dict(options.dim)
    print(
        f"{'model':24} {'threads':>7} {'Lutra (us)':>12} {'ORT (us)':>12} {'speedup':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for path in options.models:
            for threads in options.threads:
                measure(path, threads, options, folder)


if __name__ == "__main__":
    main()
