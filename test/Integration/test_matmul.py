# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products larger than one task's share, with tails in every dimension."""

import lutra
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper


def compile_matmul(m, k, n, weight, turned=False, **options):
    a, b, c = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (
            ("a", [m, k]), ("b", [n, k] if turned else [k, n]), ("c", [m, n])
        )
    )  # fmt: skip
    constants = [] if weight is None else [numpy_helper.from_array(weight, "b")]
    kind, attributes = ("Gemm", {"transB": 1}) if turned else ("MatMul", {})
    graph = helper.make_graph(
        [helper.make_node(kind, ["a", "b"], ["c"], "matmul", **attributes)],
        "matmul", [a, b] if weight is None else [a], [c], constants,
    )  # fmt: skip
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return lutra.compile(model, **options)


def operands(m, k, n):
    random = np.random.default_rng(7)
    return (
        random.standard_normal(shape, np.float32) for shape in ((m, k), (k, n))
    )


def check(actual, a, b):
    expected = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6 * a.shape[1])


SHAPES = [(256, 256, 256), (509, 67, 131), (67, 509, 131), (131, 67, 1021), (1, 777, 515)]
LEVELS = ["native", "x86-64", "x86-64-v3"]


@pytest.mark.parametrize("mcpu", LEVELS)
@pytest.mark.parametrize("b_is", ["weight", "input"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
def test_static(shape, b_is, mcpu):
    a, b = operands(*shape)
    model = compile_matmul(*shape, b if b_is == "weight" else None, mcpu=mcpu)
    check(model(a)["c"] if b_is == "weight" else model(a, b)["c"], a, b)


@pytest.mark.parametrize("b_is", ["weight", "input"])
def test_dynamic(b_is):
    _, b = operands(1, 200, 300)
    dims = {"m": "1..1000"}
    model = compile_matmul("m", 200, 300, b if b_is == "weight" else None, dim=dims)
    for m in (1, 11, 12, 13, 255, 999):
        a, _ = operands(m, 200, 300)
        check(model(a)["c"] if b_is == "weight" else model(a, b)["c"], a, b)


#: Some rows that read columns as they lie, and such that share copies of them: blocks of
#: rows, columns and the reduction that are whole, and not.
BLOCKS = [(3, 50, 1100), (30, 1030, 700), (37, 1030, 700), (300, 700, 300)]


@pytest.mark.parametrize("mcpu", LEVELS)
@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
@pytest.mark.parametrize("shape", BLOCKS, ids=lambda s: "x".join(map(str, s)))
def test_blocks(shape, turned, mcpu):
    a, b = operands(*shape)
    model = compile_matmul(*shape, None, turned, mcpu=mcpu)
    check(model(a, b.T.copy() if turned else b)["c"], a, b)


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
def test_dynamic_blocks(turned):
    dims = {"m": "1..1000", "k": "1..2000", "n": "1..2000"}
    model = compile_matmul("m", "k", "n", None, turned, dim=dims)
    for shape in [(1, 1, 1), (1, 600, 200), *BLOCKS]:
        a, b = operands(*shape)
        check(model(a, b.T.copy() if turned else b)["c"], a, b)


@pytest.mark.parametrize("shape", BLOCKS, ids=lambda s: "x".join(map(str, s)))
def test_threads_do_not_change_sums(shape, tmp_path):
    a, b = operands(*shape)
    compile_matmul(*shape, None, output=tmp_path / "product.so")
    alone, others = (
        lutra.load(tmp_path / "product.so", threads=threads)(a, b)["c"] for threads in (1, 3)
    )
    assert alone.tobytes() == others.tobytes()
