# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lutra.backend behind ONNX's interface."""

import lutra.backend
import models
import numpy as np
import onnx
import pytest

X = np.arange(8, dtype=np.float32).reshape(2, 4)


def test_prepare_and_run():
    rep = lutra.backend.prepare(models.subtract(), "CPU", opt_level=1)
    d, s = rep.run([X, X])
    np.testing.assert_array_equal(d, 0 * X)
    np.testing.assert_array_equal(s, 2 * X)
    np.testing.assert_array_equal(rep.run({"b": X, "a": 0 * X})[0], -X)


def test_run_model():
    (y,) = lutra.backend.run_model(models.unary("Neg", "float"), [X])
    np.testing.assert_array_equal(y, -X)


def test_run_node():
    node = onnx.helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    (y,) = lutra.backend.run_node(node, [X], opset_version=18)
    assert y == X.sum()


def test_devices():
    assert lutra.backend.supports_device("CPU")
    assert lutra.backend.supports_device("CPU:0")
    assert not lutra.backend.supports_device("CUDA")
    with pytest.raises(ValueError, match="expected device 'CPU', got 'CUDA'"):
        lutra.backend.prepare(models.mlp(), "CUDA")


def test_is_compatible():
    assert lutra.backend.is_compatible(models.mlp())
    assert not lutra.backend.is_compatible(models.unary("Frobnicate", "float"))
    assert not lutra.backend.is_compatible(models.mlp(), "CUDA")
