# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models that ONNX Runtime's quantizer writes, beside ONNX Runtime: with QuantizeLinear and
DequantizeLinear at both factors of products, and quantized dynamically."""

import re

import lutra
import ml_dtypes
import numpy as np
import onnx
import pytest
from conftest import run_tool
from differential import reference
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from samples import Samples

TYPES = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
K, HIDDEN, N = 33, 70, 9


def perceptron(gemm):
    """Two layers: MatMul, Add and Relu, or Gemm with a transposed matrix."""
    random = np.random.default_rng(5)
    w = [random.standard_normal(s).astype(np.float32) * 0.2 for s in ((K, HIDDEN), (HIDDEN, N))]
    b = [random.standard_normal(s).astype(np.float32) for s in (HIDDEN, N)]
    constants = {"w0": w[0].T.copy() if gemm else w[0], "w1": w[1], "b0": b[0], "b1": b[1]}
    if gemm:
        first = [helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], "first", transB=1)]
    else:
        first = [
            helper.make_node("MatMul", ["x", "w0"], ["p"], "first"),
            helper.make_node("Add", ["p", "b0"], ["h"], "bias"),
        ]
    nodes = [
        *first,
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "w1"], ["q"], "second"),
        helper.make_node("Add", ["q", "b1"], ["y"], "last"),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "perceptron", [helper.make_tensor_value_info("x", kind, ["rows", K])],
        [helper.make_tensor_value_info("y", kind, ["rows", N])],
        [numpy_helper.from_array(v, n) for n, v in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def inputs(rows, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, K)).astype(np.float32)


def static(tmp_path, gemm, activations, weights, per_channel):
    source, target = tmp_path / "float.onnx", tmp_path / "static.onnx"
    onnx.save(perceptron(gemm), source)
    quantize_static(
        source, target, Samples({"x": inputs(64, seed)} for seed in (1, 2)), QuantFormat.QDQ, per_channel=per_channel,
        activation_type=TYPES[activations], weight_type=TYPES[weights],
        # Larger sums saturate in ONNX Runtime on some machines.
        reduce_range=True,
    )  # fmt: skip
    return target


def step(path):
    """The largest scale of a tensor in the model, of which results may differ by one."""
    model = onnx.load(path)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return max(constants[n.input[1]].max() for n in model.graph.node if n.op_type == "QuantizeLinear")


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("types", [("u8", "s8"), ("u8", "u8"), ("s8", "s8")], ids=str)
@pytest.mark.parametrize("gemm", [False, True], ids=["matmul", "gemm"])
def test_static(tmp_path, gemm, types, per_channel):
    path = static(tmp_path, gemm, *types, per_channel)
    compiled = lutra.compile(path, mcpu="native", dim={"rows": "0..64"})
    for rows in (0, 1, 3, 33):
        x = inputs(rows)
        actual, expected = compiled({"x": x})["y"], reference(path)({"x": x})["y"]
        assert actual.shape == expected.shape
        difference = np.abs(actual - expected)
        assert difference.max(initial=0) <= step(path) * 1.01
        assert (difference > step(path) / 2).mean() < 0.02 if rows else True


@pytest.mark.parametrize("gemm", [False, True], ids=["matmul", "gemm"])
def test_bytes_are_multiplied(tmp_path, gemm):
    path = static(tmp_path, gemm, "u8", "s8", True)
    run_tool("lutra-compile", str(path), "-o", str(tmp_path / "m.so"), f"--dump-ir={tmp_path}/ir")
    text = next(p for p in sorted((tmp_path / "ir").iterdir()) if "tensor" in p.name).read_text()
    assert len(re.findall(r"mpgemm.matmul <?#?.*x\(%\S+ : tensor<\?x1x\d+xi8>\)", text)) == 2


@pytest.mark.parametrize("weights", TYPES)
@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("gemm", [False, True], ids=["matmul", "gemm"])
def test_dynamic(tmp_path, gemm, per_channel, weights):
    source, target = tmp_path / "float.onnx", tmp_path / "dynamic.onnx"
    onnx.save(perceptron(gemm), source)
    quantize_dynamic(source, target, per_channel=per_channel, weight_type=TYPES[weights], reduce_range=True)
    compiled = lutra.compile(target, mcpu="native")
    for rows in (1, 3, 33):
        x = inputs(rows)
        np.testing.assert_allclose(compiled({"x": x})["y"], reference(target)({"x": x})["y"], rtol=1e-4, atol=1e-4)


def products(weight, form):
    """Dequantized rows of bytes times a dequantized matrix, [K, N] or turned [N, K]."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["a"]),
        helper.make_node("DequantizeLinear", weight, ["b"], axis=0 if form in ("gemm", "transpose") else 1),
    ]
    if form == "gemm":
        return [*nodes, helper.make_node("Gemm", ["a", "b"], ["y"], transB=1)]
    if form == "transpose":
        nodes += [helper.make_node("Transpose", ["b"], ["t"])]
    return [*nodes, helper.make_node("MatMul", ["a", "t" if form == "transpose" else "b"], ["y"])]


@pytest.mark.parametrize("size", [(40, 12), (300, 70)], ids=["small", "large"])
@pytest.mark.parametrize("form", ["plain", "gemm", "transpose"])
@pytest.mark.parametrize("kind, low, high", [
    (np.int8, -128, 127), (np.uint8, 0, 255), (ml_dtypes.int4, -8, 7), (ml_dtypes.uint4, 0, 15), (ml_dtypes.int2, -2, 1)])  # fmt: skip
@pytest.mark.parametrize("zeros", [False, True])
def test_exact(kind, low, high, zeros, form, size):
    """Weights of 8 and fewer bits with a zero point per column: one rounding for each scale."""
    random = np.random.default_rng(1)
    k, n = size
    w, z = random.integers(low, high + 1, size), random.integers(low, high + 1, n) * zeros
    scales, step, zero = random.uniform(0.1, 1, n).astype(np.float32), np.float32(0.02), 117
    turned = form != "plain"
    constants = {"w": (w.T if turned else w).astype(kind), "ws": scales, "xs": step, "xz": np.uint8(zero)}
    if zeros:
        constants["wz"] = z.astype(kind)
    graph = helper.make_graph(
        products([name for name in constants if name[0] == "w"], form), "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (3, k))],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13)
    x = random.standard_normal((3, k)).astype(np.float32)
    expected = (np.clip(np.rint(x / step) + zero, 0, 255) - zero) @ (w - z) * (np.float64(step) * scales)
    np.testing.assert_allclose(lutra.compile(model, mcpu="native")({"x": x})["y"], expected, rtol=4e-7)
