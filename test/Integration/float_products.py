# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models of products of floats for --quantize, and what becomes of their weights."""

import json

import numpy as np
from conftest import lutra_compile
from onnx import TensorProto, helper, numpy_helper

K, N = 200, 96
# Bounds of the relative error of normally distributed weights.
FORMATS = {
    "uint1": 0.85, "ternary": 0.45, "int2": 0.40, "uint2": 0.40, "int3": 0.19,
    "uint3": 0.18, "int4": 0.09, "uint4": 0.085, "nf4": 0.095, "fp4": 0.115,
    "mxfp4": 0.125, "nvfp4": 0.11, "int5": 0.045, "uint5": 0.042, "int6": 0.023,
    "uint6": 0.021, "int7": 0.012, "uint7": 0.011, "int8": 0.006, "uint8": 0.006,
    "fp8": 0.03, "pot3": 0.20, "pot4": 0.17, "iq4": 0.08, "posit4": 0.17, "mxfp6": 0.03,
    "mxfp6e3m2": 0.06, "posit8": 0.01, "fp8e5m2": 0.06, "mxfp8": 0.035, "mxfp8e5m2": 0.06,
    "bcq1": 0.61, "bcq2": 0.35, "bcq3": 0.20, "bcq4": 0.12, "trellis2": 0.29,
    "trellis3": 0.145, "trellis4": 0.08,
}  # fmt: skip
VECTORS = {"aqlm1": 0.58, "vptq2": 0.32, "aqlm2": 0.32, "vptq3": 0.18, "aqlm3": 0.175, "vptq4": 0.097}
FORMATS |= VECTORS


def model_of(nodes, weights, inputs, outputs):
    initializers = [numpy_helper.from_array(w, name) for name, w in weights.items()]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        initializers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def product(weight, **attributes):
    """x [batch, K] times a weight [K, N], or with transB [N, K]."""
    k, n = weight.shape[:: -1 if attributes.get("transB") else 1]
    op = "Gemm" if attributes else "MatMul"
    node = helper.make_node(op, ["x", "w"], ["y"], "layers.0/proj", **attributes)
    return model_of([node], {"w": weight}, {"x": ["batch", k]}, {"y": ["batch", n]})


def relative(got, expected):
    return np.sqrt(np.sum((got - expected) ** 2.0) / np.sum(expected**2.0))


def decoded(model, k):
    """The weights that the codes stand for: products with 1 and 0 are exact."""
    return model(np.eye(k, dtype=np.float32))["y"]


def perceptron():
    """Two layers, of which both and a table of rows read the first weight."""
    nodes = [
        helper.make_node("Gather", ["w1", "i"], ["row"], "embed"),
        helper.make_node("MatMul", ["x", "w1"], ["h"], "up"),
        helper.make_node("Add", ["h", "row"], ["b"], "bias"),
        helper.make_node("Relu", ["b"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "w2"], ["s"], "head"),
        helper.make_node("MatMul", ["s", "w3"], ["y"], "tiny"),
    ]
    weights = {
        "w1": normal(64, 128, seed=1),
        "w2": normal(128, 64, seed=2),
        "w3": normal(64, 10, seed=3),
        "i": np.int64(3),
    }
    return model_of(nodes, weights, {"x": ["batch", 64]}, {"y": ["batch", 10]})


def layers_of(path, rules, tmp_path):
    report = tmp_path / "r.json"
    lutra_compile(
        path, "-o", tmp_path / "m.so", f"--quantize={rules}", "-O0",
        f"--report=quantization:{report}",
    )  # fmt: skip
    return {p["nodes"]: p for p in json.loads(report.read_text())["products"]}
