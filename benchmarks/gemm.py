#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix multiplication beside its peers and the machine's limit.

    .venv/bin/python benchmarks/gemm.py [--type f32|bf16] [--size 2048]
        [--rows 1 512] [--threads 1 2]

Measured twice: with B as a weight, which a compiler may pack ahead of time, and
with B as an input, which it must pack while it runs. The peer is ONNX Runtime, and
of bf16, which that does not multiply on a CPU, PyTorch. A has as many rows as B
unless others are asked for. The limit is what vectors multiply; tiles of matrices
may exceed it.
"""

import argparse
import os
import tempfile
from pathlib import Path

import lutra
import ml_dtypes
import numpy as np
from harness import DotLimit, FmaLimit, median, onnx_runtime, take_turns
from onnx import TensorProto, helper, save

TYPES = {
    "f32": (TensorProto.FLOAT, np.dtype(np.float32), FmaLimit),
    "bf16": (TensorProto.BFLOAT16, np.dtype(ml_dtypes.bfloat16), DotLimit),
}


def matmul_model(path, kind, shapes, weight):
    a, b, c = (
        helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()
    )
    node = helper.make_node("MatMul", ["a", "b"], ["c"], "matmul")
    constants = (
        []
        if weight is None
        else [helper.make_tensor("b", kind, weight.shape, weight.tobytes(), raw=True)]
    )
    graph = helper.make_graph(
        [node], "gemm", [a, b] if weight is None else [a], [c], constants
    )
    opset = helper.make_opsetid("", 21)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)


def torch_run(a, b, threads):
    import torch

    torch.set_num_threads(threads)
    a, b = (torch.from_numpy(x.view(np.uint16)).view(torch.bfloat16) for x in (a, b))

    @torch.inference_mode()
    def run():
        return torch.matmul(a, b)

    return run


def measure(options, size, rows, threads, b_is_weight, folder):
    kind, dtype, limit = TYPES[options.type]
    random = np.random.default_rng(1)
    shapes = {"a": (rows, size), "b": (size, size), "c": (rows, size)}
    a, b = (random.standard_normal(shapes[name], np.float32).astype(dtype) for name in "ab")
    path = folder / "gemm.onnx"
    matmul_model(path, kind, shapes, b if b_is_weight else None)
    inputs = {"a": a} if b_is_weight else {"a": a, "b": b}

    lutra.compile(path, output=folder / "gemm.so", mcpu="native")
    ours = lutra.load(folder / "gemm.so", threads=threads)
    limit = limit(threads)
    runs = {"limit": limit, "Lutra": lambda: ours(inputs)}
    if options.type == "f32":
        theirs = onnx_runtime(path, threads)
        runs["ONNX Runtime"] = lambda: theirs.run(None, inputs)
    else:
        runs["PyTorch"] = torch_run(a, b, threads)

    expected = a.astype(np.float32) @ b.astype(np.float32)
    tolerance = 1e-3 if options.type == "f32" else 2**-7 * size**0.5
    got = ours(inputs)["c"].astype(np.float32)
    np.testing.assert_allclose(got, expected, rtol=2**-7, atol=tolerance)

    seconds = take_turns(runs, options.rounds)
    ceiling = limit.flop / median(seconds["limit"]) / 1e9
    operand = "weight" if b_is_weight else "input"
    for name, times in seconds.items():
        work = limit.flop if name == "limit" else 2 * rows * size**2
        rates = [work / time / 1e9 for time in times]
        print(
            f"{rows:5} {size:5} {threads:7} {operand:8} {name:13} {median(rates):9.1f} "
            f"{min(rates):9.1f} {max(rates):9.1f} {median(rates) / ceiling:8.1%}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--type", choices=TYPES, default="f32")
    parser.add_argument("--rows", type=int, nargs="+")
    parser.add_argument("--size", type=int, nargs="+", default=[2048])
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, os.cpu_count()})
    )
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(
        f"{'rows':>5} {'size':>5} {'threads':>7} {'B is':8} {'':13} {'GFLOP/s':>9} {'worst':>9} "
        f"{'best':>9} {'of limit':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for size in options.size:
            for rows in options.rows or [size]:
                for threads in options.threads:
                    for b_is_weight in (True, False):
                        measure(options, size, rows, threads, b_is_weight, Path(folder))


if __name__ == "__main__":
    main()
