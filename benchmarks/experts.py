#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixtures of experts beside ONNX Runtime, with weights of 2, 4, 8 and 32 bits.

    .venv/bin/python benchmarks/experts.py [--bits 4 32] [--tokens 1 128]
        [--block 0 32] [--shape 1024x2048] [--experts 16] [--k 2] [--accuracy 4]
        [--dynamic] [--threads 1 2] [--clock wall|cpu] [--mcpu CPU]

QMoE, and of 32 bits MoE, with silu. Blocks are codes that share a scale, 0 for whole
rows. We multiply f32 as it is, unless --accuracy 4 lets it be rounded to bytes; ONNX
Runtime rounds it for blocks of 2 and 8 bits in any case. A limit is the longer of two times: a
plain read of the weights that tokens chose, and as many multiply-adds in f32 from
registers as there are. Times are the best of all rounds.
"""

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import lutra
import numpy as np
from harness import (
    SUMMARY,
    FmaLimit,
    MemoryLimit,
    Peak,
    add_turn_options,
    aligned,
    check_turn_options,
    onnx_runtime,
    summary,
    take_turns,
)
from onnx import helper, numpy_helper, save

READ_BYTES = 64 << 20


class Case(NamedTuple):
    bits: int
    block: int
    tokens: int
    hidden: int
    inter: int
    experts: int
    k: int
    accuracy: int = 0


def layer(case, columns, depth, random):
    """Weights and, of codes, scales, named by what they are; and what they stand for."""
    shape = (case.experts, columns, depth)
    if case.bits == 32:
        weights = random.standard_normal(shape, np.float32) / np.float32(depth**0.5)
        return {"weights": weights}, weights
    codes = random.integers(0, 1 << case.bits, shape, np.uint8)
    blocks = depth // (case.block or depth)
    scales = random.uniform(0.5, 1, (case.experts, columns, blocks)).astype(np.float32)
    scales /= (1 << (case.bits - 1)) * depth**0.5
    per_byte = 8 // case.bits
    parts = codes.reshape(*shape[:2], -1, per_byte) << (case.bits * np.arange(per_byte, dtype=np.uint8))
    weights = codes.astype(np.float32) - np.float32(1 << (case.bits - 1))
    weights *= np.repeat(scales, depth // blocks, -1)
    packed = np.bitwise_or.reduce(parts, -1)
    return {"weights": packed, "scales": scales if case.block else scales[..., 0]}, weights


class Data:
    """The model of a case in a file, what it is given, and what it should give."""

    def __init__(self, case, folder, dynamic):
        random = np.random.default_rng(1)
        self.case, self.path = case, Path(folder) / "experts.onnx"
        fc1, first = layer(case, case.inter, case.hidden, random)
        fc2, second = layer(case, case.hidden, case.inter, random)
        self.inputs = {
            "x": random.standard_normal((case.tokens, case.hidden), np.float32),
            "logits": random.standard_normal((case.tokens, case.experts), np.float32),
        }
        self.chosen = np.argsort(-self.inputs["logits"], -1)[:, : case.k]
        used = len(np.unique(self.chosen))
        each = sum(array[0].nbytes for fc in (fc1, fc2) for array in fc.values())
        self.bytes = used * each
        self.flop = 2 * case.tokens * case.k * 2 * case.hidden * case.inter
        self.save(fc1, fc2, dynamic)
        self.expect(first, second)

    def save(self, fc1, fc2, dynamic):
        case, names, constants = self.case, list(self.inputs), []
        for name, arrays in ("fc1", fc1), ("fc2", fc2):
            for part, array in arrays.items():
                names.append(f"{name}{part}")
                constants.append(numpy_helper.from_array(array, names[-1]))
            names.append("")  # A bias.
        attributes = {"k": case.k, "activation_type": "silu", "normalize_routing_weights": 1}
        if case.bits != 32:
            attributes["expert_weight_bits"] = case.bits
            attributes.update({"block_size": case.block} if case.block else {})
            attributes.update({"accuracy_level": case.accuracy} if case.accuracy else {})
        rows = "tokens" if dynamic else case.tokens

        def info(name, columns):
            return helper.make_tensor_value_info(name, 1, [rows, columns])

        node = helper.make_node("MoE" if case.bits == 32 else "QMoE", names[:-1], ["y"], "experts",
                                domain="com.microsoft", **attributes)  # fmt: skip
        graph = helper.make_graph(
            [node], "g", [info("x", case.hidden), info("logits", case.experts)],
            [info("y", case.hidden)], constants,
        )  # fmt: skip
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        save(helper.make_model(graph, opset_imports=imports, ir_version=8), self.path)

    def expect(self, first, second):
        """What the first token should give."""
        x, experts = self.inputs["x"][0].astype(np.float64), self.chosen[0]
        shares = np.exp(self.inputs["logits"][0, experts].astype(np.float64))
        self.expected = np.zeros(self.case.hidden)
        for expert, share in zip(experts, shares / shares.sum()):
            units = first[expert] @ x
            self.expected += share * (second[expert] @ (units / (1 + np.exp(-units))))

    def error(self, result):
        return np.abs(result[0] - self.expected).max() / np.abs(self.expected).max()


def measure(data, artifact, threads, options):
    ours, theirs = lutra.load(artifact, threads=threads), onnx_runtime(data.path, threads)
    runs = {
        "Lutra": lambda: ours(data.inputs)["y"],
        "ONNX Runtime": lambda: theirs.run(None, data.inputs)[0],
    }
    rounded, exact = 3e-2, 1e-4
    tolerances = {"Lutra": rounded if data.case.accuracy == 4 else exact, "ONNX Runtime": rounded}
    wrong = [f"{who}: error {error:.1e}" for who, run in runs.items()
             if not (error := data.error(run())) < tolerances[who]]  # fmt: skip
    weights = aligned((data.bytes // 512 * 512,), "u1")
    weights[...] = 1
    read = MemoryLimit(threads, weights, times=max(1, READ_BYTES // weights.nbytes))
    fma = Peak.of(FmaLimit, threads, options.clock)
    # A round with one token is short.
    times = 1 if data.case.tokens > 16 else 20

    def repeated(run):
        return lambda: [run() for _ in range(times)]

    turns = {who: repeated(run) for who, run in runs.items()}
    turns.update(read=read, fma=fma)
    seconds = take_turns(turns, options.rounds, 1, clock=options.clock)
    best = {who: min(seconds[who]) / times for who in runs}
    limit = max(min(seconds["read"]) / read.bytes * data.bytes, data.flop / fma.rate)
    speedup, share = best["ONNX Runtime"] / best["Lutra"], limit / best["Lutra"]
    print(
        f"{data.case.bits:4} {data.case.block:5} {data.case.tokens:6} {threads:7} {limit * 1e3:10.3f} "
        f"{best['Lutra'] * 1e3:9.3f} {share:8.0%} {best['ONNX Runtime'] * 1e3:9.3f} {speedup:8.2f}",
        *wrong, flush=True,
    )  # fmt: skip
    return speedup, share, wrong


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bits", type=int, nargs="+", choices=(2, 4, 8, 32), default=[2, 4, 8, 32])
    parser.add_argument("--block", type=int, nargs="+", default=[0, 32])
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 128, 512])
    parser.add_argument("--shape", default="1024x2048", help="of a token by the units of an expert")
    parser.add_argument("--experts", type=int, default=16)
    parser.add_argument("--k", type=int, default=2)
    parser.add_argument("--accuracy", type=int, default=0, help="accuracy_level of QMoE")
    parser.add_argument("--dynamic", action="store_true", help="any number of tokens")
    parser.add_argument("--mcpu", default="native")
    add_turn_options(parser, rounds=7)
    options = parser.parse_args()
    check_turn_options(parser, options)

    print(f"load {os.getloadavg()[0]:.2f} before")
    print("bits block tokens threads limit (ms)     Lutra of limit       ORT  speedup")
    hidden, inter = map(int, options.shape.split("x"))
    results = []
    for bits, block, tokens in itertools.product(options.bits, options.block, options.tokens):
        if bits == 32 and block != options.block[0]:
            continue
        case = Case(bits, block, tokens, hidden, inter, options.experts, options.k, options.accuracy)
        with tempfile.TemporaryDirectory() as folder:
            data = Data(case, folder, options.dynamic)
            artifact = data.path.with_suffix(".so")
            lutra.compile(data.path, artifact, mcpu=options.mcpu)
            results += [measure(data, artifact, threads, options) for threads in options.threads]
    speedups, shares, wrong = zip(*results)
    print(f"\n{SUMMARY}\n{summary('all', speedups, shares)}")
    sys.exit(any(wrong))


if __name__ == "__main__":
    main()
