# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with matrices that a DequantizeLinear makes of constants, of 2 to 8 bits."""

import lutra
import numpy as np
import pytest
from low_bit import pack
from onnx import TensorProto, helper, numpy_helper

# Bits, and whether the numbers are signed.
KINDS = {"INT8": (8, True), "UINT8": (8, False), "INT4": (4, True), "UINT4": (4, False),
         "INT2": (2, True), "UINT2": (2, False)}  # fmt: skip


def draw(kind, shape, seed):
    bits, signed = KINDS[kind]
    low = -(1 << (bits - 1)) if signed else 0
    return np.random.default_rng(seed).integers(low, low + (1 << bits), shape)


def tensor(name, kind, array):
    """A tensor of packed numbers."""
    bits = KINDS[kind][0]
    codes = (array & ((1 << bits) - 1)).astype(np.uint8).reshape(-1)
    number = getattr(TensorProto, kind)
    return helper.make_tensor(name, number, array.shape, pack(codes, bits).tobytes(), raw=True)


def spread(parameter, shape, axis, block):
    """A scale or zero point for each element."""
    if parameter.ndim == 2 and block:
        return np.repeat(parameter, block, axis).take(range(shape[axis]), axis)
    if parameter.size > 1:
        return np.expand_dims(parameter, 1 - axis)
    return parameter


class Dequantized:
    """A quantized matrix, [K, N] or, where it is turned, [N, K]."""

    def __init__(self, kind, k, n, turned=False, block=0, one=False, zeros="drawn",
                 dtype=np.float32):  # fmt: skip
        shape = (n, k) if turned else (k, n)
        # Blocks are along the depth of the product, slices are its columns.
        depth = 1 if turned else 0
        self.axis, self.block = (depth if block else 1 - depth), block
        if one:
            parameters = ()
        elif block:
            parameters = [n, n]
            parameters[depth] = -(-k // block)
        else:
            parameters = (n,)
        self.x = draw(kind, shape, 1)
        self.scales = np.random.default_rng(2).uniform(0.1, 1, parameters).astype(dtype)
        self.zeros = draw(kind, parameters, 3) if zeros else None
        if zeros == "equal":
            self.zeros = np.full(parameters, 1)
        self.initializers = [tensor("q", kind, self.x), numpy_helper.from_array(self.scales, "scales")]
        if zeros:
            self.initializers.append(tensor("zeros", kind, np.asarray(self.zeros)))

    def node(self, result):
        names = [t.name for t in self.initializers]
        attributes = {"block_size": self.block} if self.block else {}
        return helper.make_node("DequantizeLinear", names, [result], axis=self.axis, **attributes)

    def value(self):
        zeros = np.zeros(()) if self.zeros is None else np.asarray(self.zeros)
        scales, zeros = (spread(p.astype(np.float64), self.x.shape, self.axis, self.block)
                         for p in (self.scales, zeros))  # fmt: skip
        return (self.x - zeros) * scales


def compiled(nodes, initializers, shape, dtype=np.float32, phase=None):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)], initializers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13)
    return lutra.compile(model, mcpu="native")


def product(matrix, form):
    """MatMul or Gemm with the matrix as it lies."""
    nodes = [matrix.node("w")]
    if form == "transpose":
        nodes += [helper.make_node("Transpose", ["w"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])]
    elif form == "gemm":
        nodes += [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1, alpha=0.5)]
    elif form == "plain gemm":
        nodes += [helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5)]
    else:
        nodes += [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return nodes


def check(matrix, form, rows=(3,), dtype=np.float32, tolerance=1e-4):
    turned = form in ("transpose", "gemm")
    weight = matrix.value().T if turned else matrix.value()
    x = np.random.default_rng(4).standard_normal((*rows, len(weight))).astype(dtype)
    program = compiled(product(matrix, form), matrix.initializers, x.shape, dtype)
    expected = x.astype(np.float64) @ weight * (0.5 if "gemm" in form else 1)
    actual = program({"x": x})["y"]
    assert actual.dtype == dtype and actual.shape == expected.shape
    size = np.abs(expected).max()
    np.testing.assert_allclose(actual.astype(np.float64) / size, expected / size, rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["plain", "transpose", "gemm", "plain gemm"])
@pytest.mark.parametrize("block", [0, 16])
def test_forms(kind, form, block):
    check(Dequantized(kind, 48, 21, form in ("transpose", "gemm"), block), form)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zeros", [None, "equal"])
@pytest.mark.parametrize("shape", [(50, 9, 16), (7, 3, 0), (64, 1, 32), (130, 40, 64)])
def test_zero_points(kind, zeros, shape):
    k, n, block = shape
    check(Dequantized(kind, k, n, block=block, zeros=zeros), "plain", rows=(2, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zeros", [None, "drawn"])
def test_one_scale(kind, zeros):
    check(Dequantized(kind, 33, 12, one=True, zeros=zeros), "plain")


def test_large():
    """Weights stay in the file; those before were constants."""
    for kind in ("INT4", "UINT4", "INT8"):
        check(Dequantized(kind, 256, 300, block=32), "plain", rows=(1,))
        check(Dequantized(kind, 256, 300, True, block=32), "transpose", rows=(40,))


@pytest.mark.parametrize("kind", ["INT4", "UINT8"])
def test_narrow_floats(kind):
    check(Dequantized(kind, 64, 18, block=16, dtype=np.float16), "plain", dtype=np.float16, tolerance=1e-2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zeros", [None, "drawn"])
@pytest.mark.parametrize("k, n", [(6, 5), (60, 61)])
def test_other_readers(kind, zeros, k, n):
    """What is no product reads the dequantized numbers, as does an axis that is summed over."""
    matrix = Dequantized(kind, k, n, zeros=zeros)
    x = np.ones((k, n), np.float32)
    program = compiled(
        [matrix.node("w"), helper.make_node("Add", ["x", "w"], ["y"])], matrix.initializers, x.shape
    )
    np.testing.assert_allclose(program({"x": x})["y"], matrix.value() + 1, rtol=1e-6, atol=1e-6)
    matrix.axis = 0
    matrix.scales, matrix.zeros = matrix.scales[:1].repeat(k), draw(kind, (k,), 5)
    matrix.initializers[1:] = [
        numpy_helper.from_array(matrix.scales, "scales"), tensor("zeros", kind, matrix.zeros)
    ]  # fmt: skip
    check(matrix, "plain")


@pytest.mark.parametrize("kind", ["INT4", "UINT2"])
def test_refused(kind):
    """Numbers of 4 and 2 bits are read by DequantizeLinear alone."""
    matrix = Dequantized(kind, 6, 5)
    node = helper.make_node("Cast", ["q"], ["y"], "cast", to=TensorProto.FLOAT)
    with pytest.raises(lutra.CompileError, match="node 'cast' .*expected a supported element type"):
        compiled([node], matrix.initializers[:1], (1,))
