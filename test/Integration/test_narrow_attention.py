# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention in bf16: products of pairs where the machine has them, f32 elsewhere.

Products are rounded to bf16 where the graph says so, as the weights are before they
meet the values; the error is measured by that of the graph node by node.
"""

import lutra
import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper

BF16 = ml_dtypes.bfloat16
CPUS = ["native", "x86-64-v4", "x86-64-v3", "x86-64"]


def model(heads, groups, queries, keys, e, f, causal, dynamic):
    p, m = ("p", "m") if dynamic else (queries, keys)
    make = helper.make_node
    nodes = [
        make("Transpose", ["k"], ["kt"], perm=[0, 1, 2, 4, 3]),
        make("MatMul", ["q", "kt"], ["s"]),
        make("Cast", ["s"], ["wide"], to=TensorProto.FLOAT),
        make("Mul", ["wide", "scale"], ["scaled"]),
    ]
    scores = "scaled"
    if causal:
        nodes += [make("Add", ["scaled", "mask"], ["masked"])]
        scores = "masked"
    nodes += [
        make("Softmax", [scores], ["w"], axis=-1),
        make("Cast", ["w"], ["narrow"], to=TensorProto.BFLOAT16),
        make("MatMul", ["narrow", "v"], ["y"]),
    ]
    rows = heads // groups
    info = helper.make_tensor_value_info
    inputs = [
        info("q", TensorProto.BFLOAT16, [1, groups, rows, p, e]),
        info("k", TensorProto.BFLOAT16, [1, groups, 1, m, e]),
        info("v", TensorProto.BFLOAT16, [1, groups, 1, m, f]),
    ]
    weights = [helper.make_tensor("scale", TensorProto.FLOAT, [], [e**-0.5])]
    if causal:
        offset = max(0, keys - queries)
        mask = np.where(
            np.arange(queries)[:, None] + offset >= np.arange(keys), 0, -np.inf
        )
        weights += [
            helper.make_tensor("mask", TensorProto.FLOAT, mask.shape, mask.ravel())
        ]
    graph = helper.make_graph(
        nodes, "narrow", inputs, [info("y", TensorProto.BFLOAT16, None)], weights
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


def reference(q, k, v, causal, real):
    """In f64, or rounded to bf16 behind each product, as the graph says."""
    round = (lambda x: x.astype(BF16)) if real == np.float32 else (lambda x: x)
    q, k, v = (x.astype(real) for x in (q, k, v))
    s = round(q @ np.swapaxes(k, -1, -2)).astype(real) * real(q.shape[-1] ** -0.5)
    if causal:
        p, m = s.shape[-2:]
        s = np.where(np.arange(p)[:, None] + max(0, m - p) >= np.arange(m), s, -np.inf)
    w = np.exp(s - s.max(-1, keepdims=True))
    w = round(w / w.sum(-1, keepdims=True)).astype(real)
    return round(w @ v).astype(np.float64)


def draw(heads, groups, queries, keys, e, f):
    random = np.random.default_rng(keys)
    rows = heads // groups
    return [
        random.standard_normal(shape).astype(BF16)
        for shape in (
            (1, groups, rows, queries, e),
            (1, groups, 1, keys, e),
            (1, groups, 1, keys, f),
        )
    ]


def check(case, causal=False, dynamic=False, cpu="native"):
    arrays = draw(*case)
    compiled = lutra.compile(model(*case, causal, dynamic), threads=2, mcpu=cpu)
    y = np.asarray(compiled(*arrays)["y"]).astype(np.float64)
    exact = reference(*arrays, causal, np.float64)
    error = np.abs(reference(*arrays, causal, np.float32) - exact).max()
    # Of few results, the one that is near the middle of two numbers may be all of it.
    rounding = 2.0**-10 * np.abs(exact).max()
    assert np.abs(y - exact).max() <= 1.5 * error + rounding


#: heads, heads of keys, queries, keys, head sizes of keys and values: even and odd,
#: shorter and longer than a vector; a part of the keys and one more; keys that are turned
#: for many rows, among them rows that alias.
CASES = [
    (2, 2, 37, 133, 24, 40),
    (2, 2, 37, 133, 33, 35),
    (2, 1, 64, 128, 64, 64),
    (1, 1, 4, 129, 2, 1),
    (1, 1, 5, 1, 1, 3),
    (8, 2, 1, 131, 64, 128),
    (8, 1, 3, 257, 128, 64),
    (8, 2, 8, 131, 64, 128),
    (2, 1, 7, 300, 33, 48),
    (1, 1, 16, 2, 80, 96),
    (2, 1, 300, 260, 64, 64),
    (1, 1, 197, 197, 80, 72),
    (2, 1, 256, 512, 64, 48),
    (1, 1, 300, 576, 33, 40),
]


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_sizes(case, causal):
    check(case, causal)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_symbolic_sizes(case):
    check(case, dynamic=True)


@pytest.mark.parametrize("cpu", CPUS)
def test_levels(cpu):
    check(CASES[0], cpu=cpu)
    check(CASES[1], causal=True, cpu=cpu)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(number):
    """What a key makes NaN is NaN; the other rows keep their numbers."""
    case = CASES[0]
    q, k, v = draw(*case)
    v[0, 0, 0, 100, 7] = number
    y = np.asarray(lutra.compile(model(*case, False, False))(q, k, v)["y"])
    y = y.astype(np.float64)
    if np.isnan(number):
        assert np.isnan(y[0, 0, 0, :, 7]).all()
    else:
        assert (y[0, 0, 0, :, 7] == number).all()
    y[0, 0, 0, :, 7] = v[0, 0, 0, 100, 7] = 0
    exact = reference(q, k, v, False, np.float64)
    exact[0, 0, 0, :, 7] = 0
    assert np.abs(y - exact).max() < 0.02


def test_pairs_are_multiplied():
    """A machine that multiplies pairs is made to."""
    ir = lutra.ir(model(*CASES[0], False, False), "kernel", mcpu="znver4")
    assert ir.count("x86vector.avx512.dot") >= 2
    ir = lutra.ir(model(*CASES[0], False, False), "kernel", mcpu="x86-64-v4")
    assert "x86vector" not in ir


def test_matrix_tiles_multiply():
    """So is one that multiplies tiles, of which nothing is left to vectors."""
    ir = lutra.ir(model(*CASES[0], False, False), "kernel", mcpu="sapphirerapids")
    assert ir.count("amx.tile_mulf") >= 2
    assert "x86vector.avx512.dot" not in ir
