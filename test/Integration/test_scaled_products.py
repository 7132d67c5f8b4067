# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""com.microsoft's products of bytes that result in floats, beside ONNX Runtime and exact
integers: matrices that are constants or computed, all kinds of zero points and scales."""

import lutra
import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

#: Rows as they are shaped, K and N.
SIZES = [((3,), 33, 17), ((0,), 16, 8), ((1,), 64, 1), ((2, 5), 7, 70), ((33,), 129, 40), ((), 5, 4)]
TYPES = [np.uint8, np.int8]


def numbers(kind, shape, seed=0):
    """Bytes of 7 bits, since peers' sums of larger ones saturate on some machines."""
    limits = np.iinfo(kind)
    return np.random.default_rng(seed).integers(limits.min // 2, limits.max // 2 + 1, shape).astype(kind)


class Case:
    """An operator with the inputs that are there, by their names in order."""

    def __init__(self, op, constant, **inputs):
        self.op, self.inputs = op, inputs
        self.feeds = {n: v for n, v in inputs.items() if v is not None and (not constant or n[0] in "Aa")}

    def model(self, rows=None):
        """`rows` names the first dimension of A."""

        def info(name, value):
            shape = list(value.shape)
            if rows and name == "A":
                shape[0] = rows
            return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), shape)

        names = [n if v is not None else "" for n, v in self.inputs.items()]
        while not names[-1]:
            names.pop()
        constants = [numpy_helper.from_array(v, n) for n, v in self.inputs.items()
                     if v is not None and n not in self.feeds]  # fmt: skip
        result = helper.np_dtype_to_tensor_dtype(self.inputs["b_scale"].dtype)
        graph = helper.make_graph(
            [helper.make_node(self.op, names, ["y"], "product", domain="com.microsoft")], "g",
            [info(n, v) for n, v in self.feeds.items()],
            [helper.make_tensor_value_info("y", result, None)], constants,
        )  # fmt: skip
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)

    def run(self, **options):
        return lutra.compile(self.model(**options), mcpu="native")(self.feeds)["y"]

    def onnx_runtime(self):
        session = onnxruntime.InferenceSession(
            self.model().SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return session.run(None, self.feeds)[0]

    def exact(self, a, a_scale):
        """From the centered integers of A."""
        b, zero = self.inputs["B"].astype(np.int64), self.inputs["b_zero_point"]
        sums = a @ (b if zero is None else b - zero)
        result = sums * (np.float64(a_scale) * self.inputs["b_scale"])
        return result if self.inputs["bias"] is None else result + self.inputs["bias"]


def parameters(n, kind, per_column, zeros, bias, dtype=np.float32):
    """b_scale, b_zero_point and bias."""
    random = np.random.default_rng(n)
    shape = (n,) if per_column else ()
    return dict(
        b_scale=np.asarray(random.uniform(0.001, 0.01, shape), dtype),
        b_zero_point=np.asarray(numbers(kind, shape, 3)) if zeros else None,
        bias=random.standard_normal(n).astype(dtype) if bias else None,
    )


def compare(actual, expected, tolerance=1e-6):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max(initial=0))


def dynamic(rows, k, n, kind, constant=True, **options):
    a = (np.random.default_rng(1).standard_normal((*rows, k)) * 3 + 1).astype(np.float32)
    given = parameters(n, kind, **options)
    order = {"A": a, "B": numbers(kind, (k, n), 2), **given}
    return Case("DynamicQuantizeMatMul", constant, **order)


def quantized(a):
    """As DynamicQuantizeLinear: centered integers and their scale."""
    low, high = min(a.min(initial=0), 0), max(a.max(initial=0), 0)
    scale = np.float32((high - low) / np.float32(255)) or np.float32(1)
    zero = np.clip(np.round(-low / scale), 0, 255)
    return np.clip(np.round(a / scale) + zero, 0, 255).astype(np.int64) - int(zero), scale


@pytest.mark.parametrize("constant", [True, False], ids=["constant", "computed"])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("per_column, zeros, bias", [(False, True, False), (True, True, True), (True, False, True)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_dynamic(size, per_column, zeros, bias, kind, constant):
    case = dynamic(*size, kind, constant, per_column=per_column, zeros=zeros, bias=bias)
    compare(case.run(), case.exact(*quantized(case.inputs["A"])))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("per_column", [False, True])
def test_dynamic_peer(kind, per_column):
    case = dynamic((33,), 130, 70, kind, per_column=per_column, zeros=True, bias=True)
    compare(case.run(rows="rows"), case.onnx_runtime())


def to_float(rows, k, n, a_kind, kind, constant=True, a_zero=True, dtype=np.float32, **options):
    given = parameters(n, kind, dtype=dtype, **options)
    order = {
        "A": numbers(a_kind, (*rows, k), 1), "B": numbers(kind, (k, n), 2),
        "a_scale": np.asarray(0.02, dtype), "b_scale": given["b_scale"],
        "a_zero_point": np.asarray(numbers(a_kind, (), 5)) if a_zero else None,
        "b_zero_point": given["b_zero_point"], "bias": given["bias"],
    }  # fmt: skip
    return Case("MatMulIntegerToFloat", constant, **order)


def centered(case):
    a, zero = case.inputs["A"].astype(np.int64), case.inputs["a_zero_point"]
    return a if zero is None else a - zero


@pytest.mark.parametrize("constant", [True, False], ids=["constant", "computed"])
@pytest.mark.parametrize("kinds", [(a, b) for a in TYPES for b in TYPES], ids=str)
@pytest.mark.parametrize("per_column, zeros, a_zero, bias", [
    (False, True, True, True), (True, True, True, False), (True, True, False, True), (False, False, False, False)])  # fmt: skip
@pytest.mark.parametrize("size", SIZES[:5], ids=str)
def test_to_float(size, per_column, zeros, a_zero, bias, kinds, constant):
    case = to_float(*size, *kinds, constant, a_zero, per_column=per_column, zeros=zeros, bias=bias)
    compare(case.run(), case.exact(centered(case), case.inputs["a_scale"]))


# ONNX Runtime has no signed A with unsigned B.
@pytest.mark.parametrize("kinds", [(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)], ids=str)
def test_to_float_peer(kinds):
    case = to_float((2, 9), 130, 70, *kinds, per_column=True, zeros=True, bias=True)
    compare(case.run(), case.onnx_runtime())


def test_half():
    case = to_float((5,), 40, 12, np.uint8, np.int8, dtype=np.float16, per_column=True, zeros=True, bias=True)
    actual = case.run()
    assert actual.dtype == np.float16
    compare(actual, case.exact(centered(case), case.inputs["a_scale"]), 1e-3)


def test_batches():
    """A matrix of rank 3 is multiplied batch by batch."""
    case = to_float((3, 4), 20, 6, np.uint8, np.int8, per_column=True, zeros=True, bias=True)
    case.inputs["B"] = numbers(np.int8, (3, 20, 6), 7)
    compare(case.run(), case.exact(centered(case), case.inputs["a_scale"]))


def test_special_scales():
    """Scales are multiplied as they are, whatever they are."""
    case = dynamic((4,), 9, 5, np.int8, per_column=True, zeros=False, bias=False)
    case.inputs["b_scale"] = np.array([np.nan, -2, 0, np.inf, 1e-40], np.float32)
    expected = case.exact(*quantized(case.inputs["A"]))
    np.testing.assert_allclose(case.run(), expected.astype(np.float32), rtol=1e-3)


WRONG = [
    (dict(b_scale=np.ones(6, np.float32)), "expected b_scale of shape .5., got .6."),
    (dict(b_scale=np.ones((1, 5), np.float32)), "expected b_scale of shape .5., got .1, 5."),
    (dict(b_zero_point=np.ones(4, np.int8)), "expected b_zero_point of shape .5., got .4."),
    (dict(b_zero_point=np.uint8(1)), "expected b_zero_point of type INT8, got UINT8"),
    (dict(bias=np.ones(4, np.float32)), "expected bias of shape .5., got .4."),
    (dict(bias=np.ones(5, np.float16)), "expected bias of type FLOAT, got FLOAT16"),
    (dict(B=np.ones((8, 5), np.int8)), "expected equal sizes"),
    (dict(B=np.ones(9, np.int8)), "expected B of rank 2 or more, got rank 1"),
    (dict(B=np.ones((9, 5), np.int16)), "expected B of type INT8 or UINT8, got INT16"),
    (dict(A=np.ones((), np.uint8)), "expected A of rank 1 or more, got rank 0"),
    (dict(A=np.ones((2, 9), np.float32)), "expected A of type INT8 or UINT8, got FLOAT"),
    (dict(a_scale=np.ones(2, np.float32)), "expected a_scale to be one number, got .2."),
    (dict(a_zero_point=np.ones(2, np.uint8)), "expected a_zero_point to be one number, got .2."),
    (dict(a_zero_point=np.int8(1)), "expected a_zero_point of type UINT8, got INT8"),
]  # fmt: skip


@pytest.mark.parametrize("changes, reason", WRONG, ids=[reason for _, reason in WRONG])
def test_refused(changes, reason):
    case = to_float((2,), 9, 5, np.uint8, np.int8, per_column=True, zeros=True, bias=True)
    case.inputs.update({name: np.asarray(value) for name, value in changes.items()})
    case.feeds = {name: case.inputs[name] for name in case.feeds}
    with pytest.raises(lutra.CompileError, match=f"node 'product' .*{reason}"):
        case.run()


@pytest.mark.parametrize("missing", ["A", "B", "a_scale", "b_scale"])
def test_missing(missing):
    case = to_float((2,), 9, 5, np.uint8, np.int8, per_column=True, zeros=True, bias=True)
    model = case.model()
    node = model.graph.node[0]
    node.input[list(node.input).index(missing)] = ""
    with pytest.raises(lutra.CompileError, match="node 'product'"):
        lutra.compile(model)
