# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attributes that ONNX says are 0 or 1, with other numbers: what ONNX Runtime
takes them for, and one error where it takes no others."""

import lutra
import pytest
from differential import I64, Graph, compare, reference
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

OTHERS = (2, -1)


def reduced(g, op, **flag):
    return g.node(op, g.input([2, 3]), g.constant([1], I64), **flag)


def pooled(g, op, **flag):
    return g.node(op, g.input([1, 1, 4, 4]), kernel_shape=[3, 3], strides=[2, 2], **flag)


TAKEN = {
    "keepdims": lambda g, **flag: reduced(g, "ReduceSum", **flag),
    "keepdims of an index": lambda g, **flag: g.node(
        "ArgMax", g.input([2, 3]), axis=1, **flag),
    "noop_with_empty_axes": lambda g, **flag: g.node("ReduceMax", g.input([2, 3]), **flag),
    "select_last_index": lambda g, **flag: g.node(
        "ArgMax", g.node("Abs", g.node("Sign", g.input([2, 3]))), axis=1, **flag),
    "transA": lambda g, **flag: g.node("Gemm", g.input([3, 2]), g.input([3, 4]), **flag),
    "transB": lambda g, **flag: g.node("Gemm", g.input([3, 2]), g.input([4, 2]), **flag),
    "ceil_mode": lambda g, **flag: pooled(g, "AveragePool", **flag),
    "count_include_pad": lambda g, **flag: pooled(
        g, "AveragePool", pads=[1, 1, 1, 1], **flag),
    "largest": lambda g, **flag: g.node(
        "TopK", g.input([5]), g.constant([2], I64), outputs=2, **flag)[0],
    "upper": lambda g, **flag: g.node("Trilu", g.input([3, 3]), **flag),
    "allowzero": lambda g, **flag: g.node(
        "Reshape", g.input([2, 3]), g.constant([0, 3], I64), **flag),
    "interleaved": lambda g, **flag: g.node(
        "RotaryEmbedding", g.input([1, 2, 3, 8]), g.input([4, 4]), g.input([4, 4]),
        g.constant([[3, 0, 2]], I64), **flag),
}  # fmt: skip

REFUSED = {
    "exclusive": lambda g, **flag: g.node("CumSum", g.input([4]), g.constant(0, I64), **flag),
    "reverse": lambda g, **flag: g.node("CumSum", g.input([4]), g.constant(0, I64), **flag),
    "fmod": lambda g, **flag: g.node("Mod", g.input([3], I64), g.input([3], I64), **flag),
    "storage_order": lambda g, **flag: pooled(g, "MaxPool", **flag),
    "layout": lambda g, **flag: g.node(
        "RNN", g.input([1, 1, 3]), g.weight([1, 2, 3]), g.weight([1, 2, 2]),
        outputs=2, hidden_size=2, **flag)[1],
}  # fmt: skip


@pytest.mark.parametrize("number", OTHERS)
@pytest.mark.parametrize("name", TAKEN)
def test_taken(name, number):
    """The graph is declared with what ONNX Runtime gives, also its shape."""
    g = Graph(opset=23)
    g.output(TAKEN[name](g, **{name.split()[0]: number}))
    proto = g.model()
    arrays = g.arrays({})
    (expected,) = reference(proto)(arrays).values()
    (actual,) = lutra.compile(proto)(arrays).values()
    compare(actual, expected, 1e-5, name)


@pytest.mark.parametrize("number", OTHERS)
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, number):
    """As by ONNX Runtime."""
    g = Graph()
    g.output(REFUSED[name](g, **{name: 0}))
    proto = g.model()
    (node,) = proto.graph.node
    (flag,) = [attribute for attribute in node.attribute if attribute.name == name]
    flag.i = number
    with pytest.raises(Fail):
        reference(proto)
    with pytest.raises(lutra.CompileError) as refusal:
        lutra.compile(proto)
    assert f"node '{node.name}' ({node.op_type} v" in str(refusal.value)
    assert f"): expected {name} 0 or 1, got {number}" in str(refusal.value)
