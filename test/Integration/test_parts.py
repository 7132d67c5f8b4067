# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Few queries and many keys: parts of the keys are gone over apart, and merged.

Each graph is compared with its reference at lengths that are parts, are not, and
are less than one; what a part sees nothing of must not be seen in the result. The
numbers are the same, to the last bit, with any number of threads.
"""

import lutra
import numpy as np
import pytest
import variants
from cascades import F32, F64, Graph, compare, compile, evaluate
from masks import EMPTY_ROWS

#: Of the keys where they are symbolic, and where not.
LENGTHS, LENGTH = [1, 2, 100, 511, 512, 513, 1024, 1500, 2600], 2600


def qkv(g, p=1, heads=2, groups=None, **options):
    """That there are few queries is known from a number or from a bound."""
    groups, m = groups or heads, g.dim("m", LENGTH)
    q = g.input("q", 1, heads, p, 24, **options)
    return q, g.input("k", 1, groups, m, 24), g.input("v", 1, groups, m, 40)


def one_query(g):
    q, k, v = qkv(g)
    g.output(g.attend(g.scores(q, k, 0.2), v))


def one_head(g):
    q, k, v = qkv(g, heads=1)
    g.output(g.attend(g.scores(q, k, 0.2), v))


def three_queries(g):
    q, k, v = qkv(g, p=3, heads=1)
    g.output(g.attend(g.scores(q, k, 0.2), v))


def large_logits(g):
    q, k, v = qkv(g, make=lambda s: g.random.standard_normal(s) * 1e3)
    g.output(g.attend(g.scores(q, k, 0.2), v))


def causal(g):
    """The last queries align with the last keys."""
    q, k, v = qkv(g, p=g.dim("p", 3))
    rows, columns = variants.positions(g, q, k)
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), g.node("LessOrEqual", columns, rows)), v))


def window(g):
    """Most parts see nothing; the first keys are seen again."""
    q, k, v = qkv(g, p=g.dim("p", 3))
    rows, columns = variants.positions(g, q, k)
    near = g.node("Greater", columns, g.node("Sub", rows, g.constant(40, np.int64)))
    seen = g.node("And", near, g.node("LessOrEqual", columns, rows))
    seen = g.node("Or", seen, g.node("Less", columns, g.constant(4, np.int64)))
    g.output(g.attend(g.masked(g.scores(q, k, 0.2), seen), v))


def some_seen(g, p=3):
    """The second row sees nothing, and no row anything of the first part."""
    q, k, v = qkv(g, p=p)
    seen = g.input("seen", 1, 1, p, g.dim("m", LENGTH), dtype=bool,
                   make=lambda s: (np.arange(p)[:, None] != 1) & (g.random.random(s) < 0.3)
                   & (np.arange(s[3]) >= min(600, s[3] - 1)))  # fmt: skip
    return q, k, v, seen


def masked(attend):
    """A graph with rows and parts of which a mask leaves nothing."""

    def write(g):
        attend(g, *some_seen(g))

    write.__name__ = attend.__name__
    return write


def operator_causal(g):
    q, k, v = qkv(g, p=3)
    g.output(g.node("Attention", q, k, v, is_causal=1))


def softcap(g):
    q, k, v = qkv(g)
    scores = g.node("Tanh", g.node("Mul", g.scores(q, k, 0.2), g.constant(0.1)))
    g.output(g.attend(g.node("Mul", scores, g.constant(10.0)), v))


def sink(g):
    """A logit that has no value: what sums begin from is counted once."""
    q, k, v = variants.qkv(g, p=2, m=LENGTH)
    scores, axis = g.scores(q, k, 0.2), g.ints(3)
    start = g.constant(np.reshape([1.5, -0.5], (1, 2, 1, 1)))
    top = g.node("Max", g.node("ReduceMax", scores, axis), start)
    shares = g.node("Exp", g.node("Sub", scores, top))
    rest = g.node("Exp", g.node("Sub", start, top))
    total = g.node("Add", g.node("ReduceSum", shares, axis), rest)
    g.output(g.node("MatMul", g.node("Div", shares, total), v))


def log_sum_exp(g):
    x = g.input("x", 3, g.dim("m", LENGTH))
    g.output(g.node("ReduceLogSumExp", x, g.ints(-1)))


def moments(g):
    """Squares about a mean that parts do not share, far from 0."""
    make = lambda s: g.random.standard_normal(s) + 0.1 * np.arange(s[1]) + 1e2
    x, axis = g.input("x", 3, g.dim("m", LENGTH), make=make), g.ints(-1)
    mean = g.node("ReduceMean", x, axis)
    centered = g.node("Sub", x, mean)
    g.output(mean, g.node("ReduceMean", g.node("Mul", centered, centered), axis))


def groups(g):
    """Heads of a group are the rows that lie along a vector."""
    q, k, v = qkv(g, heads=8, groups=2)
    q = g.node("Reshape", q, g.ints(1, 2, 4, 24))
    g.output(g.node("Reshape", g.attend(g.scores(q, k, 0.2), v), g.ints(1, 8, 1, 40)))


#: How long a part is: less where rows read different keys.
GRAPHS = {
    one_query: 512,
    one_head: 512,
    three_queries: 1024,
    large_logits: 512,
    causal: 1024,
    window: 1024,
    **{masked(attend): 1024 for attend in EMPTY_ROWS},
    operator_causal: 1024,
    softcap: 512,
    sink: 1024,
    log_sum_exp: 512,
    moments: 512,
    groups: 1024,
}


def built(write, dynamic):
    graph = Graph(dynamic)
    write(graph)
    return graph


def run(graph, models, sizes, **changes):
    """Compares with the reference, and one number of threads with another."""
    arrays = graph.arrays({**graph.dims, **sizes})
    for name, change in changes.items():
        change(arrays[name])
    results = [model(arrays) for model in models]
    exact, plain = (evaluate(graph, arrays, real) for real in (F64, F32))
    for i, name in enumerate(graph._outputs):
        for other in results[1:]:
            np.testing.assert_array_equal(results[0][name], other[name])
        compare(results[0][name], exact[i], plain[i], f"{name} at {sizes}")
    return results[0]


def split(write, dynamic, folder, bounds=None):
    graph = built(write, dynamic)
    path = folder / "split.so"
    bounds = {"p": (1, 15), **(bounds or {})}
    bounds = {name: bound for name, bound in bounds.items() if dynamic and name in graph.dims}
    _, made = compile(graph, folder, output=path, dim=bounds)
    return graph, [lutra.load(path, threads=threads) for threads in (1, 2, 3)], made


@pytest.mark.parametrize("write", GRAPHS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_split(tmp_path, write, dynamic):
    graph, models, made = split(write, dynamic, tmp_path)
    part = GRAPHS[write]
    assert made.parts == [f"ceildiv(m, {part})" if dynamic else str(-(-LENGTH // part))]
    for length in LENGTHS if dynamic else [LENGTH]:
        run(graph, models, {"m": length})


@pytest.fixture(scope="module", params=[False, True], ids=["static", "dynamic"])
def plain(request, tmp_path_factory):
    return split(three_queries, request.param, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 1023, 1024, 2599])
def test_numbers_that_are_not_finite(plain, number, where):
    graph, models, _ = plain

    def put(k):
        k[0, 0, where, 3] = number

    run(graph, models, {}, k=put)


def test_nan_in_a_value(plain):
    graph, models, _ = plain

    def put(v):
        v[0, 0, 2000, 5] = np.nan

    (actual,) = run(graph, models, {}, v=put).values()
    assert np.isnan(actual[..., 5]).all() and np.isnan(actual).sum() == 3


@pytest.mark.parametrize("where", [0, 1100, 2599])
def test_outlier(plain, where):
    """One part has the maximum of all."""
    graph, models, _ = plain

    def put(k):
        k[0, 0, where] *= 50

    run(graph, models, {}, k=put)


def test_no_keys(tmp_path):
    graph, models, made = split(three_queries, True, tmp_path, {"m": (0, None)})
    assert made.parts
    run(graph, models, {"m": 1500})
    for model in models:
        (actual,) = model(graph.arrays({"m": 0})).values()
        assert actual.shape == (1, 1, 3, 40) and not actual.any()


@pytest.mark.parametrize("bounds", [{"p": (1, None)}, {"m": (1, 2047)}])
def test_whole(tmp_path, bounds):
    """Where rows may be many, or keys are few, there are no parts."""
    graph, models, made = split(causal, True, tmp_path, bounds)
    assert made.parts == []
    run(graph, models, {"m": 1500})


def test_many_heads(tmp_path):
    def write(g):
        q, k, v = qkv(g, heads=16)
        g.output(g.attend(g.scores(q, k, 0.2), v))

    graph, models, made = split(write, False, tmp_path)
    assert made.parts == [] and made.cascades == 1
    run(graph, models, {})
