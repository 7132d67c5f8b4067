# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One attention in the forms in which exporters write it down."""

import numpy as np
from cascades import F32
from variants import positions, qkv

BATCH, HEADS, SIZE = 2, 3, 24


def eager(g):
    """Heads taken out of the last axis, a mask added, softmax between casts."""
    p, m = g.dim("p", 37), g.dim("m", 389)
    split, parts = g.ints(0, 0, HEADS, SIZE), []
    for name, length, order in (("q", p, 1), ("k", m, 3), ("v", m, 1)):
        x = g.node("Reshape", g.input(name, BATCH, length, HEADS * SIZE), split)
        parts.append(g.node("Transpose", x, perm=[0, 2, 1, 3] if order == 1 else [0, 2, 3, 1]))
    q, k, v = parts
    bias = g.input("mask", BATCH, 1, p, m, make=lambda s: -1e4 * (g.random.random(s) < 0.2))
    scores = g.node("Div", g.node("MatMul", q, k), g.constant(np.sqrt(SIZE)))
    scores = g.node("Cast", g.node("Add", scores, bias), to=F32)
    weights = g.node("Cast", g.node("Softmax", scores, axis=-1), to=F32)
    result = g.node("Transpose", g.node("MatMul", weights, v), perm=[0, 2, 1, 3])
    g.output(g.node("Reshape", result, g.ints(0, 0, HEADS * SIZE)))


def sdpa(g, guard=False):
    """Half of the scale on both sides, computed from the shape of the queries."""
    q, k, v = qkv(g, HEADS, e=SIZE)
    keep = g.input("keep", BATCH, 1, g.dim("p", 37), g.dim("m", 389), dtype=bool,
                   make=lambda s: g.random.random(s) < (0.01 if guard else 0.5))  # fmt: skip
    width = g.node("Slice", g.node("Shape", q), g.ints(-1), g.ints(2**63 - 1))
    root = g.node("Sqrt", g.node("Cast", width, to=F32))
    half = g.node("Sqrt", g.node("Div", g.constant([1.0]), root))
    keys = g.node("Mul", g.node("Transpose", k, perm=[0, 1, 3, 2]), half)
    scores = g.masked(g.node("MatMul", g.node("Mul", q, half), keys), keep)
    weights = g.node("Softmax", scores, axis=-1)
    if guard:
        weights = g.node("Where", g.node("IsNaN", weights), g.constant(0.0), weights)
    g.output(g.node("MatMul", weights, v))


def sdpa_guarded(g):
    sdpa(g, guard=True)


def square_of_ones(g, q, k):
    queries, keys = (g.column(g.size(x, 2), 0) for x in (q, k))
    shape = g.node("Concat", queries, keys, axis=0)
    return g.node("Expand", g.constant(1.0), shape)


def causal_by_triangle(g):
    """A triangle cut out of ones: torch.tril."""
    q, k, v = qkv(g, HEADS, p=389)
    keep = g.node("Cast", g.node("Trilu", square_of_ones(g, q, k), upper=0), to=9)
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))


def causal_by_minimum(g):
    """The least number in place of -inf, above the diagonal: Hugging Face's."""
    q, k, v = qkv(g, HEADS, p=389)
    least = g.constant(np.finfo(np.float32).min)
    full = g.node("Mul", square_of_ones(g, q, k), least)
    bias = g.node("Trilu", full, g.constant(1, np.int64), upper=1)
    g.output(g.attend(g.node("Add", g.scores(q, k, 0.2), bias), v))


def causal_by_range(g):
    """A comparison of coordinates, and a Where of the scores themselves."""
    q, k, v = qkv(g, HEADS, p=389)
    rows, columns = positions(g, q, k)
    later = g.node("Greater", columns, rows)
    scores = g.node("Where", later, g.constant(-np.inf), g.scores(q, k, 0.2))
    g.output(g.attend(scores, v))


def causal_by_scatter(g):
    """A mask of a static length that ScatterND has written into."""
    g.dynamic = False
    q, k, v = qkv(g, HEADS, p=389)
    full = g.constant(np.full((389, 389), -np.inf))
    where = g.constant(np.argwhere(np.tril(np.ones((389, 389)))), np.int64)
    zeros = g.constant(np.zeros(389 * 390 // 2))
    bias = g.node("ScatterND", full, where, zeros)
    g.output(g.attend(g.node("Add", g.scores(q, k, 0.2), bias), v))


def joined_cache(g):
    """New keys and values behind those of the past; both are results, too."""
    s, past = g.dim("s", 5), g.dim("past", 128)
    q, k, v = (g.input(name, BATCH, HEADS, s, SIZE) for name in "qkv")
    pk, pv = (g.input(name, BATCH, HEADS, past, SIZE) for name in ("pk", "pv"))
    keys, values = (g.node("Concat", *x, axis=2) for x in ((pk, k), (pv, v)))
    rows, columns = positions(g, q, keys)
    keep = g.node("LessOrEqual", columns, rows)
    result = g.attend(g.masked(g.scores(q, keys, 0.2), keep), values)
    g.output(result, keys, values)


def attention(g):
    """One node. It has the heads of GQA and aligns the last query with the last key."""
    q, k, v = qkv(g, heads=6, groups=2, p=37, e=SIZE, f=SIZE)
    g.output(g.node("Attention", q, k, v, is_causal=1))


def packed(g):
    """One product for queries, keys and values, split afterwards."""
    p = g.dim("p", 37)
    x = g.input("x", BATCH, p, 32)
    random = np.random.default_rng(6)
    weight = g.constant(random.standard_normal((32, 3 * HEADS * SIZE)) / 6)
    bias = g.constant(random.standard_normal(3 * HEADS * SIZE))
    whole = g.node("Add", g.node("MatMul", x, weight), bias)
    thirds = g.node("Split", whole, g.ints(*[HEADS * SIZE] * 3), outputs=3, axis=2)
    q, k, v = (
        g.node("Transpose", g.node("Reshape", third, g.ints(0, 0, HEADS, SIZE)), perm=perm)
        for third, perm in zip(thirds, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    )
    weights = g.node("Softmax", g.node("Mul", g.node("MatMul", q, k), g.constant(0.2)), axis=-1)
    result = g.node("Transpose", g.node("MatMul", weights, v), perm=[0, 2, 1, 3])
    g.output(g.node("Reshape", result, g.ints(0, 0, HEADS * SIZE)))
