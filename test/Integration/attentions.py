# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models of one node that attends, and their inputs."""

import numpy as np
from differential import reference
from onnx import TensorProto, helper

MICROSOFT = "com.microsoft"


def attends(op, arrays, outputs, domain="", opset=24, shapes=None, **attributes):
    """A model of one node. `arrays` are its inputs by name in the node's order,
    None for one that is left out; `shapes` replace those of the arrays."""
    shapes = shapes or {}

    def value(name, array):
        number = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, number, shapes.get(name, array.shape))

    names = [name if array is not None else "" for name, array in arrays.items()]
    node = helper.make_node(
        op, names, [name or "" for name in outputs], f"the_{op}", domain=domain, **attributes
    )
    graph = helper.make_graph(
        [node],
        "attends",
        [value(name, array) for name, array in arrays.items() if array is not None],
        [
            helper.make_tensor_value_info(name, kind(arrays), shapes.get(name))
            for name in outputs
            if name
        ],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=11)


def kind(arrays):
    """All results have the type of the first input."""
    first = next(iter(arrays.values()))
    return helper.np_dtype_to_tensor_dtype(first.dtype)


def given(arrays):
    return {name: array for name, array in arrays.items() if array is not None}


def onnx_runtime(model, arrays):
    return reference(model)(given(arrays))


class Numbers:
    """Draws inputs."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)

    def __call__(self, *shape, dtype=np.float32):
        return self.random.standard_normal(shape).astype(dtype)

    def bools(self, *shape):
        return self.random.integers(0, 2, shape).astype(bool)


def close(actual, expected, tolerance=1e-4):
    """Compares all results by name; expected infinities must be there."""
    for name, array in expected.items():
        assert actual[name].shape == array.shape, name
        np.testing.assert_allclose(
            actual[name].astype(np.float32),
            array.astype(np.float32),
            rtol=tolerance,
            atol=tolerance,
            err_msg=name,
        )
