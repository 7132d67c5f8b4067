#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a perceptron of a chosen weight, for tests of memory and of linking.

    x float32 [batch, WIDTH] -> y float32 [batch, WIDTH]

Every layer is MatMul, Add and Relu with seeded random weights of WIDTH x WIDTH.
The weights lie inside the file, or with --external in one file beside it, which
is the only way past Protobuf's 2 GiB. One layer is in memory at a time, except
that an inline model is held once to be written.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper


def layer_weights(width, layer):
    """Weights that neither blow up nor die out over many layers."""
    random = np.random.default_rng(1000 + layer)
    weight = random.standard_normal((width, width), np.float32)
    weight *= np.float32((2.0 / width) ** 0.5)
    bias = random.standard_normal(width, np.float32) * np.float32(0.01)
    return weight, bias


def store(array, name, data):
    """A tensor whose bytes are in it, or appended to the file `data`."""
    tensor = numpy_helper.from_array(array, name)
    if data is not None:
        data.seek(-data.tell() % 64, 1)
        external_data_helper.set_external_data(
            tensor, Path(data.name).name, data.tell(), array.nbytes
        )
        data.write(array.tobytes())
        tensor.ClearField("raw_data")
    return tensor


def build(width, layers, data=None):
    nodes, weights, value = [], [], "x"
    for i in range(layers):
        weight, bias = layer_weights(width, i)
        weights += [store(weight, f"w{i}", data), store(bias, f"b{i}", data)]
        relu = "y" if i == layers - 1 else f"relu{i}"
        nodes += [
            helper.make_node("MatMul", [value, f"w{i}"], [f"matmul{i}"], f"matmul{i}"),
            helper.make_node("Add", [f"matmul{i}", f"b{i}"], [f"add{i}"], f"add{i}"),
            helper.make_node("Relu", [f"add{i}"], [relu], f"relu{i}"),
        ]
        value = relu
    shape = ["batch", width]
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )


def write(path, width, layers, external=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not external:
        onnx.save(build(width, layers), path)
        return
    with open(path.with_suffix(".weights"), "wb") as data:
        model = build(width, layers, data)
    path.write_bytes(model.SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="the .onnx file to write")
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--external", action="store_true")
    options = parser.parse_args()
    write(options.path, options.width, options.layers, options.external)


if __name__ == "__main__":
    main()
