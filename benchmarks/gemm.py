#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""f32 matrix multiplication beside ONNX Runtime and the machine's limit.

    .venv/bin/python benchmarks/gemm.py [--size 2048] [--threads 1 2]

Measured twice: with B as a weight, which a compiler may pack ahead of time, and
with B as an input, which it must pack while it runs.
"""

import argparse
import os
import tempfile
from pathlib import Path

import lutra
import numpy as np
from harness import FmaLimit, median, onnx_runtime, take_turns
from onnx import TensorProto, helper, numpy_helper, save


def matmul_model(path, size, weight):
    shape = [size, size]
    a, b, c = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "abc"
    )
    node = helper.make_node("MatMul", ["a", "b"], ["c"], "matmul")
    constants = [] if weight is None else [numpy_helper.from_array(weight, "b")]
    graph = helper.make_graph(
        [node], "gemm", [a, b] if weight is None else [a], [c], constants
    )
    opset = helper.make_opsetid("", 18)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)


def measure(size, threads, b_is_weight, rounds, folder):
    random = np.random.default_rng(1)
    a, b = (random.standard_normal((size, size), np.float32) for _ in range(2))
    path = folder / "gemm.onnx"
    matmul_model(path, size, b if b_is_weight else None)
    inputs = {"a": a} if b_is_weight else {"a": a, "b": b}

    lutra.compile(path, output=folder / "gemm.so", mcpu="native")
    ours = lutra.load(folder / "gemm.so", threads=threads)
    theirs = onnx_runtime(path, threads)
    limit = FmaLimit(threads)

    expected = theirs.run(None, inputs)[0]
    np.testing.assert_allclose(ours(inputs)["c"], expected, rtol=1e-3, atol=1e-3)

    seconds = take_turns(
        {
            "FMA limit": limit,
            "Lutra": lambda: ours(inputs),
            "ONNX Runtime": lambda: theirs.run(None, inputs),
        },
        rounds,
    )
    ceiling = limit.flop / median(seconds["FMA limit"]) / 1e9
    operand = "weight" if b_is_weight else "input"
    for name, times in seconds.items():
        work = limit.flop if name == "FMA limit" else 2 * size**3
        rates = [work / time / 1e9 for time in times]
        print(
            f"{size:5} {threads:7} {operand:8} {name:13} {median(rates):9.1f} "
            f"{min(rates):9.1f} {max(rates):9.1f} {median(rates) / ceiling:8.1%}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs="+", default=[2048])
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, os.cpu_count()})
    )
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(
        f"{'size':>5} {'threads':>7} {'B is':8} {'':13} {'GFLOP/s':>9} {'worst':>9} "
        f"{'best':>9} {'of limit':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for size in options.size:
            for threads in options.threads:
                for b_is_weight in (True, False):
                    measure(size, threads, b_is_weight, options.rounds, Path(folder))


if __name__ == "__main__":
    main()
