# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is wanted along the keys and along the queries: computed for each, or kept."""

import json

import lutra
import numpy as np
import pytest
import variants
from cascades import Graph, check, sizes

AGAIN = "D compute again for sum[m] what is along p"


def summed(g, p=37, m=133, e=24, mask=None, op="ReduceSum", whole=False, quiet=False):
    """An attention, and how much each key was looked at."""
    p, m = g.dim("p", p), g.dim("m", m)
    q, k, v = g.input("q", 2, 2, p, e), g.input("k", 2, 2, m, e), g.input("v", 2, 2, m, 40)
    scores = g.scores(q, k, 0.2)
    if mask == "causal":
        rows, columns = variants.positions(g, q, k)
        scores = g.masked(scores, g.node("LessOrEqual", columns, rows))
    elif mask == "least":
        rows, columns = variants.positions(g, q, k)
        keep = g.node("LessOrEqual", columns, rows)
        scores = g.masked(scores, keep, np.finfo(np.float32).min)
    elif mask == "bias":
        scores = g.node("Add", scores, g.input("bias", 2, 1, p, m))
    elif mask == "boolean":
        keep = g.input("keep", 2, 1, p, m, dtype=bool,
                       make=lambda s: (g.random.random(s) < 0.5) | (np.arange(s[-1]) == 0))  # fmt: skip
        scores = g.masked(scores, keep)
    weights = g.node("Softmax", scores, axis=-1)
    if not quiet:
        g.output(g.node("MatMul", weights, v))
    g.output(g.node(op, weights, g.ints(2), keepdims=0))
    if whole:
        g.output(weights)


def built(dynamic=False, **options):
    graph = Graph(dynamic)
    summed(graph, **options)
    return graph


def rewrites(folder):
    """What the report of `check` says was done."""
    cascades = json.loads((folder / "passes.json").read_text())["cascades"]
    return [text for cascade in cascades for text in cascade["rewrites"]]


MASKS = [None, "causal", "least", "bias", "boolean"]
DRAWS = [{"p": p, "m": m} for p, m in ((1, 1), (1, 133), (5, 64), (37, 2), (130, 129))]


@sizes
@pytest.mark.parametrize("mask", MASKS)
def test_masks(tmp_path, mask, dynamic):
    """Two kernels, each of which goes over what it reduces once."""
    graph = built(dynamic, p=133, mask=mask)
    # Rows of which nothing is left are NaN in any order: more keys than queries.
    draws = [x for x in DRAWS if x["p"] <= x["m"]] if mask in ("causal", "least") else DRAWS
    made = check(graph, tmp_path, draws)
    assert (made.cascades, made.before, made.after) == (2, 3, 1)
    assert AGAIN in rewrites(tmp_path)


@pytest.mark.parametrize(("p", "m"), [(25, 1), (64, 64), (65, 127), (300, 7), (129, 1025)])
def test_sizes(tmp_path, p, m):
    made = check(built(p=p, m=m), tmp_path)
    assert made.after == 1


@sizes
@pytest.mark.parametrize("options", [{"op": "ReduceMean"}, {"op": "ReduceMax"}, {"quiet": True}], ids=str)
def test_other_readers(tmp_path, options, dynamic):
    """Means and maxima along the queries, and nothing beside them."""
    made = check(built(dynamic, **options), tmp_path, DRAWS)
    assert (made.cascades, made.after) == (2, 1)


def test_rows_of_which_nothing_is_left(tmp_path):
    """They are NaN, and all sums of keys with them, as the graph says."""

    def mask(shape):
        return np.arange(shape[2])[:, None] % 5 != 3 + np.zeros(shape)

    g = Graph()
    q, k, v = variants.qkv(g)
    keep = g.input("keep", 2, 2, 37, 389, dtype=bool, make=mask)
    weights = g.node("Softmax", g.masked(g.scores(q, k, 0.2), keep), axis=-1)
    g.output(g.node("MatMul", weights, v), g.node("ReduceSum", weights, g.ints(2), keepdims=0))
    check(g, tmp_path)


def test_large_logits(tmp_path):
    g = Graph()
    q, k, v = variants.qkv(g, make=lambda s: 1e3 * g.random.standard_normal(s))
    weights = g.node("Softmax", g.scores(q, k, 0.2), axis=-1)
    g.output(g.node("MatMul", weights, v), g.node("ReduceSum", weights, g.ints(2), keepdims=0))
    check(g, tmp_path, floor=2e-3)


def test_weights_that_are_a_result(tmp_path):
    """They are in memory anyway."""
    graph = built(whole=True)
    made = check(graph, tmp_path)
    assert made.refusals == ["D compute again for sums of rows: others read all of it"]


@pytest.mark.parametrize("p", [5, 24])
def test_few_queries(tmp_path, p):
    """As many as a head is wide: reading a weight costs less than computing it."""
    made = check(built(p=p), tmp_path)
    assert made.refusals == ["D compute again for sums of rows: it costs less to keep it"]


def test_results_do_not_depend_on_threads():
    graph = built(p=300, m=1025)
    arrays = graph.arrays({})
    one, two = (lutra.compile(graph.model(), threads=n)(arrays) for n in (1, 2))
    for name, result in one.items():
        np.testing.assert_array_equal(result, two[name])
