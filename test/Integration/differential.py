# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small ONNX graphs, drawn from a seed or written by hand, and their comparison
with ONNX Runtime.

A graph knows the shape of each of its tensors, by ONNX's own inference, so that
the next node can be drawn to fit. A dimension is a number or, in a symbolic
graph, at times a name, and the graph is then run at several sizes.
"""

import os

import lutra
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 22, 10
F32, F64, F16, BOOL = map(np.dtype, (np.float32, np.float64, np.float16, np.bool_))
I8, I16, I32, I64 = map(np.dtype, (np.int8, np.int16, np.int32, np.int64))
U8, U16, U32, U64 = map(np.dtype, (np.uint8, np.uint16, np.uint32, np.uint64))
#: How far an output may be from the reference, relative to its largest value.
TOLERANCE = {F16: 2e-2, F32: 1e-4, F64: 1e-10}
MAX_ELEMENTS = 1 << 20


class Graph:
    def __init__(self, seed=0, symbolic=False, opset=OPSET):
        self.random = np.random.default_rng(seed)
        self.symbolic, self.opset = symbolic, opset
        self.dims, self.outputs = {}, []
        self._inputs, self._constants, self._nodes = [], [], []
        self._info, self._declared = {}, []

    # What to draw from.

    def pick(self, choices):
        return choices[int(self.random.integers(len(choices)))]

    def chance(self, probability):
        return self.random.random() < probability

    def size(self, low, high):
        return int(self.random.integers(low, high + 1))

    def dim(self, low, high):
        """A size, or the name of one."""
        if not self.symbolic or self.chance(0.4):
            return self.size(low, high)
        name, multiple = f"d{len(self.dims)}", self.pick([1, 1, 1, 1, 4])
        self.dims[name] = (multiple, -(-high // multiple) * multiple, multiple)
        return name

    def data(self, shape, dtype):
        """Numbers that a sum of products leaves exact enough to compare."""
        if dtype.kind == "f":
            return self.random.standard_normal(shape).astype(dtype)
        if dtype.kind == "b":
            return self.random.integers(0, 2, shape).astype(dtype)
        low = 0 if dtype.kind == "u" else -9
        return self.random.integers(low, 10, shape).astype(dtype)

    # What to build.

    def input(self, shape, dtype=F32):
        name = f"x{len(self._inputs)}"
        self._inputs.append((name, list(shape), np.dtype(dtype)))
        self._info[name] = (np.dtype(dtype), list(shape))
        return name

    def constant(self, array, dtype=None):
        array = np.asarray(array, dtype)
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        self._info[name] = (array.dtype, list(array.shape))
        return name

    def weight(self, shape, dtype=F32):
        return self.constant(self.data(shape, np.dtype(dtype)))

    def operand(self, shape, dtype=F32):
        """An input or, where all is known, at times a weight."""
        if any(isinstance(size, str) for size in shape) or self.chance(0.5):
            return self.input(shape, dtype)
        return self.weight(shape, dtype)

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [f"t{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(
            helper.make_node(op, inputs, names, f"n{len(self._nodes)}", **attributes)
        )
        return names[0] if outputs == 1 else names

    def like(self, x, y):
        """Says that `y` is shaped as `x`, where ONNX does not infer it."""
        self._info[y] = (self.dtype(x), self.shape(x))
        self._declared.append(y)
        return y

    def output(self, *names):
        self.outputs.extend(names)

    def inputs(self):
        return [name for name, _, _ in self._inputs]

    def dtype(self, name):
        self._infer(name)
        return self._info[name][0]

    def shape(self, name):
        """Sizes, names of dimensions, and None for what ONNX does not infer."""
        self._infer(name)
        return self._info[name][1]

    def _infer(self, name):
        if name in self._info:
            return
        inferred = onnx.shape_inference.infer_shapes(
            self._proto([]), strict_mode=True, data_prop=True
        )
        for info in inferred.graph.value_info:
            tensor = info.type.tensor_type
            shape = [
                dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
                for dim in tensor.shape.dim
            ]
            shape = [s if not isinstance(s, str) or s in self.dims else None for s in shape]
            dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            self._info[info.name] = (np.dtype(dtype), shape)

    def _proto(self, outputs):
        def value(name, shape, dtype):
            number = helper.np_dtype_to_tensor_dtype(dtype)
            return helper.make_tensor_value_info(name, number, shape)

        graph = helper.make_graph(
            self._nodes, "shapes", [value(*info) for info in self._inputs], [],
            self._constants,
        )  # fmt: skip
        graph.output.extend(
            value(name, self.shape(name), self.dtype(name)) for name in outputs
        )
        graph.value_info.extend(
            value(name, self.shape(name), self.dtype(name))
            for name in self._declared
            if name not in outputs
        )
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)

    def model(self):
        used = {size for _, shape, _ in self._inputs for size in shape}
        self.dims = {name: range for name, range in self.dims.items() if name in used}
        return self._proto(self.outputs)

    def draws(self, number):
        """Sizes to run at: the largest, the least, and some between."""
        if not self.dims:
            return [{}]
        draws = [{name: dim[end] for name, dim in self.dims.items()} for end in (1, 0)]
        while len(draws) < number:
            draws.append({
                name: self.size(1, high // multiple) * multiple
                for name, (_, high, multiple) in self.dims.items()
            })  # fmt: skip
        return draws[:number]

    def arrays(self, sizes):
        return {
            name: self.data([sizes.get(size, size) for size in shape], dtype)
            for name, shape, dtype in self._inputs
        }


def reference(model):
    """ONNX Runtime, without the fusions that round differently, for a model or the path of one."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    )
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model if isinstance(model, (str, os.PathLike)) else model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    names = [output.name for output in session.get_outputs()]
    return lambda arrays: dict(zip(names, session.run(None, arrays)))


def compare(actual, expected, tolerance, name):
    assert actual.dtype == expected.dtype, f"{name}: {actual.dtype}"
    assert actual.shape == expected.shape, f"{name}: {actual.shape}"
    if expected.dtype.kind != "f" or not expected.size:
        np.testing.assert_array_equal(actual, expected, name)
        return
    finite = np.abs(expected[np.isfinite(expected)].astype(F64))
    largest = max(finite.max(initial=0), 0.01)
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * largest, err_msg=name
    )


def check(graph, runs=3, threads=2, **options):
    """Compiles a graph and compares what it computes; returns its artifact."""
    proto = graph.model()
    expect = reference(proto)
    # What was computed in fewer bits keeps their error.
    dtypes = [graph.dtype(name) for name in [*graph.outputs, *graph.inputs()]]
    tolerance = max(TOLERANCE.get(dtype, 0) for dtype in dtypes)
    model = lutra.compile(proto, threads=threads, dim=graph.dims, **options)
    for sizes in graph.draws(runs):
        arrays = graph.arrays(sizes)
        inputs = [arrays[info.name] for info in model.inputs]
        actual, expected = model(*inputs), expect(arrays)
        for name in graph.outputs:
            compare(actual[name], expected[name], tolerance, f"{name} at {sizes}")
    return model
