# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fused chains, as exporters write them: decomposed, with odd sizes.

Each function writes one graph. Queries are of shape (batch, head, p, e), keys and
values of (batch, head, m, e or f) unless the function says otherwise.
"""

import numpy as np


def qkv(g, heads=2, groups=None, p=37, m=133, e=24, f=40, batch=2, make=None):
    p, m = g.dim("p", p), g.dim("m", m)
    groups = groups or heads
    return (
        g.input("q", batch, heads, p, e, make=make),
        g.input("k", batch, groups, m, e),
        g.input("v", batch, groups, m, f),
    )


def positions(g, q, k):
    """Coordinates of queries, as a column, and of keys; the last ones align."""
    queries, keys = g.size(q, 2), g.size(k, 2)
    offset = g.node("Sub", keys, queries)
    return g.column(g.range(queries, offset)), g.range(keys)


def mha(g):
    q, k, v = qkv(g)
    g.output(g.attend(g.scores(q, k, 0.2), v))


def mqa(g):
    q, k, v = qkv(g, heads=6, groups=1)
    g.output(g.attend(g.scores(q, k, 0.2), v))


def repeat(g, x, times, batch=2, groups=2, size=24):
    """Repeats each head, as Llama's exports do."""
    x5 = g.node("Unsqueeze", x, g.ints(2))
    length = g.column(g.size(x, 2), 0)
    sizes = g.node("Concat", g.ints(batch, groups, times), length, g.ints(size), axis=0)
    shape = g.node("Concat", g.ints(batch, groups * times), length, g.ints(size), axis=0)
    return g.node("Reshape", g.node("Expand", x5, sizes), shape)


def gqa(g):
    q, k, v = qkv(g, heads=6, groups=2)
    g.output(g.attend(g.scores(q, repeat(g, k, 3), 0.2), repeat(g, v, 3, size=40)))


def mla(g):
    """Scores over a latent cache and a rotated part; values are the latent cache."""
    p, m = g.dim("p", 37), g.dim("m", 133)
    latent, rotated = g.input("ql", 2, 4, p, 64), g.input("qr", 2, 4, p, 16)
    c, r = g.input("c", 2, 1, m, 64), g.input("kr", 2, 1, m, 16)
    scores = g.node("Add", g.scores(latent, c), g.scores(rotated, r))
    g.output(g.attend(g.node("Mul", scores, g.constant(0.1)), c))


def mla_concatenated(g):
    """One cache of 80 channels, the leading 64 of which are the values."""
    p, m = g.dim("p", 37), g.dim("m", 133)
    q, c = g.input("q", 2, 4, p, 80), g.input("c", 2, 1, m, 80)
    v = g.node("Slice", c, g.ints(0), g.ints(64), g.ints(3))
    g.output(g.attend(g.scores(q, c, 0.1), v))


def causal(g):
    q, k, v = qkv(g, p=133)
    rows, columns = positions(g, q, k)
    keep = g.node("LessOrEqual", columns, rows)
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def causal_without_heads(g):
    """Matrices, with neither batch nor heads."""
    p, m = g.dim("p", 133), g.dim("m", 133)
    q, k, v = g.input("q", p, 24), g.input("k", m, 24), g.input("v", m, 40)
    rows, columns = g.column(g.range(g.size(q, 0))), g.range(g.size(k, 0))
    scores = g.node("MatMul", q, g.node("Transpose", k, perm=[1, 0]))
    keep = g.node("LessOrEqual", columns, rows)
    g.output(g.attend(g.masked(scores, keep), v))


def sliding_window(g):
    q, k, v = qkv(g, p=133)
    rows, columns = positions(g, q, k)
    distance = g.node("Sub", rows, columns)
    near = g.node("Less", distance, g.constant(16, np.int64))
    past = g.node("GreaterOrEqual", distance, g.constant(0, np.int64))
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), g.node("And", near, past)), v))


def sinks_and_window(g):
    """Lambda-shaped: the first keys, and the last of the past."""
    q, k, v = qkv(g, p=133)
    rows, columns = positions(g, q, k)
    near = g.node("Less", g.node("Sub", rows, columns), g.constant(16, np.int64))
    first = g.node("Less", columns, g.constant(4, np.int64))
    past = g.node("LessOrEqual", columns, rows)
    keep = g.node("And", past, g.node("Or", near, first))
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def neighborhood_1d(g):
    q, k, v = qkv(g, p=133)
    rows, columns = positions(g, q, k)
    distance = g.node("Abs", g.node("Sub", rows, columns))
    keep = g.node("LessOrEqual", distance, g.constant(7, np.int64))
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def neighborhood_2d(g, width=12):
    """Points of a grid whose rows lie one after the other."""
    q, k, v = qkv(g, p=11 * width, m=11 * width)
    rows, columns = positions(g, q, k)
    across = g.constant(width, np.int64)
    keep = None
    for op, kinds in (("Div", {}), ("Mod", {"fmod": 0})):
        ends = [g.node(op, x, across, **kinds) for x in (rows, columns)]
        distance = g.node("Abs", g.node("Sub", *ends))
        near = g.node("LessOrEqual", distance, g.constant(2, np.int64))
        keep = g.node("And", keep, near) if keep else near
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def alibi(g):
    q, k, v = qkv(g, p=133)
    rows, columns = positions(g, q, k)
    distance = g.node("Cast", g.node("Sub", columns, rows), to=1)
    slopes = g.constant(np.reshape([0.5, 0.25], (2, 1, 1)))
    scores = g.node("Add", g.scores(q, k, 0.2), g.node("Mul", slopes, distance))
    keep = g.node("LessOrEqual", columns, rows)
    g.output(g.attend(g.masked(scores, keep), v))


def relative_bias(g):
    """T5: a learned number for each distance, clamped, and each head."""
    q, k, v = qkv(g, p=37)
    rows, columns = positions(g, q, k)
    distance = g.node("Sub", columns, rows)
    bucket = g.node("Clip", distance, g.constant(-15, np.int64), g.constant(16, np.int64))
    bucket = g.node("Add", bucket, g.constant(15, np.int64))
    table = g.constant(np.random.default_rng(1).standard_normal((32, 2)))
    bias = g.node("Transpose", g.node("Gather", table, bucket, axis=0), perm=[2, 0, 1])
    g.output(g.attend(g.node("Add", g.scores(q, k, 0.2), bias), v))


def bias_input(g):
    q, k, v = qkv(g)
    bias = g.input("bias", 2, 1, g.dim("p", 37), g.dim("m", 133))
    g.output(g.attend(g.node("Add", g.scores(q, k, 0.2), bias), v))


def softcap(g):
    q, k, v = qkv(g)
    cap = g.constant(5.0)
    scores = g.node("Tanh", g.node("Div", g.scores(q, k, 0.4), cap))
    g.output(g.attend(g.node("Mul", scores, cap), v))


def learned_sink(g):
    """A column of logits, one for each head, that no value belongs to."""
    q, k, v = qkv(g)
    scores = g.scores(q, k, 0.2)
    shape = g.node("Concat", g.ints(2, 2), g.column(g.size(q, 2), 0), g.ints(1), axis=0)
    sink = g.node("Expand", g.constant(np.reshape([1.5, -0.5], (1, 2, 1, 1))), shape)
    weights = g.node("Softmax", g.node("Concat", scores, sink, axis=-1), axis=-1)
    weights = g.node("Slice", weights, g.ints(0), g.ints(-1), g.ints(3))
    g.output(g.node("MatMul", weights, v))


def sink_as_start(g, sink=(1.5, -0.5)):
    """The same, where the maximum and the sum begin with the sink; with a sink of 0
    this is smooth softmax."""
    q, k, v = qkv(g)
    scores, axis = g.scores(q, k, 0.2), g.ints(3)
    sink = g.constant(np.reshape(sink, (1, 2, 1, 1)))
    top = g.node("Max", g.node("ReduceMax", scores, axis), sink)
    weights = g.node("Exp", g.node("Sub", scores, top))
    total = g.node("ReduceSum", weights, axis)
    total = g.node("Add", total, g.node("Exp", g.node("Sub", sink, top)))
    g.output(g.node("MatMul", g.node("Div", weights, total), v))


def smooth_softmax(g):
    sink_as_start(g, (0.0, 0.0))


def sigmoid(g):
    q, k, v = qkv(g)
    bias = g.constant(-np.log(133))
    weights = g.node("Sigmoid", g.node("Add", g.scores(q, k, 0.2), bias))
    g.output(g.node("MatMul", weights, v))


def positive(g, x):
    """exp(x) below zero, x + 1 above: elu(x) + 1."""
    return g.node("Add", g.node("Elu", x, alpha=1.0), g.constant(1.0))


def linear(g):
    """Linear attention, not causal: keys and values become one small matrix."""
    q, k, v = qkv(g)
    q, k = positive(g, q), positive(g, k)
    state = g.node("MatMul", g.node("Transpose", k, perm=[0, 1, 3, 2]), v)
    total = g.node("ReduceSum", k, g.ints(2))
    total = g.node("MatMul", q, g.node("Transpose", total, perm=[0, 1, 3, 2]))
    g.output(g.node("Div", g.node("MatMul", q, state), total))


def linear_causal(g):
    """The masked form, which adds up all keys for each query."""
    q, k, v = qkv(g, p=133)
    q, k = positive(g, q), positive(g, k)
    rows, columns = positions(g, q, k)
    keep = g.node("Cast", g.node("LessOrEqual", columns, rows), to=1)
    weights = g.node("Mul", g.scores(q, k), keep)
    total = g.node("ReduceSum", weights, g.ints(3))
    g.output(g.node("Div", g.node("MatMul", weights, v), total))


def gated_chunks(g, chunks=4, length=16):
    """Gated linear attention: chunks one after the other, with a state between."""
    parts = (2, chunks * length, 8)
    q, k, v = (g.input(name, *parts) for name in "qkv")
    gates = g.input("g", *parts, make=lambda s: -g.random.random(s))
    keep = g.constant(np.tril(np.ones((length, length))))
    axis, state, results = g.ints(1), None, []
    for c in range(chunks):
        ends = g.ints(c * length), g.ints((c + 1) * length), axis
        cq, ck, cv, cg = (g.node("Slice", x, *ends) for x in (q, k, v, gates))
        decay = g.node("CumSum", cg, g.constant(1, np.int64))
        last = g.node("Slice", decay, g.ints(-1), g.ints(length), axis)
        cq = g.node("Mul", cq, g.node("Exp", decay))
        near = g.node("Mul", ck, g.node("Exp", g.node("Neg", decay)))
        weights = g.node("MatMul", cq, g.node("Transpose", near, perm=[0, 2, 1]))
        result = g.node("MatMul", g.node("Mul", weights, keep), cv)
        far = g.node("Mul", ck, g.node("Exp", g.node("Sub", last, decay)))
        added = g.node("MatMul", g.node("Transpose", far, perm=[0, 2, 1]), cv)
        if state:
            result = g.node("Add", result, g.node("MatMul", cq, state))
            kept = g.node("Transpose", g.node("Exp", last), perm=[0, 2, 1])
            added = g.node("Add", added, g.node("Mul", kept, state))
        state = added
        results.append(result)
    g.output(g.node("Concat", *results, axis=1))


def shared_prefix(g):
    """Keys that all of a batch begin with, then those of each."""
    p, m, n = g.dim("p", 5), g.dim("m", 37), g.dim("n", 133)
    q, pk, pv = g.input("q", 3, 2, p, 24), g.input("pk", 1, 2, n, 24), g.input("pv", 1, 2, n, 40)
    k, v = g.input("k", 3, 2, m, 24), g.input("v", 3, 2, m, 40)

    def joined(prefix, own, size):
        length = g.column(g.size(prefix, 2), 0)
        shape = g.node("Concat", g.ints(3, 2), length, g.ints(size), axis=0)
        return g.node("Concat", g.node("Expand", prefix, shape), own, axis=2)

    g.output(g.attend(g.scores(q, joined(pk, k, 24), 0.2), joined(pv, v, 40)))


def shared_prefix_merged(g):
    """The same, as two parts with their maximum and sum, merged in the graph."""
    p, m, n = g.dim("p", 5), g.dim("m", 37), g.dim("n", 133)
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


def tree_mask(g):
    """Which draft token descends from which: a tensor of truth values."""
    q, k, v = qkv(g)
    keep = g.input("keep", 2, 1, g.dim("p", 37), g.dim("m", 133), dtype=bool,
                   make=lambda s: (g.random.random(s) < 0.3) | (np.arange(s[-1]) == 0))  # fmt: skip
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def long_and_short_heads(g):
    """Two heads look far, four look near."""
    p, m = g.dim("p", 133), g.dim("m", 133)
    q, k, v = (g.input(*x) for x in (("q", 2, 6, p, 24), ("k", 2, 6, m, 24), ("v", 2, 6, m, 40)))
    axis, outs = g.ints(1), []
    for low, high, window in ((0, 2, None), (2, 6, 16)):
        hq, hk, hv = (g.node("Slice", x, g.ints(low), g.ints(high), axis) for x in (q, k, v))
        rows, columns = positions(g, hq, hk)
        keep = g.node("LessOrEqual", columns, rows)
        if window:
            near = g.node("Sub", rows, columns)
            keep = g.node("And", keep, g.node("Less", near, g.constant(window, np.int64)))
        outs.append(g.attend(g.masked(g.scores(hq, hk, 0.2), keep), hv))
    g.output(g.node("Concat", *outs, axis=1))


def column_sums(g):
    """H2O: beside the result, how much each key was looked at."""
    q, k, v = qkv(g)
    weights = g.node("Softmax", g.scores(q, k, 0.2), axis=-1)
    g.output(g.node("MatMul", weights, v), g.node("ReduceSum", weights, g.ints(2), keepdims=0))


def quantized(g, per):
    p, m = g.dim("p", 37), g.dim("m", 133)
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
    p, m = g.dim("p", 37), g.dim("m", 133)
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
    m, random = g.dim("m", 133), np.random.default_rng(3)
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
    rematerialized(g, g.dim("p", 133))


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


# What is no attention.


def rows(g, length=133):
    return g.input("x", 2, g.dim("p", 37), length)


def softmax(g):
    g.output(g.node("Softmax", rows(g), axis=-1))


def layer_norm(g):
    x = rows(g)
    mean = g.node("ReduceMean", x, g.ints(-1))
    centered = g.node("Sub", x, mean)
    variance = g.node("ReduceMean", g.node("Mul", centered, centered), g.ints(-1))
    deviation = g.node("Sqrt", g.node("Add", variance, g.constant(1e-5)))
    scale = g.constant(np.linspace(0.5, 2, 133))
    g.output(g.node("Mul", g.node("Div", centered, deviation), scale))


def rms_norm_gemm(g):
    x = rows(g)
    square = g.node("ReduceMean", g.node("Mul", x, x), g.ints(-1))
    root = g.node("Sqrt", g.node("Add", square, g.constant(1e-5)))
    scaled = g.node("Mul", g.node("Div", x, root), g.constant(np.linspace(0.5, 2, 133)))
    weight = np.random.default_rng(4).standard_normal((133, 40))
    g.output(g.node("MatMul", scaled, g.constant(weight)))


def log_sum_exp(g):
    x, axis = rows(g), g.ints(-1)
    top = g.node("ReduceMax", x, axis)
    total = g.node("ReduceSum", g.node("Exp", g.node("Sub", x, top)), axis)
    g.output(g.node("Add", g.node("Log", total), top))


def cross_entropy(g):
    """Of rows of logits, whose classes are numbers in another input."""
    p = g.dim("p", 37)
    x = g.input("x", p, 133)
    labels = g.input("labels", p, dtype=np.int64, make=lambda s: g.random.integers(0, 133, s))
    logs = g.node("LogSoftmax", x, axis=-1)
    picked = g.node("GatherElements", logs, g.column(labels), axis=1)
    g.output(g.node("Neg", g.node("ReduceMean", picked, g.ints(0, 1), keepdims=0)))


def routing(g):
    """A mixture's weights: softmax over experts, the best of them, and once more."""
    p = g.dim("p", 37)
    x = g.input("x", p, 64)
    weight = g.constant(np.random.default_rng(5).standard_normal((64, 16)))
    best, which = g.node("TopK", g.node("Softmax", g.node("MatMul", x, weight), axis=-1),
                         g.ints(3), outputs=2, axis=-1)  # fmt: skip
    g.output(g.node("Div", best, g.node("ReduceSum", best, g.ints(-1))), which)


def log_sum_exp_operator(g):
    g.output(g.node("ReduceLogSumExp", rows(g), g.ints(-1)))


def layer_norm_operator(g):
    scale, bias = (g.constant(np.linspace(low, 2, 133)) for low in (0.5, -1))
    g.output(g.node("LayerNormalization", rows(g), scale, bias, axis=-1))


def rms_norm_gemm_operator(g):
    scale = g.constant(np.linspace(0.5, 2, 133))
    scaled = g.node("RMSNormalization", rows(g), scale, axis=-1)
    weight = np.random.default_rng(4).standard_normal((133, 40))
    g.output(g.node("MatMul", scaled, g.constant(weight)))
