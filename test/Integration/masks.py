# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Masks of coordinates: which keys each query may look at, and how that is said.

A mask is a function of the coordinates of queries and of keys, and returns truth
values; a way takes scores and truth values, and returns scores.
"""

import numpy as np
from cascades import F32
from variants import positions, qkv

LEAST = np.finfo(np.float32).min


def _number(g, value):
    return g.constant(value, np.int64)


def causal(g, rows, columns):
    return g.node("LessOrEqual", columns, rows)


def strictly_causal(g, rows, columns):
    """The first query may look at nothing."""
    return g.node("Less", columns, rows)


def window(g, rows, columns, size=16):
    distance = g.node("Sub", rows, columns)
    near = g.node("Less", distance, _number(g, size))
    return g.node("And", near, g.node("GreaterOrEqual", distance, _number(g, 0)))


def not_far_nor_later(g, rows, columns):
    """A window, by what is not kept."""
    far = g.node("Greater", g.node("Sub", rows, columns), _number(g, 15))
    return g.node("Not", g.node("Or", far, g.node("Greater", columns, rows)))


def product_of_numbers(g, rows, columns):
    """A window, as a product of ones and zeros."""
    sides = [
        g.node("Cast", keep, to=F32)
        for keep in (
            causal(g, rows, columns),
            g.node("Less", g.node("Sub", rows, columns), _number(g, 16)),
        )
    ]
    return g.node("Cast", g.node("Mul", *sides), to=9)


def sinks(g, rows, columns, first=4, size=16):
    first = g.node("Less", columns, _number(g, first))
    near = g.node("Less", g.node("Sub", rows, columns), _number(g, size))
    return g.node("And", causal(g, rows, columns), g.node("Or", near, first))


def neighborhood(g, rows, columns, reach=7):
    distance = g.node("Abs", g.node("Sub", rows, columns))
    return g.node("LessOrEqual", distance, _number(g, reach))


def grid(g, rows, columns, width=12):
    keep = None
    for op, kinds in (("Div", {}), ("Mod", {"fmod": 0})):
        ends = [g.node(op, x, _number(g, width), **kinds) for x in (rows, columns)]
        distance = g.node("Abs", g.node("Sub", *ends))
        near = g.node("LessOrEqual", distance, _number(g, 2))
        keep = g.node("And", keep, near) if keep else near
    return keep


def blocks(g, rows, columns):
    """Each block of eight sees itself."""
    return g.node("Equal", *(g.node("Div", x, _number(g, 8)) for x in (rows, columns)))


def lengths(g, rows, columns):
    """The keys before a number of them."""
    return g.node("Less", columns, _number(g, 50))


def sparse(g, rows, columns):
    """Every third key: no part of the keys is empty."""
    third = g.node("Mod", columns, _number(g, 3))
    return g.node("Equal", third, _number(g, 0))


MASKS = [causal, strictly_causal, window, not_far_nor_later, product_of_numbers, sinks,
         neighborhood, grid, blocks, lengths, sparse]  # fmt: skip


def added(g, scores, keep):
    return g.masked(scores, keep)


def chosen(g, scores, keep):
    return g.node("Where", keep, scores, g.constant(-np.inf))


def least_added(g, scores, keep):
    return g.masked(scores, keep, LEAST)


def least_chosen(g, scores, keep):
    return g.node("Where", keep, scores, g.constant(LEAST))


def least_multiplied(g, scores, keep):
    """(1 - keep) times the least number, and never below it: older exports."""
    drop = g.node("Sub", g.constant(1.0), g.node("Cast", keep, to=F32))
    scores = g.node("Add", scores, g.node("Mul", drop, g.constant(LEAST)))
    return g.node("Max", scores, g.constant(LEAST))


WAYS = [added, chosen, least_added, least_chosen, least_multiplied]


def masked(mask, way, p=389, m=389, make=None):
    """Attention with that mask."""

    def write(g):
        q, k, v = qkv(g, p=p, m=m, make=make)
        keep = mask(g, *positions(g, q, k))
        g.output(g.attend(way(g, g.scores(q, k, 0.2), keep), v))

    return write


# What becomes of rows that a mask, an input of the graph, leaves nothing of.


def _attend(g, q, k, v, keep, *least):
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep, *least), v))


def nan_if_empty(g, q, k, v, keep):
    _attend(g, q, k, v, keep)


def mean_if_empty(g, q, k, v, keep):
    """Minus the largest number absorbs the scores: all keys count alike."""
    _attend(g, q, k, v, keep, LEAST)


def zero_if_empty(g, q, k, v, keep):
    weights = g.node("Softmax", g.masked(g.scores(q, k, 0.2), keep), axis=-1)
    weights = g.node("Where", g.node("IsNaN", weights), g.constant(0.0), weights)
    g.output(g.node("MatMul", weights, v))


def zero_by_operator(g, q, k, v, keep):
    g.output(g.node("Attention", q, k, v, keep))


EMPTY_ROWS = [nan_if_empty, mean_if_empty, zero_if_empty, zero_by_operator]
