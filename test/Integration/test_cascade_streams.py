# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products that become one cascade without a softmax, and what a cascade widens
for itself: when, when not, and at which sizes."""

import lutra
import numpy as np
import pytest
import variants
from cascades import Graph, check, compile, sizes

ONE_KERNEL = (1, 0)
DRAWS = [dict(zip("pm", sizes)) for sizes in ((1, 1), (37, 1), (1, 133), (5, 64), (65, 129))]


def kernels(write, folder, dynamic=True, draws=DRAWS):
    """Compares at all sizes; kernels that are cascades, and all others."""
    graph = Graph(dynamic)
    write(graph)
    made = check(graph, folder, draws)
    return made.cascades, made.others


def grouped_sigmoid(g):
    q, k, v = variants.qkv(g, heads=6, groups=2)
    weights = g.node("Sigmoid", g.scores(q, variants.repeat(g, k, 3), 0.2))
    g.output(g.node("MatMul", weights, variants.repeat(g, v, 3, size=40)))


def squared_relu(g):
    """And a second sum over the keys, which divides the result."""
    q, k, v = variants.qkv(g)
    weights = g.node("Relu", g.scores(q, k, 0.2))
    weights = g.node("Mul", weights, weights)
    total = g.node("Add", g.node("ReduceSum", weights, g.ints(3)), g.constant(1.0))
    g.output(g.node("Div", g.node("MatMul", weights, v), total))


def unguarded_softmax(g):
    """Without a maximum: 1 / sum leaves the product, and one pass is left."""
    q, k, v = variants.qkv(g)
    weights = g.node("Exp", g.scores(q, k, 0.2))
    total = g.node("ReduceSum", weights, g.ints(3))
    g.output(g.node("MatMul", g.node("Div", weights, total), v))


def biased(g):
    q, k, v = variants.qkv(g)
    bias = g.input("bias", 2, 1, g.dim("p", 37), g.dim("m", 389))
    weights = g.node("Tanh", g.node("Add", g.scores(q, k, 0.2), bias))
    g.output(g.node("MatMul", weights, v))


@sizes
@pytest.mark.parametrize(
    "write", [variants.sigmoid, grouped_sigmoid, squared_relu, unguarded_softmax, biased]
)
def test_products_are_one_kernel(tmp_path, write, dynamic):
    assert kernels(write, tmp_path, dynamic) == ONE_KERNEL


def layers(g):
    """An activation between two weights, and many more rows than these have."""
    random = np.random.default_rng(6)
    x = g.input("x", g.dim("p", 300), 24)
    for size in ((24, 96), (96, 24)):
        weight = g.constant(random.standard_normal(size) / 5)
        x = g.node("MatMul", x if size[0] == 24 else g.node("Relu", x), weight)
    g.output(x)


def weights_wanted(g):
    q, k, v = variants.qkv(g)
    weights = g.node("Sigmoid", g.scores(q, k, 0.2))
    g.output(g.node("MatMul", weights, v), weights)


def few_keys(g):
    """Fewer than a row has elements of its own."""
    q, k, v = variants.qkv(g, m=32)
    g.output(g.node("MatMul", g.node("Sigmoid", g.scores(q, k, 0.2)), v))


@pytest.mark.parametrize(
    ("write", "dynamic"),
    [(layers, False), (layers, True), (weights_wanted, True), (few_keys, False)],
)
def test_products_that_stay(tmp_path, write, dynamic):
    assert kernels(write, tmp_path, dynamic)[0] == 0


def quantized(g, unpack, groups=2, size=24, **codes):
    """Keys and values that `unpack` makes of codes, for three heads to a group."""
    p, m = g.dim("p", 37), g.dim("m", 389)
    q, parts = g.input("q", 2, 3 * groups, p, size), []
    for name in "kv":
        x = g.input(name, 2, groups, m, codes.get("width", size), dtype=codes["dtype"],
                    make=lambda s: g.random.integers(*codes["range"], s))  # fmt: skip
        scale = g.input(f"{name}_scale", 2, groups, m, 1,
                        make=lambda s: g.random.random(s) / codes["range"][1])  # fmt: skip
        wide = g.node("Mul", unpack(x), scale)
        parts.append(variants.repeat(g, wide, 3, groups=groups, size=size))
    g.output(g.attend(g.scores(q, parts[0], 0.2), parts[1]), *codes.get("outputs", lambda: [])())


def bytes_of_groups(g):
    quantized(g, lambda x: g.node("Cast", x, to=1), dtype=np.int8, range=(-128, 128))


def bytes_with_a_zero_point(g):
    def unpack(x):
        return g.node("Sub", g.node("Cast", x, to=1), g.constant(np.linspace(100, 140, 24)))

    quantized(g, unpack, dtype=np.uint8, range=(0, 256))


def halves_of_groups(g):
    def unpack(x):
        low = g.node("BitwiseAnd", x, g.constant(15, np.uint8))
        high = g.node("BitShift", x, g.constant(4, np.uint8), direction="RIGHT")
        whole = g.node("Cast", g.node("Concat", low, high, axis=3), to=1)
        return g.node("Sub", whole, g.constant(8.0))

    quantized(g, unpack, dtype=np.uint8, range=(0, 256), width=12)


def quarters(g):
    """Four numbers of two bits to a byte."""

    def unpack(x):
        parts = [
            g.node("BitwiseAnd",
                   g.node("BitShift", x, g.constant(2 * i, np.uint8), direction="RIGHT"),
                   g.constant(3, np.uint8))
            for i in range(4)
        ]  # fmt: skip
        return g.node("Cast", g.node("Concat", *parts, axis=3), to=1)

    quantized(g, unpack, dtype=np.uint8, range=(0, 256), width=6)


def doubles(g):
    """Numbers that are wider than what is computed with."""
    quantized(g, lambda x: g.node("Cast", x, to=1), dtype=np.int64, range=(-128, 128))


def halves_apart(g):
    """Halves that lie next to each other are written out first."""

    def unpack(x):
        low = g.node("BitwiseAnd", x, g.constant(15, np.uint8))
        high = g.node("BitShift", x, g.constant(4, np.uint8), direction="RIGHT")
        parts = [g.node("Unsqueeze", part, g.ints(4)) for part in (low, high)]
        shape = g.node("Concat", g.ints(2, 2), g.column(g.size(x, 2), 0), g.ints(24), axis=0)
        return g.node("Cast", g.node("Reshape", g.node("Concat", *parts, axis=4), shape), to=1)

    quantized(g, unpack, dtype=np.uint8, range=(0, 256), width=12)


@sizes
@pytest.mark.parametrize(
    ("write", "alone"),
    [
        (bytes_of_groups, True),
        (bytes_with_a_zero_point, True),
        (halves_of_groups, True),
        (quarters, True),
        (doubles, False),
        (halves_apart, False),
    ],
)
def test_codes(tmp_path, write, alone, dynamic):
    made = kernels(write, tmp_path, dynamic)
    assert made == ONE_KERNEL if alone else made[0] == 1 and made[1] > 0


def test_what_is_wanted_wide(tmp_path):
    """The dequantized keys are a result, and in memory anyway."""

    def write(g):
        p, m = g.dim("p", 37), g.dim("m", 389)
        q, v = g.input("q", 2, 2, p, 24), g.input("v", 2, 2, m, 40)
        codes = g.input("k", 2, 2, m, 24, dtype=np.int8,
                        make=lambda s: g.random.integers(-128, 128, s))  # fmt: skip
        k = g.node("Sub", g.node("Cast", codes, to=1), g.constant(3.0))
        g.output(g.attend(g.scores(q, k, 0.002), v), k)

    assert kernels(write, tmp_path) == (1, 1)


def two_columns(g):
    """Learned logits on both sides of the keys."""
    q, k, v = variants.qkv(g)
    scores = g.scores(q, k, 0.2)
    shape = g.node("Concat", g.ints(2, 2), g.column(g.size(q, 2), 0), g.ints(1), axis=0)
    sinks = [
        g.node("Expand", g.constant(np.reshape(sink, (1, 2, 1, 1))), shape)
        for sink in ((1.5, -0.5), (40.0, -40.0))
    ]
    weights = g.node("Softmax", g.node("Concat", sinks[0], scores, sinks[1], axis=-1), axis=-1)
    g.output(g.node("MatMul", g.node("Slice", weights, g.ints(1), g.ints(-1), g.ints(3)), v))


@sizes
@pytest.mark.parametrize("write", [variants.learned_sink, two_columns])
def test_columns(tmp_path, write, dynamic):
    assert kernels(write, tmp_path, dynamic) == ONE_KERNEL


def test_columns_that_stay(tmp_path):
    """The column's weight is wanted, too."""

    def write(g):
        q, k, _ = variants.qkv(g)
        sink = g.input("sink", 2, 2, g.dim("p", 37), 1)
        g.output(g.node("Softmax", g.node("Concat", g.scores(q, k), sink, axis=-1), axis=-1))

    assert kernels(write, tmp_path)[0] == 0


@pytest.mark.parametrize("write", [variants.sigmoid, bytes_of_groups, halves_of_groups])
@pytest.mark.parametrize("sizes", [(5, 0), (0, 5), (0, 0)])
def test_nothing(tmp_path, write, sizes):
    graph = Graph(dynamic=True)
    write(graph)
    model, _ = compile(graph, tmp_path, dim={"p": (0, None), "m": (0, None)})
    (actual,) = model(graph.arrays(dict(zip("pm", sizes)))).values()
    assert actual.shape[2] == sizes[0] and not actual.any()


def test_parts_of_causal_products_are_skipped():
    graph = Graph()
    variants.linear_causal(graph)
    ir = lutra.ir(graph.model(), "encode")
    (iteration,) = [line for line in ir.splitlines() if "cascade.iterate" in line]
    assert "filter" in iteration
