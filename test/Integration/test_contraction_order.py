# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of products: that the order which is taken is the cheap one, both ways,
and that the numbers are those of any order."""

import lutra
import numpy as np
import pytest
import variants
from cascades import Graph, check, sizes
from onnx import TensorProto, helper


def built(write, dynamic):
    graph = Graph(dynamic)
    write(graph)
    return graph


def contractions(graph, **options):
    """The shapes of what is summed, in their order, behind the choice."""
    ir = lutra.ir(graph.model(), "cascade", **options)
    lines = [x for x in ir.splitlines() if "linalg.generic" in x and "reduction" in x]
    return [line.split("outs(")[1].split(": ")[1].split(")")[0] for line in lines]


def few(g, p=3, heads=3, e=16, f=20, c=48, m=133, scale=0.2, mask=None, out=None):
    """Keys and values of a symbolic number, made of `x`, and queries of a static one."""
    m, random = g.dim("m", m), np.random.default_rng(3)
    q, x = g.input("q", 2, heads, p, e), g.input("x", 2, m, c)

    def made(size):
        weight = g.constant(random.standard_normal((c, heads * size)) / c**0.5)
        each = g.node("Reshape", g.node("MatMul", x, weight), g.ints(2, -1, heads, size))
        return g.node("Transpose", each, perm=[0, 2, 1, 3])

    keys, values = made(e), made(f)
    if scale == "halves":
        half = g.constant(0.4)
        q, keys = g.node("Mul", q, half), g.node("Mul", keys, half)
        scores = g.scores(q, keys)
    else:
        scores = g.scores(q, keys, scale)
    if mask == "causal":
        rows, columns = variants.positions(g, q, keys)
        scores = g.masked(scores, g.node("LessOrEqual", columns, rows))
    elif mask == "bias":
        scores = g.node("Add", scores, g.input("bias", 2, 1, p, m))
    g.output(g.attend(scores, values), *([keys] if out else []))


DRAWS = [{"m": m} for m in (3, 17, 64, 129, 300)]
FEW = ["tensor<2x3x3x48xf32>", "tensor<2x3x3x20xf32>"]


@sizes
@pytest.mark.parametrize(
    "options", [{}, {"scale": "halves"}, {"mask": "causal"}, {"mask": "bias"}], ids=str
)
def test_few_queries(tmp_path, options, dynamic):
    """A weight is multiplied with queries and with results; what is kept is gone over."""
    graph = built(lambda g: few(g, **options), dynamic)
    assert contractions(graph) == FEW
    made = check(graph, tmp_path, DRAWS)
    # Of many keys and few queries parts are tasks, and merged.
    assert (made.cascades, made.after) == (2 if dynamic else 1, 1)


@pytest.mark.parametrize("p", [1, 2, 7])
@pytest.mark.parametrize("heads", [1, 5])
@pytest.mark.parametrize("c", [24, 33])
def test_sizes(tmp_path, p, heads, c):
    graph = built(lambda g: few(g, p=p, heads=heads, c=c), True)
    assert len(contractions(graph)) == 2
    check(graph, tmp_path, [{"m": 1}, *DRAWS[1:]])


def test_keys_that_others_need(tmp_path):
    """Keys that are a result, too, are there in any case; values are not."""
    graph = built(lambda g: few(g, out=True), False)
    assert contractions(graph) == ["tensor<2x133x48xf32>", FEW[1]]
    check(graph, tmp_path)


@pytest.mark.parametrize(("p", "rewritten"), [(4, True), (12, True), (20, False), (64, False)])
def test_number_of_queries(p, rewritten):
    """Heads of 16: as many queries cost what keys do."""
    graph = built(lambda g: few(g, p=p), False)
    assert (contractions(graph)[0] == f"tensor<2x3x{p}x48xf32>") == rewritten


def symbolic(g):
    few(g, p=g.dim("p", 3))


@pytest.mark.parametrize(
    ("dim", "rewritten"),
    [({}, False), ({"p": (1, 8)}, True), ({"p": (1, 64)}, False), ({"p": (1, 8), "m": (1, 4)}, False)],
    ids=str,
)
def test_symbolic_queries(tmp_path, dim, rewritten):
    """Without a bound there may be many; with few keys, there is little to be gained."""
    graph = built(symbolic, True)
    written = ["tensor<2x?x48xf32>", "tensor<2x?x60xf32>"]
    assert (contractions(graph, dim=dim) != written) == rewritten
    check(graph, tmp_path, [{"p": 1, "m": 4}, {"p": 8, "m": 2}], dim={**dim, "m": (1, None)})


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("p", "m", "small"), [(37, 133, (24, 40)), (5, 7, (5, 7))])
def test_linear_attention(tmp_path, p, m, small, wide):
    """Many queries and keys, or few: the same is made of both ways to write it."""

    def write(g):
        q, k, v = variants.qkv(g, p=p, m=m)
        if wide:
            g.output(g.node("MatMul", g.scores(q, k), v))
        else:
            state = g.node("MatMul", g.node("Transpose", k, perm=[0, 1, 3, 2]), v)
            g.output(g.node("MatMul", q, state))

    graph = built(write, False)
    shape = "tensor<2x2x{}x{}xf32>".format
    assert contractions(graph) == [shape(*small), shape(p, 40)]
    check(graph, tmp_path)


def test_linear_attention_of_symbolic_sizes(tmp_path):
    """With one query and many keys, or one key, it would be dearer."""

    def write(g):
        q, k, v = variants.qkv(g)
        g.output(g.node("MatMul", g.scores(q, k), v))

    graph = built(write, True)
    assert "tensor<2x2x24x40xf32>" not in contractions(graph)
    many = {"p": (30, None), "m": (100, None)}
    assert contractions(graph, dim=many)[0] == "tensor<2x2x24x40xf32>"
    check(graph, tmp_path, [{"p": 301, "m": 100}], dim=many)


def test_weights_are_not_multiplied(tmp_path):
    """Of layers without an activation, each is a product in each run."""

    def write(g):
        x, random = g.input("x", 37, 16), np.random.default_rng(1)
        for size in ((16, 64), (64, 12)):
            x = g.node("MatMul", x, g.constant(random.standard_normal(size) / 8))
        g.output(x)

    graph = built(write, False)
    assert contractions(graph) == ["tensor<37x64xf32>", "tensor<37x12xf32>"]
    check(graph, tmp_path)


@pytest.mark.parametrize("name", ["FLOAT16", "BFLOAT16", "INT32"])
def test_other_types_stay(name):
    """Halves are rounded between two products, and integers wrap."""
    kind = getattr(TensorProto, name)
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("MatMul", ["x", "w"], ["k"]), helper.make_node("MatMul", ["q", "k"], ["s"])]
    inputs = [value("q", kind, (2, 16)), value("x", kind, (16, 99)), value("w", kind, (99, 300))]
    graph = helper.make_graph(nodes, "g", inputs, [value("s", kind, (2, 300))])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
    ir = lutra.ir(model, "cascade")
    assert "tensor<16x300x" in ir and "tensor<2x99x" not in ir
