# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention to keys and values that are stored otherwise than one row after the other:
shared, of few bits, as what they are made of, in blocks."""

import numpy as np


def shared_prefix(g):
    """Keys that all of a batch begin with, then those of each."""
    p, m, n = g.dim("p", 5), g.dim("m", 37), g.dim("n", 389)
    q, pk, pv = g.input("q", 3, 2, p, 24), g.input("pk", 1, 2, n, 24), g.input("pv", 1, 2, n, 40)
    k, v = g.input("k", 3, 2, m, 24), g.input("v", 3, 2, m, 40)

    def joined(prefix, own, size):
        length = g.column(g.size(prefix, 2), 0)
        shape = g.node("Concat", g.ints(3, 2), length, g.ints(size), axis=0)
        return g.node("Concat", g.node("Expand", prefix, shape), own, axis=2)

    g.output(g.attend(g.scores(q, joined(pk, k, 24), 0.2), joined(pv, v, 40)))


def shared_prefix_merged(g):
    """The same, as two parts with their maximum and sum, merged in the graph."""
    p, m, n = g.dim("p", 5), g.dim("m", 37), g.dim("n", 389)
    q, pk, pv = g.input("q", 3, 2, p, 24), g.input("pk", 1, 2, n, 24), g.input("pv", 1, 2, n, 40)
    k, v, axis = g.input("k", 3, 2, m, 24), g.input("v", 3, 2, m, 40), g.ints(3)
    parts = []
    for keys, values in ((pk, pv), (k, v)):
        scores = g.scores(q, keys, 0.2)
        top = g.node("ReduceMax", scores, axis)
        weights = g.node("Exp", g.node("Sub", scores, top))
        parts.append((top, g.node("ReduceSum", weights, axis), g.node("MatMul", weights, values)))
    top = g.node("Max", parts[0][0], parts[1][0])
    moves = [g.node("Exp", g.node("Sub", part[0], top)) for part in parts]
    sums = [
        g.node("Add", *(g.node("Mul", part[i], move) for part, move in zip(parts, moves)))
        for i in (1, 2)
    ]
    g.output(g.node("Div", sums[1], sums[0]))


def quantized(g, per):
    p, m = g.dim("p", 37), g.dim("m", 389)
    q, parts = g.input("q", 2, p, 24), []
    for name, size in (("k", 24), ("v", 40)):
        codes = g.input(name, 2, m, size, dtype=np.int8,
                        make=lambda s: g.random.integers(-128, 128, s))  # fmt: skip
        if per == "channel":
            scale = g.constant(0.01 + np.random.default_rng(2).random(size) / 50)
            parts.append(g.node("DequantizeLinear", codes, scale, axis=2))
        else:
            scale = g.input(f"{name}_scale", 2, m, 1, make=lambda s: g.random.random(s) / 50)
            parts.append(g.node("Mul", g.node("Cast", codes, to=1), scale))
    keys = g.node("Transpose", parts[0], perm=[0, 2, 1])
    scores = g.node("Mul", g.node("MatMul", q, keys), g.constant(0.2))
    g.output(g.attend(scores, parts[1]))


def kv8_per_channel(g):
    quantized(g, "channel")


def kv8_per_token(g):
    quantized(g, "token")


def kv4_packed(g):
    """Two numbers of four bits to a byte, scaled per token."""
    p, m = g.dim("p", 37), g.dim("m", 389)
    q, parts = g.input("q", 2, p, 24), []
    for name, size in (("k", 24), ("v", 40)):
        codes = g.input(name, 2, m, size // 2, dtype=np.uint8,
                        make=lambda s: g.random.integers(0, 256, s))  # fmt: skip
        low = g.node("BitwiseAnd", codes, g.constant(15, np.uint8))
        high = g.node("BitShift", codes, g.constant(4, np.uint8), direction="RIGHT")
        whole = g.node("Cast", g.node("Concat", low, high, axis=2), to=1)
        scale = g.input(f"{name}_scale", 2, m, 1, make=lambda s: g.random.random(s) / 5)
        parts.append(g.node("Mul", g.node("Sub", whole, g.constant(8.0)), scale))
    keys = g.node("Transpose", parts[0], perm=[0, 2, 1])
    scores = g.node("Mul", g.node("MatMul", q, keys), g.constant(0.2))
    g.output(g.attend(scores, parts[1]))


def rematerialized(g, p):
    """Keys and values are products of codes of 8 bits, scaled per token, and weights."""
    m, random = g.dim("m", 389), np.random.default_rng(3)
    q = g.input("q", 16, 3, p, 16)
    codes = g.input("x", 16, m, 48, dtype=np.int8, make=lambda s: g.random.integers(-128, 128, s))
    scale = g.input("x_scale", 16, m, 1, make=lambda s: g.random.random(s) / 50)
    x = g.node("Mul", g.node("Cast", codes, to=1), scale)

    def heads(size):
        weight = g.constant(random.standard_normal((48, 3 * size)) / 7)
        each = g.node("Reshape", g.node("MatMul", x, weight), g.ints(16, -1, 3, size))
        return g.node("Transpose", each, perm=[0, 2, 1, 3])

    g.output(g.attend(g.scores(q, heads(16), 0.2), heads(20)))


def xquant(g):
    """The cache holds what keys and values are made of; few queries."""
    rematerialized(g, 5)


def xquant_many_queries(g):
    """The same in a prompt: computing keys and values takes less."""
    rematerialized(g, g.dim("p", 389))


def selected_blocks(g, block=16, blocks=8, top=3):
    """NSA: means of blocks choose the blocks of keys that each query looks at."""
    p, length = g.dim("p", 37), block * blocks
    q, k, v = (g.input(*x) for x in (("q", 2, p, 24), ("k", 2, length, 24), ("v", 2, length, 40)))
    parts = g.node("Reshape", k, g.ints(2, blocks, block, 24))
    means = g.node("ReduceMean", parts, g.ints(2), keepdims=0)
    means = g.node("MatMul", q, g.node("Transpose", means, perm=[0, 2, 1]))
    found = g.node("Softmax", means, axis=-1)
    _, chosen = g.node("TopK", found, g.ints(top), outputs=2, axis=-1)
    own = g.constant(np.arange(length) // block, np.int64)
    hit = g.node("Equal", g.node("Unsqueeze", chosen, g.ints(3)), own)
    hits = g.node("ReduceMax", g.node("Cast", hit, to=1), g.ints(2), keepdims=0)
    keep = g.node("Greater", hits, g.constant(0.5))
    scores = g.node("MatMul", q, g.node("Transpose", k, perm=[0, 2, 1]))
    scores = g.node("Mul", scores, g.constant(0.2))
    g.output(g.attend(g.masked(scores, keep), v))


def gathered_blocks(g, block=16, blocks=12, top=3, heads=4):
    """The same for one group of heads, which look at one choice of blocks: these are
    gathered, and no others are looked at."""
    p, shape = g.dim("p", 37), (blocks, block)
    q, k, v = (g.input(*x) for x in (("q", p, heads, 24), ("k", *shape, 24), ("v", *shape, 40)))
    means = g.node("Transpose", g.node("ReduceMean", k, g.ints(1), keepdims=0), perm=[1, 0])
    found = g.node("Softmax", g.node("MatMul", q, means), axis=-1)
    found = g.node("ReduceSum", found, g.ints(1), keepdims=0)
    _, chosen = g.node("TopK", found, g.ints(top), outputs=2, axis=-1)
    keys, values = (
        g.node("Reshape", g.node("Gather", x, chosen, axis=0), g.ints(-1, top * block, size))
        for x, size in ((k, 24), (v, 40))
    )
    scores = g.node("MatMul", q, g.node("Transpose", keys, perm=[0, 2, 1]))
    g.output(g.attend(g.node("Mul", scores, g.constant(0.2)), values))


def paged(g, block=16, pool=24):
    """Keys and values in blocks of a pool, which a table joins."""
    p, count = g.dim("p", 37), g.dim("n", 9)
    q = g.input("q", 2, 2, p, 24)
    table = g.input("table", 2, count, dtype=np.int64,
                    make=lambda s: g.random.integers(0, pool, s))  # fmt: skip
    keys, values = (
        g.node("Reshape", g.node("Transpose", x, perm=[0, 3, 1, 2, 4]), g.ints(2, 2, -1, size))
        for name, size in (("k", 24), ("v", 40))
        for x in (g.node("Gather", g.input(name, pool, block, 2, size), table, axis=0),)
    )
    g.output(g.attend(g.scores(q, keys, 0.2), values))
