# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MatMulBnb4 beside its definition, and beside ONNX Runtime."""

import lutra
import ml_dtypes
import numpy as np
import pytest
from differential import reference
from low_bit import MICROSOFT, model
from onnx import helper

HALF = np.array([0, 0.005208333, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4])
FP4 = np.concatenate([HALF, -HALF])
NF4 = np.array([
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
])  # fmt: skip
BOOKS = [FP4, NF4]


class Bnb4:
    """A node, its inputs and its result."""

    def __init__(self, name, n, k, block, book, dtype=np.float32):
        random = np.random.default_rng(n + k + block)
        self.name, self.n, self.k, self.block, self.book = name, n, k, block, book
        # Codes of an odd number are padded to a byte; what pads is not read.
        self.codes = random.integers(0, 16, n * k + n * k % 2, np.uint8)
        self.absmax = random.uniform(0.1, 1, -(-n * k // block)).astype(dtype)

    def node(self, x):
        return helper.make_node(
            "MatMulBnb4", [x, f"{self.name}_b", f"{self.name}_absmax"], [self.name], self.name,
            domain=MICROSOFT, N=self.n, K=self.k, block_size=self.block, quant_type=self.book,
        )  # fmt: skip

    def arrays(self):
        packed = self.codes[::2] << 4 | self.codes[1::2]
        return {f"{self.name}_b": packed, f"{self.name}_absmax": self.absmax}

    def expected(self, x):
        index = np.arange(self.n * self.k)
        scales = self.absmax.astype(np.float64)[index // self.block]
        weight = BOOKS[self.book][self.codes[index]] * scales
        return x.astype(np.float64) @ weight.reshape(self.n, self.k).T


def numbers(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def check(products, x, shape=None, tolerance=1e-5, constant=True):
    graph = model(products, shape or x.shape, x.dtype, constant)
    feed = {"x": x}
    if not constant:
        for product in products:
            feed |= product.arrays()
    outputs = lutra.compile(graph, mcpu="native")(feed)
    for product in products:
        expected, actual = product.expected(x), outputs[product.name]
        assert actual.dtype == x.dtype and actual.shape == expected.shape
        np.testing.assert_allclose(
            actual.astype(np.float64), expected, rtol=0,
            atol=tolerance * np.abs(expected).max(), err_msg=product.name,
        )  # fmt: skip


def books(n, k, block, **options):
    return [Bnb4(f"y{book}", n, k, block, book, **options) for book in (0, 1)]


@pytest.mark.parametrize("rows", [1, 33])
@pytest.mark.parametrize("n, k, block", [(8, 64, 16), (37, 128, 64), (64, 256, 256), (1, 32, 32)])
def test_blocks_of_rows(n, k, block, rows):
    check(books(n, k, block), numbers(rows, k))


@pytest.mark.parametrize("constant", [True, False], ids=["constant", "input"])
@pytest.mark.parametrize(
    "n, k, block", [(8, 64, 128), (7, 48, 32), (7, 50, 32), (8, 51, 16), (7, 51, 16), (1, 17, 64)]
)
def test_blocks_across_rows(n, k, block, constant):
    check(books(n, k, block), numbers(3, k), constant=constant)


def test_codes_of_a_run():
    check(books(9, 64, 32), numbers(3, 64), constant=False)


@pytest.mark.parametrize("rank", [1, 3])
def test_ranks(rank):
    check(books(9, 64, 32), numbers(*(2, 3, 64)[-rank:]))


def test_symbolic_rows():
    products = books(24, 96, 32)
    compiled = lutra.compile(model(products, ["batch", "sequence", 96]), mcpu="native")
    for shape in [(1, 1), (2, 3), (1, 33)]:
        x = numbers(*shape, 96)
        outputs = compiled({"x": x})
        for product in products:
            expected = product.expected(x)
            np.testing.assert_allclose(
                outputs[product.name], expected, rtol=0, atol=1e-5 * np.abs(expected).max()
            )


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_floats(dtype):
    check(books(19, 64, 16, dtype=dtype), numbers(3, 64, dtype=dtype), tolerance=1e-2)


@pytest.mark.parametrize("n, k, block", [(32, 128, 64), (8, 64, 128), (8, 51, 16), (7, 51, 16)])
def test_as_onnx_runtime(n, k, block):
    graph, x = model(books(n, k, block), (4, k)), numbers(4, k)
    actual = lutra.compile(graph, mcpu="native")({"x": x})
    for name, expected in reference(graph)({"x": x}).items():
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(actual[name], expected, rtol=0, atol=tolerance, err_msg=name)
