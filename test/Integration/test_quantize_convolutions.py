# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize of float convolutions. One with an image of the size of its kernel gives
what the codes stand for."""

import json

import lutra
import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from float_products import FORMATS, layers_of, normal, relative

#: Shapes of x and of weights, and attributes.
CASES = [
    ((2, 64, 9, 7), (40, 64, 3, 3), {"pads": [1, 1, 1, 1]}),
    ((1, 48, 11, 8), (33, 48, 3, 2), {"strides": [2, 1], "pads": [0, 1, 2, 3], "dilations": [1, 2]}),
    ((2, 96, 5, 6), (70, 96, 1, 1), {}),
    ((3, 70, 6, 5), (64, 70, 1, 1), {"strides": [2, 3]}),
    ((1, 33, 40), (32, 33, 5), {"pads": [4, 0]}),
    ((1, 20, 5, 6, 7), (18, 20, 2, 3, 2), {"strides": [1, 2, 1]}),
]
IDS = ["x".join(map(str, case[1])) for case in CASES]


def convolution(weight, shape, dtype=np.float32, **attributes):
    def info(name, shape):
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", **attributes)
    graph = helper.make_graph([node], "g", [info("x", shape)], [info("y", None)],
                              [numpy_helper.from_array(weight.astype(dtype), "w")])  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def decoded(weight, rules):
    """The weights that the codes stand for."""
    count = int(np.prod(weight.shape[1:]))
    images = np.eye(count, dtype=np.float32).reshape(count, *weight.shape[1:])
    y = lutra.compile(convolution(weight, images.shape), quantize=rules)(images)["y"]
    return np.ascontiguousarray(y.reshape(count, -1).T).reshape(weight.shape)


def expected(weight, x, attributes):
    model = convolution(weight, x.shape, **attributes).SerializeToString()
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


RULES = ["int4", "uint8:g24", "nf4:row", "int3:g16", "bcq2:g24", "trellis3"]
INTEGER_RULES = ["int8:g16", "int8:row", "uint4:g32", "bcq3:g16", "trellis2"]


def level_of(number, turn):
    """Each case at one level of instructions with each of the rules."""
    return ["native", "x86-64-v3", "x86-64"][(number + turn) % 3]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_weights(number, rules):
    shape, w_shape, attributes = CASES[number]
    level = level_of(number, RULES.index(rules))
    weight, x = normal(*w_shape, seed=1), normal(*shape, seed=2)
    known = decoded(weight, rules)
    assert 0 < relative(known, weight) < 2.2 * FORMATS[rules.split(":")[0]]
    model = lutra.compile(convolution(weight, shape, **attributes), quantize=rules, mcpu=level)
    np.testing.assert_allclose(model(x)["y"], expected(known, x, attributes), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("rules", INTEGER_RULES)
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_integer_activations(number, rules):
    """Also where groups of channels are rounded before windows see them, and where not."""
    shape, w_shape, attributes = CASES[number]
    level = level_of(number, INTEGER_RULES.index(rules))
    weight, x = normal(*w_shape, seed=3), normal(*shape, seed=4)
    floats, integers = (
        lutra.compile(convolution(weight, shape, **attributes), quantize=each, mcpu=level)(x)["y"]
        for each in (rules, f"{rules}:a8")
    )
    assert 0 < relative(integers, floats) < 0.02


@pytest.mark.parametrize("rules", ["int8", "int8:g16:a8"])
def test_dynamic(rules):
    weight, attributes = normal(32, 16, 3, 3), {"pads": [1, 1, 0, 0], "strides": [2, 2]}
    model = lutra.compile(
        convolution(weight, ["n", 16, "h", "w"], **attributes), quantize=rules, dim={"n": "0..4", "h": "2..64", "w": "2..64"}
    )
    for shape in [(1, 16, 9, 8), (3, 16, 2, 31), (0, 16, 5, 5)]:
        x = normal(*shape)
        y = model(x)["y"]
        assert y.shape == (shape[0], 32, (shape[2] - 2) // 2 + 1, (shape[3] - 2) // 2 + 1)
        assert not x.size or relative(y, expected(weight, x, attributes)) < 0.015


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("rules", ["int8", "int8:a8"])
def test_halves(dtype, rules):
    weight, x = (normal(*shape).astype(dtype) for shape in ((64, 32, 3, 3), (1, 32, 6, 6)))
    y = lutra.compile(convolution(weight, x.shape, dtype), quantize=rules)(x)["y"].astype(np.float32)
    assert relative(y, expected(*(each.astype(np.float32) for each in (weight, x)), {})) < 0.02


def test_report(tmp_path):
    """Convolutions are listed; those of groups stay."""
    dense, grouped = normal(64, 32, 3, 3), normal(64, 16, 3, 3)
    nodes = [
        helper.make_node("Conv", ["x", "dense"], ["h"], "first", pads=[1] * 4),
        helper.make_node("Conv", ["h", "grouped"], ["y"], "second", group=4),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [info("x", onnx.TensorProto.FLOAT, [1, 32, 8, 8])], [info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(dense, "dense"), numpy_helper.from_array(grouped, "grouped")],
    )  # fmt: skip
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    layers = layers_of(path, "int4", tmp_path)
    assert layers["first"]["format"] == "int4" and layers["first"]["shape"] == [64, 32, 3, 3]
    assert layers["first"]["relative_error"] == pytest.approx(relative(decoded(dense, "int4"), dense), rel=1e-3)
    assert layers["second"]["reason"] == "a convolution of groups"
    assert json.loads((tmp_path / "r.json").read_text())["bytes_after"] < 4 * (dense.size // 4 + grouped.size)
