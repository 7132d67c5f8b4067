#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a small convolutional network with seeded random weights.

It has what a small CNN is made of: convolutions with padding, strides, groups
and dilation, batch normalization, max, average and global pooling, a residual
addition, a concatenation, Gemm and Softmax.

    x float32 [batch, 3, 17, 15] -> y float32 [batch, 7]

Beside cnn.onnx it writes cnn.npz: x of batch 5 and the y of ONNX Runtime.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and initializers; every method returns a value's name."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes = []
        self.weights = []

    def weight(self, name, shape, mean=0.0, spread=None):
        fan_in = int(np.prod(shape[1:])) or 1
        spread = spread if spread is not None else (2.0 / fan_in) ** 0.5
        data = self.random.normal(mean, spread, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(data, name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def conv(self, x, name, channels, inputs, size, group=1, **attributes):
        w = self.weight(f"{name}.weight", (channels, inputs // group, *size))
        b = self.weight(f"{name}.bias", (channels,), spread=0.1)
        return self.node("Conv", [x, w, b], name, group=group, **attributes)

    def norm(self, x, name, channels):
        scale = self.weight(f"{name}.scale", (channels,), mean=1.0, spread=0.1)
        shift = self.weight(f"{name}.shift", (channels,), spread=0.1)
        mean = self.weight(f"{name}.mean", (channels,), spread=0.1)
        var_name = f"{name}.var"
        var = self.random.uniform(0.5, 2.0, channels).astype(np.float32)
        self.weights.append(numpy_helper.from_array(var, var_name))
        return self.node(
            "BatchNormalization", [x, scale, shift, mean, var_name], name, epsilon=1e-3
        )


def build(seed=11):
    b = Builder(seed)
    x = b.conv("x", "stem", 16, 3, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    x = b.node("Relu", [b.norm(x, "stem.norm", 16)], "stem.relu")
    y = b.conv(x, "depthwise", 16, 16, (3, 3), group=16, pads=[2, 2, 2, 2],
               dilations=[2, 2])  # fmt: skip
    y = b.node("Relu", [b.norm(y, "depthwise.norm", 16)], "depthwise.relu")
    y = b.conv(y, "pointwise", 16, 16, (1, 1))
    x = b.node("Add", [x, y], "residual")
    left = b.node("MaxPool", [x], "pool.max", kernel_shape=[3, 3], strides=[2, 2],
                  pads=[1, 1, 1, 1])  # fmt: skip
    right = b.node("AveragePool", [x], "pool.average", kernel_shape=[3, 3],
                   strides=[2, 2], pads=[1, 1, 1, 1])  # fmt: skip
    x = b.node("Concat", [left, right], "concat", axis=1)
    x = b.conv(x, "last", 24, 32, (3, 2), auto_pad="SAME_UPPER")
    x = b.node("Sigmoid", [x], "last.sigmoid")
    x = b.node("GlobalAveragePool", [x], "pool.global")
    x = b.node("Flatten", [x], "flatten")
    w = b.weight("classify.weight", (7, 24))
    bias = b.weight("classify.bias", (7,), spread=0.1)
    x = b.node("Gemm", [x, w, bias], "classify", transB=1)
    b.node("Softmax", [x], "y", axis=-1)
    graph = helper.make_graph(
        b.nodes,
        "cnn",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 17, 15])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 7])],
        b.weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def write(directory):
    import onnxruntime

    directory.mkdir(parents=True, exist_ok=True)
    model = build()
    onnx.save(model, directory / "cnn.onnx")
    x = np.random.default_rng(12).normal(size=(5, 3, 17, 15)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    np.savez(directory / "cnn.npz", x=x, y=session.run(["y"], {"x": x})[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where to write the files")
    write(parser.parse_args().directory)


if __name__ == "__main__":
    main()
