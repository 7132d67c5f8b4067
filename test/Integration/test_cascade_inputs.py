# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What fused chains make of large and small numbers, of NaNs, of lengths of 0, and of
rows of which nothing is left."""

import numpy as np
import pytest
import variants
from cascades import F32, F64, Graph, built, compare, compile, evaluate, made_of, sizes
from masks import EMPTY_ROWS


@pytest.fixture(scope="module", params=[False, True], ids=["static", "dynamic"])
def plain(request, tmp_path_factory):
    graph = built(variants.mha, request.param)
    bounds = {"p": (0, None), "m": (0, None)} if request.param else {}
    return graph, *compile(graph, tmp_path_factory.mktemp("plain"), dim=bounds)


def run(plain, sizes=(), **changes):
    """Compares at inputs that were changed; returns inputs and result."""
    graph, model, _ = plain
    arrays = graph.arrays({**graph.dims, **dict(sizes)})
    for name, change in changes.items():
        change(arrays[name])
    (actual,) = model(arrays).values()
    (exact,), (near,) = (evaluate(graph, arrays, real) for real in (F64, F32))
    compare(actual, exact, near, str(changes))
    return arrays, actual


@pytest.mark.parametrize("factor", [20, 1e4, 1e-4, 0])
def test_logits(plain, factor):
    _, actual = run(plain, q=lambda q: np.multiply(q, factor, out=q))
    assert np.isfinite(actual).all()


def test_mixed_extremes(plain):
    random = np.random.default_rng(0)

    def extreme(k):
        k[...] = 0
        k[..., 0] = random.choice([-1e4, 0, 1, 1e4], k.shape[:-1])

    _, actual = run(plain, k=extreme)
    assert np.isfinite(actual).all()


def test_outlier_at_the_end(plain):
    """The last key moves all that was summed before it."""

    def outlier(k):
        k[..., -1, :] *= 500

    run(plain, k=outlier)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(plain, number):
    def put(k):
        k[0, 1, -7, 3] = number

    _, actual = run(plain, k=put)
    bad = np.isnan(actual).any(axis=(2, 3))
    assert bad.tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("where", [0, 77, 132])
def test_nan_in_a_value(plain, where):
    def put(v):
        v[1, 0, where, 5] = np.nan

    _, actual = run(plain, v=put)
    assert np.isnan(actual[1, 0, :, 5]).all() and np.isnan(actual).sum() == 37


@pytest.mark.parametrize("plain", [True], indirect=True, ids=["dynamic"])
@pytest.mark.parametrize("sizes", [(5, 0), (0, 5), (0, 0), (1, 1), (37, 1), (1, 133)])
def test_lengths(plain, sizes):
    graph, model, _ = plain
    sizes = dict(zip("pm", sizes))
    if sizes["m"] and sizes["p"]:
        run(plain, sizes)
        return
    (actual,) = model(graph.arrays(sizes)).values()
    assert actual.shape == (2, 2, sizes["p"], 40) and not actual.any()


# Rows of which nothing is left.


def some_rows_empty(g):
    q, k, v = variants.qkv(g)
    keep = g.input("keep", 2, 1, g.dim("p", 37), g.dim("m", 389), dtype=bool,
                   make=lambda s: (np.arange(s[2])[:, None] % 3 != 1)
                   & (g.random.random(s) < 0.7))  # fmt: skip
    return q, k, v, keep


@sizes
@pytest.mark.parametrize("attend", EMPTY_ROWS, ids=lambda attend: attend.__name__)
def test_empty_rows(tmp_path, attend, dynamic):
    """The graph says what comes of them, and the reference agrees."""
    made = made_of(lambda g: attend(g, *some_rows_empty(g)), tmp_path, dynamic)
    assert made[:3] == (1, 3, 1)


@pytest.mark.parametrize("value", [-np.inf, np.finfo(np.float32).min, -1e4])
def test_nothing_in_the_first_part(tmp_path, value):
    """Longer than a part of the iterated rank, all of which is masked."""

    def write(g):
        q, k, v = variants.qkv(g, m=300)
        bias = g.input("bias", 1, 1, g.dim("p", 37), g.dim("m", 300),
                       make=lambda s: np.where(np.arange(s[3]) < s[3] // 2, value, 0)
                       + np.zeros(s))  # fmt: skip
        g.output(g.attend(g.node("Add", g.scores(q, k, 0.2), bias), v))

    assert made_of(write, tmp_path, True) == (1, 3, 1, True)


@pytest.mark.parametrize("mcpu", ["native", "x86-64"])
@pytest.mark.parametrize("keys", [1, 5, 64, 1000])
def test_rows_with_a_nan(tmp_path, keys, mcpu):
    """All of the row is NaN, and no other; an infinite maximum makes one, and -inf alone."""
    graph = Graph()
    x = graph.input("x", 37, keys)
    for op in ("Softmax", "LogSoftmax"):
        graph.output(graph.node(op, x, axis=-1))
    graph.output(graph.node("ReduceLogSumExp", x, axes=[1]))
    model, _ = compile(graph, tmp_path, mcpu=mcpu)
    arrays = graph.arrays({})
    arrays["x"][7, keys // 2] = arrays["x"][8, keys - 1] = arrays["x"][20, 0] = np.nan
    arrays["x"][21, keys // 2] = np.inf
    arrays["x"][22] = -np.inf
    softmax, log_softmax, log_sum = model(arrays).values()
    for actual in (softmax, log_softmax):
        bad = np.isnan(actual)
        assert bad[[7, 8, 20, 22]].all() and bad[21, keys // 2]
        assert not np.delete(bad, [7, 8, 20, 21, 22], axis=0).any()
    assert np.isnan(log_sum[[7, 8, 20]]).all()
    assert np.isfinite(np.delete(log_sum, [7, 8, 20, 21, 22])).all()


def test_nan_behind_a_causal_mask(tmp_path):
    """What a mask of coordinates drops may be left out: rows that may not look at a
    key need not see that it is NaN, though NaN + -inf is NaN. All others do."""

    def put(shape):
        k = np.random.default_rng(1).standard_normal(shape)
        k[0, 1, 290] = np.nan
        return k

    def write(g):
        p, m = g.dim("p", 300), g.dim("m", 300)
        q, v = g.input("q", 2, 2, p, 24), g.input("v", 2, 2, m, 40)
        k = g.input("k", 2, 2, m, 24, make=put)
        rows, columns = variants.positions(g, q, k)
        keep = g.node("LessOrEqual", columns, rows)
        g.output(g.attend(g.masked(g.scores(q, k, 0.2), keep), v))

    graph = built(write)
    model, _ = compile(graph, tmp_path)
    arrays = graph.arrays({})
    (actual,) = model(arrays).values()
    assert np.isnan(actual[0, 1, 290:]).all()
    assert not np.isnan(np.delete(actual.reshape(4, -1), 1, axis=0)).any()
