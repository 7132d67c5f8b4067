# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes graphs node by node, in the names and the manner of PyTorch's exporter:
sizes are computed in the graph, by Shape and Gather, and small numbers are
Constant nodes."""

from contextlib import contextmanager

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 18, 8
F32, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


class Graph:
    """Nodes, weights, inputs and outputs. What makes a value returns its name."""

    def __init__(self, name):
        self.name, self._scope = name, ""
        self._inputs, self._outputs = [], []
        self._nodes, self._weights, self._counts = [], [], {}

    @contextmanager
    def scope(self, name):
        """Names the nodes made within: /model/layers.0/MatMul."""
        outer, self._scope = self._scope, f"{self._scope}/{name}"
        yield
        self._scope = outer

    def input(self, name, dtype, shape):
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name, value, shape):
        """Makes a value an output of that name; all outputs are float32."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if used == value else used for used in names]
        self._outputs.append(helper.make_tensor_value_info(name, F32, shape))

    def weight(self, name, array):
        array = np.asarray(array, np.float32)
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, *inputs, **attributes):
        name = f"{self._scope}/{op}"
        count = self._counts[name] = self._counts.get(name, -1) + 1
        name += f"_{count}" if count else ""
        value = f"{name}_output_0"
        self._nodes.append(helper.make_node(op, inputs, [value], name, **attributes))
        return value

    def constant(self, value, dtype=np.int64):
        return self.node(
            "Constant", value=numpy_helper.from_array(np.asarray(value, dtype))
        )

    def number(self, value):
        return self.constant(value, np.float32)

    def size(self, x, axis):
        """A size of a tensor, as a scalar."""
        return self.node("Gather", self.node("Shape", x), self.constant(axis), axis=0)

    def shape(self, *sizes):
        """A shape of numbers and scalars."""
        axis = self.constant([0])
        parts = [
            self.node("Unsqueeze", size, axis)
            if isinstance(size, str)
            else self.constant([size])
            for size in sizes
        ]
        return self.node("Concat", *parts, axis=0)

    def unsqueeze(self, x, *axes):
        return self.node("Unsqueeze", x, self.constant(axes))

    def mean(self, x):
        """Over the last axis, which stays."""
        return self.node("ReduceMean", x, self.constant([-1]), keepdims=1)

    def linear(self, x, name, weight, bias=None):
        """A product with a weight [inputs, outputs], as a layer of its own."""
        with self.scope(name.split(".")[-1]):
            x = self.node("MatMul", x, self.weight(f"{name}.weight", weight))
            if bias is not None:
                x = self.node("Add", self.weight(f"{name}.bias", bias), x)
        return x

    def split_heads(self, x, batch, length, heads, size):
        """[batch, length, heads * size] as [batch, heads, length, size]."""
        x = self.node("Reshape", x, self.shape(batch, length, heads, size))
        return self.node("Transpose", x, perm=[0, 2, 1, 3])

    def join_heads(self, x, batch, length, width):
        x = self.node("Transpose", x, perm=[0, 2, 1, 3])
        return self.node("Reshape", x, self.shape(batch, length, width))

    def model(self):
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, self._weights
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def onnx_runtime(path):
    """Runs a model's file, {name: array} to {name: array}."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, inputs)))
