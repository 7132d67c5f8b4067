# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every family of operators, and graphs of them, beside ONNX Runtime: sizes that
exceed one task's share, tails, symbolic dimensions, levels of the CPU, threads.

What is drawn depends on the seed alone. `python test_shapes.py FIRST LAST` sweeps
other seeds and prints what differs.
"""

import sys

import families
import graphs
import lutra
import numpy as np
import pytest
from differential import F32, I64, Graph, check
from onnx import TensorProto, helper

LEVELS = ["native", "x86-64", "x86-64-v2", "x86-64-v3"]
if "avx512vl" in open("/proc/cpuinfo").read():
    LEVELS.append("x86-64-v4")
KINDS = {family.__name__.strip("_"): family for family in families.FAMILIES}
KINDS["graph"] = None


def drawn(kind, seed):
    graph = Graph(seed, symbolic=seed % 2 == 1)
    return families.draw(graph, KINDS[kind]) if KINDS[kind] else graphs.draw(graph)


def settings(seed):
    return {"mcpu": LEVELS[seed // 2 % len(LEVELS)], "threads": 1 + seed // 4 % 2}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "graph"])
def test_family(kind, seed):
    check(drawn(kind, seed + 4 * list(KINDS).index(kind)), **settings(seed))


@pytest.mark.parametrize("seed", range(40))
def test_graph(seed):
    check(drawn("graph", seed), **settings(seed))


# What has once been wrong, reduced, and what no seed is sure to draw.


def groups_cut_by_tasks(g):
    """A group of 15 channels, of which a task's share is 11."""
    x = g.input([3, 30, 58, 48])
    scale, bias = g.input([30]), g.input([30])
    y = g.node("GroupNormalization", x, scale, bias, num_groups=2)
    return [g.like(x, y)]


def depth_is_the_only_symbol(g):
    g.dims["k"] = (1, 300, 1)
    a, b = g.input(["k", 260]), g.input(["k", 100])
    return [g.node("Gemm", a, b, transA=1)]


def both_sides_symbolic(g):
    g.dims.update(m=(1, 300, 1), k=(1, 131, 1), n=(1, 200, 1))
    return [g.node("MatMul", g.input([2, "m", "k"]), g.input(["k", "n"]))]


def nothing_of_a_symbolic_tensor(g):
    g.dims["n"] = (1, 40, 1)
    x = g.input([7, "n", 31])
    empty = g.node("Slice", x, g.constant([7], I64), g.constant([9], I64))
    return [g.node("Neg", empty), g.node("Concat", x, empty, axis=0)]


def product_without_depth(g):
    return [g.node("MatMul", g.input([300, 0]), g.input([0, 200]))]


def sum_of_nothing(g):
    return [g.node("ReduceSum", g.input([0, 70]), g.constant([0], I64), keepdims=0)]


def uniform(g, shape, value=3.0):
    value = g.constant(value, F32)
    return g.node("Expand", value, g.constant(shape, I64))


def uniform_parts(g):
    g.dims["n"] = (1, 5000, 1)
    x = g.input(["n", 67])
    ones = g.node("Expand", g.constant([1.5], F32), g.node("Shape", x))
    return [g.node("Concat", x, ones, ones, axis=1),
            g.node("Concat", uniform(g, [1000, 67]), uniform(g, [1000, 67]), x, axis=0)]  # fmt: skip


def uniform_operands(g):
    x, rows = uniform(g, [2, 7, 501, 503]), g.constant([[0, 1, 1], [1, 0, 1]], I64)
    pads = g.constant([0, 0, 1, 2, 0, 0, 2, 1], I64)
    return [g.node("Gather", x, rows), g.node("ReduceSum", x, g.constant([2], I64)),
            g.node("MaxPool", x, kernel_shape=[3, 3]), g.node("Pad", x, pads)]  # fmt: skip


def input_and_weight_returned(g):
    x, w = g.input([500, 70]), g.weight([9, 3])
    return [x, g.node("Identity", x), g.node("Identity", w)]


def two_symbols_apart_again(g):
    g.dims.update(h=(1, 90, 1), w=(1, 90, 1))
    x = g.input([5, "h", "w"])
    flat = g.node("Reshape", g.node("Exp", x), g.constant([5, -1], I64))
    y = g.node("Softmax", flat)
    return [g.like(x, g.node("Relu", g.node("Reshape", y, g.node("Shape", x))))]


def returned_twice(g):
    g.dims["n"] = (1, 700, 1)
    x = g.input(["n", 67])
    y = g.node("Flatten", x, axis=0)
    z = g.node("Exp", y)
    return [y, g.node("Identity", y), z, g.node("Identity", z), g.node("Neg", z)]


def scalars(g):
    x, y = g.input([]), g.input([])
    return [g.node("Mul", g.node("Exp", x), y), g.node("Add", y, g.input([41, 1013]))]


def never_read(g):
    x = g.input([2, 6, 3000])
    first, second = g.node("Split", x, outputs=2, axis=1, num_outputs=2)
    g.node("Softmax", second)
    g.node("Conv", x, g.weight([4, 6, 3]))
    g.input([5])
    return [g.node("Sqrt", g.node("Abs", first))]


def empty_at_times(g):
    g.dims["n"] = (0, 300, 1)
    x = g.input(["n", 67])
    turned = g.node("Transpose", x, perm=[1, 0])
    return [g.node("Exp", x), g.node("ReduceSum", x, g.constant([0], I64)),
            g.node("Softmax", x), g.node("Concat", g.weight([3, 67]), x, axis=0),
            g.node("MatMul", turned, x), g.node("MatMul", x, g.weight([67, 40]))]  # fmt: skip


def loops_of_one_step(g):
    row, at = g.input([1, 5]), g.constant([[2]], I64)
    one, update = g.input([1, 1]), g.input([1, 1])
    vector, added = g.input([5]), g.input([1])
    return [g.node("ScatterElements", row, at, update, axis=1),
            g.node("ScatterND", vector, at, added, reduction="add"),
            g.node("TopK", one, g.constant([1], I64), outputs=2)[0]]  # fmt: skip


def rows_of_unknown_length(g):
    """What a row's sum and its other readers read is kept where the result will be."""
    g.dims.update(m=(1, 40, 1), k=(1, 300, 1))
    x = g.input(["m", "k"])
    return [g.node("LogSoftmax", g.node("Softmax", x)),
            g.node("LpNormalization", g.node("Softmax", x), p=1)]  # fmt: skip


CASES = [groups_cut_by_tasks, depth_is_the_only_symbol, both_sides_symbolic,
         nothing_of_a_symbolic_tensor, product_without_depth, sum_of_nothing, uniform_parts, uniform_operands,
         input_and_weight_returned, two_symbols_apart_again, returned_twice, scalars, never_read,
         empty_at_times, loops_of_one_step, rows_of_unknown_length]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_case(case):
    graph = Graph()
    graph.output(*case(graph))
    check(graph)


INDEXED = [("Gather", [0]), ("GatherElements", [[0] * 5]), ("GatherND", [[0]])]


@pytest.mark.parametrize("op, index", INDEXED)
def test_index_into_what_may_be_empty(op, index):
    """An index that is outside is clamped, and needs an element for that."""
    graph = Graph()
    graph.dims["n"] = (0, 40, 1)
    graph.output(graph.node(op, graph.input(["n", 5]), graph.constant(index, I64)))
    model = lutra.compile(graph.model(), dim=graph.dims)
    with pytest.raises(lutra.RunError, match="expected 1 to 40, got 0"):
        model(np.zeros((0, 5), F32))


@pytest.mark.parametrize("op", ["GatherElements", "GatherND"])
def test_more_indices_than_data(op):
    """The dimensions that both share are read without a check."""
    graph = Graph()
    attributes = {"axis": 1} if op == "GatherElements" else {"batch_dims": 1}
    indices = graph.constant([[0]] * 3, I64)
    graph.output(graph.node(op, graph.input([2, 5]), indices, **attributes))
    with pytest.raises(lutra.CompileError, match="expected at most 2 indices"):
        lutra.compile(graph.model())


def test_normalization_of_unknown_sizes():
    """Statistics of rows whose length is known at run time only."""
    node = helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"])
    graph = helper.make_graph(
        [node],
        "norm",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "c", "h", "w"]),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, ["c"]),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, ["c"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    x = np.random.default_rng(0).standard_normal((2, 5, 7, 9), np.float32)
    y = lutra.compile(model)(x, np.ones(5, np.float32), np.zeros(5, np.float32))["y"]
    mean = x.mean((2, 3), keepdims=True)
    expected = (x - mean) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


ROWS = {
    "Softmax": lambda x: np.exp(x - x.max(-1, keepdims=True)) / np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True),
    "LayerNormalization": lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5),
    "Hardmax": lambda x: np.eye(x.shape[-1])[x.argmax(-1)],
    "RMSNormalization": lambda x: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5),
}  # fmt: skip


@pytest.mark.parametrize("second", ROWS)
@pytest.mark.parametrize("first", ROWS)
def test_chains_of_rows_of_unknown_sizes(first, second):
    """One kernel, in which no row has a place of its own."""
    value = helper.make_tensor_value_info
    scale = helper.make_node("Shape", ["x"], ["k"], start=1)
    ones = helper.make_node("Expand", ["one", "k"], ["ones"])
    nodes = [scale, ones]
    for op, x, y in ((first, "x", "z"), (second, "z", "y")):
        inputs = [x, "ones"] if "Norm" in op else [x]
        nodes.append(helper.make_node(op, inputs, [y], axis=-1))
    graph = helper.make_graph(
        nodes, "rows", [value("x", TensorProto.FLOAT, ["m", "k"])],
        [value("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    compiled = lutra.compile(model)
    for shape in ((1, 1), (5, 3), (70, 33), (3, 1000)):
        x = np.random.default_rng(0).standard_normal(shape, np.float32)
        expected = ROWS[second](ROWS[first](x.astype(np.float64)))
        np.testing.assert_allclose(compiled(x)["y"], expected, rtol=1e-4, atol=1e-5)


def sweep(first, last):
    for seed in range(first, last):
        for kind in KINDS:
            try:
                check(drawn(kind, seed), **settings(seed))
            except Exception as error:
                print(kind, seed, type(error).__name__, str(error)[:400], flush=True)


if __name__ == "__main__":
    sweep(*map(int, sys.argv[1:]))
