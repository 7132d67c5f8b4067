# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MatMulNBits beside its definition, and beside ONNX Runtime.

With accuracy_level 4, A is rounded to 8-bit integers; the definition then is that of
the rounded numbers.
"""

import lutra
import ml_dtypes
import numpy as np
import pytest
from differential import reference
from low_bit import LowBit, model

BITS = range(1, 9)
ROWS = [1, 33]


def numbers(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def check(products, x, shape=None, tolerance=1e-4, constant=True, **options):
    dtype = x.dtype
    graph = model(products, shape or x.shape, dtype, constant)
    compiled = lutra.compile(graph, **{"mcpu": "native"} | options)
    feed = {"x": x}
    if not constant:
        for product in products:
            feed |= product.arrays()
    outputs = compiled(feed)
    for product in products:
        expected = product.expected(x)
        actual = outputs[product.name]
        assert actual.dtype == dtype and actual.shape == expected.shape
        size = max(np.abs(expected).max(initial=0), 1)
        np.testing.assert_allclose(
            actual.astype(np.float64) / size, expected / size, rtol=0, atol=tolerance,
            err_msg=product.name,
        )  # fmt: skip


@pytest.mark.parametrize("level", [None, 4], ids=["floats", "integers"])
@pytest.mark.parametrize("n, k, block", [(5, 100, 32), (33, 64, 16), (1, 17, 128)])
@pytest.mark.parametrize("zeros", [None, "packed", "floats"])
def test_bits(zeros, n, k, block, level):
    products = [LowBit(f"y{bits}", n, k, bits, block, zeros, level=level) for bits in BITS]
    for rows in ROWS:
        check(products, numbers(rows, k, seed=rows))


def test_flat_parameters():
    """Files of old exporters have scales and zero points in one dimension."""
    check([LowBit(f"y{bits}", 5, 100, bits, 32, "flat") for bits in BITS], numbers(3, 100))


@pytest.mark.parametrize("level", [0, 4])
@pytest.mark.parametrize("k", [96, 128])
def test_equal_zero_points(level, k):
    """Of 3 blocks the last bits of a byte belong to no zero point."""
    products = [LowBit(f"y{bits}", 5, k, bits, 32, "equal", level=level) for bits in BITS]
    check(products, numbers(3, k))


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("options", [{}, {"mattr": "-amx-bf16"}], ids=["all", "exact"])
def test_symbolic_rows(level, options):
    products = [LowBit(f"y{bits}", 40, 96, bits, 32, "packed", level=level) for bits in (2, 3, 4, 8)]
    graph = model(products, ["batch", "sequence", 96])
    compiled = lutra.compile(graph, mcpu="native", **options)
    # In matrix tiles of bf16 integers and codes, scaled, are rounded again.
    tolerance = 1e-4 if options or level < 4 else 5e-3
    for shape in [(1, 1), (2, 3), (1, 33), (7, 5)]:
        x = numbers(*shape, 96, seed=sum(shape))
        outputs = compiled({"x": x})
        for product in products:
            expected = product.expected(x)
            np.testing.assert_allclose(
                outputs[product.name], expected, rtol=0, atol=tolerance * np.abs(expected).max()
            )


@pytest.mark.parametrize("rank", [1, 4])
def test_ranks(rank):
    x = numbers(*(2, 1, 3, 48)[-rank:])
    check([LowBit("y", 7, 48, bias=True)], x)


@pytest.mark.parametrize("level", [0, 4])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_floats(dtype, level):
    products = [
        LowBit(f"y{zeros}", 19, 80, 4, 16, zeros, bias=True, level=level, dtype=dtype)
        for zeros in (None, "packed", "floats")
    ]
    check(products, numbers(3, 80, dtype=dtype), tolerance=1e-2)


@pytest.mark.parametrize("level", [0, 4])
@pytest.mark.parametrize("zeros", [None, "packed", "floats"])
def test_codes_of_a_run(zeros, level):
    products = [LowBit(f"y{bits}", 6, 40, bits, 16, zeros, level=level) for bits in BITS]
    check(products, numbers(3, 40), constant=False)


# Which block each code belongs to, of 3 blocks of 16: 40 codes, or all 48.
INDICES = {
    "in order": np.arange(40) // 16,
    "in order, padded": np.arange(48) // 16,
    "turned": np.arange(40)[::-1] // 16,
    "uneven": np.minimum(np.arange(48) // 5, 2),
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("zeros", [None, "packed", "floats"])
@pytest.mark.parametrize("constant", [True, False], ids=["constant", "input"])
def test_named_blocks(name, zeros, constant):
    index = INDICES[name].astype(np.int32)
    products = [LowBit(f"y{bits}", 9, 40, bits, 16, zeros, index) for bits in (3, 4)]
    check(products, numbers(3, 40), constant=constant)


def test_rows_of_zeros_and_extremes():
    """A group of zeros has no scale; one number may outweigh all others."""
    x = numbers(5, 64)
    x[1] = 0
    x[2, 16:48] = 0
    x[3, 5] = 1e6
    check([LowBit(f"y{b}", 20, 64, b, 16, "packed", level=4) for b in (1, 4, 8)], x)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", [None, "packed"])
@pytest.mark.parametrize("n, k, block", [(32, 128, 32), (33, 96, 16), (8, 200, 64)])
def test_as_onnx_runtime(bits, zeros, n, k, block):
    product = LowBit("y", n, k, bits, block, zeros, bias=True, level=0)
    x = numbers(4, k)
    graph = model([product], x.shape)
    (expected,) = reference(graph)({"x": x}).values()
    actual = lutra.compile(graph, mcpu="native")({"x": x})["y"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
