# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Operands that lie along another dimension than vectors do: tiles of them are
turned in registers. At sizes around those of a tile, on every level of the CPU,
with numbers that tell each element from its neighbours."""

import lutra
import ml_dtypes
import numpy as np
import pytest
import variants
from cascades import Graph
from cascades import check as check_cascade
from onnx import TensorProto, helper
from test_shapes import LEVELS

TYPES = {
    "f64": (TensorProto.DOUBLE, np.float64),
    "f32": (TensorProto.FLOAT, np.float32),
    "f16": (TensorProto.FLOAT16, np.float16),
    "bf16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
    "i8": (TensorProto.INT8, np.int8),
}

#: Whole tiles, tails on either side and on both, less than a tile, and rows.
SHAPES = [(32, 64), (16, 37), (37, 16), (33, 95), (5, 40), (40, 5), (3, 2), (1, 70)]


def compiled(nodes, inputs, outputs, **options):
    """Inputs and outputs are (name, type, shape)."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "turned", [info(*x) for x in inputs], [info(*x) for x in outputs]
    )
    opset = helper.make_opsetid("", 21)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return lutra.compile(model, **options)


def transpose(kind, shape, perm, **options):
    node = helper.make_node("Transpose", ["x"], ["y"], perm=perm)
    turned = [shape[i] for i in perm]
    return compiled([node], [("x", kind, shape)], [("y", kind, turned)], **options)


def numbers(shape, kind):
    """All bytes differ from those of neighbours in either dimension."""
    return (np.arange(np.prod(shape)).reshape(shape) % 251 % 127).astype(kind)


@pytest.mark.parametrize("mcpu", LEVELS)
@pytest.mark.parametrize("kind", TYPES)
def test_transpose(kind, mcpu):
    onnx_type, element = TYPES[kind]
    model = transpose(onnx_type, ["b", "m", "n"], [0, 2, 1], mcpu=mcpu, threads=1)
    for shape in SHAPES:
        x = numbers((2, *shape), element)
        np.testing.assert_array_equal(model(x)["y"], x.transpose(0, 2, 1))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("kind", TYPES)
def test_static_transpose(kind, shape):
    onnx_type, element = TYPES[kind]
    x = numbers((2, *shape), element)
    for mcpu in ("native", "x86-64-v3"):
        model = transpose(onnx_type, x.shape, [0, 2, 1], mcpu=mcpu, threads=1)
        np.testing.assert_array_equal(model(x)["y"], x.transpose(0, 2, 1))


@pytest.mark.parametrize("perm", [(0, 3, 1, 2), (0, 2, 3, 1), (3, 2, 1, 0), (2, 3, 1, 0)])
def test_images(perm):
    x = numbers((2, 19, 21, 33), np.float32)
    model = transpose(TensorProto.FLOAT, x.shape, perm, threads=2)
    np.testing.assert_array_equal(model(x)["y"], x.transpose(perm))


@pytest.mark.parametrize("mcpu", LEVELS)
def test_arithmetic(mcpu):
    """Operands that lie along either dimension, along one of them alone, or along
    none; and an integer division, which must not see what lies behind a tail."""
    names = {"a": ["m", "n"], "b": ["n", "m"], "c": ["n", 1], "d": ["m"]}
    nodes = [
        helper.make_node("Transpose", ["a"], ["t"], perm=[1, 0]),
        helper.make_node("Mul", ["t", "b"], ["u"]),
        helper.make_node("Add", ["u", "c"], ["v"]),
        helper.make_node("Div", ["v", "d"], ["w"]),
        helper.make_node("Div", ["w", "b"], ["y"]),
    ]
    inputs = [(name, TensorProto.INT32, shape) for name, shape in names.items()]
    outputs = [("y", TensorProto.INT32, ["n", "m"])]
    model = compiled(nodes, inputs, outputs, mcpu=mcpu, threads=1)
    random = np.random.default_rng(3)
    for m, n in SHAPES:
        a, b, c, d = (
            random.integers(1, 1000, shape, np.int32)
            for shape in ((m, n), (n, m), (n, 1), (m,))
        )
        np.testing.assert_array_equal(model(a, b, c, d)["y"], (a.T * b + c) // d // b)


#: Sizes of symbolic rows and keys: less than a tile, whole ones, parts and more.
DRAWS = [{"p": p, "m": m} for p, m in [(3, 20), (16, 128), (64, 129), (70, 300)]]


@pytest.mark.parametrize("mcpu", LEVELS)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_bias(tmp_path, dynamic, mcpu):
    """What is in memory for each row and key is turned part by part."""
    graph = Graph(dynamic)
    variants.bias_input(graph)
    check_cascade(graph, tmp_path, DRAWS if dynamic else (), mcpu=mcpu)
