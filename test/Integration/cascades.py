# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Graphs with fused chains, as exporters write them, and what was made of them.

A graph is written once, node by node, and evaluated three ways: compiled, by
ONNX's reference in double precision, and by the same reference in single
precision, which goes over the keys as often as there are nodes. The error of the
compiled form is measured by that of the last.
"""

import json
from typing import NamedTuple

import lutra
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSET, IR_VERSION = 23, 11
F32, F64 = TensorProto.FLOAT, TensorProto.DOUBLE


class Graph:
    """Nodes as PyTorch's exporters write them. What makes a value returns its name."""

    def __init__(self, dynamic=False, seed=0):
        self.dynamic, self.dims = dynamic, {}
        self.random = np.random.default_rng(seed)
        self._inputs, self._makers, self._weights = [], [], []
        self._nodes, self._outputs = [], []

    def dim(self, name, size):
        """A size, or in a dynamic graph the name of one."""
        self.dims[name] = size
        return name if self.dynamic else size

    def input(self, name, *shape, make=None, dtype=np.float32):
        """`make` maps a shape to numbers; without it they are normal."""
        number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._inputs.append(helper.make_tensor_value_info(name, number, shape))
        self._makers.append((name, shape, np.dtype(dtype), make or self._normal))
        return name

    def _normal(self, shape):
        return self.random.standard_normal(shape)

    def constant(self, value, dtype=np.float32):
        name = f"c{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values):
        return self.constant(values, np.int64)

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [f"{op}_{len(self._nodes)}_{i}" for i in range(outputs)]
        name = f"{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, names, name, **attributes))
        return names[0] if outputs == 1 else names

    def size(self, x, axis):
        """The length of an axis, a scalar."""
        return self.node(
            "Gather", self.node("Shape", x), self.constant(axis, np.int64), axis=0
        )

    def range(self, length, start=0):
        """start, start + 1, ... of a length that is a scalar in the graph."""
        start = self.constant(start, np.int64) if isinstance(start, int) else start
        limit = self.node("Add", start, length)
        return self.node("Range", start, limit, self.constant(1, np.int64))

    def column(self, x, axis=1):
        return self.node("Unsqueeze", x, self.ints(axis))

    def masked(self, scores, keep, value=-np.inf):
        """Leaves the scores that `keep` says."""
        bias = self.node("Where", keep, self.constant(0.0), self.constant(value))
        return self.node("Add", scores, bias)

    def scores(self, q, k, scale=None):
        keys = self.node("Transpose", k, perm=[0, 1, 3, 2])
        scores = self.node("MatMul", q, keys)
        return self.node("Mul", scores, self.constant(scale)) if scale else scores

    def attend(self, scores, v):
        return self.node("MatMul", self.node("Softmax", scores, axis=-1), v)

    def output(self, *values):
        self._outputs.extend(values)

    def model(self, real=F32):
        """The model, or the same with numbers of type `real` in place of floats."""
        outputs = [helper.make_tensor_value_info(name, real, None) for name in self._outputs]
        graph = helper.make_graph(
            self._nodes, "cascade", self._inputs, outputs, self._weights
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        if real != F32:
            _convert(model.graph, real)
        return model

    def arrays(self, sizes):
        return {
            name: np.asarray(
                make(tuple(sizes.get(size, size) for size in shape)), dtype
            )
            for name, shape, dtype, make in self._makers
        }


def _convert(graph, real):
    dtype = helper.tensor_dtype_to_np_dtype(real)
    for weight in graph.initializer:
        if weight.data_type == F32:
            array = numpy_helper.to_array(weight).astype(dtype)
            weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    for value in graph.input:
        if value.type.tensor_type.elem_type == F32:
            value.type.tensor_type.elem_type = real
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == F32:
                attribute.i = real


def evaluate(graph, arrays, real):
    dtype = helper.tensor_dtype_to_np_dtype(real)
    feeds = {
        name: array.astype(dtype) if array.dtype == np.float32 else array
        for name, array in arrays.items()
    }
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(graph.model(real)).run(None, feeds)


def onnx_runtime(graph, arrays):
    """What ONNX Runtime computes, or None where it has no such operator."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return session.run(None, arrays)
    except Exception:
        return None


class Made(NamedTuple):
    """What the compiler made of a graph."""

    cascades: int  #: kernels that are cascades
    others: int  #: all other kernels
    before: int  #: the most passes that an exported cascade makes over a rank
    after: int  #: and that the compiled one makes
    refusals: list
    parts: list  #: into how many parts the keys of each are, as it is written


def compile(graph, folder, **options):
    report = {kind: folder / f"{kind}.json" for kind in ("passes", "kernels")}
    model = lutra.compile(
        graph.model(),
        threads=2,
        report=[f"{kind}:{path}" for kind, path in report.items()],
        **options,
    )
    passes, kernels = (json.loads(path.read_text()) for path in report.values())
    ranks = [rank for cascade in passes["cascades"] for rank in cascade["ranks"]]
    names = [kernel["name"] for kernel in kernels["kernels"]]
    fused = sum(name.startswith("cascade") for name in names)
    return model, Made(
        fused,
        len(names) - fused,
        max((rank["before"] or rank["passes"] for rank in ranks), default=0),
        max((rank["passes"] for rank in ranks), default=0),
        [text for cascade in passes["cascades"] for text in cascade["refusals"]],
        [
            merge["parts"]
            for cascade in passes["cascades"]
            for merge in cascade.get("merges", [])
            if merge["parts"]
        ],
    )


def compare(actual, exact, plain, name, floor=2e-6):
    """Whether `actual` is at most twice as far from `exact` as `plain` is."""
    assert actual.shape == exact.shape, name
    finite = np.isfinite(exact)
    np.testing.assert_array_equal(actual[~finite], exact[~finite].astype(actual.dtype), name)
    if finite.any():
        exact, actual, plain = (x[finite].astype(np.float64) for x in (exact, actual, plain))
        bound = 2 * np.abs(plain - exact).max() + floor * max(1.0, np.abs(exact).max())
        error = np.abs(actual - exact).max()
        assert error <= bound, f"{name}: {error} where {bound} is allowed"


def check(graph, folder, draws=(), peer=True, floor=2e-6, **options):
    """Compiles and compares at the sizes of the graph and, if it is dynamic, at
    those of `draws`; says what was made of it."""
    model, made = compile(graph, folder, **options)
    for sizes in [{}, *draws] if graph.dynamic else [{}]:
        arrays = graph.arrays({**graph.dims, **sizes})
        actual = model(arrays)
        exact, plain = (evaluate(graph, arrays, real) for real in (F64, F32))
        others = onnx_runtime(graph, arrays) if peer else None
        for i, (name, want) in enumerate(zip(graph._outputs, exact, strict=True)):
            compare(actual[name], want, plain[i], f"{name} at {sizes}", floor)
            if others is not None:
                np.testing.assert_allclose(actual[name], others[i], rtol=1e-3, atol=1e-3)
    return made


def built(write, dynamic=False):
    graph = Graph(dynamic)
    write(graph)
    return graph


def made_of(write, folder, dynamic, draws=None):
    """Runs at the graph's sizes and, if they are symbolic, with all of them 1."""
    graph = built(write, dynamic)
    made = check(graph, folder, draws or [dict.fromkeys(graph.dims, 1)])
    return made.cascades, made.before, made.after, made.cascades + made.others == 1


#: A graph of one size, and one of any.
sizes = pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
