# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of bytes with a constant matrix, exactly: all signs and kinds of zero points
at each level of instructions, also where every number is the largest."""

import itertools

import lutra
import numpy as np
import pytest
from onnx import helper, numpy_helper
from test_shapes import LEVELS

#: Rows as they are shaped, K and N.
SIZES = [((1,), 64, 16), ((3, 2), 33, 17), ((5,), 7, 1), ((), 40, 33), ((2, 1, 4), 1, 70)]
TYPES = [np.uint8, np.int8]


def model(shape, w, a_type, a_zero, b_zero):
    """`a_zero` is a number, "input" or None."""
    inputs = [("a", a_type, shape)]
    constants = {"w": w}
    names = ["a", "w"]
    if a_zero == "input":
        inputs.append(("az", a_type, ()))
    elif a_zero is not None:
        constants["az"] = np.array(a_zero, a_type)
    if b_zero is not None:
        constants["bz"] = np.array(b_zero, w.dtype)
    names += ["az" if a_zero is not None else "", "bz" if b_zero is not None else ""]
    while not names[-1]:
        names.pop()

    def info(name, kind, shape):
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", names, ["y"])],
        "bytes",
        [info(*each) for each in inputs],
        [info("y", np.int32, [*shape[:-1], w.shape[1]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def check(size, a_type, b_type, a_zero, b_zero, level, extreme=False):
    rows, k, n = size
    random = np.random.default_rng(k + n)

    def numbers(kind, shape):
        limits = np.iinfo(kind)
        if extreme:
            return np.full(shape, limits.min if limits.min else limits.max, kind)
        return random.integers(limits.min, limits.max + 1, shape).astype(kind)

    a, w = numbers(a_type, (*rows, k)), numbers(b_type, (k, n))
    feeds = {"a": a}
    if a_zero == "input":
        feeds["az"] = np.array(77, a_type)
    lhs = a.astype(np.int64) - (77 if a_zero == "input" else a_zero or 0)
    rhs = w.astype(np.int64) - np.array(b_zero or 0, np.int64)
    compiled = lutra.compile(model(a.shape, w, a_type, a_zero, b_zero), mcpu=level)
    np.testing.assert_array_equal(compiled(feeds)["y"], lhs @ rhs)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("b_type", TYPES)
@pytest.mark.parametrize("a_type", TYPES)
@pytest.mark.parametrize("size", SIZES)
def test_signs(size, a_type, b_type, level):
    kinds = list(itertools.product([None, 0, 100, "input"], [None, 0, 100]))
    number = SIZES.index(size) * 3 + TYPES.index(a_type) * 5 + LEVELS.index(level)
    a_zero, b_zero = kinds[number % len(kinds)]
    check(size, a_type, b_type, a_zero, b_zero, level)


@pytest.mark.parametrize("b_zero", [None, 0, 127])
@pytest.mark.parametrize("a_zero", [None, 0, 127, "input"])
@pytest.mark.parametrize("b_type", TYPES)
@pytest.mark.parametrize("a_type", TYPES)
def test_zero_points(a_type, b_type, a_zero, b_zero):
    check(((6,), 50, 20), a_type, b_type, a_zero, b_zero, "native")


@pytest.mark.parametrize("k", [40, 1000])
@pytest.mark.parametrize("zeros", [(None, None), (100, 127), ("input", 0)], ids=str)
@pytest.mark.parametrize("b_type", TYPES)
@pytest.mark.parametrize("a_type", TYPES)
def test_many_rows(a_type, b_type, zeros, k):
    check(((7, 19), k, 70), a_type, b_type, *zeros, "native")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("b_type", TYPES)
@pytest.mark.parametrize("a_type", TYPES)
def test_largest(a_type, b_type, level):
    check(((2,), 4000, 3), a_type, b_type, None, None, level, extreme=True)


@pytest.mark.parametrize("k", [65793, 65794])
def test_longest(k):
    """Of so many products 32 bits hold the sum, and of one more not for sure."""
    check(((1,), k, 2), np.uint8, np.int8, "input", None, "native")
