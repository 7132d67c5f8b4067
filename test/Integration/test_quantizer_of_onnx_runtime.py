# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights that ONNX Runtime's quantizer has quantized, in the forms that it writes,
MatMulNBits and DequantizeLinear with MatMul, beside ONNX Runtime.

Its functions are called, and not its Python class, which needs a package more to
write the same nodes.
"""

import lutra
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi import _pybind_state as ort

QUANTIZE = {2: ort.quantize_matmul_2bits, 4: ort.quantize_matmul_4bits, 8: ort.quantize_matmul_8bits}


def drawn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def model(nodes, initializers, k):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
              for name, shape in (("x", ["rows", k]), ("y", None))]  # fmt: skip
    tensors = [t if isinstance(t, TensorProto) else numpy_helper.from_array(t, n)
               for n, t in initializers.items()]  # fmt: skip
    graph = helper.make_graph(nodes, "quantized", values[:1], values[1:], tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def matmul_nbits(w, bits, block, symmetric, level):
    (k, n), groups = w.shape, -(-w.shape[0] // block)
    codes = np.zeros((n, groups, block * bits // 8), np.uint8)
    scales = np.zeros((n, groups), np.float32)
    zeros = np.zeros((n, -(-groups * bits // 8)), np.uint8)
    padded = np.pad(w, ((0, groups * block - k), (0, 0)))
    QUANTIZE[bits](codes, padded, scales, zeros, block, n, k, symmetric)
    tensors = {"codes": codes, "scales": scales, **({} if symmetric else {"zeros": zeros})}
    attributes = dict(K=k, N=n, bits=bits, block_size=block)
    if level:
        attributes["accuracy_level"] = level
    node = helper.make_node("MatMulNBits", ["x", *tensors], ["y"], "product",
                            domain="com.microsoft", **attributes)  # fmt: skip
    return model([node], tensors, k)


def dequantized(w, block, symmetric):
    (k, n), groups = w.shape, -(-w.shape[0] // block)
    codes, zeros = (np.zeros((count + 1) // 2, np.uint8) for count in (k * n, groups * n))
    scales = np.zeros((groups, n), np.float32)
    ort.quantize_qdq_matmul_4bits(codes, w, scales, zeros, block, n, k, symmetric)
    kind = TensorProto.INT4 if symmetric else TensorProto.UINT4
    tensors = {"codes": helper.make_tensor("codes", kind, w.shape, codes.tobytes(), True), "scales": scales}
    if not symmetric:
        tensors["zeros"] = helper.make_tensor("zeros", kind, scales.shape, zeros.tobytes(), True)
    nodes = [
        helper.make_node("DequantizeLinear", [*tensors], ["w"], "decode", axis=0, block_size=block),
        helper.make_node("MatMul", ["x", "w"], ["y"], "product"),
    ]
    return model(nodes, tensors, k)


def check(graph, w, bits, tolerance):
    options = onnxruntime.SessionOptions()
    # So that it decodes what DequantizeLinear says, and does not round activations.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    compiled = lutra.compile(graph)
    for rows in (1, 7, 33):
        x = drawn(rows, w.shape[0])
        (expected,) = session.run(None, {"x": x})
        actual, largest = compiled(x)["y"], np.abs(expected).max()
        np.testing.assert_allclose(actual, expected, atol=tolerance * largest)
        # And it is the product with the weight that was quantized.
        assert np.abs(actual - x @ w).mean() < 1.5 * 2.0**-bits * np.abs(x @ w).max()


@pytest.mark.parametrize("level", [0, 4])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", QUANTIZE)
@pytest.mark.parametrize("k, n, block", [(96, 70, 32), (100, 33, 32), (256, 128, 64)])
def test_matmul_nbits(k, n, block, bits, symmetric, level):
    w = drawn(k, n)
    check(matmul_nbits(w, bits, block, symmetric, level), w, bits, 1e-2 if level else 1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("k, n, block", [(96, 70, 32), (100, 33, 32), (256, 128, 64)])
def test_dequantized(k, n, block, symmetric):
    w = drawn(k, n)
    check(dequantized(w, block, symmetric), w, 4, 1e-5)
