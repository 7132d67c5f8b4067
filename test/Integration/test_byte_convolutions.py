# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions of bytes, exactly: windows, zero points and types at each level of
instructions, and networks that ONNX Runtime's quantizer writes."""

import itertools
import re
from typing import NamedTuple

import differential
import lutra
import numpy as np
import onnx
import pytest
from conftest import run_tool
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from samples import Samples
from test_shapes import LEVELS

TYPES = {"u8": np.uint8, "s8": np.int8}


class Case(NamedTuple):
    x: tuple
    w: tuple
    strides: tuple = ()
    pads: tuple = ()
    dilations: tuple = ()
    group: int = 1

    @property
    def attributes(self):
        given = {name: list(getattr(self, name)) for name in ("strides", "pads", "dilations")}
        return {"group": self.group, **{name: value for name, value in given.items() if value}}


CASES = [
    Case((1, 16, 9, 7), (32, 16, 3, 3), pads=(1, 1, 1, 1)),
    Case((2, 5, 8, 11), (17, 5, 3, 2), (2, 1), (0, 1, 2, 3), (1, 2)),
    Case((1, 3, 23, 22), (33, 3, 7, 7), (2, 2), (3, 3, 3, 3)),
    Case((3, 40, 5, 6), (70, 40, 1, 1)),
    Case((1, 9, 12, 5), (8, 9, 1, 1), (3, 2), (1, 0, 0, 1)),
    Case((2, 1, 6, 6), (1, 1, 3, 3), pads=(1, 1, 1, 1)),
    Case((1, 65, 30), (7, 65, 5), (2,), (4, 1), (3,)),
    Case((1, 4, 5, 6, 7), (6, 4, 2, 3, 2), (1, 2, 1), (1, 0, 0, 0, 1, 1)),
    Case((1, 256, 3, 3), (16, 256, 3, 3)),
    Case((2, 18, 9, 8), (18, 1, 3, 3), (2, 1), (1, 0, 1, 2), group=18),
    Case((1, 33, 20), (33, 1, 4), (1,), (3, 0), (2,), group=33),
    Case((1, 12, 7, 9), (8, 3, 3, 3), pads=(1, 1, 0, 0), group=4),
    Case((1, 6, 7, 9), (12, 1, 3, 3), group=6),
]
IDS = ["x".join(map(str, case.x)) + "-" + "x".join(map(str, case.w)) for case in CASES]


def reference(case, x, w):
    """The sums of integers that are centered already; all in int64."""
    rank = len(case.x) - 2
    strides, dilations = case.strides or (1,) * rank, case.dilations or (1,) * rank
    pads = case.pads or (0,) * 2 * rank
    x = np.pad(x.astype(np.int64), [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    kernel = w.shape[2:]
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    size = [(n - e) // s + 1 for n, e, s in zip(x.shape[2:], extents, strides, strict=True)]
    features, channels = w.shape[0] // case.group, w.shape[1]
    y = np.zeros((x.shape[0], w.shape[0], *size), np.int64)
    for tap in itertools.product(*map(range, kernel)):
        spans = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilations, size, strides, strict=True))
        for g in range(case.group):
            mine = slice(g * features, (g + 1) * features)
            seen = x[(slice(None), slice(g * channels, (g + 1) * channels), *spans)]
            y[:, mine] += np.einsum("nc...,fc->nf...", seen, w[(mine, slice(None), *tap)].astype(np.int64))
    return y


def numbers(random, kind, shape, extreme=False):
    limits = np.iinfo(kind)
    if extreme:
        return np.full(shape, limits.min or limits.max, kind)
    return random.integers(limits.min, limits.max + 1, shape).astype(kind)


def info(name, kind, shape):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)


def conv_integer(case, w, zeros, shape, x_type):
    """`zeros` are those of x, a number, "input" or None, and of w, or None."""
    x_zero, w_zero = zeros
    inputs, constants = [info("x", x_type, shape)], {"w": w}
    if isinstance(x_zero, str):
        inputs.append(info("xz", x_type, ()))
    elif x_zero is not None:
        constants["xz"] = np.array(x_zero, x_type)
    if w_zero is not None:
        constants["wz"] = w_zero
    names = ["x", "w", "" if x_zero is None else "xz", "" if w_zero is None else "wz"]
    node = helper.make_node("ConvInteger", names, ["y"], **case.attributes)
    graph = helper.make_graph(
        [node], "bytes", inputs, [info("y", np.int32, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def check(case, types, zeros, level, extreme=False, dims=None):
    """`zeros` says of which kind they are: "none", "one", "input", or "features"."""
    random = np.random.default_rng(len(str(case)))
    x_type, w_type = (TYPES[kind] for kind in types)
    x, w = numbers(random, x_type, case.x, extreme), numbers(random, w_type, case.w, extreme)
    far = np.iinfo(x_type).max if np.iinfo(x_type).min else 0
    x_zero = far if extreme else int(numbers(random, x_type, ()))
    w_zero = numbers(random, w_type, case.w[:1] if zeros == "features" else ())
    if zeros == "none":
        x_zero, w_zero = None, None
    given = "input" if zeros == "input" else x_zero
    model = conv_integer(case, w, (given, w_zero), dims or case.x, x_type)
    feeds = {"x": x} | ({"xz": np.array(x_zero, x_type)} if zeros == "input" else {})
    wide = np.int64(0) if w_zero is None else w_zero.astype(np.int64).reshape(-1, *[1] * (w.ndim - 1))
    centered = x.astype(np.int64) - (x_zero or 0), w.astype(np.int64) - wide
    options = {"dim": {"n": "0..8", "h": "3..64"}} if dims else {}
    actual = lutra.compile(model, mcpu=level, **options)(feeds)["y"]
    np.testing.assert_array_equal(actual, reference(case, *centered))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_exact(number, level):
    """Each case and level with other types and zero points, and all of them in turn."""
    turn = number + LEVELS.index(level)
    types = list(itertools.product(TYPES, TYPES))[turn % 4]
    check(CASES[number], types, ["none", "one", "input", "features"][turn // 2 % 4], level)


@pytest.mark.parametrize("zeros", ["none", "one", "input", "features"])
@pytest.mark.parametrize("types", list(itertools.product(TYPES, TYPES)), ids="-".join)
@pytest.mark.parametrize("number", [1, 3, 9])
def test_types(number, types, zeros):
    check(CASES[number], types, zeros, "native")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("types", list(itertools.product(TYPES, TYPES)), ids="-".join)
@pytest.mark.parametrize("number", [8, 9])
def test_extreme(number, types, level):
    """Products of 16 bits saturate with such numbers where they are added in pairs."""
    check(CASES[number], types, "one", level, extreme=True)


@pytest.mark.parametrize("number", [0, 1, 3, 9])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_dynamic(number, batch):
    case = CASES[number]
    dims = ["n", case.x[1], "h", *case.x[3:]]
    check(case._replace(x=(batch, *case.x[1:])), ("u8", "s8"), "one", "native", dims=dims)


def residual(channels=24):
    """A stem with pooling, residual blocks, and one of depthwise convolutions."""
    random, constants, nodes = np.random.default_rng(3), {}, []

    def conv(x, name, f, c, k, stride=1, group=1, relu=True):
        depth = c // group * k * k
        constants[f"{name}.w"] = (random.standard_normal((f, c // group, k, k)) / depth**0.5).astype(np.float32)
        constants[f"{name}.b"] = random.standard_normal(f).astype(np.float32) / 8
        nodes.append(helper.make_node(
            "Conv", [x, f"{name}.w", f"{name}.b"], [name], name, strides=[stride] * 2, pads=[k // 2] * 4, group=group))  # fmt: skip
        if relu:
            nodes.append(helper.make_node("Relu", [name], [f"{name}.r"]))
        return f"{name}.r" if relu else name

    def add(x, y, name):
        nodes.append(helper.make_node("Add", [x, y], [f"{name}.sum"]))
        nodes.append(helper.make_node("Relu", [f"{name}.sum"], [name]))
        return name

    c = channels
    stem = conv("x", "stem", c, 3, 5, 2)
    nodes.append(helper.make_node("MaxPool", [stem], ["pool"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
    first = add(conv(conv("pool", "a1", c, c, 3), "a2", c, c, 3, relu=False), "pool", "a")
    skip = conv(first, "skip", 2 * c, c, 1, 2, relu=False)
    second = add(conv(conv(first, "b1", c, c, 3, 2), "b2", 2 * c, c, 1, relu=False), skip, "b")
    last = conv(conv(second, "c1", 2 * c, 2 * c, 3, 1, 2 * c), "c2", 9, 2 * c, 1, relu=False)
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["y"]))
    graph = helper.make_graph(
        nodes, "residual", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 45, 38])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, n) for n, v in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def images(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, 45, 38)).astype(np.float32)


def quantized(folder, weights="s8", per_channel=True, form=QuantFormat.QDQ):
    source, target = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(residual(), source)
    types = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
    quantize_static(
        source, target, Samples({"x": images(2, seed)} for seed in (1, 2)), form, per_channel=per_channel,
        activation_type=QuantType.QUInt8, weight_type=types[weights],
        # Larger sums saturate in ONNX Runtime on some machines.
        reduce_range=True,
    )  # fmt: skip
    return target


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("weights", TYPES)
def test_network(tmp_path, weights, per_channel):
    path = quantized(tmp_path, weights, per_channel)
    compiled = lutra.compile(path, mcpu="native", dim={"n": "1..4"})
    for count in (1, 3):
        x = images(count)
        expected = differential.reference(path)({"x": x})["y"]
        actual = compiled({"x": x})["y"]
        # A rounding of a sum that goes the other way is a step of one tensor.
        np.testing.assert_allclose(actual, expected, atol=0.02 * np.abs(expected).max())


def test_network_moves_nothing(tmp_path):
    """What turns channels is the input alone: all else lies as products leave it."""
    path = quantized(tmp_path)
    run_tool("lutra-compile", str(path), "-o", str(tmp_path / "m.so"), "--dim=n:1..4", f"--dump-ir={tmp_path}/ir")
    texts = {p.name.split("-")[-1].split(".")[0]: p.read_text() for p in (tmp_path / "ir").iterdir()}
    # The depthwise convolution is no product of matrices.
    assert len(re.findall(r"= mpgemm.matmul .* x\(%\S+ : tensor<\?x1x\d+xi8>\)", texts["tensor"])) == 7
    assert len(turns(texts["tensor"])) > 14
    assert len(turns(texts["form"])) == 1


def turns(text):
    """The operations that compute a tensor in another order than they read one of four dimensions."""
    order = r"\(d0, d1, d2, d3\) -> \((?!d0, d1, d2, d3\))(?:d\d, ){3}d\d\)"
    maps = re.findall(rf"^(#map\d*) = affine_map<{order}>", text, re.M)
    loops = ", ".join(['"parallel"'] * 4)
    listed = re.findall(rf"indexing_maps = \[(.*?)\], iterator_types = \[{loops}\]", text)
    return [each for each in listed if set(each.split(", ")) & set(maps)]
