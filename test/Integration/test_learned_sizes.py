# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a model says of its dimensions without declaring it: how large they may
be, of what they are multiples, and shapes that exporters compute in long ways."""

import lutra
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import lutra_compile
from onnx import TensorProto, helper, numpy_helper


def model(nodes, inputs, outputs, **constants):
    def values(named):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in named.items()]  # fmt: skip

    initializers = [
        numpy_helper.from_array(np.asarray(array), name)
        for name, array in constants.items()
    ]
    graph = helper.make_graph(nodes, "g", values(inputs), values(outputs), initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def agree(proto, compiled, *shapes):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(shape, np.float32) for shape in shapes]
    feed = {value.name: array for value, array in zip(session.get_inputs(), arrays)}
    for value, expected in zip(session.get_outputs(), session.run(None, feed)):
        np.testing.assert_allclose(compiled(*arrays)[value.name], expected, 1e-5, 1e-5)


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], output, **attributes)


def test_table_bounds_a_dimension():
    """x + table[:length of x], as of positions."""
    nodes = [
        node("Shape", "x", "length", start=1, end=2),
        node("Slice", "table zero length one", "part"),
        node("Add", "x part", "y"),
    ]
    table = np.arange(32 * 4, dtype=np.float32).reshape(1, 32, 4)
    proto = model(nodes, {"x": ["n", "s", 4]}, {"y": None}, table=table, zero=[0], one=[1])
    compiled = lutra.compile(proto)
    assert compiled.dims["s"].max == 32
    assert compiled.dims["n"].max is None
    for length in (1, 7, 32):
        agree(proto, compiled, (2, length, 4))
    with pytest.raises(lutra.RunError, match="s"):
        compiled(np.zeros((2, 33, 4), np.float32))


def test_table_bounds_a_sum():
    """A causal mask of 16: neither the past nor the sequence says enough alone."""
    nodes = [
        node("Shape", "x", "length", start=0, end=1),
        node("Shape", "past", "before", start=0, end=1),
        node("Add", "length before", "all"),
        node("Slice", "table before all", "part"),
        node("Add", "x part", "y"),
        node("Concat", "past x", "both", axis=0),
        node("Mul", "both mask", "z"),
    ]
    inputs = {"x": ["s"], "past": ["p"], "mask": ["p + s"]}
    table = np.arange(16, dtype=np.float32)
    proto = model(nodes, inputs, {"y": None, "z": None}, table=table)
    compiled = lutra.compile(proto)
    assert compiled.dims["p + s"].max == 16
    for past, length in ((1, 1), (15, 1), (4, 12)):
        agree(proto, compiled, (length,), (past,), (past + length,))
    with pytest.raises(lutra.RunError, match="16"):
        compiled(*(np.zeros(n, np.float32) for n in (12, 5, 17)))


def test_halved_and_doubled():
    """The skip of a U-net meets its other half at multiples of 4 only."""
    half = {"kernel_shape": [2], "strides": [2]}
    nodes = [
        node("MaxPool", "x", "a", **half),
        node("AveragePool", "a", "b", **half),
        node("Resize", "b  two", "c", mode="nearest", nearest_mode="floor",
             coordinate_transformation_mode="asymmetric"),
        node("Concat", "a c", "d", axis=1),
        node("Resize", "d  two", "e", mode="nearest", nearest_mode="floor",
             coordinate_transformation_mode="asymmetric"),
        node("Concat", "x e", "y", axis=1),
    ]  # fmt: skip
    nodes[2].input[:] = nodes[4].input[:] = ["b", "", "two"]
    nodes[4].input[0] = "d"
    two = np.array([1, 1, 2], np.float32)
    proto = model(nodes, {"x": ["n", 3, "w"]}, {"y": None}, two=two)
    compiled = lutra.compile(proto)
    assert compiled.dims["w"].multiple == 4
    assert compiled.dims["w"].min == 4
    for width in (4, 8, 36):
        agree(proto, compiled, (2, 3, width))
    with pytest.raises(lutra.RunError, match="w"):
        compiled(np.zeros((1, 3, 6), np.float32))


def test_multiple_beyond_everything(tmp_path):
    """No size that is a multiple of an odd number and of 2 is below 2^63."""
    nodes = [
        node("MaxPool", "x", "a", kernel_shape=[2], strides=[2]),
        node("Tile", "a two", "b"),
        node("Add", "x b", "y"),
    ]
    onnx.save(model(nodes, {"x": ["n", 3, "w"]}, {"y": None}, two=[1, 1, 2]), tmp_path / "m.onnx")
    dim = f"--dim=w:1..%{2**62 + 1}"
    done = lutra_compile(tmp_path / "m.onnx", dim, "-o", tmp_path / "m.so", expect=3)
    (error,) = done.stderr.splitlines()
    assert "node 'y': expected shapes that broadcast" in error


def test_later_node_bounds_a_division():
    """The size that the reshape wants is whole where the pooling fits."""
    nodes = [
        node("Shape", "x", "size", start=2, end=3),
        node("Sub", "size five", "slack"),
        node("Div", "slack two", "steps"),
        node("Add", "steps one", "count"),
        node("Concat", "shape count", "target", axis=0),
        node("AveragePool", "x", "a", kernel_shape=[5], strides=[2]),
        node("Reshape", "a target", "y"),
    ]
    proto = model(nodes, {"x": [1, 6, "w"]}, {"y": None}, five=[5], two=[2], one=[1], shape=[2, 3])
    compiled = lutra.compile(proto)
    for width in (5, 6, 31):
        agree(proto, compiled, (1, 6, width))


def test_end_beyond_everything():
    nodes = [node("Slice", "x start end", "y")]
    proto = model(nodes, {"x": ["n"]}, {"y": None}, start=[1], end=[10**9])
    agree(proto, lutra.compile(proto), (5,))


def test_number_of_elements():
    """The product of a part of a shape, as of a dense layer on sequences."""
    nodes = [
        node("Shape", "x", "shape", start=0, end=2),
        node("ReduceProd", "shape zero", "rows", keepdims=0),
        node("Unsqueeze", "rows zero", "row"),
        node("Concat", "row width", "target", axis=0),
        node("Reshape", "x target", "y"),
        node("ReduceSum", "shape zero", "sum", keepdims=1),
        node("ConstantOfShape", "sum", "z"),
    ]
    proto = model(nodes, {"x": ["n", "s", 4]}, {"y": None, "z": None}, zero=[0], width=[4])
    agree(proto, lutra.compile(proto), (2, 3, 4))


def test_reversed_constant():
    """Pads that a table of pairs gives, last dimension first."""
    pairs = np.array([[1, 2], [0, 0]])
    nodes = [
        node("Slice", "pairs last before zero back", "turned"),
        node("Transpose", "turned", "columns", perm=[1, 0]),
        node("Reshape", "columns all", "pads"),
        node("Pad", "x pads", "y"),
    ]
    proto = model(nodes, {"x": ["n", 3]}, {"y": None}, pairs=pairs, last=[-1], zero=[0],
                  before=[-(2**63) + 1], back=[-1], all=[-1])  # fmt: skip
    agree(proto, lutra.compile(proto), (2, 3))


def test_lstm_of_steps_only():
    """Both states begin as the same tensor, and neither is an output."""
    random = np.random.default_rng(1)
    weights = {name: random.standard_normal(shape).astype(np.float32)
               for name, shape in {"w": (1, 20, 3), "r": (1, 20, 5)}.items()}  # fmt: skip
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=5)]
    proto = model(nodes, {"x": ["s", "n", 3]}, {"y": None}, **weights)
    compiled = lutra.compile(proto)
    for length, batch in ((1, 1), (4, 3), (9, 40)):
        agree(proto, compiled, (length, batch, 3))
