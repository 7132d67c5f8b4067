# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The nodes of a graph, one after the other."""

import math

import numpy as np
from onnx import helper, numpy_helper


class Graph:
    """Nodes and random weights, named as an exporter would."""

    def __init__(self):
        self.nodes, self.weights = [], []
        self.random = np.random.default_rng(1)
        self.named = set()

    def weight(self, name, *shape, scale=0.02, around=0.0):
        values = self.random.standard_normal(shape, np.float32) * np.float32(scale)
        return self.constant(name, values + np.float32(around))

    def constant(self, name, value):
        if name not in self.named:
            self.named.add(name)
            self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, op, inputs, name, **attributes):
        output = f"{name}_output_0"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def scalar(self, value):
        return self.constant(f"scalar_{value}", np.float32(value))

    def index(self, *values):
        name = "_".join(["index", *map(str, values)])
        return self.constant(name, np.array(values, np.int64))

    def linear(self, x, name, inputs, outputs):
        kernel = self.weight(f"{name}.weight", inputs, outputs)
        bias = self.weight(f"{name}.bias", outputs)
        product = self.add("MatMul", [x, kernel], f"{name}/MatMul")
        return self.add("Add", [bias, product], f"{name}/Add")

    def layer_norm(self, x, name, width):
        scale = self.weight(f"{name}.weight", width, around=1.0)
        bias = self.weight(f"{name}.bias", width)
        return self.add("LayerNormalization", [x, scale, bias], f"{name}/LayerNormalization",
                        axis=-1, epsilon=1e-12)  # fmt: skip

    def gelu(self, x, name):
        inner = self.add("Div", [x, self.scalar(math.sqrt(2))], f"{name}/Div")
        erf = self.add("Erf", [inner], f"{name}/Erf")
        one = self.add("Add", [erf, self.scalar(1)], f"{name}/Add")
        scaled = self.add("Mul", [x, one], f"{name}/Mul")
        return self.add("Mul", [scaled, self.scalar(0.5)], f"{name}/Mul_1")

    def size(self, x, axis, name):
        """The size of a dimension, as a vector of one element."""
        shape = self.add("Shape", [x], f"{name}/Shape")
        gathered = self.add(
            "Gather", [shape, self.constant(f"axis_{axis}", np.int64(axis))], f"{name}/Gather"
        )
        return self.add("Unsqueeze", [gathered, self.index(0)], f"{name}/Unsqueeze")

    def shape(self, x, name, *rest):
        sizes = [self.size(x, 0, f"{name}/0"), self.size(x, 1, f"{name}/1")]
        return self.add("Concat", [*sizes, *map(self.index, rest)], f"{name}/Concat", axis=0)
