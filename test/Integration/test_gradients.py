# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The gradients that the samples are trained with, beside differences."""

import numpy as np
import pytest
from Models.gradients import (
    Adam, Tensor, cross_entropy, gelu, layer_norm, rms_norm, silu, softmax,
)  # fmt: skip

FUNCTIONS = {
    "broadcast": (lambda a, b: (a + b) * b - a, [(3, 4), (4,)]),
    "outer": (lambda a, b: a * b, [(3, 1), (1, 4)]),
    "constants": (lambda a: 2.0 * a + np.ones((3, 4)) * a, [(3, 4)]),
    "constant matrix": (lambda a: np.ones((2, 3)) @ a, [(3, 4)]),
    "power": (lambda a: (a * a + 1.0) ** -0.5, [(3, 4)]),
    "matmul": (lambda a, b: a @ b, [(2, 3, 4), (2, 4, 5)]),
    "matmul, broadcast": (lambda a, b: a @ b, [(2, 3, 2, 4), (2, 1, 4, 5)]),
    "matmul, matrix": (lambda a, b: a @ b, [(2, 3, 4), (4, 5)]),
    "movement": (
        lambda a: a.reshape(4, 3, 2).transpose(2, 0, 1) @ np.ones((3, 1)),
        [(2, 12)],
    ),
    "mean": (lambda a: a.mean(0) * a.mean(-1), [(3, 4)]),
    "softmax": (softmax, [(3, 4)]),
    "silu": (silu, [(3, 4)]),
    "gelu": (gelu, [(3, 4)]),
    "rms_norm": (lambda x, w: rms_norm(x, w, 1e-5), [(3, 4), (4,)]),
    "layer_norm": (lambda x, w, b: layer_norm(x, w, b, 1e-5), [(3, 4), (4,), (4,)]),
    "cross_entropy": (lambda x: cross_entropy(x, np.array([2, -1, 0])), [(3, 4)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradient(name):
    function, shapes = FUNCTIONS[name]
    random = np.random.default_rng(0)
    points = [random.standard_normal(shape) for shape in shapes]
    weights = random.standard_normal(function(*map(Tensor, points)).shape)

    def loss(tensors):
        size = weights.size
        row = (function(*tensors) * weights).reshape(1, size)
        return (row @ np.ones((size, 1))).reshape()

    tensors = [Tensor(point, trainable=True) for point in points]
    loss(tensors).backward()
    for tensor in tensors:
        assert tensor.grad.shape == tensor.shape
        for index in np.ndindex(tensor.shape):
            middle, sides = tensor.data[index], []
            for side in (middle + 1e-6, middle - 1e-6):
                tensor.data[index] = side
                sides.append(loss(tensors).data)
            tensor.data[index] = middle
            slope = (sides[0] - sides[1]) / 2e-6
            np.testing.assert_allclose(tensor.grad[index], slope, rtol=1e-6, atol=1e-7)


def test_adam_finds_a_minimum():
    x = {"x": Tensor(np.array([3.0, -2.0]), trainable=True)}
    adam = Adam(x, rate=0.1, steps=300, warm_up=10)
    for _ in range(300):
        away = x["x"] - np.array([1.0, 2.0])
        ((away * away).mean(0).reshape()).backward()
        adam.step()
    np.testing.assert_allclose(x["x"].data, [1, 2], atol=1e-3)
