# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Normalizations that ONNX itself does not have, beside ONNX Runtime: over the last
dimension of a sum with a skip connection, with or without a mean, and with all of
their outputs."""

import lutra
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

MICROSOFT = "com.microsoft"
NAMES = ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"]


def model(op, shapes, inputs, outputs, domain=MICROSOFT, **attributes):
    """`shapes` are of those of `inputs` that are not empty."""

    def info(name, shape=None):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [helper.make_node(op, inputs, outputs, "norm", domain=domain, **attributes)],
        "normalization",
        [info(name, shapes[name]) for name in inputs if name],
        [info(name) for name in outputs if name],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def compare(made, sizes):
    random = np.random.default_rng(0)
    feeds = {name: random.uniform(-2, 2, shape).astype(np.float32) for name, shape in sizes.items()}
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    got = lutra.compile(made)(feeds)
    for output, expected in zip(session.get_outputs(), session.run(None, feeds)):
        np.testing.assert_allclose(got[output.name], expected, 2e-5, 2e-5, err_msg=output.name)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("width", [1, 7, 64, 100])
@pytest.mark.parametrize("op", NAMES)
def test_sums(op, width, symbolic, bias):
    sizes = {"x": (2, 3, width), "skip": (2, 3, width), "gamma": (width,)}
    inputs = list(sizes)
    if op == NAMES[0]:
        inputs.append("beta")
    if bias:
        inputs.append("bias")
    sizes |= {name: (width,) for name in inputs[2:]}
    shapes = {name: ["b", "s", width] if symbolic and len(s) == 3 else s for name, s in sizes.items()}
    # ONNX Runtime does not write its statistics.
    compare(model(op, shapes, inputs, ["y", "", "", "sum"], epsilon=1e-5), sizes)


@pytest.mark.parametrize("shape", [(3, 64), (1, 3, 64)])
@pytest.mark.parametrize("op", NAMES)
def test_skip_of_all_batches(op, shape):
    sizes = {"x": (2, 3, 64), "skip": shape, "gamma": (64,)}
    compare(model(op, sizes, list(sizes), ["y", "", "", "sum"], epsilon=1e-5), sizes)


@pytest.mark.parametrize("axis", [-1, 1])
def test_simplified(axis):
    sizes = {"x": (2, 3, 20), "scale": (3, 20)[axis if axis < 0 else 0 :]}
    made = model(
        "SimplifiedLayerNormalization", sizes, list(sizes), ["y"], "", axis=axis, epsilon=1e-5
    )
    compare(made, sizes)


def test_statistics():
    sizes = {"x": (2, 3, 20), "skip": (2, 3, 20), "gamma": (20,)}
    made = model(NAMES[0], sizes, list(sizes), ["y", "mean", "inverse", "sum"], epsilon=1e-3)
    random = np.random.default_rng(0)
    feeds = {name: random.uniform(-2, 2, shape).astype(np.float32) for name, shape in sizes.items()}
    got = lutra.compile(made)(feeds)
    total = feeds["x"] + feeds["skip"]
    np.testing.assert_allclose(got["sum"], total, 1e-6)
    np.testing.assert_allclose(got["mean"], total.mean(-1, keepdims=True), 1e-5, 1e-6)
    deviation = np.sqrt(total.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(got["inverse"], 1 / deviation, 1e-5)


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"x": (2, 20), "skip": (3, 20), "gamma": (20,)}, "2x20 and 3x20|broadcast"),
        ({"x": (1, 20), "skip": (3, 20), "gamma": (20,)}, "skip and bias that broadcast to"),
        ({"x": (2, 20), "skip": (2, 20), "gamma": (21,)}, "expected a shape that broadcasts to"),
    ],
)
def test_refused(sizes, message):
    with pytest.raises(lutra.CompileError, match=f"norm.*({message})"):
        lutra.compile(model(NAMES[1], sizes, list(sizes), ["y"]))
