#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Softmax and normalization of rows beside ONNX Runtime and a plain copy.

    .venv/bin/python benchmarks/rows.py [--op softmax layernorm rmsnorm]
        [--length 64 1024] [--elements 131072 1048576] [--threads 1 2]
        [--dynamic] [--clock wall|cpu]

So many f32 in all, in rows of different lengths: as many as lie in a core's own cache
with what becomes of them, and more. The limit is a copy of them. Times are the best of
all rounds.
"""

import argparse
import itertools
import os
import tempfile
from pathlib import Path

import lutra
import numpy as np
from harness import (
    SUMMARY,
    MemoryLimit,
    add_turn_options,
    aligned,
    check_turn_options,
    onnx_runtime,
    summary,
    take_turns,
    typical,
)
from onnx import TensorProto, helper, numpy_helper, save

ELEMENTS = [1 << 17, 1 << 20]
LENGTHS = [64 << step for step in range(9)]
EPSILON = 1e-5
# Elements that go through runs of a round.
WORK = 1 << 24


def softmax(x):
    shares = np.exp(x - x.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def layer_norm(x, scale, bias):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * scale + bias


def rms_norm(x, scale):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * scale


# What computes it in f64; the operator, its set, weights and attributes.
OPS = {
    "softmax": (softmax, "Softmax", 13, [], {}),
    "layernorm": (
        layer_norm, "LayerNormalization", 17, ["scale", "bias"], {"epsilon": EPSILON},
    ),
    "rmsnorm": (rms_norm, "RMSNormalization", 23, ["scale"], {"epsilon": EPSILON}),
}  # fmt: skip


def make_inputs(elements, length, names):
    random = np.random.default_rng(1)
    x = aligned((elements // length, length), np.float32)
    x[...] = random.standard_normal(x.shape, np.float32)
    return x, [random.standard_normal(length, np.float32) for _ in names]


def make_model(path, op, elements, length, weights, dynamic):
    _, name, opset, names, attributes = OPS[op]
    shape = ["rows" if dynamic else elements // length, length]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    node = helper.make_node(name, ["x", *names], ["y"], op, axis=-1, **attributes)
    constants = [numpy_helper.from_array(*each) for each in zip(weights, names)]
    graph = helper.make_graph([node], op, [x], [y], constants)
    opset = helper.make_opsetid("", opset)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)


def measure(op, elements, length, threads, artifact, path, options):
    x, weights = make_inputs(elements, length, OPS[op][3])
    times = max(1, WORK // elements)
    ours = lutra.load(artifact, threads=threads)
    theirs = onnx_runtime(path, threads)
    expected = OPS[op][0](x.astype(np.float64), *weights)
    for output in ours(x)["y"], theirs.run(None, {"x": x})[0]:
        np.testing.assert_allclose(output, expected, options.tolerance, options.tolerance)

    turns = {
        "Lutra": typical([lambda: ours(x)] * times, options.clock),
        "ONNX Runtime": typical([lambda: theirs.run(None, {"x": x})] * times, options.clock),
        "copy": MemoryLimit(threads, x, aligned(x.shape, x.dtype), times),
    }
    seconds = take_turns(turns, options.rounds, clock=options.clock)
    best = {name: min(times) for name, times in seconds.items()}
    best["copy"] /= times
    speedup, share = best["ONNX Runtime"] / best["Lutra"], best["copy"] / best["Lutra"]
    print(
        f"{op:10} {elements:8} {length:6} {threads:7} {best['copy'] * 1e3:9.3f} "
        f"{best['Lutra'] * 1e3:9.3f} {share:8.0%} {best['ONNX Runtime'] * 1e3:9.3f} "
        f"{speedup:8.2f}",
        flush=True,
    )
    return speedup, share


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--op", nargs="+", choices=OPS, default=list(OPS))
    parser.add_argument("--length", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--elements", type=int, nargs="+", default=ELEMENTS)
    add_turn_options(parser, rounds=15)
    parser.add_argument("--dynamic", action="store_true", help="any number of rows")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    check_turn_options(parser, options)

    print(f"load {os.getloadavg()[0]:.2f} before")
    print("op         elements length threads copy (ms)     Lutra of limit       ORT  speedup")
    results = {}
    cases = itertools.product(options.op, options.elements, options.length)
    for op, elements, length in cases:
        with tempfile.TemporaryDirectory() as folder:
            path, artifact = Path(folder) / "rows.onnx", Path(folder) / "rows.so"
            _, weights = make_inputs(elements, length, OPS[op][3])
            make_model(path, op, elements, length, weights, options.dynamic)
            lutra.compile(path, artifact, mcpu="native")
            for threads in options.threads:
                result = measure(op, elements, length, threads, artifact, path, options)
                results.setdefault((op, elements, threads), []).append(result)
    print(f"\n{SUMMARY}")
    for (op, elements, threads), pairs in results.items():
        print(summary(f"{op}, {elements}, {threads} thr.", *zip(*pairs)))
    everything = itertools.chain(*results.values())
    print(summary("all", *zip(*everything)))


if __name__ == "__main__":
    main()
