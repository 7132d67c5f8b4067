# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What exponentials are summed under before all of them are seen: any reference gives
the same result, on rows that grow, that fall, that jump, and that end in no number."""

import json

import lutra
import numpy as np
import pytest
import row_chains
import stored_keys
import variants
from cascades import F32, F64, Graph, check, compare, compile, evaluate

KEYS = 300
LAZY = ["lazy:0.5", "lazy:8", "lazy:64"]


def rows(g, cap=None, bias=True):
    """Scores that are the first of each key's numbers times that of the query."""
    q, k = g.input("q", 1, 2, 37, 8), g.input("k", 1, 2, KEYS, 8)
    v = g.input("v", 1, 2, KEYS, 24)
    scores = g.scores(q, k)
    if cap:
        scores = g.node("Tanh", g.node("Div", scores, g.constant(cap)))
        scores = g.node("Mul", scores, g.constant(cap))
    if bias:
        keep = g.input("keep", 37, KEYS, dtype=bool, make=lambda s: np.ones(s))
        scores = g.masked(scores, keep)
    g.output(g.attend(scores, v))


def ramp(sign, size):
    return lambda a: put(a, sign * size * np.linspace(-1, 1, KEYS))


def put(arrays, scores):
    arrays["q"][...], arrays["k"][...] = 0, 0
    arrays["q"][..., 0] = np.linspace(0.1, 1, 37)
    arrays["k"][..., 0] = scores


def jumps(arrays):
    random = np.random.default_rng(3)
    put(arrays, random.choice([-1e4, -1, 0, 1, 1e4], KEYS))


def hide(first, last):
    return lambda a: a["keep"].__setitem__((slice(None), slice(first, last)), False)


def poison(number):
    return lambda a: a["k"].__setitem__((0, 1, 200, 3), number)


INPUTS = {
    "random": lambda a: None,
    "large": lambda a: np.multiply(a["q"], 1e4, out=a["q"]),
    "growing": ramp(1, 100),
    "growing far": ramp(1, 1e4),
    "falling": ramp(-1, 100),
    "falling far": ramp(-1, 1e4),
    "growing slowly": ramp(1, 4),
    "equal": lambda a: put(a, np.zeros(KEYS)),
    "jumping": jumps,
    "hidden at first": hide(0, 150),
    "hidden at last": hide(150, KEYS),
    "hidden": hide(0, KEYS),
    "nan": poison(np.nan),
    "inf": poison(np.inf),
    "-inf": poison(-np.inf),
}


def run(graph, folder, policy):
    model, made = compile(graph, folder, references=policy)
    passes = json.loads((folder / "passes.json").read_text())
    assert made.after == 1
    for name, change in INPUTS.items():
        arrays = graph.arrays({})
        change(arrays)
        (actual,) = model(arrays).values()
        (exact,), (near,) = (evaluate(graph, arrays, real) for real in (F64, F32))
        compare(actual, exact, near, f"{name} under {policy}")
    return " ".join(text for each in passes["cascades"] for text in each["rewrites"])


@pytest.mark.parametrize("policy", ["online", *LAZY])
def test_maxima(tmp_path, policy):
    graph = Graph()
    rows(graph)
    assert f"policy={policy.split(':')[0]}, corr in [0, 1]" in run(graph, tmp_path, policy)


@pytest.mark.parametrize("cap", [1, 5, 20, 30])
@pytest.mark.parametrize("policy", ["fixed:32", *LAZY])
def test_capped(tmp_path, policy, cap):
    graph = Graph()
    rows(graph, cap)
    rewrites = run(graph, tmp_path, policy)
    if policy in LAZY:
        assert "policy=lazy" in rewrites
    else:
        assert f"policy=fixed 0, exponent in [-{cap}, {cap}]" in rewrites
        assert "cascade.rebase" not in lutra.ir(graph.model(), "encode", references=policy)


@pytest.mark.parametrize("cap", [None, 40])
def test_not_proven(tmp_path, cap):
    """Nothing caps the scores, or not closely enough."""
    graph = Graph()
    rows(graph, cap)
    assert "policy=online" in run(graph, tmp_path, "fixed:32")


@pytest.mark.parametrize("policy", ["online", "lazy:8", "fixed:32"])
@pytest.mark.parametrize(
    "write",
    [variants.mha, variants.causal, variants.softcap, variants.alibi, variants.learned_sink,
     variants.smooth_softmax, row_chains.log_sum_exp, stored_keys.shared_prefix_merged,
     stored_keys.kv8_per_token],
)  # fmt: skip
def test_variants(tmp_path, write, policy):
    for dynamic in (False, True):
        graph = Graph(dynamic)
        write(graph)
        assert check(graph, tmp_path, references=policy).after == 1


@pytest.mark.parametrize("policy", ["online", "lazy:8", "fixed:32"])
@pytest.mark.parametrize("cap", [None, 5])
def test_sums_that_tell(tmp_path, policy, cap):
    """The sum under the maximum is a result itself, and the maximum is not."""
    graph = Graph()
    x, axis = graph.input("x", 37, 1000), graph.ints(1)
    if cap:
        x = graph.node("Tanh", x)
    top = graph.node("ReduceMax", x, axis)
    shares = graph.node("Exp", graph.node("Sub", x, top))
    graph.output(graph.node("ReduceSum", shares, axis))
    assert check(graph, tmp_path, references=policy).after == 1


def absent_rows(shape):
    """The second row is -inf throughout, the third but for the last, the fourth the lowest number."""
    x = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    x[1], x[2, :-1], x[3] = -np.inf, -np.inf, np.finfo(np.float32).min
    return x


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("m", [100, 1000, 4096])
@pytest.mark.parametrize("shown", ["half", "sum", "log", "product", "product sum", "half log", "top"])
def test_rows_that_are_absent(tmp_path, shown, m, dynamic):
    """What shows the maximum or a sum under it has -inf and NaN as the graph does."""
    g = Graph(dynamic)
    x, axis = g.input("x", 4, g.dim("m", m), make=absent_rows), g.ints(1)
    top = g.node("ReduceMax", x, axis)
    shares = g.node("Exp", g.node("Sub", x, top))
    total = g.node("ReduceSum", shares, axis)
    product = g.node("MatMul", shares, g.input("v", g.dim("m", m), 3))
    values = {
        "half": lambda: g.node("Mul", top, g.constant(0.5)),
        "top": lambda: top,
        "sum": lambda: total,
        "log": lambda: g.node("Add", g.node("Log", total), top),
        "product": lambda: product,
    }
    outputs = [values[name]() for name in shown.split()]
    # A quotient shows neither.
    g.output(*outputs, g.node("Div", product, total))
    check(g, tmp_path)


@pytest.mark.parametrize("policy", ["lazy:8", "fixed:32"])
@pytest.mark.parametrize("cap", [None, 5])
def test_parts_are_merged(tmp_path, policy, cap):
    """One query: parts of the keys are tasks, and their states are merged."""
    graph = Graph()
    q, k, v = variants.qkv(graph, p=1, m=4096)
    scores = graph.scores(q, k, 0.2)
    if cap:
        scores = graph.node("Mul", graph.node("Tanh", scores), graph.constant(cap))
    graph.output(graph.attend(scores, v))
    made = check(graph, tmp_path, references=policy)
    assert made.after == 1 and made.parts


@pytest.mark.parametrize("policy", ["", "lazy", "lazy:0", "lazy:x", "fixed:65", "fixed:nan", "online:1"])
def test_policies_that_are_none(policy):
    graph = Graph()
    rows(graph)
    with pytest.raises(lutra.CompileError, match="expected --references=online"):
        lutra.ir(graph.model(), "cascade", references=policy)
