# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chains of products that are no plain attention: weights without a softmax, and
keys and values of few bits.

    python benchmarks/chains.py [CHAIN...] [--before COMPILER]

Each is compiled by the `lutra-compile` on the PATH and, with --before, by another
one, and both run in turns. Queries are 512 of as many keys, and one of 4096, in
8 heads of 64; with one query everybody goes round copies of keys and values of
128 MiB in all, so that they come from DRAM.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import add_turn_options, aligned, check_turn_options, median, take_turns, typical

import lutra

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test" / "Integration"))
from cascades import Graph  # noqa: E402

HEADS, DEPTH = 8, 64
SIZES = [(512, 512), (2048, 2048), (1, 4096)]
COLD = 128 << 20  # bytes
BUDGET = 20  # seconds


def scores(g, q, k):
    keys = g.node("Transpose", k, perm=[0, 2, 1])
    return g.node("Mul", g.node("MatMul", q, keys), g.constant(DEPTH**-0.5))


def plain(g, p, m):
    return (g.input(name, HEADS, size, DEPTH) for name, size in zip("qkv", (p, m, m)))


def softmax(g, p, m):
    q, k, v = plain(g, p, m)
    g.output(g.attend(scores(g, q, k), v))


def sigmoid(g, p, m):
    q, k, v = plain(g, p, m)
    weights = g.node("Sigmoid", g.node("Add", scores(g, q, k), g.constant(-np.log(m))))
    g.output(g.node("MatMul", weights, v))


def causal(g, p, m):
    """Linear attention in its masked form."""
    q, k, v = plain(g, p, m)
    rows, columns = g.column(g.range(g.size(q, 1), m - p)), g.range(g.size(k, 1))
    keep = g.node("Cast", g.node("LessOrEqual", columns, rows), to=1)
    weights = g.node("Mul", scores(g, q, k), keep)
    g.output(g.node("MatMul", weights, v))


def layers(g, p, m):
    """Two products by weights with an activation between them."""
    random = np.random.default_rng(1)
    x = g.input("x", HEADS * p, DEPTH)
    into, out = (g.constant(random.standard_normal(s) / 8) for s in ((DEPTH, 256), (256, DEPTH)))
    g.output(g.node("MatMul", g.node("Relu", g.node("MatMul", x, into)), out))


def narrow(g, name, m, per):
    def codes(shape):
        return g.random.integers(-128, 128, shape)

    if per == "channel":
        scale = g.constant(np.linspace(0.01, 0.02, DEPTH))
        return g.node(
            "DequantizeLinear", g.input(name, HEADS, m, DEPTH, dtype=np.int8, make=codes),
            scale, axis=2)  # fmt: skip
    scale = g.input(f"{name}_scale", HEADS, m, 1, make=lambda s: g.random.random(s) / 50)
    if per == "token":
        whole = g.node("Cast", g.input(name, HEADS, m, DEPTH, dtype=np.int8, make=codes), to=1)
        return g.node("Mul", whole, scale)
    packed = g.input(name, HEADS, m, DEPTH // 2, dtype=np.uint8,
                     make=lambda s: g.random.integers(0, 256, s))  # fmt: skip
    low = g.node("BitwiseAnd", packed, g.constant(15, np.uint8))
    high = g.node("BitShift", packed, g.constant(4, np.uint8), direction="RIGHT")
    whole = g.node("Cast", g.node("Concat", low, high, axis=2), to=1)
    return g.node("Mul", g.node("Sub", whole, g.constant(8.0)), scale)


def quantized(per):
    def write(g, p, m):
        q = g.input("q", HEADS, p, DEPTH)
        g.output(g.attend(scores(g, q, narrow(g, "k", m, per)), narrow(g, "v", m, per)))

    return write


CHAINS = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "causal": causal,
    "layers": layers,
    "kv8_per_channel": quantized("channel"),
    "kv8_per_token": quantized("token"),
    "kv4_packed": quantized("packed"),
}


def build(graph, compiler, folder, number, threads):
    path, artifact = folder / "chain.onnx", folder / f"chain{number}.so"
    path.write_bytes(graph.model().SerializeToString())
    subprocess.run([compiler, path, "-o", artifact], check=True)
    return lutra.load(artifact, threads)


def inputs(graph, few):
    """The arrays of one run, or of as many as come from DRAM."""
    first = graph.arrays({})
    size = sum(array.nbytes for array in first.values())
    copies = []
    for _ in range(-(-COLD // size) if few else 1):
        copy = {}
        for name, array in first.items():
            copy[name] = aligned(array.shape, array.dtype)
            copy[name][...] = array
        copies.append(copy)
    return copies


def measure(name, p, m, threads, options, folder):
    graph = Graph()
    CHAINS[name](graph, p, m)
    compilers = [*options.before, "lutra-compile"]
    models = [build(graph, c, folder, i, threads) for i, c in enumerate(compilers)]
    arrays = inputs(graph, p == 1)

    def way(model):
        turns = itertools.cycle(arrays)
        return [lambda: model(next(turns))] * max(len(arrays), 5)

    first = [next(iter(model(arrays[0]).values())) for model in models]
    assert all(np.allclose(first[-1], other, 1e-3, 1e-4) for other in first), name
    ways = {str(i): typical(way(model), options.clock) for i, model in enumerate(models)}
    seconds = take_turns(ways, options.rounds, 1, BUDGET, options.clock)
    *before, ours = seconds.values()
    line = f"{name:16} {threads:7} {p:5} {m:5}"
    for other in before:
        gain = median([b / a for a, b in zip(ours, other)])
        line += f"  {1e3 * min(other):9.3f} ms {gain:6.2f}x"
    print(f"{line}  {1e3 * min(ours):9.3f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chains", nargs="*", metavar="CHAIN", default=list(CHAINS))
    parser.add_argument("--before", action="append", default=[], metavar="COMPILER")
    add_turn_options(parser, rounds=9)
    options = parser.parse_args()
    check_turn_options(parser, options)
    with tempfile.TemporaryDirectory() as folder:
        cases = itertools.product(options.chains, SIZES, options.threads)
        for name, (p, m), threads in cases:
            measure(name, p, m, threads, options, Path(folder))


if __name__ == "__main__":
    main()
