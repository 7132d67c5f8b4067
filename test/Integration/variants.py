# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention in its variants, as exporters write it: decomposed, with odd sizes.

Each function writes one graph. Queries are of shape (batch, head, p, e), keys and
values of (batch, head, m, e or f) unless the function says otherwise.
"""

import numpy as np


def qkv(g, heads=2, groups=None, p=37, m=389, e=24, f=40, batch=2, make=None):
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
    p, m = g.dim("p", 37), g.dim("m", 389)
    latent, rotated = g.input("ql", 2, 4, p, 64), g.input("qr", 2, 4, p, 16)
    c, r = g.input("c", 2, 1, m, 64), g.input("kr", 2, 1, m, 16)
    scores = g.node("Add", g.scores(latent, c), g.scores(rotated, r))
    g.output(g.attend(g.node("Mul", scores, g.constant(0.1)), c))


def mla_concatenated(g):
    """One cache of 80 channels, the leading 64 of which are the values."""
    p, m = g.dim("p", 37), g.dim("m", 389)
    q, c = g.input("q", 2, 4, p, 80), g.input("c", 2, 1, m, 80)
    v = g.node("Slice", c, g.ints(0), g.ints(64), g.ints(3))
    g.output(g.attend(g.scores(q, c, 0.1), v))


def causal(g):
    q, k, v = qkv(g, p=389)
    rows, columns = positions(g, q, k)
    keep = g.node("LessOrEqual", columns, rows)
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def causal_without_heads(g):
    """Matrices, with neither batch nor heads."""
    p, m = g.dim("p", 389), g.dim("m", 389)
    q, k, v = g.input("q", p, 24), g.input("k", m, 24), g.input("v", m, 40)
    rows, columns = g.column(g.range(g.size(q, 0))), g.range(g.size(k, 0))
    scores = g.node("MatMul", q, g.node("Transpose", k, perm=[1, 0]))
    keep = g.node("LessOrEqual", columns, rows)
    g.output(g.attend(g.masked(scores, keep), v))


def sliding_window(g):
    q, k, v = qkv(g, p=389)
    rows, columns = positions(g, q, k)
    distance = g.node("Sub", rows, columns)
    near = g.node("Less", distance, g.constant(16, np.int64))
    past = g.node("GreaterOrEqual", distance, g.constant(0, np.int64))
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), g.node("And", near, past)), v))


def sinks_and_window(g):
    """Lambda-shaped: the first keys, and the last of the past."""
    q, k, v = qkv(g, p=389)
    rows, columns = positions(g, q, k)
    near = g.node("Less", g.node("Sub", rows, columns), g.constant(16, np.int64))
    first = g.node("Less", columns, g.constant(4, np.int64))
    past = g.node("LessOrEqual", columns, rows)
    keep = g.node("And", past, g.node("Or", near, first))
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def neighborhood_1d(g):
    q, k, v = qkv(g, p=389)
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
    q, k, v = qkv(g, p=389)
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
    bias = g.input("bias", 2, 1, g.dim("p", 37), g.dim("m", 389))
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
    bias = g.constant(-np.log(389))
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
    q, k, v = qkv(g, p=389)
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


def tree_mask(g):
    """Which draft token descends from which: a tensor of truth values."""
    q, k, v = qkv(g)
    keep = g.input("keep", 2, 1, g.dim("p", 37), g.dim("m", 389), dtype=bool,
                   make=lambda s: (g.random.random(s) < 0.3) | (np.arange(s[-1]) == 0))  # fmt: skip
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def long_and_short_heads(g):
    """Two heads look far, four look near."""
    p, m = g.dim("p", 389), g.dim("m", 389)
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
