# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole models beside ONNX Runtime."""

import lutra
import numpy as np
import onnxruntime
import pytest
from conftest import MODELS, generate, lutra_compile
from onnx import TensorProto, helper, load, numpy_helper, save


def test_cnn(cnn):
    path, data = cnn
    y = lutra.compile(path)(data["x"])["y"]
    np.testing.assert_allclose(y, data["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["inline", "external"])
@pytest.mark.parametrize("weights", ["external", "embed"])
@pytest.mark.parametrize("width", [7, 65])
def test_mlp(form, weights, width, tmp_path):
    """Odd sizes, with weights inside and beside the model and the artifact."""
    name = f"mlp-{form}-{width}.onnx"
    options = ["--external"] if form == "external" else []
    path = generate(
        "mlp.py", name, MODELS / name, f"--width={width}", "--layers=3", *options
    )
    x = np.random.default_rng(0).standard_normal((5, width), np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    model = lutra.compile(path, output=tmp_path / "mlp.so", weights=weights)
    np.testing.assert_allclose(
        model(x)["y"], session.run(None, {"x": x})[0], rtol=1e-5, atol=1e-5
    )


def test_long_model(tmp_path):
    """LLVM would take a time for the host program that grows with its square."""
    size = 4
    weight = np.eye(size, dtype=np.float32)[::-1].copy()
    values = ["x", *(f"v{i}" for i in range(599)), "y"]
    nodes = [
        helper.make_node("MatMul", [before, "w"], [after], after)
        for before, after in zip(values, values[1:])
    ]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name in ("x", "y")
    )
    graph = helper.make_graph(
        nodes, "long", [x], [y], [numpy_helper.from_array(weight, "w")]
    )
    opset = helper.make_opsetid("", 18)
    path = tmp_path / "long.onnx"
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    lutra_compile(path, "--compile-to=target", "-o", tmp_path / "long.mlir")
    parts = (tmp_path / "long.mlir").read_text().count("llvm.func internal @lutra_run_part")
    assert 2 <= parts <= 5
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(lutra.compile(path)(image)["y"], image)


def test_one_kernel_per_attention(numerals):
    """The language model as an exporter writes it, which names no attention: each is one
    kernel, from the scores to the sums of values."""
    nodes = load(numerals).graph.node
    assert not any("attention" in node.op_type.lower() for node in nodes)
    layers = [node.name.rsplit("/", 1)[0] for node in nodes if node.op_type == "Softmax"]
    report = lutra.report(numerals, state="past_key_values.*:present.*:max=48")
    for layer in layers:
        (made,) = [d for d in report["dispatches"] if f"{layer}/Softmax" in d["nodes"]]
        assert {f"{layer}/MatMul", f"{layer}/MatMul_1"} <= set(made["nodes"].split(", "))
    assert len(layers) == 2
