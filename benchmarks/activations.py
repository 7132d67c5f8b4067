#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Activations with a static scale beside those with one for each group of a row.

    .venv/bin/python benchmarks/activations.py [FORMAT..] [--rows M...] [--threads 1]

Two products with a Relu between them, K x 4K and 4K x K, as transformers have them,
one 3 x 3 convolution behind another, and both with a8 and with a8s. Times are medians
of rounds in turns of 20 runs each.
"""

import argparse
import tempfile
from pathlib import Path

import lutra
import numpy as np
from harness import add_turn_options, check_turn_options, median, take_turns, typical
from onnx import TensorProto, helper, numpy_helper, save

K, CHANNELS, SIDE = 1024, 128, 28


def model(path, op, weights, x, y):
    nodes = [
        helper.make_node(op, ["x", "a"], ["p"], "first", **attributes(op)),
        helper.make_node("Relu", ["p"], ["h"], "relu"),
        helper.make_node(op, ["h", "b"], ["y"], "second", **attributes(op)),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        [numpy_helper.from_array(w, name) for w, name in zip(weights, "ab", strict=True)],
    )  # fmt: skip
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)


def attributes(op):
    return {"pads": [1, 1, 1, 1]} if op == "Conv" else {}


def compiled(path, rule, samples, threads):
    calibrate = {"x": samples} if rule.endswith("a8s") else None
    return lutra.compile(path, quantize=rule, calibrate=calibrate, threads=threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", default=["int8:row", "int8", "int4"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 128])
    add_turn_options(parser, rounds=9)
    options = parser.parse_args()
    check_turn_options(parser, options)
    random = np.random.default_rng(0)

    def normal(*shape):
        return random.standard_normal(shape, np.float32) / np.float32(np.prod(shape[1:]) ** 0.5)

    with tempfile.TemporaryDirectory() as folder:
        dense, images = Path(folder, "dense.onnx"), Path(folder, "images.onnx")
        model(dense, "MatMul", [normal(K, 4 * K), normal(4 * K, K)], ["batch", K], ["batch", K])
        kernels = [normal(CHANNELS, CHANNELS, 3, 3) for _ in range(2)]
        shape = [1, CHANNELS, SIDE, SIDE]
        model(images, "Conv", kernels, shape, shape)
        image = random.standard_normal(shape, np.float32)
        rows = [random.standard_normal((m, K), np.float32) for m in options.rows]
        cases = [(dense, [(f"{len(x)} rows", x) for x in rows]), (images, [("convolutions", image)])]
        print(f"{'format':12}{'':16}{'a8':>10}{'a8s':>10}{'ratio':>8}")
        for threads in options.threads:
            for name in options.formats:
                for path, inputs in cases:
                    models = {
                        rule: compiled(path, f"{name}:{rule}", inputs[-1][1], threads)
                        for rule in ("a8", "a8s")
                    }
                    for label, x in inputs:
                        runs = {
                            rule: typical([lambda run=run, x=x: run({"x": x})] * 20, options.clock)
                            for rule, run in models.items()
                        }
                        seconds = take_turns(runs, options.rounds)
                        a, b = (median(seconds[rule]) for rule in runs)
                        print(f"{name:12}{label:16}{1e6 * a:>7.0f} µs{1e6 * b:>7.0f} µs{b / a:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
