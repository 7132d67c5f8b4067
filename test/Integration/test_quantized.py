# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Quantized operators beside ONNX Runtime and ONNX's reference, in exact integers."""

import differential
import lutra
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

TYPES = {
    "u8": np.uint8, "i8": np.int8, "u16": np.uint16, "i16": np.int16,
    "i32": np.int32, "f32": np.float32, "f16": np.float16,
}  # fmt: skip


def random(seed, shape, dtype, low=None, high=None):
    generator = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return np.asarray(generator.standard_normal(shape) * 40, dtype)
    info = np.iinfo(dtype)
    low, high = info.min if low is None else low, info.max if high is None else high
    return np.asarray(generator.integers(low, high, shape, dtype, endpoint=True))


def scales(seed, shape, dtype=np.float32):
    return np.asarray(np.random.default_rng(seed).uniform(0.05, 1, shape), dtype)


def element(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def make(op, inputs, constants, result, opset=21, symbolic=(), **attributes):
    """One node; None is an omitted input. Dimensions in `symbolic` have names."""
    names, values, initializers = [], [], []
    for i, array in enumerate(inputs):
        if array is None:
            names.append("")
            continue
        names.append(f"x{i}")
        if i in constants:
            initializers.append(numpy_helper.from_array(array, f"x{i}"))
            continue
        shape = [f"d{i}_{d}" if (i, d) in symbolic else s for d, s in enumerate(array.shape)]
        values.append(helper.make_tensor_value_info(f"x{i}", element(array), shape))
    outputs = [f"y{i}" for i in range(len(result))]
    results = [helper.make_tensor_value_info(y, t, None) for y, t in zip(outputs, result, strict=True)]
    node = helper.make_node(op, names, outputs, op, **attributes)
    graph = helper.make_graph([node], op, values, results, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def onnx_runtime(model, feed):
    return list(differential.reference(model)(feed).values())


def reference(model, feed):
    return ReferenceEvaluator(model).run(None, feed)


def compare(oracle, op, inputs, constants, result, exact=True, **options):
    model = make(op, inputs, constants, result, **options)
    feed = {f"x{i}": a for i, a in enumerate(inputs) if a is not None and i not in constants}
    compiled = lutra.compile(model, mcpu="native")
    outputs = compiled(feed)
    for i, expected in enumerate(oracle(model, feed)):
        actual = outputs[f"y{i}"]
        assert actual.dtype == expected.dtype and actual.shape == expected.shape
        if exact:
            np.testing.assert_array_equal(actual, expected)
        else:
            np.testing.assert_allclose(actual, expected, rtol=1e-6)


# Where the parameters lie: the shape of x, theirs, and attributes.
LAYOUTS = [
    ((3, 37, 5), (), {}),
    ((3, 37, 5), (37,), {}),
    ((3, 37, 5), (5,), {"axis": -1}),
    ((67, 130), (5, 130), {"axis": 0, "block_size": 16}),
    ((67, 130), (67, 5), {"axis": 1, "block_size": 32}),
    ((0, 4), (4,), {}),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", ["u8", "i8", "u16", "i16"])
@pytest.mark.parametrize("constants", [(), (1, 2)], ids=["inputs", "constants"])
def test_quantize(dtype, layout, constants):
    shape, parameters, attributes = layout
    # Multiples of a quarter of powers of two: many quotients are halves.
    x = np.round(random(0, shape, np.float32) * 4) / 4
    scale = np.asarray(np.exp2(random(1, parameters, np.int32, -2, 1)), np.float32)
    zero = random(2, parameters, TYPES[dtype])
    inputs = [x, scale, zero]
    compare(reference, "QuantizeLinear", inputs, constants, [element(zero)], **attributes)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", ["u8", "i8", "u16", "i16", "i32"])
@pytest.mark.parametrize("constants", [(), (0, 1, 2)], ids=["inputs", "constants"])
def test_dequantize(dtype, layout, constants):
    shape, parameters, attributes = layout
    x, zero = (random(s, n, TYPES[dtype], -9999 if dtype == "i32" else None, 9999 if dtype == "i32" else None)
               for s, n in ((0, shape), (1, parameters)))  # fmt: skip
    if dtype == "i32":
        zero = np.zeros_like(zero)
    inputs = [x, scales(2, parameters), zero]
    compare(reference, "DequantizeLinear", inputs, constants, [TensorProto.FLOAT], **attributes)


@pytest.mark.parametrize("attributes", [{}, {"precision": TensorProto.FLOAT}], ids=str)
def test_quantize_half(attributes):
    x, scale = random(0, (40, 33), np.float16), scales(1, (), np.float16)
    compare(reference, "QuantizeLinear", [x, scale], (), [TensorProto.INT8], opset=23,
            output_dtype=TensorProto.INT8, **attributes)  # fmt: skip


def test_quantize_beyond_range():
    special = [np.inf, -np.inf, 3e38, -3e38, 1e10, -1e10, -0.0, 1e-45, 254.5, 255.5, -0.5]
    inputs = [np.array(special, np.float32), np.array(0.5, np.float32), np.array(3, np.uint8)]
    compare(onnx_runtime, "QuantizeLinear", inputs, (1, 2), [TensorProto.UINT8])


@pytest.mark.parametrize("shape", [(3, 1000), (1,), ()], ids=str)
@pytest.mark.parametrize("shift", [-500, 0, 500])
def test_dynamic_quantize(shape, shift):
    x = np.asarray(random(3, shape, np.float32) + np.float32(shift))
    types = [TensorProto.UINT8, TensorProto.FLOAT, TensorProto.UINT8]
    compare(onnx_runtime, "DynamicQuantizeLinear", [x], (), types)


# a, b, a_zero_point, b_zero_point
PRODUCTS = [
    ((37, 67), (67, 131), (), ()),
    ((37, 67), (67, 131), (37,), (131,)),
    ((2, 5, 70), (2, 70, 9), (2, 5, 1), (2, 1, 9)),
    ((3, 1, 8, 33), (5, 33, 4), (), ()),
    ((300,), (300,), (1,), (1,)),
    ((1, 257), (257, 64), None, (64,)),
    ((5, 16), (16,), (5,), ()),
]


@pytest.mark.parametrize("b_is", ["weight", "input"])
@pytest.mark.parametrize("types", [("u8", "i8"), ("u8", "u8"), ("i8", "i8"), ("i8", "u8")], ids=str)
@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_matmul_integer(shapes, types, b_is):
    a, b = (random(i, shapes[i], TYPES[types[i]]) for i in (0, 1))
    zeros = [None if s is None else random(i, s, TYPES[t])
             for i, s, t in zip((2, 3), shapes[2:], types, strict=True)]  # fmt: skip
    expected = a.astype(np.int64) - rows(zeros[0], a), b.astype(np.int64) - (0 if zeros[1] is None else zeros[1].astype(np.int64))
    model = make("MatMulInteger", [a, b, *zeros], (1, 3) if b_is == "weight" else (), [TensorProto.INT32], 10,
                 [(0, 0)] if a.ndim > 1 and (zeros[0] is None or zeros[0].size == 1) else [])  # fmt: skip
    feed = {f"x{i}": v for i, v in enumerate([a, b, *zeros]) if v is not None and (b_is == "input" or i not in (1, 3))}
    np.testing.assert_array_equal(lutra.compile(model)(feed)["y0"], np.matmul(*expected))


def rows(zero, a):
    """The zero points of a's rows, as they broadcast."""
    if zero is None:
        return 0
    wide = zero.astype(np.int64)
    return wide[:, None] if wide.ndim == 1 and wide.size > 1 and a.ndim == 2 else wide


@pytest.mark.parametrize("types", [("u8", "i8"), ("i8", "i8"), ("u8", "u8")], ids=str)
@pytest.mark.parametrize("per", ["tensor", "column"])
def test_qlinear_matmul(types, per):
    a, b = random(0, (45, 66), TYPES[types[0]]), random(1, (66, 70), TYPES[types[1]])
    size = () if per == "tensor" else (70,)
    parameters = [scales(2, ()), random(3, (), a.dtype), b, scales(4, size), random(5, size, b.dtype),
                  np.array(90, np.float32), random(6, (), a.dtype)]  # fmt: skip
    compare(onnx_runtime, "QLinearMatMul", [a, *parameters], range(1, 8), [element(a)])


CONVOLUTIONS = [
    ((1, 3, 17, 19), (8, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    ((2, 6, 20, 9), (6, 1, 3, 3), {"group": 6, "strides": [2, 1], "auto_pad": "SAME_UPPER"}),
    ((1, 16, 12, 12), (32, 16, 1, 1), {}),
    ((1, 8, 31), (12, 4, 5), {"group": 2, "dilations": [2], "pads": [3, 0]}),
]


@pytest.mark.parametrize("zero", ["scalar", "feature", "none"])
@pytest.mark.parametrize("types", [("u8", "i8"), ("i8", "i8"), ("u8", "u8")], ids=str)
@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
def test_conv_integer(convolution, types, zero):
    x_shape, w_shape, attributes = convolution
    x, w = random(0, x_shape, TYPES[types[0]]), random(1, w_shape, TYPES[types[1]])
    x_zero = None if zero == "none" else random(2, (), x.dtype)
    w_zero = None if zero == "none" else random(3, w_shape[:1] if zero == "feature" else (), w.dtype)
    model = make("ConvInteger", [x, w, x_zero, w_zero], (1, 3), [TensorProto.INT32], 10, [(0, 0)], **attributes)
    feed = {f"x{i}": v for i, v in ((0, x), (2, x_zero)) if v is not None}
    # These sums are below 2^24, so they are exact in f32.
    centered = x.astype(np.float32) - np.float32(0 if x_zero is None else x_zero)
    column = np.float32(0) if w_zero is None else w_zero.astype(np.float32).reshape(-1, *[1] * (w.ndim - 1))
    exact = make("Conv", [centered, w - column], (), [TensorProto.FLOAT], 11, **attributes)
    expected = onnx_runtime(exact, {"x0": centered, "x1": w - column})[0]
    np.testing.assert_array_equal(lutra.compile(model)(feed)["y0"], expected)


@pytest.mark.parametrize("types", [("u8", "i8"), ("i8", "i8"), ("u8", "u8")], ids=str)
@pytest.mark.parametrize("per", ["tensor", "feature"])
@pytest.mark.parametrize("convolution", CONVOLUTIONS[:3], ids=str)
def test_qlinear_conv(convolution, types, per):
    x_shape, w_shape, attributes = convolution
    x, w = random(0, x_shape, TYPES[types[0]]), random(1, w_shape, TYPES[types[1]])
    size = () if per == "tensor" else w_shape[:1]
    # ONNX Runtime takes one zero point per feature only where all are equal.
    w_zero = np.full(size, random(5, (), w.dtype) if types[1] == "u8" else 0, w.dtype)
    parameters = [scales(2, ()), random(3, (), x.dtype), w, scales(4, size), w_zero, np.array(300, np.float32),
                  random(6, (), x.dtype), random(7, w_shape[:1], np.int32, -9999, 9999)]  # fmt: skip
    compare(onnx_runtime, "QLinearConv", [x, *parameters], range(1, 9), [element(x)], opset=10, **attributes)


def dequantized(node, attributes, x, w, axis):
    """A model of `node` on dequantized operands, and these in f64."""
    scale, w_scale = scales(2, ()), scales(3, () if axis is None else w.shape[axis])
    zero, w_zero = random(4, (), x.dtype), random(5, w_scale.shape, w.dtype)
    constants = dict(w=w, scale=scale, w_scale=w_scale, zero=zero, w_zero=w_zero)
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["a"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["b"], axis=axis or 0),
        helper.make_node(node, ["a", "b"], ["y"], **attributes),
    ]
    graph = helper.make_graph(
        nodes, node, [helper.make_tensor_value_info("x", element(x), x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    shape = [] if axis is None else [-1 if d == axis else 1 for d in range(w.ndim)]
    a = (x.astype(np.float64) - zero) * scale.astype(np.float64)
    b = (w.astype(np.float64) - w_zero.reshape(shape)) * w_scale.astype(np.float64).reshape(shape)
    return model, a, b


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("op", ["MatMul", "Gemm", "GemmT", "Conv"])
def test_dequantized_operands(op, axis):
    """Sums of integers are exact: one rounding per scale, even where terms cancel."""
    x, w = random(0, (40, 300), np.uint8), random(1, (300, 70), np.int8)
    if op in ("GemmT", "Conv"):
        w = np.ascontiguousarray(w.T)
    if op == "Conv":
        x, w = x.reshape(40, 300, 1, 1), w.reshape(70, 300, 1, 1)
    attributes = {"transB": 1} if op == "GemmT" else {}
    model, a, b = dequantized(op.rstrip("T"), attributes, x, w, axis)
    actual = lutra.compile(model)(x)["y"].reshape(40, 70)
    b = b.reshape(70, 300).T if op in ("GemmT", "Conv") else b
    is_summed = axis == (1 if op in ("GemmT", "Conv") else 0)
    tolerance = dict(rtol=1e-4, atol=0.05) if is_summed else dict(rtol=4e-7)
    np.testing.assert_allclose(actual, a.reshape(40, 300) @ b, **tolerance)


REFUSED = [
    ("QuantizeLinear", [np.ones((4, 6), np.float32), np.ones(5, np.float32)], {}, "expected input 1 of shape"),
    ("QuantizeLinear", [np.ones((4, 6), np.float32), np.ones((4, 3), np.float32)], {"block_size": 4}, "expected input 1"),
    ("QuantizeLinear", [np.ones(4, np.float32), np.ones((), np.float32)], {"block_size": -1}, "block_size"),
    ("QuantizeLinear", [np.ones(4, np.float32), np.ones((), np.float32)], {"output_dtype": TensorProto.INT4}, "INT4"),
    ("DequantizeLinear", [np.ones((4, 6), np.int8), np.ones(4, np.float32)], {"axis": 2}, "axis"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: f"{c[0]}-{c[3]}")
def test_refused(case):
    op, inputs, attributes, reason = case
    with pytest.raises(lutra.CompileError, match=reason):
        lutra.compile(make(op, inputs, (), [TensorProto.UINT8 if op[0] == "Q" else TensorProto.FLOAT], **attributes))


def test_reshaped_before_a_product():
    """What is dequantized and then has another shape is multiplied in that."""
    x, w = random(0, (4, 8, 1), np.int8), random(1, (8, 5), np.int8)
    constants = {"w": w, "s": np.float32(0.5), "shape": np.array([4, 8])}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s"], ["xd"]),
        helper.make_node("Reshape", ["xd", "shape"], ["xr"]),
        helper.make_node("DequantizeLinear", ["w", "s"], ["wd"]),
        helper.make_node("MatMul", ["xr", "wd"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.INT8, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (4, 5))],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    expected = (x.reshape(4, 8) / 2) @ (w / 2)
    np.testing.assert_allclose(lutra.compile(model)({"x": x})["y"], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["u8", "i8", "u16", "i16"])
@pytest.mark.parametrize("zero", [None, 3])
def test_constant_scales_divide_exactly(dtype, zero):
    """Where a quotient lies half way between two integers, or next to that."""
    dtype = TYPES[dtype]
    generator = np.random.default_rng(5)
    constants = [1.0, 0.25, 3.0, 1 / 3, 0.1, 1e-30, 1e30, 2**-70, *generator.uniform(1e-3, 5, 8)]
    info = np.iinfo(dtype)
    integers = np.unique(
        np.clip(
            np.concatenate([
                generator.integers(info.min, info.max, 1000, endpoint=True),
                np.arange(-300, 300), [info.min, info.max],
            ]),
            info.min - 5, info.max + 5,
        )
    )  # fmt: skip
    for scale in np.asarray(constants, np.float32):
        middle = np.asarray((integers + 0.5) * np.float64(scale), np.float32)
        x = [middle, np.asarray(integers * np.float64(scale), np.float32)]
        for _ in range(3):
            x.insert(0, np.nextafter(x[0], np.float32(-np.inf)))
            x.append(np.nextafter(x[-1], np.float32(np.inf)))
        x.append(np.asarray([np.inf, -np.inf, 3e38, -3e38, 1e-45, -0.0], np.float32))
        x = np.concatenate(x)
        inputs = [x, scale] + ([] if zero is None else [np.asarray(zero, dtype)])
        if zero is None:
            inputs.append(np.asarray(0, dtype))
        model = make("QuantizeLinear", inputs, (1, 2), [element(inputs[2])])
        feed = {"x0": x}
        with np.errstate(over="ignore"):
            shift = 0 if zero is None else zero
            expected = np.clip(
                np.rint(x / scale).astype(np.float64) + shift, info.min, info.max
            ).astype(dtype)
        for mcpu in ("x86-64", "native"):
            got = lutra.compile(model, mcpu=mcpu)(feed)["y0"]
            np.testing.assert_array_equal(got, expected, err_msg=f"{mcpu}, scale {scale!r}")
