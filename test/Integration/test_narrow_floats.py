# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Floats of 8 and 4 bits: matrices that products read as they are, in blocks of MX and NV
formats too; what is dequantized for other readers; and what is quantized on the way."""

import re

import lutra
import ml_dtypes
import numpy as np
import pytest
from conftest import run_tool
from onnx import TensorProto, helper, numpy_helper, save
from test_shapes import LEVELS

KINDS = {
    "FLOAT8E4M3FN": ml_dtypes.float8_e4m3fn, "FLOAT8E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "FLOAT8E5M2": ml_dtypes.float8_e5m2, "FLOAT8E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "FLOAT4E2M1": ml_dtypes.float4_e2m1fn, "FLOAT8E8M0": ml_dtypes.float8_e8m0fnu,
}  # fmt: skip
WEIGHTS = [kind for kind in KINDS if kind != "FLOAT8E8M0"]


def every_code(kind, shape):
    """Numbers in which each code occurs that stands for one."""
    if kind == "INT8":
        return np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)
    count = 16 if kind == "FLOAT4E2M1" else 256
    numbers = np.arange(count, dtype=np.uint8).view(KINDS[kind])
    finite = numbers[np.isfinite(numbers.astype(np.float32))]
    order = np.random.default_rng(1).permutation(np.resize(np.arange(len(finite)), np.prod(shape)))
    return finite[order].reshape(shape)


def constant(array, name):
    return numpy_helper.from_array(array, name)


def build(nodes, constants, x, outputs=("y",), opset=25):
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, ["rows", *x.shape[1:]])],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs],
        [constant(value, name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=13)


def run(model, x, level="native"):
    return lutra.compile(model, mcpu=level, dim={"rows": "0..64"})({"x": x})


def rows_of(k, rows=3):
    return np.random.default_rng(4).standard_normal((rows, k)).astype(np.float32)


def near(actual, expected, tolerance=1e-5):
    size = np.abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(actual / size, expected / size, rtol=0, atol=tolerance)


class Matrix:
    """A quantized matrix [K, N], or [N, K] where it is turned: with one scale, one per column, or one
    per block of a column."""

    def __init__(self, kind, k, n, turned=False, block=0, scale=np.float32, one=False):
        shape = (n, k) if turned else (k, n)
        depth = int(turned)
        self.x = every_code(kind, shape)
        self.axis, self.block = depth if block else 1 - depth, block
        sizes = [n, n]
        sizes[depth] = -(-k // block) if block else 1
        random = np.random.default_rng(2)
        if scale == ml_dtypes.float8_e8m0fnu:
            scales = np.exp2(random.integers(-9, 4, sizes)).astype(scale)
        else:
            scales = random.uniform(0.5, 2, sizes).astype(scale)
        spread = np.repeat(scales.astype(np.float64), block or k, depth).take(range(k), depth)
        if one:
            scales = scales.reshape(-1)[0]
            spread = np.full(shape, np.float64(scales))
        self.scales = np.asarray(scales) if block or one else scales.reshape(n)
        self.value = self.x.astype(np.float64) * spread
        self.constants = {"q": self.x, "s": self.scales}

    def node(self, names=("q", "s"), **attributes):
        if self.block:
            attributes["block_size"] = self.block
        return helper.make_node(
            "DequantizeLinear", names, ["w"], "dequantize", axis=self.axis,
            output_dtype=TensorProto.FLOAT, **attributes,
        )  # fmt: skip


def product(turned):
    if turned:
        return helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    return helper.make_node("MatMul", ["x", "w"], ["y"])


def check(matrix, turned, rows=3, level="native"):
    weight = matrix.value.T if turned else matrix.value
    x = rows_of(len(weight), rows)
    model = build([matrix.node(), product(turned)], matrix.constants, x)
    near(run(model, x, level)["y"], x.astype(np.float64) @ weight)


@pytest.mark.parametrize("rows", [0, 1, 3, 33])
@pytest.mark.parametrize("turned", [False, True], ids=["matmul", "gemm"])
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("form", ["column", "block", "one"])
def test_products(kind, turned, form, rows):
    check(Matrix(kind, 48, 21, turned, block=16 if form == "block" else 0, one=form == "one"), turned, rows)


@pytest.mark.parametrize("k, n, block", [(50, 9, 16), (7, 3, 0), (130, 40, 32), (65, 1, 32), (1, 5, 0)])
@pytest.mark.parametrize("kind", ["FLOAT8E5M2", "FLOAT4E2M1"])
def test_sizes(kind, k, n, block):
    check(Matrix(kind, k, n, block=block), False)
    check(Matrix(kind, k, n, True, block=block), True)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["FLOAT8E4M3FN", "FLOAT4E2M1"])
def test_levels(kind, level):
    check(Matrix(kind, 70, 37, block=32), False, 5, level)


@pytest.mark.parametrize("kind", ["FLOAT4E2M1", "FLOAT8E4M3FN", "FLOAT8E5M2", "INT8"])
@pytest.mark.parametrize("turned", [False, True], ids=["matmul", "gemm"])
@pytest.mark.parametrize("size", [(64, 9), (96, 40), (200, 70)])
def test_mx(kind, turned, size):
    """Blocks of 32 share a power of two; the file has it as FLOAT8E8M0."""
    k, n = size
    matrix = Matrix(kind, k, n, turned, 32, ml_dtypes.float8_e8m0fnu)
    check(matrix, turned)


@pytest.mark.parametrize("turned", [False, True], ids=["matmul", "gemm"])
@pytest.mark.parametrize("size", [(64, 9), (80, 40), (200, 130)])
def test_nv(turned, size):
    """Blocks of 16 share a FLOAT8E4M3FN, which is dequantized with one scale."""
    k, n = size
    matrix = Matrix("FLOAT4E2M1", k, n, turned, 16, ml_dtypes.float8_e4m3fn)
    matrix.constants["outer"] = np.float32(0.03125)
    outer = helper.make_node("DequantizeLinear", ["s", "outer"], ["inner"], "outer")
    weight = (matrix.value.T if turned else matrix.value) * 0.03125
    x = rows_of(k)
    model = build([outer, matrix.node(("q", "inner")), product(turned)], matrix.constants, x)
    near(run(model, x)["y"], x.astype(np.float64) @ weight)


@pytest.mark.parametrize("scale", ["FLOAT8E8M0", "FLOAT8E4M3FN"])
def test_codes_are_multiplied(scale, tmp_path):
    """Nothing of a large matrix is decoded but in the product."""
    matrix = Matrix("FLOAT4E2M1", 256, 96, block=32, scale=KINDS[scale])
    nodes, name = [], "s"
    if scale == "FLOAT8E4M3FN":
        matrix.constants["outer"] = np.float32(0.5)
        nodes, name = [helper.make_node("DequantizeLinear", ["s", "outer"], ["inner"])], "inner"
    save(build([*nodes, matrix.node(("q", name)), product(False)], matrix.constants, rows_of(256)), tmp_path / "m.onnx")
    run_tool("lutra-compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so", f"--dump-ir={tmp_path}/ir")
    text = next((tmp_path / "ir").glob("*encode*")).read_text()
    assert re.search(r"mpgemm.matmul #mpgemm.codebook<bits = 4, .*layout <rows", text)
    assert "linalg" not in text
    # Scales of 8 bits are read as the file has them.
    assert ("xf8E8M0FNU>" in text) == (scale == "FLOAT8E8M0")
    assert ("xf8E4M3FN>" in text) == ("superscales" in text) == (scale == "FLOAT8E4M3FN")


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("size", [(5, 7), (40, 60)], ids=["small", "large"])
@pytest.mark.parametrize("block", [0, 4])
def test_other_readers(kind, size, block):
    matrix = Matrix(kind, *size, block=block)
    if block and size[0] % block:
        matrix = Matrix(kind, size[0], size[1], block=5)
    x = np.ones(size, np.float32)
    model = build([matrix.node(), helper.make_node("Mul", ["x", "w"], ["y"])], matrix.constants, x)
    np.testing.assert_allclose(run(model, x)["y"], matrix.value, rtol=1e-6)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_codes_that_are_no_numbers(kind):
    """NaN and infinities stay what they are."""
    if kind == "FLOAT4E2M1":
        pytest.skip("has none")
    matrix = np.arange(256, dtype=np.uint8).view(KINDS[kind]).reshape(4, 64)
    nodes = [helper.make_node("DequantizeLinear", ["q", "s"], ["w"]), product(False)]
    x = np.eye(4, dtype=np.float32)
    y = run(build(nodes, {"q": matrix, "s": np.float32(1)}, x), x)["y"]
    wide = matrix.astype(np.float32)
    special = ~np.isfinite(wide).all(0)
    np.testing.assert_array_equal(np.isnan(y)[:, special].any(0), True)
    np.testing.assert_array_equal(y[:, ~special], wide[:, ~special])


#: Special ones, and those halfway between the largest of a format and the next.
NUMBERS = [0, -0.0, np.nan, np.inf, -np.inf, 1e9, -1e9, 1e-9, 447, 448, 449, 463, 464, 465, 480, 240, 247, 248, 57344,
           61439, 61440, 65536, 0.25, 0.75, -2.5, 5, 3.5, 6, 7, 2**-9, 2**-10, 3 * 2**-10, 2**-16, 3 * 2**-18]  # fmt: skip


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("saturate", [0, 1])
def test_quantize(kind, saturate):
    x = np.array([*NUMBERS, *(np.random.default_rng(6).standard_normal(3000) * 100)], np.float32).reshape(2, -1)
    attributes = dict(output_dtype=getattr(TensorProto, kind), saturate=saturate)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], **attributes),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    actual = run(build(nodes, {"s": np.float32(0.5)}, x), x)["y"]
    quotient = x / np.float32(0.5)
    if saturate:
        limits = ml_dtypes.finfo(KINDS[kind])
        quotient = np.clip(quotient, np.float32(limits.min), np.float32(limits.max))
    np.testing.assert_array_equal(actual, quotient.astype(KINDS[kind]).astype(np.float32) * np.float32(0.5))


@pytest.mark.parametrize("kind, low, high", [("INT4", -8, 7), ("UINT4", 0, 15), ("INT2", -2, 1), ("UINT2", 0, 3)])
@pytest.mark.parametrize("zero", [None, 1])
def test_quantize_narrow_integers(kind, low, high, zero):
    x = np.linspace(-20, 20, 161, dtype=np.float32).reshape(7, 23)
    constants = {"s": np.float32(0.5)}
    names = ["s"]
    if zero is not None:
        constants["z"] = np.asarray(zero, getattr(ml_dtypes, kind.lower()))
        names += ["z"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *names], ["q"], output_dtype=getattr(TensorProto, kind)),
        helper.make_node("DequantizeLinear", ["q", *names], ["y"]),
    ]
    expected = (np.clip(np.rint(x / 0.5) + (zero or 0), low, high) - (zero or 0)) * 0.5
    np.testing.assert_array_equal(run(build(nodes, constants, x), x)["y"], expected)


def test_both_sides():
    """Activations of 8-bit floats are multiplied as the numbers that they stand for."""
    matrix = Matrix("FLOAT8E4M3FN", 40, 12)
    x = rows_of(40)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        matrix.node(),
        helper.make_node("MatMul", ["xd", "w"], ["y"]),
    ]
    kind = ml_dtypes.float8_e4m3fn
    constants = {**matrix.constants, "xs": np.float32(0.01), "xz": np.zeros((), kind)}
    rounded = (x / np.float32(0.01)).astype(kind).astype(np.float64) * 0.01
    near(run(build(nodes, constants, x), x)["y"], rounded @ matrix.value)


WRONG = [
    (dict(s=np.ones(5, ml_dtypes.float8_e8m0fnu)), {}, "expected output_dtype with an x_scale of FLOAT8E8M0"),
    (dict(q=np.ones((4, 5), ml_dtypes.float8_e8m0fnu)), {}, "another type than FLOAT8E8M0"),
    (dict(s=np.ones(5, ml_dtypes.float8_e4m3fn)), {}, "another type than FLOAT8E4M3FN"),
    (dict(s=np.ones(4, np.float32)), {}, "expected input 1 of shape"),
    (dict(s=np.ones((3, 5), np.float32)), dict(block_size=2, axis=0), "expected input 1 of shape"),
    (dict(z=np.zeros((), ml_dtypes.float8_e5m2)), {}, "of one type"),
]  # fmt: skip


@pytest.mark.parametrize("changes, attributes, reason", WRONG, ids=[w[-1] for w in WRONG])
def test_refused(changes, attributes, reason):
    constants = {"q": np.ones((4, 5), ml_dtypes.float8_e4m3fn), "s": np.ones(5, np.float32), **changes}
    node = helper.make_node("DequantizeLinear", list(constants), ["w"], "dequantize", **attributes)
    x = rows_of(4)
    with pytest.raises(lutra.CompileError, match=reason):
        run(build([node, product(False)], constants, x), x)
