# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of matrices of bf16: pairs are multiplied as they lie where they do, put
together where they are read, and alone where one is left; those of a weight lie ready.
Sizes are those at which vectors, pairs and tiles end."""

import lutra
import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper
from test_shapes import LEVELS

WITHOUT_TILES = "-amx-tile" if "amx_tile" in open("/proc/cpuinfo").read() else ""
#: Batch, rows, depth and columns.
SIZES = [
    (5, 1, 64, 1),
    (4, 1, 33, 1),
    (1, 2, 32, 50),
    (2, 3, 33, 17),
    (3, 8, 40, 18),
    (1, 4, 16, 33),
    (2, 5, 7, 34),
    (1, 1, 3, 129),
    (1, 9, 100, 65),
    (7, 2, 1, 2),
    # Matrix tiles, whole and not, of rows, columns and pairs.
    (2, 64, 64, 64),
    (1, 37, 77, 45),
    (1, 16, 8, 16),
    (2, 50, 66, 9),
    (1, 24, 31, 130),
    (1, 130, 70, 150),
    # Blocks of the reduction, whole and not: of rows that read columns as they lie, and
    # of such that share a copy, which is for more than one block of rows or columns.
    (1, 3, 50, 1100),
    (2, 40, 1027, 300),
    (1, 300, 600, 140),
]


def check(sizes, turned, dynamic=False, **options):
    batch, m, k, n = sizes
    shapes = {"x": (batch, m, k), "y": (batch, n, k) if turned else (batch, k, n)}
    names = {"x": "bmk", "y": "bnk" if turned else "bkn", "z": "bmn"}
    shapes["z"] = (batch, m, n)
    info = {
        name: helper.make_tensor_value_info(
            name, TensorProto.BFLOAT16, list(names[name]) if dynamic else shape
        )
        for name, shape in shapes.items()
    }
    nodes = [helper.make_node("MatMul", ["x", "w" if turned else "y"], ["z"])]
    if turned:
        nodes.insert(0, helper.make_node("Transpose", ["y"], ["w"], perm=[0, 2, 1]))
    graph = helper.make_graph(nodes, "product", [info["x"], info["y"]], [info["z"]])
    opset = helper.make_opsetid("", 21)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    random = np.random.default_rng(0)
    x, y = (random.uniform(1, 2, shapes[name]).astype(ml_dtypes.bfloat16) for name in "xy")
    wide = y.astype(np.float64)
    exact = x.astype(np.float64) @ (wide.swapaxes(1, 2) if turned else wide)
    got = lutra.compile(model, **options)(x, y)["z"].astype(np.float64)
    # All terms are positive: what is rounded is the result.
    np.testing.assert_allclose(got, exact, rtol=2**-8)


def check_weight(sizes, dynamic=False, **options):
    """x [m, k] by a weight [k, n]."""
    m, k, n = sizes
    random = np.random.default_rng(1)
    x, w = (random.uniform(1, 2, shape).astype(ml_dtypes.bfloat16) for shape in ((m, k), (k, n)))
    kind, rows = TensorProto.BFLOAT16, "m" if dynamic else m
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["z"])],
        "product",
        [helper.make_tensor_value_info("x", kind, [rows, k])],
        [helper.make_tensor_value_info("z", kind, [rows, n])],
        [helper.make_tensor("w", kind, w.shape, w.tobytes(), raw=True)],
    )
    opset = helper.make_opsetid("", 21)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    got = lutra.compile(model, **options)(x)["z"].astype(np.float64)
    exact = x.astype(np.float64) @ w.astype(np.float64)
    np.testing.assert_allclose(got, exact, rtol=2**-8)


#: Rows, depth and columns.
WEIGHTS = [(1, 64, 100), (4, 130, 70), (8, 256, 64), (40, 96, 33), (33, 67, 90), (65, 514, 130)]


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "symbolic"])
@pytest.mark.parametrize("sizes", WEIGHTS, ids=str)
def test_weights(sizes, dynamic):
    check_weight(sizes, dynamic)


@pytest.mark.parametrize("level", LEVELS)
def test_levels_of_weights(level):
    check_weight((19, 70, 50), mcpu=level)


@pytest.mark.parametrize("sizes", WEIGHTS, ids=str)
def test_weights_without_matrix_tiles(sizes):
    check_weight(sizes, mattr=WITHOUT_TILES)


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(sizes, turned):
    check(sizes, turned)


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
@pytest.mark.parametrize("sizes", SIZES[::3], ids=str)
def test_symbolic_sizes(sizes, turned):
    check(sizes, turned, dynamic=True)


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
@pytest.mark.parametrize("level", LEVELS)
def test_levels(level, turned):
    check((2, 5, 35, 50), turned, mcpu=level)


@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
@pytest.mark.parametrize("sizes", SIZES[-9:], ids=str)
def test_without_matrix_tiles(sizes, turned):
    check(sizes, turned, mattr=WITHOUT_TILES)
